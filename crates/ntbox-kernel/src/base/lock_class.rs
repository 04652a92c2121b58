//! The classes of locks that events name.

/// What stands for the cancel spin lock, which is at no address of a driver's.
pub const CANCEL_LOCK: u64 = 0xffff_fb60_0000_0000;

/// The class of a lock, and how it is acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockClass {
    /// A spin lock of either kind, or the cancel spin lock.
    SpinLock,
    /// A fast or guarded mutex.
    FastMutex,
    /// A mutex (KMUTEX).
    Mutex,
    /// A resource (ERESOURCE), exclusively.
    Resource,
    /// A resource, together with others.
    SharedResource,
}

impl LockClass {
    /// Whether several threads can hold it.
    pub fn is_shared(self) -> bool {
        self == Self::SharedResource
    }

    /// What it is, however it is acquired.
    pub fn kind(self) -> Self {
        if self.is_shared() {
            Self::Resource
        } else {
            self
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpinLock => "spin lock",
            Self::FastMutex => "fast mutex",
            Self::Mutex => "mutex",
            Self::Resource | Self::SharedResource => "resource",
        }
    }
}
