//! Connects the components: registers the kernel's entries with the host layer, and
//! functions of upper components with the lower ones that call them.

use ntbox_host::kernel_entry;
use ntbox_host::kernel_entry::KernelEntries;

use crate::base::leak_check;
use crate::mm::{force_irql, force_irql_image};
use crate::verifier::user_access;
use crate::{
    cm, etw, ex, exports, fsrtl, io, ke, mm, ob, pnp, po, ps, ramfs, se, sections, seh, trap, um,
    verifier,
};

/// The kernel's entries for the host layer.
const ENTRIES: KernelEntries = KernelEntries {
    invoke: exports::invoke,
    end_call: trap::from_export,
    end_internal: trap::end_internal,
    bug_check: |data, context| trap::bug_check(data.code, data.parameters, data.message, context),
    upcall_stack_overflow: trap::nested_too_deep,
    bad_routine: seh::call_nowhere,
    invalid_access: trap::invalid_access,
    watchdog_timeout: trap::hung,
    signals: trap::signal_handlers::HANDLERS,
    driver_entered: user_access::close_opened,
    access_checked: verifier::access_checked,
    irql_raised: || {
        force_irql::raised();
        force_irql_image::raised();
    },
};

/// Registers everything. Once, before anything else of the kernel is called.
pub fn connect() {
    kernel_entry::register(ENTRIES);
    verifier::subscribe();
    ke::apc::FREE_POOL.set(|block, function| ex::pool::free(block, None, 0, function));
    ex::worker::CREATE_THREAD.set(ps::create::create);
    mm::locking::IS_IRP_MDL.set(io::irp::is_own_mdl);
    ps::system_thread::THREAD_ENDED.subscribe(io::hard_error::thread_ended);
    ps::system_thread::THREAD_ENDED.subscribe(io::verify_device::thread_ended);
    ps::system_thread::THREAD_ENDED.subscribe(etw::activity::thread_ended);
    ps::nt_process::TERMINATE_PROCESS.set(um::terminate);
    io::irp_completion::FINISH_POWER_IRP.set(po::request::finished);
    io::file_close::FILE_OBJECT_DELETED.subscribe(fsrtl::contexts::file_object_deleted);
    io::file_system::FILE_SYSTEM.set(ramfs::FILE_SYSTEM);
    sections::section::FILE_DATA.set(ramfs::FILE_DATA);
    ob::types::register(ob::Type::File, io::file_close::OBJECT_TYPE);
    ob::types::register(ob::Type::Section, sections::section::OBJECT_TYPE);
    ob::types::register(ob::Type::Token, se::token::OBJECT_TYPE);
    ob::types::register(ob::Type::Timer, ex::nt_timer::OBJECT_TYPE);
    ob::types::register(ob::Type::Callback, ex::callback::OBJECT_TYPE);
    ob::types::register(ob::Type::Key, cm::key_object::OBJECT_TYPE);
    ob::object::SECURITY.set(se::object::OBJECT_SECURITY);
    ke::timer::IS_IO_TIMER.set(io::timer::owns);
    for checks in [
        io::LEAK_CHECKS,
        ps::LEAK_CHECKS,
        ke::LEAK_CHECKS,
        mm::LEAK_CHECKS,
        etw::LEAK_CHECKS,
        po::LEAK_CHECKS,
        pnp::LEAK_CHECKS,
        se::LEAK_CHECKS,
        ex::LEAK_CHECKS,
        cm::LEAK_CHECKS,
        ob::LEAK_CHECKS,
    ] {
        leak_check::register(checks);
    }
}
