//! One-time initialisation (`RTL_RUN_ONCE`): a word of the driver whose low two
//! bits say how far it is, and whose rest is what was made.

use nt_status::{STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS, STATUS_UNSUCCESSFUL};
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::ke::sched;

/// `RTL_RUN_ONCE_CHECK_ONLY`.
const CHECK_ONLY: u32 = 1;
/// `RTL_RUN_ONCE_ASYNC`.
const ASYNC: u32 = 2;
/// `RTL_RUN_ONCE_INIT_FAILED`.
const INIT_FAILED: u32 = 4;
/// The bits that a context must leave alone (`RTL_RUN_ONCE_CTX_RESERVED_BITS`).
const STATE: u64 = 3;

/// What the low bits say.
mod state {
    pub const NOT_BEGUN: u64 = 0;
    pub const UNDER_WAY: u64 = 1;
    pub const DONE: u64 = 2;
    pub const ASYNCHRONOUS: u64 = 3;
}

/// What those are parked on who wait for the end of an initialisation.
fn key(once: u64) -> u64 {
    0xffff_f800_0000_0000 ^ once
}

fn give(context: u64, word: u64) -> Result<u32, NoReturn> {
    if context != 0 {
        driver_mem::write_u64(context, word & !STATE)?;
    }
    Ok(STATUS_SUCCESS)
}

fn begin(once: u64, flags: u32, context: u64) -> Result<u32, NoReturn> {
    let asynchronous = flags & ASYNC != 0;
    if flags & CHECK_ONLY != 0 {
        let word = driver_mem::read_u64(once)?;
        return match word & STATE {
            _ if asynchronous => Ok(STATUS_INVALID_PARAMETER),
            state::DONE => give(context, word),
            _ => Ok(STATUS_UNSUCCESSFUL),
        };
    }
    loop {
        let word = driver_mem::read_u64(once)?;
        match (word & STATE, asynchronous) {
            (state::NOT_BEGUN, _) => {
                let begun = if asynchronous {
                    state::ASYNCHRONOUS
                } else {
                    state::UNDER_WAY
                };
                if driver_mem::compare_exchange_u64(once, word, begun)? == word {
                    return Ok(STATUS_PENDING);
                }
            }
            (state::DONE, _) => return give(context, word),
            (state::ASYNCHRONOUS, true) => return Ok(STATUS_PENDING),
            (state::UNDER_WAY, false) => {
                sched::park(key(once), None);
            }
            _ => return Ok(STATUS_INVALID_PARAMETER),
        }
    }
}

fn complete(once: u64, flags: u32, context: u64) -> Result<u32, NoReturn> {
    let asynchronous = flags & ASYNC != 0;
    let failed = flags & INIT_FAILED != 0;
    if context & STATE != 0 || failed && (context != 0 || asynchronous) {
        return Ok(STATUS_INVALID_PARAMETER);
    }
    let after = if failed {
        state::NOT_BEGUN
    } else {
        context | state::DONE
    };
    let word = driver_mem::read_u64(once)?;
    match (word & STATE, asynchronous) {
        (state::UNDER_WAY, false) => {
            driver_mem::write_u64(once, after)?;
            sched::wake(key(once));
            Ok(STATUS_SUCCESS)
        }
        (state::ASYNCHRONOUS, true) => {
            let first = driver_mem::compare_exchange_u64(once, word, after)? == word;
            Ok(if first {
                STATUS_SUCCESS
            } else {
                STATUS_UNSUCCESSFUL
            })
        }
        (state::UNDER_WAY, true) | (state::ASYNCHRONOUS, false) => Ok(STATUS_INVALID_PARAMETER),
        _ => Ok(STATUS_UNSUCCESSFUL),
    }
}

