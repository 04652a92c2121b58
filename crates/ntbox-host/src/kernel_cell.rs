//! State of the kernel that one host thread uses at a time.
//!
//! Whatever runs in the kernel process (the driver's threads, its DPCs, several
//! processors) takes turns on one host thread, and is never interrupted inside the
//! kernel. So what is shared needs no lock that other threads respect, and a
//! request passes dozens of them: with atomic instructions they were half of its
//! time. What is left to watch over is checked at every use: that it is this
//! thread, and that nobody up the stack holds the same state. And where frames of the
//! kernel may be discarded, or the driver may call the kernel again, no state is held at
//! all: [`assert_none_held`].

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// The thread that is the kernel's, by its [`token`]; 0 while there is none.
static OWNER: AtomicUsize = AtomicUsize::new(0);

/// How many guards live. Only the kernel's thread changes it.
static HELD: AtomicU32 = AtomicU32::new(0);

/// Checks that no guard lives, where one would be lost or would block the kernel: before
/// the driver is called, resumed, or left for another thread.
///
/// # Panics
///
/// If one lives: a mistake of this program.
#[inline]
#[track_caller]
pub fn assert_none_held() {
    if HELD.load(Ordering::Relaxed) != 0 {
        misused("held across a call of the driver or a switch of threads");
    }
}

/// A number that no other running thread has, and never 0.
fn token() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// Makes the calling thread the one that may use the kernel's state, from now on
/// or, in unit tests, until it calls `release`.
///
/// # Panics
///
/// If another thread is it.
pub fn claim() {
    let before = OWNER.compare_exchange(0, token(), Ordering::Acquire, Ordering::Acquire);
    assert!(
        before.is_ok() || before == Err(token()),
        "the kernel has one thread, and it is another one"
    );
}

/// A unit test's turn to be the kernel's thread; others wait until it is dropped.
#[cfg(any(test, feature = "test-support"))]
#[must_use = "the turn ends when it is dropped"]
pub struct Turn {
    _right: std::sync::MutexGuard<'static, ()>,
}

#[cfg(any(test, feature = "test-support"))]
impl Turn {
    /// Waits for the turn, and makes the calling thread the kernel's.
    pub fn take() -> Self {
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let right = TURN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        claim();
        Self { _right: right }
    }
}

#[cfg(any(test, feature = "test-support"))]
impl Drop for Turn {
    fn drop(&mut self) {
        let before = OWNER.compare_exchange(token(), 0, Ordering::Release, Ordering::Relaxed);
        assert!(before.is_ok(), "the kernel belongs to another thread");
    }
}

/// A value that the kernel's thread changes, one user at a time.
pub struct KernelCell<T> {
    is_held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: only one thread gets at the value, the one that `OWNER` names; when
// another becomes that, the end of a `Turn` and `claim` order what they do. So the value is
// sent between threads, and never shared.
unsafe impl<T: Send> Sync for KernelCell<T> {}

impl<T> KernelCell<T> {
    /// Makes one.
    pub const fn new(value: T) -> Self {
        Self {
            is_held: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, for as long as the guard lives.
    ///
    /// # Panics
    ///
    /// If the caller's thread is not the kernel's, or a guard lives: a mistake of
    /// this program.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Guard<'_, T> {
        match self.try_lock() {
            Some(guard) => guard,
            None => misused("used while its user up the stack is not done"),
        }
    }

    /// The same, but `None` if a guard lives.
    ///
    /// # Panics
    ///
    /// If the caller's thread is not the kernel's.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        if OWNER.load(Ordering::Relaxed) != token() {
            misused("used by a thread that is not the kernel's");
        }
        // No other thread gets here, so loading and storing need not be one step.
        if self.is_held.load(Ordering::Relaxed) {
            return None;
        }
        self.is_held.store(true, Ordering::Relaxed);
        HELD.store(HELD.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Some(Guard {
            of: self,
            on_thread: PhantomData,
        })
    }
}

#[cold]
#[track_caller]
fn misused(how: &str) -> ! {
    panic!("state of the kernel is {how}")
}

impl<T: fmt::Debug> fmt::Debug for KernelCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").finish_non_exhaustive()
    }
}

/// The right to a value. It stays on the kernel's thread:
///
/// ```compile_fail
/// fn needs_send<T: Send>() {}
/// needs_send::<ntbox_host::kernel_cell::Guard<'static, u32>>();
/// ```
///
/// ```compile_fail
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<ntbox_host::kernel_cell::Guard<'static, u32>>();
/// ```
pub struct Guard<'a, T> {
    of: &'a KernelCell<T>,
    /// Neither sent nor shared.
    on_thread: PhantomData<*const ()>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, see `lock`; the reference ends
        // before the guard does.
        unsafe { &*self.of.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one and is borrowed mutably; the reference
        // ends before it does.
        unsafe { &mut *self.of.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.of.is_held.store(false, Ordering::Relaxed);
        HELD.store(HELD.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;

    #[test]
    fn lock_after_release_succeeds() {
        let _turn = Turn::take();
        let number = KernelCell::new(1);
        *number.lock() += 1;
        *number.lock() += 1;
        assert_eq!(*number.lock(), 3);
    }

    #[test]
    fn lock_while_held_panics() {
        let _turn = Turn::take();
        let number = KernelCell::new(1);
        let first = number.lock();
        let second = std::panic::catch_unwind(AssertUnwindSafe(|| *number.lock()));
        assert!(second.is_err());
        assert_eq!(*first, 1);
        drop(first);
        assert_eq!(*number.lock(), 1);
    }

    #[test]
    fn assert_none_held_panics_while_a_guard_lives() {
        let _turn = Turn::take();
        let number = KernelCell::new(1);
        assert_none_held();
        let guard = number.lock();
        assert!(std::panic::catch_unwind(assert_none_held).is_err());
        drop(guard);
        assert_none_held();
    }

    #[test]
    fn lock_from_other_thread_panics() {
        let _turn = Turn::take();
        let number = KernelCell::new(1);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| *number.lock());
            assert!(other.join().is_err());
        });
    }
}
