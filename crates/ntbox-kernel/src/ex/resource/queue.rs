//! Who gets a resource, and who waits for it.
//!
//! A release hands the resource over: to all who wait for shared access when an
//! exclusive owner leaves, to the first who waits for exclusive access when the
//! last shared owner does. So neither side starves the other, and whoever is
//! woken owns what it waited for.

use std::collections::BTreeMap;

use ntbox_host::gate::NoReturn;
use ntbox_host::kernel_cell::KernelCell;

use super::owners::Resource;
use crate::ex::lock_wait;
use crate::ke::sched;

/// What is asked of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `ExAcquireResourceExclusiveLite`.
    Exclusive,
    /// `ExAcquireResourceSharedLite`.
    Shared,
    /// `ExAcquireSharedStarveExclusive`: before those who wait for exclusive
    /// access.
    StarveExclusive,
    /// `ExAcquireSharedWaitForExclusive`: after them, even for an owner.
    WaitForExclusive,
}

/// A thread that waits for a resource.
#[derive(Debug)]
struct Waiter {
    owner: u64,
    exclusive: bool,
    granted: bool,
}

/// By the address of the resource, in the order of arrival.
static WAITERS: KernelCell<BTreeMap<u64, Vec<Waiter>>> = KernelCell::new(BTreeMap::new());

fn waiters<T>(resource: Resource, work: impl FnOnce(&mut Vec<Waiter>) -> T) -> T {
    let mut all = WAITERS.lock();
    let result = work(all.entry(resource.0).or_default());
    if all.get(&resource.0).is_some_and(Vec::is_empty) {
        all.remove(&resource.0);
    }
    result
}

impl Resource {
    /// Grants what can be granted at once.
    pub fn try_acquire(self, access: Access, owner: u64) -> Result<bool, NoReturn> {
        let free = !self.is_owned()?;
        let owns = self.count_of(owner)? > 0;
        let waited_for = self.exclusive_waiters()? > 0;
        let granted = match access {
            _ if free => true,
            _ if self.is_exclusive()? => owns,
            Access::Exclusive => false,
            Access::Shared => owns || !waited_for,
            Access::StarveExclusive => true,
            Access::WaitForExclusive => !waited_for,
        };
        if granted {
            self.add(owner)?;
            if free && access == Access::Exclusive {
                self.set_exclusive(true)?;
            }
        }
        Ok(granted)
    }

    /// Waits until the resource is handed over.
    pub fn wait(self, access: Access, owner: u64, function: &str) -> Result<(), NoReturn> {
        lock_wait::check_irql(self.0, function)?;
        let exclusive = access == Access::Exclusive;
        self.enqueue(exclusive, owner)?;
        while !self.take_grant(owner) {
            lock_wait::block(self.0, function)?;
        }
        Ok(())
    }

    fn enqueue(self, exclusive: bool, owner: u64) -> Result<(), NoReturn> {
        self.count_waiter(exclusive, 1)?;
        waiters(self, |list| {
            list.push(Waiter {
                owner,
                exclusive,
                granted: false,
            });
        });
        Ok(())
    }

    /// Ends the wait of a thread that was granted what it waited for.
    fn take_grant(self, owner: u64) -> bool {
        waiters(self, |list| {
            let granted = list
                .iter()
                .position(|waiter| waiter.owner == owner && waiter.granted);
            granted.map(|at| list.remove(at)).is_some()
        })
    }

    /// Grants what some waiters want and lets them go on.
    fn grant(self, exclusive: bool, most: usize) -> Result<bool, NoReturn> {
        let chosen: Vec<u64> = waiters(self, |list| {
            list.iter_mut()
                .filter(|waiter| waiter.exclusive == exclusive && !waiter.granted)
                .take(most)
                .map(|waiter| {
                    waiter.granted = true;
                    waiter.owner
                })
                .collect()
        });
        for owner in &chosen {
            self.count_waiter(exclusive, -1)?;
            self.add(*owner)?;
        }
        if chosen.is_empty() {
            return Ok(false);
        }
        self.set_exclusive(exclusive)?;
        sched::wake(self.0);
        Ok(true)
    }