exports! {
    /// `RtlRunOnceInitialize`.
    fn RtlRunOnceInitialize(once: u64) -> () [max APC_LEVEL, ntddk] {
        Ok(driver_mem::write_u64(once, 0)?)
    }

    /// `RtlRunOnceBeginInitialize`: `STATUS_PENDING` to whoever is to initialise.
    fn RtlRunOnceBeginInitialize(once: u64, flags: u32, context: u64) -> u32 [max APC_LEVEL, ntddk] {
        begin(once, flags, context)
    }

    /// `RtlRunOnceComplete`.
    fn RtlRunOnceComplete(once: u64, flags: u32, context: u64) -> u32 [max APC_LEVEL, ntddk] {
        complete(once, flags, context)
    }

    /// `RtlRunOnceExecuteOnce`: calls the routine if nobody has.
    fn RtlRunOnceExecuteOnce<call>(once: u64, routine: u64, parameter: u64, context: u64) -> u32
        [max APC_LEVEL, ntddk] {
        let status = begin(once, 0, context)?;
        if status != STATUS_PENDING {
            return Ok(status);
        }
        let made = CallContext::of(call).call(routine, &[once, parameter, context]);
        // It returns 32 bits.
        if made << 32 == 0 {
            complete(once, INIT_FAILED, 0)?;
            return Ok(STATUS_UNSUCCESSFUL);
        }
        let result = if context == 0 { 0 } else { driver_mem::read_u64(context)? };
        complete(once, 0, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, status};

    extern "win64" fn make(once: u64, parameter: u64, context: u64) -> u32 {
        assert_eq!(driver_mem::read_u64(once), Ok(state::UNDER_WAY));
        driver_mem::write_u64(context, parameter).expect("ours");
        u32::from(parameter != 0)
    }

    #[test]
    fn run_once_reruns_after_failure() {
        let (mut once, mut context) = (0_u64, 7_u64);
        let (at, to) = (address_mut(&mut once), address_mut(&mut context));
        let routine = make as *const () as u64;
        assert_eq!(
            status(RtlRunOnceBeginInitialize, &[at, 1, to]),
            STATUS_UNSUCCESSFUL
        );
        assert_eq!(
            status(RtlRunOnceExecuteOnce, &[at, routine, 0, to]),
            STATUS_UNSUCCESSFUL
        );
        assert_eq!(driver_mem::read_u64(at), Ok(0));
        assert_eq!(
            status(RtlRunOnceExecuteOnce, &[at, routine, 0x100, to]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(RtlRunOnceExecuteOnce, &[at, routine, 0x200, to]),
            STATUS_SUCCESS
        );
        assert_eq!(driver_mem::read_u64(to), Ok(0x100));
        assert_eq!(driver_mem::read_u64(at), Ok(0x102));
        driver_mem::write_u64(to, 7).expect("ours");
        assert_eq!(
            status(RtlRunOnceBeginInitialize, &[at, 1, to]),
            STATUS_SUCCESS
        );
        assert_eq!(driver_mem::read_u64(to), Ok(0x100));
        assert_eq!(status(RtlRunOnceComplete, &[at, 0, 0]), STATUS_UNSUCCESSFUL);
    }

    #[test]
    fn run_once_sync_and_async_do_not_mix() {
        let mut once = 0_u64;
        let at = address_mut(&mut once);
        assert_eq!(
            status(RtlRunOnceBeginInitialize, &[at, 3, 0]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(RtlRunOnceBeginInitialize, &[at, 2, 0]),
            STATUS_PENDING
        );
        assert_eq!(
            status(RtlRunOnceBeginInitialize, &[at, 2, 0]),
            STATUS_PENDING
        );
        assert_eq!(
            status(RtlRunOnceBeginInitialize, &[at, 0, 0]),
            STATUS_INVALID_PARAMETER
        );
        for arguments in [[at, 0, 0x10], [at, 2, 0x11], [at, 6, 0], [at, 4, 0x10]] {
            assert_eq!(
                status(RtlRunOnceComplete, &arguments),
                STATUS_INVALID_PARAMETER
            );
        }
        assert_eq!(status(RtlRunOnceComplete, &[at, 2, 0x10]), STATUS_SUCCESS);
        assert_eq!(
            status(RtlRunOnceComplete, &[at, 2, 0x20]),
            STATUS_UNSUCCESSFUL
        );
        assert_eq!(driver_mem::read_u64(at), Ok(0x12));
    }
}
