//! Tokens: values that prove an upper bound of the current IRQL.
//!
//! A token of a lower level is valid for every higher level: [`Passive`] dereferences to
//! [`Apc`], which dereferences to [`Dispatch`]. Raising the IRQL borrows the token
//! mutably, so no lower token can be used until the IRQL is lowered.

use core::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

/// The code runs at `PASSIVE_LEVEL`: it may wait, touch pageable memory and call
/// everything.
///
/// ```no_run
/// # use wdm::{Status, driver::{Context, Driver}, irql::Passive, registry::Key};
/// # struct Sample;
/// # impl Driver for Sample {
/// fn start(context: &Context<'_>, passive: &mut Passive) -> Result<Self, Status> {
///     let key = Key::open(context.registry_path(passive), passive).map_err(|error| error.status())?;
///     passive.raise_to_dispatch(|dispatch| {
///         // Only what needs no more than `&Dispatch` compiles here.
///     });
///     Ok(Self)
/// }
/// #     fn stop(self, _: &mut Passive) {}
/// # }
/// ```
pub struct Passive(Apc);

/// The code runs at `APC_LEVEL` or below: it may touch pageable memory.
///
/// ```no_run
/// # use wdm::irql::Apc;
/// # struct Settings;
/// fn look_at(settings: &Settings, irql: &Apc) {}
/// ```
pub struct Apc(Dispatch);

/// The code runs at `DISPATCH_LEVEL` or below: no page may be missing that it
/// touches, unless the level is known to be lower.
///
/// ```no_run
/// # use wdm::{irql::Dispatch, sync::SpinLock};
/// fn count(lock: &SpinLock<u32>, irql: &mut Dispatch) -> u32 {
///     lock.with(irql, |number, _| *number)
/// }
/// ```
pub struct Dispatch {
    /// An IRQL is one processor's, so a token stays with its thread.
    processor: PhantomData<*mut ()>,
}

// What is promised of the cost: nothing to pass by value, nothing to keep.
const _: () = assert!(size_of::<Passive>() == 0);
const _: () = assert!(size_of::<Apc>() == 0);
const _: () = assert!(size_of::<Dispatch>() == 0);

impl Passive {
    /// A token for code that the kernel calls at `PASSIVE_LEVEL`.
    ///
    /// # Safety
    ///
    /// While the token can be reached, the processor runs at `PASSIVE_LEVEL`,
    /// apart from what is raised through the token itself.
    #[inline]
    #[must_use]
    pub const unsafe fn assume() -> Self {
        // SAFETY: what is passive is not above APC_LEVEL.
        Self(unsafe { Apc::assume() })
    }
}

impl Apc {
    /// A token for code that runs at `APC_LEVEL` or below.
    ///
    /// # Safety
    ///
    /// As for [`Passive::assume`], with `APC_LEVEL`.
    #[inline]
    #[must_use]
    pub const unsafe fn assume() -> Self {
        // SAFETY: what is not above APC_LEVEL is not above DISPATCH_LEVEL.
        Self(unsafe { Dispatch::assume() })
    }
}

impl Dispatch {
    /// A token for code that runs at `DISPATCH_LEVEL` or below.
    ///
    /// # Safety
    ///
    /// As for [`Passive::assume`], with `DISPATCH_LEVEL`.
    #[inline]
    #[must_use]
    pub const unsafe fn assume() -> Self {
        Self {
            processor: PhantomData,
        }
    }
}

impl Deref for Passive {
    type Target = Apc;

    #[inline]
    fn deref(&self) -> &Apc {
        &self.0
    }
}

impl DerefMut for Passive {
    #[inline]
    fn deref_mut(&mut self) -> &mut Apc {
        &mut self.0
    }
}

impl Deref for Apc {
    type Target = Dispatch;

    #[inline]
    fn deref(&self) -> &Dispatch {
        &self.0
    }
}

impl DerefMut for Apc {
    #[inline]
    fn deref_mut(&mut self) -> &mut Dispatch {
        &mut self.0
    }
}

impl fmt::Debug for Passive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PASSIVE_LEVEL")
    }
}

impl fmt::Debug for Apc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<= APC_LEVEL")
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<= DISPATCH_LEVEL")
    }
}