    /// Lets all in who wait for shared access.
    pub fn grant_shared(self) -> Result<bool, NoReturn> {
        self.grant(false, usize::MAX)
    }

    /// Gives one acquisition of an owner back. False if it has none.
    pub fn release(self, owner: u64) -> Result<bool, NoReturn> {
        let was_exclusive = self.is_exclusive()?;
        if self.remove(owner)?.is_none() {
            return Ok(false);
        }
        if !self.is_owned()? {
            self.set_exclusive(false)?;
            let handed_over = was_exclusive && self.grant_shared()?;
            if !handed_over && !self.grant(true, 1)? {
                self.grant_shared()?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, processor};

    const A: u64 = 0x1000;
    const B: u64 = 0x2000;
    const C: u64 = 0x3000;
    const D: u64 = 0x4000;

    fn attempt(resource: Resource, access: Access, owner: u64) -> bool {
        resource.try_acquire(access, owner).expect("it is ours")
    }

    fn release(resource: Resource, owner: u64) -> bool {
        resource.release(owner).expect("it is ours")
    }

    #[test]
    fn resource_exclusive_is_recursive() {
        processor();
        let mut memory = [0_u64; 13];
        let resource = Resource(address_mut(&mut memory));
        assert!(attempt(resource, Access::Exclusive, A));
        assert!(attempt(resource, Access::Exclusive, A));
        assert!(
            attempt(resource, Access::Shared, A),
            "of the same kind, for its owner"
        );
        assert_eq!(resource.count_of(A).expect("it is ours"), 3);
        for access in [
            Access::Exclusive,
            Access::Shared,
            Access::StarveExclusive,
            Access::WaitForExclusive,
        ] {
            assert!(!attempt(resource, access, B), "{access:?}");
        }
        for _ in 0..3 {
            assert!(resource.is_exclusive().expect("it is ours"));
            assert!(release(resource, A));
        }
        assert!(!release(resource, A));
        assert!(attempt(resource, Access::Exclusive, B));
        assert!(release(resource, B));
    }

    #[test]
    fn resource_shared_depends_on_waiters() {
        processor();
        let mut memory = [0_u64; 13];
        let resource = Resource(address_mut(&mut memory));
        assert!(attempt(resource, Access::Shared, A));
        assert!(attempt(resource, Access::Shared, B));
        assert!(!attempt(resource, Access::Exclusive, C));
        resource.enqueue(true, C).expect("it is ours");
        assert!(!attempt(resource, Access::Shared, D), "a writer waits");
        assert!(
            attempt(resource, Access::Shared, A),
            "an owner does not wait for it"
        );
        assert!(
            !attempt(resource, Access::WaitForExclusive, A),
            "unless it asks to"
        );
        assert!(
            attempt(resource, Access::StarveExclusive, D),
            "and nobody does who asks so"
        );
        for owner in [A, A, B, D] {
            assert!(!resource.take_grant(C));
            assert!(release(resource, owner));
        }
        assert!(resource.take_grant(C));
        assert!(resource.is_exclusive().expect("it is ours"));
        assert_eq!(resource.exclusive_waiters().expect("it is ours"), 0);
        assert!(release(resource, C));
        assert!(!resource.is_owned().expect("it is ours"));
    }

    #[test]
    fn resource_alternates_readers_and_writers() {
        processor();
        let mut memory = [0_u64; 13];
        let resource = Resource(address_mut(&mut memory));
        assert!(attempt(resource, Access::Exclusive, A));
        resource.enqueue(true, B).expect("it is ours");
        resource.enqueue(false, C).expect("it is ours");
        resource.enqueue(false, D).expect("it is ours");
        assert_eq!(resource.shared_waiters().expect("it is ours"), 2);
        assert!(release(resource, A));
        assert!(resource.take_grant(C) && resource.take_grant(D) && !resource.take_grant(B));
        assert!(release(resource, C));
        assert!(!resource.take_grant(B));
        assert!(release(resource, D));
        assert!(resource.take_grant(B));
        assert!(release(resource, B));
    }
}
