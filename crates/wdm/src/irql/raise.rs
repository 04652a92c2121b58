//! Raises the IRQL for the duration of a closure.
//!
//! A guard could be leaked, which would end the borrow of the lower token while the IRQL
//! is still raised. A closure always returns, so the IRQL is always lowered.

use wdk_sys::KIRQL;

use crate::irql::{Apc, Dispatch, Irql};

unsafe extern "system" {
    /// What the headers' inline `KeRaiseIrql` calls on x64.
    fn KfRaiseIrql(new: KIRQL) -> KIRQL;
    /// Inline in newer headers; every kernel exports it.
    fn KeLowerIrql(new: KIRQL);
}

impl Dispatch {
    /// Runs `work` at `DISPATCH_LEVEL`, then returns to the level of before:
    /// `KeRaiseIrql` and `KeLowerIrql`.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// ```no_run
    /// # use wdm::irql::{Irql, Passive};
    /// # fn example(passive: &mut Passive) {
    /// let level = passive.raise_to_dispatch(|_dispatch| Irql::current());
    /// assert_eq!(level, Irql::DISPATCH);
    /// # }
    /// ```
    // Not inlined, so that what runs at DISPATCH_LEVEL is in resident code even if
    // the caller is in pageable code.
    #[inline(never)]
    pub fn raise_to_dispatch<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: the token says that the level is not above this one.
        let raised = unsafe { Raised::to(Irql::DISPATCH) };
        // SAFETY: the level is DISPATCH_LEVEL until `raised` is dropped.
        let mut dispatch = unsafe { Self::assume() };
        let result = work(&mut dispatch);
        drop(raised);
        result
    }
}

impl Apc {
    /// Runs `work` at `APC_LEVEL`, then returns to the level of before:
    /// `KeRaiseIrql` and `KeLowerIrql`.
    ///
    /// IRQL: `<= APC_LEVEL`.
    ///
    /// ```no_run
    /// # use wdm::irql::{Apc, Passive};
    /// # fn example<S>(settings: S, look_at: fn(&S, &mut Apc), passive: &mut Passive) {
    /// passive.raise_to_apc(|apc| look_at(&settings, apc));
    /// # }
    /// ```
    #[inline]
    pub fn raise_to_apc<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: the token says that the level is not above this one.
        let raised = unsafe { Raised::to(Irql::APC) };
        // SAFETY: the level is APC_LEVEL until `raised` is dropped.
        let mut apc = unsafe { Self::assume() };
        let result = work(&mut apc);
        drop(raised);
        result
    }
}

/// A raised level; dropping it goes back.
struct Raised {
    before: KIRQL,
}

impl Raised {
    /// Raises the IRQL.
    ///
    /// # Safety
    ///
    /// The IRQL is not above `level`, and the value is dropped by the thread that
    /// made it, last made first dropped.
    unsafe fn to(level: Irql) -> Self {
        // SAFETY: the caller vouches for the order of the two levels.
        let before = unsafe { KfRaiseIrql(level.level()) };
        Self { before }
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // SAFETY: the level is the one that this value raised to, and `before` is
        // what it was.
        unsafe { KeLowerIrql(self.before) };
    }
}
