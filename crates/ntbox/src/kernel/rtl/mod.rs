//! Run-time library.
