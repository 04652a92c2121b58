//! The I/O manager: devices, files, IRPs.

mod access_checks;
pub mod build_irp;
mod bus;
pub mod create;
pub mod csq;
pub mod device;
mod dos_name;
pub mod driver_extension;
pub mod ecp;
pub mod error_log;
pub mod file;
pub mod file_close;
mod file_origin;
pub mod file_system;
pub mod fs_registration;
mod function_access;
pub mod hard_error;
mod information;
mod information_class;
pub mod internal_completion;
pub mod irp;
pub mod irp_completion;
pub mod irp_contract;
mod irp_ex;
pub mod irp_requestor;
pub mod link;
pub mod mdl;
pub mod named_event;
pub mod nt_file_io;
mod nt_file_misc;
pub mod nt_load_driver;
mod priority_hint;
pub mod remove_lock;
mod rename;
pub mod share;
pub mod shutdown;
pub mod stack_limits;
pub mod start_io;
mod stream_file;
pub mod system_devices;
pub mod timer;
pub mod transfer;
pub mod uninitialized_output;
pub mod verify_device;
pub mod work_item;

use nt_layout::IoStatusBlock;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Export;

use crate::base::driver_ptr::DriverPtr;
use crate::base::leak_check::LeakCheck;

/// Writes an `IO_STATUS_BLOCK`, the status first.
fn write_status_block(block: u64, status: u32, information: u64) -> Result<(), Fault> {
    let block = DriverPtr::<IoStatusBlock>::new(block);
    block.set(|block| &block.status, status)?;
    block.set(|block| &block.information, information)
}

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[
    irp_contract::leaks,
    work_item::leaks,
    remove_lock::leaks,
    error_log::leaks,
    device::leaks,
    link::leaks,
    irp::leaks,
    fs_registration::leaks,
    shutdown::leaks,
];

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    ecp::EXPORTS,
    system_devices::EXPORTS,
    access_checks::EXPORTS,
    build_irp::EXPORTS,
    bus::EXPORTS,
    create::EXPORTS,
    csq::EXPORTS,
    device::EXPORTS,
    dos_name::EXPORTS,
    driver_extension::EXPORTS,
    error_log::EXPORTS,
    file_origin::EXPORTS,
    fs_registration::EXPORTS,
    function_access::EXPORTS,
    hard_error::EXPORTS,
    information::EXPORTS,
    internal_completion::EXPORTS,
    irp::EXPORTS,
    irp_completion::EXPORTS,
    irp_ex::EXPORTS,
    irp_requestor::EXPORTS,
    link::EXPORTS,
    mdl::EXPORTS,
    named_event::EXPORTS,
    nt_file_io::EXPORTS,
    nt_file_misc::EXPORTS,
    nt_load_driver::EXPORTS,
    priority_hint::EXPORTS,
    remove_lock::EXPORTS,
    share::EXPORTS,
    shutdown::EXPORTS,
    stack_limits::EXPORTS,
    start_io::EXPORTS,
    stream_file::EXPORTS,
    timer::EXPORTS,
    verify_device::EXPORTS,
    work_item::EXPORTS,
];
