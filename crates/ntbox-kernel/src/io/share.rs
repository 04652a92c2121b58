//! Sharing of files: who has one open how, and whether another may open it.

use nt_layout::FileObject;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// `FILE_EXECUTE` and `FILE_READ_DATA`.
const READ: u32 = 0x21;
/// `FILE_WRITE_DATA` and `FILE_APPEND_DATA`.
const WRITE: u32 = 0x6;
/// `DELETE`.
const DELETE: u32 = 0x1_0000;

/// Words of a `SHARE_ACCESS`: the count of opens, then how many of them read,
/// write, delete, and share reading, writing, deleting.
const WORDS: usize = 7;

/// A `SHARE_ACCESS`.
type ShareAccess = [u32; WORDS];

fn read(at: u64) -> Result<ShareAccess, Fault> {
    let mut share = [0; WORDS];
    for (n, word) in share.iter_mut().enumerate() {
        *word = driver_mem::read_u32(at.wrapping_add(4 * n as u64))?;
    }
    Ok(share)
}

fn write(at: u64, share: ShareAccess) -> Result<(), Fault> {
    for (n, word) in share.into_iter().enumerate() {
        driver_mem::write_u32(at.wrapping_add(4 * n as u64), word)?;
    }
    Ok(())
}

/// What one open adds to each word; nothing at all if it neither reads, writes
/// nor deletes.
fn of_file(object: u64) -> Result<ShareAccess, Fault> {
    // ReadAccess to SharedDelete.
    let flags = DriverPtr::<FileObject>::new(object).at(|file| &file.read_access);
    let mut own = [1; WORDS];
    for (n, word) in own.iter_mut().enumerate().skip(1) {
        *word = u32::from(flags.next(n as u64 - 1).read()? != 0);
    }
    let any = own[1..4].contains(&1);
    Ok(if any { own } else { [0; WORDS] })
}

/// Notes in a file object what it is opened for, and what it shares.
pub fn note(object: u64, access: u32, shared: u32) -> Result<(), Fault> {
    let object = DriverPtr::<FileObject>::new(object);
    let wants = [READ, WRITE, DELETE].map(|rights| access & rights != 0);
    for (n, wanted) in wants.into_iter().enumerate() {
        let access = object.at(|file| &file.read_access).next(n as u64);
        access.write(u8::from(wanted))?;
    }
    if wants.contains(&true) {
        for n in 0..3 {
            let bit = u8::from(shared >> n & 1 != 0);
            object.at(|file| &file.shared_read).next(n).write(bit)?;
        }
    }
    Ok(())
}

/// What is shared in any case: reading, by whoever reads what it may not write. The
/// permission is a BOOLEAN, and not looked at where there is none.
fn forced(access: u32, may_write: u64) -> Result<u32, Fault> {
    let denied = may_write != 0 && driver_mem::read_u8(may_write)? == 0;
    Ok(u32::from(denied && access & READ != 0))
}

/// Whether one more open agrees with those that there are.
fn agrees(own: &ShareAccess, others: &ShareAccess) -> bool {
    let opens = others[0];
    (1..4).all(|n| {
        let wanted = own[n] == 0 || others[n + 3] >= opens;
        let shared = others[n] == 0 || own[n + 3] != 0;
        wanted && shared
    })
}

fn combine(at: u64, own: ShareAccess, change: fn(u32, u32) -> u32) -> Result<(), Fault> {
    let mut share = read(at)?;
    for (word, own) in share.iter_mut().zip(own) {
        *word = change(*word, own);
    }
    write(at, share)
}

/// Whether a file may be opened like this beside those that have it open already;
/// it is counted among them if `update`.
pub fn check(
    access: u32,
    shared: u32,
    object: u64,
    share: u64,
    update: bool,
) -> Result<bool, Fault> {
    note(object, access, shared)?;
    let own = of_file(object)?;
    if own[0] == 0 {
        return Ok(true);
    }
    let may = agrees(&own, &read(share)?);
    if may && update {
        combine(share, own, u32::wrapping_add)?;
    }
    Ok(may)
}

/// Counts a file no longer.
pub fn remove(object: u64, share: u64) -> Result<(), Fault> {
    combine(share, of_file(object)?, u32::wrapping_sub)
}

