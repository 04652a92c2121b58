//! Where the current thread's request came from.

use ntbox_host::gate::irql::DISPATCH_LEVEL;

use crate::base::export::exports;
use crate::base::thread_table;

exports! {
    /// `ExGetPreviousMode`: 0 kernel, 1 user.
    fn ExGetPreviousMode() -> u8 [max DISPATCH_LEVEL, wdm] {
        Ok(u8::from(thread_table::current().is_some_and(|thread| thread.user_mode)))
    }
}
