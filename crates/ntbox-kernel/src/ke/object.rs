//! Dispatcher objects: the objects that threads can wait for. They lie in the driver's
//! memory with the layout of Windows, and hold their signal state.

use nt_layout::{DispatcherHeader, Kmutant, ListEntry};
use ntbox_host::driver_mem::Fault;

use crate::base::driver_ptr::DriverPtr;
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
    /// The name of this kind in messages.
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
        Ok(Some(match header(va).get(|header| &header.kind)? & 0x7f {
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

/// The header of the object at `va`.
const fn header(va: u64) -> DriverPtr<DispatcherHeader> {
    DriverPtr::new(va)
}

/// The address of the list of waiters. It stays empty: the kernel records waiters
/// elsewhere.
pub fn wait_list(va: u64) -> u64 {
    header(va).at(|header| &header.wait_list_head).address()
}

/// The thread that owns a mutex.
pub fn mutex_owner(va: u64) -> Result<u64, Fault> {
    DriverPtr::<Kmutant>::new(va).get(|mutex| &mutex.owner_thread)
}

/// The flag of a timer that is set, above the six bits of an index.
pub const TIMER_INSERTED: u8 = 0x40;

/// Writes a header: kind, size in bytes, signal state, no waiters. The flags of an
/// event, which has none, stay what they were.
pub fn initialize(va: u64, kind: Kind, size: u64, state: i32) -> Result<(), Fault> {
    let header = header(va);
    header.set(|header| &header.kind, kind.number())?;
    header.set(|header| &header.signalling, 0)?;
    header.set(|header| &header.size, u8::try_from(size / 4).unwrap_or(0))?;
    if !matches!(kind, Kind::NotificationEvent | Kind::SynchronizationEvent) {
        header.set(|header| &header.reserved1, 0)?;
    }
    set_state(va, state)?;
    events::object_initialized(va, size);
    initialize_list(wait_list(va))
}

/// Makes a list empty: both links point at its head.
pub fn initialize_list(head: u64) -> Result<(), Fault> {
    let list: DriverPtr<ListEntry> = DriverPtr::new(head);
    list.set(|list| &list.flink, head)?;
    list.set(|list| &list.blink, head)
}

/// Signal state of an object.
pub fn state(va: u64) -> Result<i32, Fault> {
    header(va).get(|header| &header.signal_state)
}

/// Sets the signal state of an object and nothing else.
pub fn set_state(va: u64, state: i32) -> Result<(), Fault> {
    header(va).set(|header| &header.signal_state, state)
}

/// Whether a wait of the thread for this object is satisfied at once.
pub fn is_signaled(va: u64, thread: u64) -> Result<bool, Fault> {
    let state = state(va)?;
    if Kind::of(va)? == Some(Kind::Mutant) {
        return Ok(state > 0 || mutex_owner(va)? == thread);
    }
    Ok(state > 0)
}

/// Changes the object as a satisfied wait does. True if it is a mutex whose owner
/// ended without releasing it.
pub fn consume(va: u64, thread: u64) -> Result<bool, Fault> {
    match Kind::of(va)? {
        Some(Kind::SynchronizationEvent | Kind::SynchronizationTimer) => set_state(va, 0)?,
        Some(Kind::Semaphore) => set_state(va, state(va)?.wrapping_sub(1))?,
        Some(Kind::Mutant) => {
            let before = state(va)?;
            set_state(va, before.wrapping_sub(1))?;
            let mutex: DriverPtr<Kmutant> = DriverPtr::new(va);
            mutex.set(|mutex| &mutex.owner_thread, thread)?;
            if before > 0 && mutex.get(|mutex| &mutex.apc_disable)? != 0 {
                thread_table::update(thread, |info| info.critical += 1);
            }
            let abandoned = mutex.get(|mutex| &mutex.abandoned)? != 0;
            mutex.set(|mutex| &mutex.abandoned, 0)?;
            thread_table::mutant_acquired(thread, va);
            return Ok(abandoned);
        }
        _ => {}
    }
    Ok(false)
}
