//! Every order of a few threads around one rundown. What it protects is a cell that
//! loom watches: an access that the wait does not come after is an error.

use std::sync::Arc;

use loom::{cell::UnsafeCell, thread};

use crate::{irql::Apc, rundown::Rundown};

/// A thing that is used while it is there.
struct Thing {
    rundown: Rundown,
    memory: UnsafeCell<u32>,
}

// SAFETY: loom watches who gets at the memory, which is what is tested.
unsafe impl Send for Thing {}
// SAFETY: each access is one that loom watches.
unsafe impl Sync for Thing {}

impl Thing {
    fn new() -> Arc<Self> {
        let rundown = Rundown::new();
        // Loom learns of the count now, before other threads have it.
        drop(rundown.acquire());
        Arc::new(Self {
            rundown,
            memory: UnsafeCell::new(0),
        })
    }

    /// Uses it if it is there.
    fn enter(&self) {
        if let Some(held) = self.rundown.acquire() {
            // SAFETY: the reference keeps the memory there.
            self.memory.with(|memory| assert_eq!(unsafe { *memory }, 0));
            drop(held);
        }
    }

    /// Waits, and takes it away.
    fn end(&self) {
        self.rundown.wait(&Apc);
        // SAFETY: nobody has a reference, and nobody gets one.
        self.memory.with_mut(|memory| unsafe { *memory = 1 });
        assert!(self.rundown.acquire().is_none());
    }
}

/// Runs `work` in every order in which a thread is interrupted twice at most: more
/// would take hours.
fn every_order(work: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(work);
}

#[test]
fn rundown_wait_follows_each_use() {
    every_order(|| {
        let thing = Thing::new();
        let users = [thing.clone(), thing.clone()];
        let users = users.map(|thing| thread::spawn(move || thing.enter()));
        thing.end();
        for user in users {
            user.join().expect("it has ended well");
        }
    });
}

#[test]
fn rundown_wait_includes_earlier_reference() {
    every_order(|| {
        let thing = Thing::new();
        let user = thing.clone();
        let held = thing.rundown.acquire().expect("nobody waits yet");
        std::mem::forget(held);
        let user = thread::spawn(move || {
            // SAFETY: the reference that was forgotten keeps the memory there.
            user.memory.with(|memory| assert_eq!(unsafe { *memory }, 0));
            // SAFETY: it is given back once.
            unsafe { user.rundown.release_unguarded() };
        });
        thing.end();
        user.join().expect("it has ended well");
    });
}

#[test]
fn rundown_two_waits_follow_last_use() {
    every_order(|| {
        let thing = Thing::new();
        let others = [thing.clone(), thing.clone()];
        let [user, waiter] = others;
        let user = thread::spawn(move || user.enter());
        let waiter = thread::spawn(move || waiter.rundown.wait(&Apc));
        thing.rundown.wait(&Apc);
        waiter.join().expect("it has ended well");
        thing.end();
        user.join().expect("it has ended well");
    });
}
