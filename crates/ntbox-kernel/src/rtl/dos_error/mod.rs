//! The Win32 error that a program sees for a status (`RtlNtStatusToDosError`).
//!
//! The table is a fact of Windows that Microsoft once published as an article
//! and no longer does. `statuses.txt` has what Wine, an open implementation whose
//! tests run on Windows too, answered for every status; the tests here compare it
//! with the numbers of the open headers. What follows a rule, the errors that a
//! status wraps, is below. A status without an error becomes
//! `ERROR_MR_MID_NOT_FOUND`, on Windows too; statuses younger than the table may
//! have one there, so each is told in the log.

use std::sync::OnceLock;

use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::export::exports;
use crate::base::log;

/// `ERROR_MR_MID_NOT_FOUND`.
const NONE: u32 = 317;
/// The bit of statuses that applications made.
const CUSTOMER: u32 = 0x2000_0000;
/// Upper halves of statuses whose lower half is a Win32 error: `FACILITY_NTWIN32`,
/// an `HRESULT` with `FACILITY_WIN32`, and facility 1.
const WRAPPED: [u32; 3] = [0xc007, 0x8007, 0xc001];

/// A range of statuses.
#[derive(Debug, Clone, Copy)]
struct StatusRange {
    first: u32,
    last: u32,
    error: u32,
    /// Whether the errors count up with the statuses.
    counts: bool,
}

/// A word of `statuses.txt`.
fn run(word: &str) -> Option<StatusRange> {
    let (statuses, error) = word.split_once('=')?;
    let (first, last) = statuses.split_once('-').unwrap_or((statuses, statuses));
    let number = error.strip_suffix('+');
    Some(StatusRange {
        first: u32::from_str_radix(first, 16).ok()?,
        last: u32::from_str_radix(last, 16).ok()?,
        error: number.unwrap_or(error).parse().ok()?,
        counts: number.is_some(),
    })
}

/// The table.
fn runs() -> &'static [StatusRange] {
    static RUNS: OnceLock<Vec<StatusRange>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let lines = include_str!("statuses.txt").lines();
        lines
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .filter_map(run)
            .collect()
    })
}

/// The Win32 error of a status, if it has one.
pub fn dos_error(status: u32) -> Option<u32> {
    if status == 0 || status & CUSTOMER != 0 {
        return Some(status);
    }
    if WRAPPED.contains(&(status >> 16)) {
        return Some(status & 0xffff);
    }
    let runs = runs();
    let at = runs.partition_point(|run| run.last < status);
    let run = runs.get(at).filter(|run| run.first <= status)?;
    let step = if run.counts { status - run.first } else { 0 };
    Some(run.error + step)
}

fn told(status: u32) -> u32 {
    dos_error(status).unwrap_or_else(|| {
        log::note(&format!(
            "{} has no Win32 error: RtlNtStatusToDosError gives ERROR_MR_MID_NOT_FOUND",
            nt_status::Named(status)
        ));
        NONE
    })
}

exports! {
    /// `RtlNtStatusToDosError`.
    fn RtlNtStatusToDosError(status: u32) -> u32
        [max APC_LEVEL, ntifs, partial "what it does not know is told in the log"] { Ok(told(status)) }

    /// `RtlNtStatusToDosErrorNoTeb`: the same, there being no TEB that keeps the
    /// last status.
    fn RtlNtStatusToDosErrorNoTeb(status: u32) -> u32
        [max APC_LEVEL, ntifs, partial "what it does not know is told in the log"] { Ok(told(status)) }
}

#[cfg(test)]
mod tests;
