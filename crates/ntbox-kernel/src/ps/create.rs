//! Creates processes and threads: their objects, and their entries in the table.

use ntbox_host::driver_mem;

use crate::base::{clock, thread_table};
use crate::ke::object;
use crate::ke::object::Kind;
use crate::mm::process_address_space;
use crate::ob;
use crate::ob::{Payload, Type};

/// Bytes of an ETHREAD and of an EPROCESS; about those of Windows 10.
const OBJECT_SIZE: u64 = 0xa00;

/// Bytes that the header of either claims: a KTHREAD's in units of four.
const HEADER_SIZE: u64 = 0x18;

/// `NORMAL_BASE_PRIORITY` of system threads.
const BASE_PRIORITY: i32 = 8;

/// Bytes of a name in an EPROCESS, without the NUL.
const IMAGE_FILE_NAME_LENGTH: usize = 14;

/// Makes the process System and its first thread, which it returns.
pub fn initialize() -> Option<u64> {
    let process = new_process("System", thread_table::SYSTEM_PROCESS_ID)?;
    thread_table::set_system_process(process);
    process_address_space::see(process);
    let thread = create(process, true)?;
    thread_table::set_current_thread(thread);
    Some(thread)
}

/// Makes the thread that a processor runs when there is nothing else for it. Its
/// id is 0, by which nobody finds it.
pub fn create_idle() -> Option<u64> {
    create_with(0, thread_table::system_process(), true)
}

/// Makes a process with an id of its own.
pub fn create_process(name: &str) -> Option<u64> {
    new_process(name, thread_table::allocate_id())
}

fn new_process(name: &str, id: u64) -> Option<u64> {
    let process = ob::create(Type::Process, OBJECT_SIZE, Payload::None).ok()?;
    object::initialize(process, Kind::Process, HEADER_SIZE, 0).ok()?;
    let text = name.as_bytes();
    let text = &text[..text.len().min(IMAGE_FILE_NAME_LENGTH)];
    driver_mem::write_bytes(process + thread_table::offset::IMAGE_FILE_NAME, text).ok()?;
    driver_mem::write_u64(
        process + thread_table::offset::CREATE_TIME,
        clock::system_time(),
    )
    .ok()?;
    let info = thread_table::Process {
        id,
        name: name.to_owned(),
        exit_status: None,
    };
    thread_table::insert_process(process, info);
    Some(process)
}

/// Makes a thread of a process. It does not run by itself.
pub fn create(process: u64, system: bool) -> Option<u64> {
    create_with(thread_table::allocate_id(), process, system)
}

fn create_with(id: u64, process: u64, system: bool) -> Option<u64> {
    let thread = ob::create(Type::Thread, OBJECT_SIZE, Payload::None).ok()?;
    object::initialize(thread, Kind::Thread, HEADER_SIZE, 0).ok()?;
    driver_mem::write_u32(
        thread + thread_table::offset::EXIT_STATUS,
        nt_status::STATUS_PENDING,
    )
    .ok()?;
    let info = thread_table::Thread {
        id,
        process,
        attached: process,
        attachments: 0,
        stack: (0, 0),
        user_mode: false,
        system,
        priority: BASE_PRIORITY,
        base: BASE_PRIORITY,
        boosted: 0,
        ticks: 0,
        ran: 0,
        wait_next: None,
        critical: 0,
        guarded: 0,
        ended: false,
        start: 0,
        created: clock::system_time(),
        prefetching: false,
    };
    thread_table::insert_thread(thread, info);
    Some(thread)
}
