//! Dispatcher objects: what threads can wait for. They lie in the driver's
//! memory with the layout of Windows, and their signal state is there.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use crate::base::{events, thread_table};

/// Kind of a dispatcher object, from the first byte of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An event that stays signaled.
    NotificationEvent,
    /// An event that lets one waiter through.
    SynchronizationEvent,
    /// A mutex.
    Mutant,
    /// A process, signaled when it has ended.
    Process,
    /// A queue.
    Queue,
    /// A counting semaphore.
    Semaphore,
    /// A thread, signaled when it has ended.
    Thread,
    /// A timer that stays signaled.
    NotificationTimer,
    /// A timer that lets one waiter through.
    SynchronizationTimer,
}

impl Kind {
    /// What an object of this kind is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotificationEvent => "notification event",
            Self::SynchronizationEvent => "synchronization event",
            Self::Mutant => "mutex",
            Self::Process => "process",
            Self::Queue => "queue",
            Self::Semaphore => "semaphore",
            Self::Thread => "thread",
            Self::NotificationTimer | Self::SynchronizationTimer => "timer",
        }
    }

    /// The number in the header.
    pub const fn number(self) -> u8 {
        match self {
            Self::NotificationEvent => 0,
            Self::SynchronizationEvent => 1,
            Self::Mutant => 2,
            Self::Process => 3,
            Self::Queue => 4,
            Self::Semaphore => 5,
            Self::Thread => 6,
            Self::NotificationTimer => 8,
            Self::SynchronizationTimer => 9,
        }
    }

    /// The kind of the object at `va`; `None` if it is not one.
    pub fn of(va: u64) -> Result<Option<Self>, Fault> {
        Ok(Some(match driver_mem::read_u8(va)? & 0x7f {
            0 => Self::NotificationEvent,
            1 => Self::SynchronizationEvent,
            2 => Self::Mutant,
            3 => Self::Process,
            4 => Self::Queue,
            5 => Self::Semaphore,
            6 => Self::Thread,
            8 => Self::NotificationTimer,
            9 => Self::SynchronizationTimer,
            _ => return Ok(None),
        }))
    }
}

/// Offsets in the header and in what follows it.
pub mod offset {
    /// Size of the object in units of four bytes.
    pub const SIZE: u64 = 2;
    /// What only some kinds have; of a timer, [`TIMER_INSERTED`](super::TIMER_INSERTED).
    pub const FLAGS: u64 = 3;
    /// Signal state.
    pub const STATE: u64 = 4;
    /// List of waiters; kept empty here, the kernel knows them elsewhere.
    pub const WAIT_LIST: u64 = 8;
    /// Limit of a semaphore.
    pub const LIMIT: u64 = 0x18;
    /// Owner of a mutex.
    pub const OWNER: u64 = 0x28;
    /// Whether the owner of a mutex ended without releasing it.
    pub const ABANDONED: u64 = 0x30;
    /// Whether holding a mutex disables APCs.
    pub const APC_DISABLE: u64 = 0x31;
}

/// The flag of a timer that is set, above the six bits of an index.
pub const TIMER_INSERTED: u8 = 0x40;

/// Writes a header: kind, size in bytes, signal state, no waiters. The flags of an
/// event, which has none, stay what they were.
pub fn initialize(va: u64, kind: Kind, size: u64, state: i32) -> Result<(), Fault> {
    driver_mem::write_u8(va, kind.number())?;
    driver_mem::write_u8(va.wrapping_add(1), 0)?;
    driver_mem::write_u8(
        va.wrapping_add(offset::SIZE),
        u8::try_from(size / 4).unwrap_or(0),
    )?;
    if !matches!(kind, Kind::NotificationEvent | Kind::SynchronizationEvent) {
        driver_mem::write_u8(va.wrapping_add(offset::FLAGS), 0)?;
    }
    set_state(va, state)?;
    events::object_initialized(va, size);
    initialize_list(va.wrapping_add(offset::WAIT_LIST))
}

/// Makes a list empty: both links point at its head.
pub fn initialize_list(head: u64) -> Result<(), Fault> {
    driver_mem::write_u64(head, head)?;
    driver_mem::write_u64(head.wrapping_add(8), head)
}

/// Signal state of an object.
pub fn state(va: u64) -> Result<i32, Fault> {
    driver_mem::read_u32(va.wrapping_add(offset::STATE)).map(u32::cast_signed)
}

/// Sets the signal state of an object and nothing else.
pub fn set_state(va: u64, state: i32) -> Result<(), Fault> {
    driver_mem::write_u32(va.wrapping_add(offset::STATE), state.cast_unsigned())
}

/// Whether a wait of the thread for this object would be over at once.
pub fn is_signaled(va: u64, thread: u64) -> Result<bool, Fault> {
    let state = state(va)?;
    if Kind::of(va)? == Some(Kind::Mutant) {
        return Ok(state > 0 || driver_mem::read_u64(va.wrapping_add(offset::OWNER))? == thread);
    }
    Ok(state > 0)
}

/// What a satisfied wait does to the object. True if it is a mutex whose owner
/// ended without releasing it.
pub fn consume(va: u64, thread: u64) -> Result<bool, Fault> {
    match Kind::of(va)? {
        Some(Kind::SynchronizationEvent | Kind::SynchronizationTimer) => set_state(va, 0)?,
        Some(Kind::Semaphore) => set_state(va, state(va)?.wrapping_sub(1))?,
        Some(Kind::Mutant) => {
            let before = state(va)?;
            set_state(va, before.wrapping_sub(1))?;
            driver_mem::write_u64(va.wrapping_add(offset::OWNER), thread)?;
            if before > 0 && driver_mem::read_u8(va.wrapping_add(offset::APC_DISABLE))? != 0 {
                thread_table::update(thread, |info| info.critical += 1);
            }
            let abandoned = driver_mem::read_u8(va.wrapping_add(offset::ABANDONED))? != 0;
            driver_mem::write_u8(va.wrapping_add(offset::ABANDONED), 0)?;
            thread_table::mutant_acquired(thread, va);
            return Ok(abandoned);
        }
        _ => {}
    }
    Ok(false)
}
