//! The I/O manager: devices, files, IRPs.

pub mod build;
pub mod cancel;
pub mod device;
pub mod file;
pub mod finish;
pub mod irp;
pub mod layout;
pub mod link;
pub mod mdl;
pub mod transfer;
