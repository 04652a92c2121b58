//! Doubly linked lists (`LIST_ENTRY`) in driver memory, with the checks that
//! the kernel makes before it links or unlinks: a neighbour that does not point
//! back means that the list is corrupt, and the system stops.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;

/// Offset of the link backwards; the link forwards is the first word.
const BACKWARD: u64 = 8;

/// First entry of a list, or the entry after one.
pub fn forward(entry: u64) -> Result<u64, NoReturn> {
    Ok(driver_mem::read_u64(entry)?)
}

/// Last entry of a list, or the entry before one.
fn backward(entry: u64) -> Result<u64, NoReturn> {
    Ok(driver_mem::read_u64(entry.wrapping_add(BACKWARD))?)
}

fn link(first: u64, second: u64) -> Result<(), NoReturn> {
    driver_mem::write_u64(first, second)?;
    driver_mem::write_u64(second.wrapping_add(BACKWARD), first)?;
    Ok(())
}

/// The stop for a list that is corrupt: fast fail code 3,
/// `FAST_FAIL_CORRUPT_LIST_ENTRY`.
pub fn corrupt(entry: u64, what: &str) -> NoReturn {
    NoReturn::bug_check(
        0x139,
        [3, entry, 0, 0],
        format!("a list is corrupt at {entry:#018x}: {what}"),
    )
}

/// Checks that two neighbours point at each other.
fn check(first: u64, second: u64) -> Result<(), NoReturn> {
    let (next, previous) = (forward(first)?, backward(second)?);
    if next != second || previous != first {
        let what = format!(
            "the entry behind it is {next:#018x}, and the one before {second:#018x} is {previous:#018x} \
             (an entry was removed or inserted twice, or its memory was reused)"
        );
        return Err(corrupt(first, &what));
    }
    Ok(())
}

/// Makes a list empty: both links point at its head.
pub fn initialize(head: u64) -> Result<(), NoReturn> {
    link(head, head)
}

/// Inserts an entry behind another, or at the head of a list.
pub fn insert_after(before: u64, entry: u64) -> Result<(), NoReturn> {
    let after = forward(before)?;
    check(before, after)?;
    link(entry, after)?;
    link(before, entry)
}

/// Inserts an entry at the end of a list.
pub fn insert_tail(head: u64, entry: u64) -> Result<(), NoReturn> {
    let last = backward(head)?;
    check(last, head)?;
    link(last, entry)?;
    link(entry, head)
}

/// Removes an entry. Its own links stay as they are.
pub fn remove(entry: u64) -> Result<(), NoReturn> {
    let (before, after) = (backward(entry)?, forward(entry)?);
    check(before, entry)?;
    check(entry, after)?;
    link(before, after)
}