exports! {
    /// `IoCheckShareAccess`.
    fn IoCheckShareAccess(access: u32, shared: u32, object: u64, share: u64, update: bool) -> u32
        [max PASSIVE_LEVEL, wdm] {
        let may = check(access, shared, object, share, update)?;
        Ok(if may { nt_status::STATUS_SUCCESS } else { nt_status::STATUS_SHARING_VIOLATION })
    }

    /// `IoSetShareAccess`: for the first open.
    fn IoSetShareAccess(access: u32, shared: u32, object: u64, share: u64) -> () [max PASSIVE_LEVEL, wdm] {
        note(object, access, shared)?;
        Ok(write(share, of_file(object)?)?)
    }

    /// `IoCheckShareAccessEx`: who may not write to a share cannot keep others from
    /// reading.
    fn IoCheckShareAccessEx(access: u32, shared: u32, object: u64, share: u64, update: bool, may_write: u64) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_7]
    {
        let shared = shared | forced(access, may_write)?;
        let may = check(access, shared, object, share, update)?;
        Ok(if may { nt_status::STATUS_SUCCESS } else { nt_status::STATUS_SHARING_VIOLATION })
    }

    /// `IoSetShareAccessEx`: the same for the first open.
    fn IoSetShareAccessEx(access: u32, shared: u32, object: u64, share: u64, may_write: u64) -> ()
        [max PASSIVE_LEVEL, wdm, since WINDOWS_7] {
        note(object, access, shared | forced(access, may_write)?)?;
        Ok(write(share, of_file(object)?)?)
    }

    /// `IoUpdateShareAccess`: after a check that did not.
    fn IoUpdateShareAccess(object: u64, share: u64) -> () [max PASSIVE_LEVEL, wdm] {
        Ok(combine(share, of_file(object)?, u32::wrapping_add)?)
    }

    /// `IoRemoveShareAccess`.
    fn IoRemoveShareAccess(object: u64, share: u64) -> () [max PASSIVE_LEVEL, wdm] {
        Ok(remove(object, share)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, status, value};

    #[test]
    fn share_access_without_write_shares_reading() {
        let mut share = [0_u32; 7];
        let mut files = [[0_u8; 0xd8]; 2];
        let [first, second] = files.each_mut().map(address_mut);
        let at = address_mut(&mut share);
        let (yes, no) = (address(&1_u8), address(&0_u8));
        value(IoSetShareAccessEx, &[1, 0, first, at, yes]);
        assert_eq!(share, [1, 1, 0, 0, 0, 0, 0]);
        value(IoSetShareAccessEx, &[1, 0, first, at, 0]);
        assert_eq!(share, [1, 1, 0, 0, 0, 0, 0]);
        value(IoSetShareAccessEx, &[1, 0, first, at, no]);
        assert_eq!(share, [1, 1, 0, 0, 1, 0, 0]);
        let violation = nt_status::STATUS_SHARING_VIOLATION;
        assert_eq!(
            status(IoCheckShareAccessEx, &[1, 0, second, at, 1, yes]),
            violation
        );
        assert_eq!(status(IoCheckShareAccessEx, &[1, 0, second, at, 1, no]), 0);
        assert_eq!(share, [2, 2, 0, 0, 2, 0, 0]);
    }

    #[test]
    fn share_access_conflict_is_refused() {
        let mut share = [0xcc_u32; 7];
        let mut files = [[0_u8; 0xd8]; 3];
        let [reader, writer, attributes] = files.each_mut().map(address_mut);
        let at = address_mut(&mut share);
        // Reads and lets others read.
        value(IoSetShareAccess, &[1, 1, reader, at]);
        assert_eq!(share, [1, 1, 0, 0, 1, 0, 0]);
        let denied = nt_status::STATUS_SHARING_VIOLATION;
        assert_eq!(status(IoCheckShareAccess, &[2, 3, writer, at, 1]), denied);
        assert_eq!(status(IoCheckShareAccess, &[1, 2, writer, at, 1]), denied);
        assert_eq!(share, [1, 1, 0, 0, 1, 0, 0]);
        assert_eq!(status(IoCheckShareAccess, &[0x80, 0, attributes, at, 1]), 0);
        assert_eq!(
            share,
            [1, 1, 0, 0, 1, 0, 0],
            "who only looks does not count"
        );
        assert_eq!(status(IoCheckShareAccess, &[0x20, 7, writer, at, 0]), 0);
        assert_eq!(share, [1, 1, 0, 0, 1, 0, 0]);
        value(IoUpdateShareAccess, &[writer, at]);
        assert_eq!(share, [2, 2, 0, 0, 2, 1, 1]);
        value(IoRemoveShareAccess, &[reader, at]);
        assert_eq!(share, [1, 1, 0, 0, 1, 1, 1]);
        assert_eq!(status(IoCheckShareAccess, &[0x1_0006, 1, reader, at, 1]), 0);
        assert_eq!(share, [2, 1, 1, 1, 2, 1, 1]);
        assert_eq!(files[0][0x4a..0x50], [0, 1, 1, 1, 0, 0]);
    }
}
