//! Transactions: there is no transaction manager, and whoever wants one is told so.
//! Without one there is nothing to enlist in, so what needs its handles is missing.

use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::export::exports;
use crate::base::log;

fn refuse(function: &str) -> u32 {
    log::note(&format!(
        "{function} fails: this machine has no transaction manager"
    ));
    nt_status::STATUS_TM_INITIALIZATION_FAILED
}

exports! {
    /// `ZwCreateTransactionManager`: refused.
    fn ZwCreateTransactionManager(
        handle: u64, access: u32, attributes: u64, log_file: u64, options: u32, strength: u32,
    ) -> u32 [max PASSIVE_LEVEL, wdm, partial "always fails: there is no transaction manager"] {
        Ok(refuse("ZwCreateTransactionManager"))
    }

    /// `ZwOpenTransactionManager`: refused.
    fn ZwOpenTransactionManager(
        handle: u64, access: u32, attributes: u64, log_file: u64, identity: u64, options: u32,
    ) -> u32 [max PASSIVE_LEVEL, wdm, partial "always fails: there is no transaction manager"] {
        Ok(refuse("ZwOpenTransactionManager"))
    }

    /// `ZwCreateTransaction`: refused.
    fn ZwCreateTransaction(
        handle: u64, access: u32, attributes: u64, unit: u64, manager: u64, options: u32, level: u32, flags: u32,
        timeout: u64, description: u64,
    ) -> u32 [max PASSIVE_LEVEL, wdm, partial "always fails: there is no transaction manager"] {
        Ok(refuse("ZwCreateTransaction"))
    }

    /// `ZwOpenTransaction`: refused.
    fn ZwOpenTransaction(handle: u64, access: u32, attributes: u64, unit: u64, manager: u64) -> u32
        [max PASSIVE_LEVEL, wdm, partial "always fails: there is no transaction manager"] {
        Ok(refuse("ZwOpenTransaction"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{lines, status};

    #[test]
    fn transaction_calls_fail_and_are_logged() {
        let refused = nt_status::STATUS_TM_INITIALIZATION_FAILED;
        assert_eq!(status(ZwCreateTransactionManager, &[0; 6]), refused);
        assert_eq!(status(ZwOpenTransactionManager, &[0; 6]), refused);
        assert_eq!(status(ZwCreateTransaction, &[0; 10]), refused);
        assert_eq!(status(ZwOpenTransaction, &[0; 5]), refused);
        let told = lines();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(
            told.iter()
                .all(|line| line.contains("no transaction manager"))
        );
    }
}
