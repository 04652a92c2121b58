//! The classes of locks that events name.

/// What stands for the cancel spin lock, which is at no address of a driver's.
pub const CANCEL_LOCK: u64 = 0xffff_fb60_0000_0000;

/// The class of a lock, and how it is acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockClass {
    /// A spin lock of any kind, exclusively, or the cancel spin lock.
    SpinLock,
    /// A reader-writer spin lock, together with others.
    SharedSpinLock,
    /// A fast or guarded mutex.
    FastMutex,
    /// A mutex (KMUTEX).
    Mutex,
    /// A resource (ERESOURCE), exclusively.
    Resource,
    /// A resource, together with others.
    SharedResource,
    /// A push lock, exclusively.
    PushLock,
    /// A push lock, together with others.
    SharedPushLock,
}

impl LockClass {
    /// Whether several threads can hold it.
    pub fn is_shared(self) -> bool {
        matches!(
            self,
            Self::SharedSpinLock | Self::SharedResource | Self::SharedPushLock
        )
    }

    /// What it is, however it is acquired.
    pub fn kind(self) -> Self {
        match self {
            Self::SharedSpinLock => Self::SpinLock,
            Self::SharedResource => Self::Resource,
            Self::SharedPushLock => Self::PushLock,
            other => other,
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpinLock | Self::SharedSpinLock => "spin lock",
            Self::FastMutex => "fast mutex",
            Self::Mutex => "mutex",
            Self::Resource | Self::SharedResource => "resource",
            Self::PushLock | Self::SharedPushLock => "push lock",
        }
    }
}
