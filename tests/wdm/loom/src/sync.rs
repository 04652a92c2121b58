//! Atomics of loom that can be made in constants, as `wdm` makes them: loom learns of
//! one when it is used first.

pub mod atomic {
    use std::sync::OnceLock;

    pub use std::sync::atomic::Ordering;

    use loom::sync::atomic;

    macro_rules! atomic {
        ($name:ident $(<$parameter:ident>)?, $value:ty, $made:expr, $inner:ty) => {
            /// One that loom watches.
            #[derive(Debug)]
            pub struct $name $(<$parameter>)? {
                initial: $value,
                watched: OnceLock<$inner>,
            }

            impl $(<$parameter>)? $name $(<$parameter>)? {
                #[must_use]
                pub const fn new(initial: $value) -> Self {
                    Self {
                        initial,
                        watched: OnceLock::new(),
                    }
                }

                fn watched(&self) -> &$inner {
                    self.watched.get_or_init(|| $made(self.initial))
                }

                #[must_use]
                pub fn load(&self, ordering: Ordering) -> $value {
                    self.watched().load(ordering)
                }

                pub fn store(&self, value: $value, ordering: Ordering) {
                    self.watched().store(value, ordering);
                }
            }
        };
    }

    atomic!(AtomicU64, u64, atomic::AtomicU64::new, atomic::AtomicU64);
    atomic!(
        AtomicPtr<T>,
        *mut T,
        atomic::AtomicPtr::new,
        atomic::AtomicPtr<T>
    );

    impl AtomicU64 {
        pub fn fetch_or(&self, bits: u64, ordering: Ordering) -> u64 {
            self.watched().fetch_or(bits, ordering)
        }

        pub fn fetch_and(&self, bits: u64, ordering: Ordering) -> u64 {
            self.watched().fetch_and(bits, ordering)
        }

        pub fn fetch_sub(&self, less: u64, ordering: Ordering) -> u64 {
            self.watched().fetch_sub(less, ordering)
        }

        /// # Errors
        ///
        /// The value that is there, if it is not `current`.
        pub fn compare_exchange(
            &self,
            current: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.watched()
                .compare_exchange(current, new, success, failure)
        }

        /// # Errors
        ///
        /// The value that is there, if `update` has none for it.
        pub fn fetch_update(
            &self,
            set: Ordering,
            fetch: Ordering,
            update: impl FnMut(u64) -> Option<u64>,
        ) -> Result<u64, u64> {
            self.watched().fetch_update(set, fetch, update)
        }
    }
}
