//! The I/O manager: devices, files, IRPs.

pub mod build;
pub mod by_handle;
pub mod cancel;
pub mod create;
pub mod csq;
pub mod device;
pub mod file;
pub mod finish;
pub mod irp;
pub mod layout;
pub mod link;
pub mod mdl;
pub mod remove_lock;
pub mod start_io;
pub mod transfer;
pub mod work_item;

use super::call::Export;

/// All exports of the I/O manager.
pub const TABLES: &[&[Export]] = &[
    build::EXPORTS,
    by_handle::EXPORTS,
    cancel::EXPORTS,
    create::EXPORTS,
    csq::EXPORTS,
    device::EXPORTS,
    irp::EXPORTS,
    link::EXPORTS,
    mdl::EXPORTS,
    remove_lock::EXPORTS,
    start_io::EXPORTS,
    work_item::EXPORTS,
];
