//! Where the current thread's request came from.

use crate::kernel::call::exports;
use crate::kernel::call::irql::DISPATCH_LEVEL;
use crate::kernel::threads;

exports! {
    /// `ExGetPreviousMode`: 0 kernel, 1 user.
    fn ExGetPreviousMode() -> u8 [max DISPATCH_LEVEL] {
        Ok(u8::from(threads::current().is_some_and(|thread| thread.user_mode)))
    }
}
