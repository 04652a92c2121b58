//! The version of Windows that this kernel claims to be.

use std::sync::{Mutex, PoisonError};

use crate::config::OsVersion;

static VERSION: Mutex<OsVersion> = Mutex::new(OsVersion {
    major: 10,
    minor: 0,
    build: 19045,
});

/// Sets it, before the driver runs.
pub fn set(version: OsVersion) {
    *VERSION.lock().unwrap_or_else(PoisonError::into_inner) = version;
}

/// What it is.
pub fn get() -> OsVersion {
    *VERSION.lock().unwrap_or_else(PoisonError::into_inner)
}
