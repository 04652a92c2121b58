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

use super::call::Export;

/// All exports of the I/O manager.
pub const TABLES: &[&[Export]] = &[
    build::EXPORTS,
    cancel::EXPORTS,
    device::EXPORTS,
    irp::EXPORTS,
    link::EXPORTS,
    mdl::EXPORTS,
];
