//! The I/O manager: devices, files, IRPs.

pub mod build;
mod bus;
pub mod by_handle;
pub mod cancel;
mod checks;
pub mod completion;
pub mod contract;
pub mod create;
pub mod csq;
pub mod device;
mod dos_name;
pub mod driver_extension;
pub mod ending;
pub mod error_log;
pub mod file;
mod file_origin;
mod file_services;
pub mod finish;
pub mod fs_registration;
mod function_access;
pub mod hard_error;
mod information;
mod information_class;
pub mod interface;
pub mod irp;
mod irp_ex;
pub mod layout;
pub mod link;
pub mod mdl;
pub mod named_event;
pub mod output;
pub mod own_device;
pub mod pnp;
mod priority_hint;
pub mod remove_lock;
mod rename;
pub mod requestor;
pub mod share;
pub mod shutdown;
pub mod stack_limits;
pub mod start_io;
mod stream_file;
pub mod timer;
pub mod transfer;
pub mod verify_device;
pub mod work_item;

use super::call::Export;

/// All exports of the I/O manager.
pub const TABLES: &[&[Export]] = &[
    build::EXPORTS,
    bus::EXPORTS,
    by_handle::EXPORTS,
    cancel::EXPORTS,
    checks::EXPORTS,
    completion::EXPORTS,
    create::EXPORTS,
    csq::EXPORTS,
    device::EXPORTS,
    dos_name::EXPORTS,
    driver_extension::EXPORTS,
    error_log::EXPORTS,
    file_origin::EXPORTS,
    file_services::EXPORTS,
    finish::EXPORTS,
    fs_registration::EXPORTS,
    function_access::EXPORTS,
    hard_error::EXPORTS,
    information::EXPORTS,
    interface::EXPORTS,
    irp::EXPORTS,
    irp_ex::EXPORTS,
    link::EXPORTS,
    mdl::EXPORTS,
    named_event::EXPORTS,
    own_device::EXPORTS,
    pnp::EXPORTS,
    priority_hint::EXPORTS,
    remove_lock::EXPORTS,
    requestor::EXPORTS,
    share::EXPORTS,
    shutdown::EXPORTS,
    stack_limits::EXPORTS,
    start_io::EXPORTS,
    stream_file::EXPORTS,
    timer::EXPORTS,
    verify_device::EXPORTS,
    work_item::EXPORTS,
];
