//! What drivers register, and name by an opaque handle from then on: event
//! providers, callbacks, notification routines.

use std::collections::BTreeMap;

/// From one handle to the next: they are addresses of nothing, some bytes apart.
const STEP: u64 = 0x40;

/// Things of one kind by their handles, of which none is given out twice.
#[derive(Debug)]
pub struct Registrations<T> {
    upcoming: u64,
    known: BTreeMap<u64, T>,
}

impl<T> Registrations<T> {
    /// Nothing yet; the handles begin at `first`.
    pub const fn new(first: u64) -> Self {
        Self {
            upcoming: first,
            known: BTreeMap::new(),
        }
    }

    /// The handle of what is added next, so that it can be told before, which may
    /// fail.
    pub fn upcoming(&self) -> u64 {
        self.upcoming
    }

    /// Adds something; its handle.
    pub fn add(&mut self, thing: T) -> u64 {
        let handle = self.upcoming;
        self.upcoming += STEP;
        self.known.insert(handle, thing);
        handle
    }

    /// Whether something has this handle.
    pub fn contains(&self, handle: u64) -> bool {
        self.known.contains_key(&handle)
    }

    /// What has this handle.
    pub fn get_mut(&mut self, handle: u64) -> Option<&mut T> {
        self.known.get_mut(&handle)
    }

    /// Takes out what has this handle.
    pub fn remove(&mut self, handle: u64) -> Option<T> {
        self.known.remove(&handle)
    }

    /// Takes out everything, with its handles.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, T)> + use<T> {
        std::mem::take(&mut self.known).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_never_reused() {
        let mut all = Registrations::new(0x40);
        let told = all.upcoming();
        let (one, two) = (all.add('a'), all.add('b'));
        assert_eq!((told, one == two), (one, false));
        assert_eq!((all.remove(one), all.remove(one)), (Some('a'), None));
        assert!(all.contains(two) && !all.contains(one));
        assert_ne!(all.add('c'), one);
        assert_eq!(all.take().count(), 2);
        assert_eq!(all.take().count(), 0);
    }
}
