//! Tokens, and what a list grants to one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::descriptor::{Entry, List, Sid};
use crate::kernel::threads;
use crate::request::Account;

/// Processes of ordinary users.
static ORDINARY: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// Says who runs a process that has just been made.
pub fn set_account(process: u64, account: Account) {
    let mut ordinary = ORDINARY.lock().unwrap_or_else(PoisonError::into_inner);
    match account {
        Account::Administrator => ordinary.remove(&process),
        Account::Ordinary => ordinary.insert(process),
    };
}

/// The SIDs that a process's token holds.
pub fn token(process: u64) -> Vec<Sid> {
    let ordinary = ORDINARY.lock().unwrap_or_else(PoisonError::into_inner);
    let everyone = Sid::of(1, &[0]);
    let authenticated = Sid::nt(&[11]);
    let administrators = Sid::nt(&[32, 544]);
    if process == threads::system_process() {
        return vec![Sid::nt(&[18]), administrators, everyone, authenticated];
    }
    let user = |number| Sid::nt(&[21, 0x6e74, 0x626f, 0x78, number]);
    let mut sids = vec![everyone, authenticated, Sid::nt(&[4]), Sid::nt(&[32, 545])];
    if ordinary.contains(&process) {
        sids.push(user(1001));
    } else {
        sids.extend([user(500), administrators]);
    }
    sids
}

/// Rights of a file by generic right, as the I/O manager maps them.
const GENERIC: [(u32, u32); 4] = [
    (0x8000_0000, 0x0012_0089),
    (0x4000_0000, 0x0012_0116),
    (0x2000_0000, 0x0012_00a0),
    (0x1000_0000, 0x001f_01ff),
];

/// A mask of a list with its generic rights mapped.
fn specific(mask: u32) -> u32 {
    let mapped = GENERIC
        .iter()
        .filter(|(generic, _)| mask & generic != 0)
        .fold(0, |rights, (_, specific)| rights | specific);
    mask & 0x0fff_ffff | mapped
}

/// Whether a list grants all of `wanted` to a token: entries count in their order,
/// until everything is granted or something is denied.
pub fn grants(list: &List, token: &[Sid], wanted: u32) -> bool {
    let Some(entries) = list else {
        return true;
    };
    let mut left = wanted;
    for Entry { allows, mask, sid } in entries {
        if left == 0 {
            break;
        }
        if token.contains(sid) {
            let mask = specific(*mask);
            if *allows {
                left &= !mask;
            } else if left & mask != 0 {
                return false;
            }
        }
    }
    left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(allows: bool, mask: u32, numbers: &[u32]) -> Entry {
        Entry {
            allows,
            mask,
            sid: Sid::nt(numbers),
        }
    }

    #[test]
    fn entries_count_in_order() {
        let token = [Sid::nt(&[32, 545]), Sid::nt(&[11])];
        let deny_first = Some(vec![entry(false, 2, &[11]), entry(true, 3, &[32, 545])]);
        let allow_first = Some(vec![entry(true, 3, &[32, 545]), entry(false, 2, &[11])]);
        assert!(!grants(&deny_first, &token, 3));
        assert!(grants(&deny_first, &token, 1));
        assert!(grants(&allow_first, &token, 3));
    }

    #[test]
    fn rights_add_up_and_nobody_else_has_any() {
        let list = Some(vec![entry(true, 1, &[11]), entry(true, 2, &[32, 545])]);
        assert!(grants(&list, &[Sid::nt(&[11]), Sid::nt(&[32, 545])], 3));
        assert!(!grants(&list, &[Sid::nt(&[11])], 3));
        assert!(!grants(&list, &[Sid::nt(&[18])], 1));
        assert!(!grants(&Some(Vec::new()), &[Sid::nt(&[18])], 1));
        assert!(grants(&None, &[], u32::MAX));
    }

    #[test]
    fn generic_rights_are_those_of_files() {
        let list = Some(vec![entry(true, 0x8000_0000, &[11])]);
        let token = [Sid::nt(&[11])];
        assert!(grants(&list, &token, 0x0012_0089));
        assert!(!grants(&list, &token, 0x2));
    }
}
