//! NTSTATUS values by name.
