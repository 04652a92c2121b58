//! Locks: fast and guarded mutexes, events, a remove lock.

use ntmem_ioctl::SyncReply;
use wdm::{
    Result,
    irql::{Irql, Passive},
    sync::FastMutex,
    sync::{Event, EventKind, GuardedMutex, RemoveLock},
    time::Interval,
};

use super::status_of;
use crate::tags::SELFTEST;

wdm::pageable! { passive:
    /// Uses mutexes, events and a remove lock.
    pub fn sync(passive: &mut Passive) -> Result<SyncReply> {
        let mut reply = SyncReply {
            paged_code: (Irql::current() <= Irql::APC).into(),
            ..SyncReply::default()
        };
        mutexes(&mut reply, passive)?;
        events(&mut reply, passive)?;
        removal(&mut reply, passive)?;
        Ok(reply)
    }
}

fn level() -> u64 {
    Irql::current().level().into()
}

fn mutexes(reply: &mut SyncReply, passive: &mut Passive) -> Result<()> {
    let fast = FastMutex::new(0_u64, SELFTEST)?;
    let guarded = GuardedMutex::new(0_u64, SELFTEST)?;
    for _ in 0..1000 {
        guarded.with(passive, |steps, apc| {
            *steps = steps.saturating_add(1);
            let steps = *steps;
            fast.with(apc, |count, _| *count = count.saturating_add(steps % 2));
        });
    }
    fast.with(passive, |count, _| {
        reply.fast_irql = level();
        reply.count = *count;
    });
    guarded.with(passive, |steps, _| {
        reply.guarded_irql = level();
        reply.count = reply.count.saturating_add(*steps);
    });
    reply.after_irql = level();
    Ok(())
}

fn events(reply: &mut SyncReply, passive: &Passive) -> Result<()> {
    let event = Event::new(EventKind::Synchronization, true, SELFTEST)?;
    reply.event_set = event.is_set().into();
    reply.event_was_set = event.set().into();
    event.wait(passive);
    reply.synchronization_left = event.is_set().into();
    reply.timed_out = (!event.wait_for(Interval::from_millis(1), passive)).into();
    let event = Event::new(EventKind::Notification, false, SELFTEST)?;
    let _ = event.set();
    event.wait(passive);
    reply.notification_left = event.reset().into();
    Ok(())
}

fn removal(reply: &mut SyncReply, passive: &Passive) -> Result<()> {
    let lock = RemoveLock::new(SELFTEST, passive)?;
    let (first, second) = (lock.acquire()?, lock.acquire()?);
    reply.acquired = 2;
    drop(first);
    second.remove_and_wait(passive)?;
    reply.removed_status = status_of(&lock.acquire());
    Ok(())
}
