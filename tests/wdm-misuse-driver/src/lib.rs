//! Attempts to make safe code do what it must not: each compiles without `unsafe`,
//! and the test `wdm_misuse` checks that nothing comes of it. The value `Attempt` of
//! the service's parameters says which one the driver makes.

#![no_std]

use wdk_panic as _;

mod aligned;
mod deleted;
mod kept;
mod lowered;
mod paged;
mod removal;
mod requests;
mod rundown;

use wdm::{
    Error, Status,
    driver::{Context, Driver},
    irql::Passive,
    pool::PoolTag,
    utf16,
};

wdm::driver!(Misuse);

/// The tag of all blocks here.
const TAG: PoolTag = wdm::pool_tag!(b"Atmp");

/// What the attempt keeps until the driver is unloaded.
enum Misuse {
    Rundown(rundown::Attempt),
    Deleted(deleted::Attempt),
    Requests(requests::Attempt),
    Removal(removal::Attempt),
    Kept(kept::Attempt),
    Lowered(lowered::Attempt),
    /// All was done while the driver started.
    Done,
}

impl Driver for Misuse {
    fn start(context: &Context<'_>, passive: &mut Passive) -> Result<Self, Status> {
        match number(context, passive).map_err(status)? {
            1 => rundown::Attempt::new(context, passive).map(Self::Rundown),
            2 => deleted::Attempt::new(context, passive).map(Self::Deleted),
            3 => requests::Attempt::new(context, passive).map(Self::Requests),
            4 => aligned::run(passive).map(|()| Self::Done),
            5 => removal::Attempt::new(context, passive).map(Self::Removal),
            kept @ 20..=24 => {
                kept::Attempt::new(kept.saturating_sub(20), context, passive).map(Self::Kept)
            }
            30 => lowered::Attempt::new(context, passive).map(Self::Lowered),
            31 => paged::run(passive).map(|()| Self::Done),
            _ => return Err(Status::INVALID_PARAMETER),
        }
        .map_err(status)
    }

    fn stop(self, passive: &mut Passive) {
        match self {
            Self::Rundown(attempt) => drop(attempt),
            Self::Deleted(attempt) => attempt.end(passive),
            Self::Requests(attempt) => drop(attempt),
            Self::Removal(attempt) => drop(attempt),
            Self::Kept(attempt) => attempt.end(passive),
            Self::Lowered(attempt) => drop(attempt),
            Self::Done => {}
        }
    }
}

/// The attempt that the parameters name; 0 if they name none.
fn number(context: &Context<'_>, passive: &Passive) -> wdm::Result<u32> {
    let Some(key) = context.parameters(passive)? else {
        return Ok(0);
    };
    let value = key.value(utf16!("Attempt"), passive)?;
    Ok(value.and_then(|value| value.dword()).unwrap_or(0))
}

fn status(error: Error) -> Status {
    error.status()
}
