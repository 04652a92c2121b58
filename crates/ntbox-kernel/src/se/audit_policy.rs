//! Whether accesses to files are audited, and what is told of them: there is no audit
//! policy, so the answer is no, and nobody is told.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::export::exports;

exports! {
    /// `SeAuditingFileEvents`.
    fn SeAuditingFileEvents(granted: bool, descriptor: u64) -> bool [max PASSIVE_LEVEL, ntifs] {
        Ok(false)
    }

    /// `SeAuditingFileEventsWithContext`.
    fn SeAuditingFileEventsWithContext(granted: bool, descriptor: u64, context: u64) -> bool
        [max PASSIVE_LEVEL, undocumented] {
        Ok(false)
    }

    /// `SeAuditingAnyFileEventsWithContext`.
    fn SeAuditingAnyFileEventsWithContext(descriptor: u64, context: u64) -> bool [max PASSIVE_LEVEL, undocumented] {
        Ok(false)
    }

    /// `SeAuditingFileOrGlobalEvents`.
    fn SeAuditingFileOrGlobalEvents(granted: bool, descriptor: u64, context: u64) -> bool [max PASSIVE_LEVEL, ntifs] {
        Ok(false)
    }

    /// `SeAuditingHardLinkEvents`.
    fn SeAuditingHardLinkEvents(granted: bool, descriptor: u64) -> bool [max PASSIVE_LEVEL, ntifs] {
        Ok(false)
    }

    /// `SeAuditingHardLinkEventsWithContext`.
    fn SeAuditingHardLinkEventsWithContext(granted: bool, descriptor: u64, context: u64) -> bool
        [max PASSIVE_LEVEL, undocumented]
    {
        Ok(false)
    }

    /// `SeAuditHardLinkCreation`: nobody is told.
    fn SeAuditHardLinkCreation(file: u64, link: u64, success: bool) -> () [max PASSIVE_LEVEL, ntifs] {
        Ok(())
    }

    /// `SeAuditHardLinkCreationWithTransaction`: nobody is told.
    fn SeAuditHardLinkCreationWithTransaction(file: u64, link: u64, success: bool, transaction: u64) -> ()
        [max PASSIVE_LEVEL, undocumented]
    {
        Ok(())
    }

    /// `SeDeleteObjectAuditAlarmWithTransaction`: nobody is told.
    fn SeDeleteObjectAuditAlarmWithTransaction(object: u64, handle: u64, transaction: u64) -> ()
        [max PASSIVE_LEVEL, undocumented]
    {
        Ok(())
    }

    /// `SeOpenObjectAuditAlarmWithTransaction`: nobody is told, now or on closing.
    fn SeOpenObjectAuditAlarmWithTransaction(
        kind: u64, object: u64, name: u64, descriptor: u64, state: u64, created: bool, granted: bool, mode: u8,
        transaction: u64, on_close: u64,
    ) -> () [max PASSIVE_LEVEL, undocumented] {
        Ok(driver_mem::write_u8(on_close, 0)?)
    }

    /// `SeOpenObjectForDeleteAuditAlarmWithTransaction`: nobody is told, now or on
    /// closing.
    fn SeOpenObjectForDeleteAuditAlarmWithTransaction(
        kind: u64, object: u64, name: u64, descriptor: u64, state: u64, created: bool, granted: bool, mode: u8,
        transaction: u64, on_close: u64,
    ) -> () [max PASSIVE_LEVEL, undocumented] {
        Ok(driver_mem::write_u8(on_close, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, value};

    #[test]
    fn file_events_are_not_audited() {
        for granted in [0, 1] {
            assert_eq!(value(SeAuditingFileEvents, &[granted, 0x1000]), 0);
            assert_eq!(value(SeAuditingHardLinkEvents, &[granted, 0x1000]), 0);
            let with_context = [granted, 0x1000, 0x2000];
            for function in [
                SeAuditingFileEventsWithContext,
                SeAuditingFileOrGlobalEvents,
                SeAuditingHardLinkEventsWithContext,
            ] {
                assert_eq!(value(function, &with_context), 0);
            }
        }
    }

    #[test]
    fn opened_object_makes_no_audit_on_close() {
        for function in [
            SeOpenObjectAuditAlarmWithTransaction,
            SeOpenObjectForDeleteAuditAlarmWithTransaction,
        ] {
            let mut on_close = 7_u8;
            let to = address_mut(&mut on_close);
            value(function, &[0, 0, 0, 0, 0, 0, 1, 0, 0, to]);
            assert_eq!(on_close, 0);
        }
    }
}
