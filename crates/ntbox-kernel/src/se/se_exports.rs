//! `SeExports`: the privileges and SIDs that everybody knows, by name.

use ntbox_host::driver_mem;

use super::sid::Sid;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Pool tag.
const TAG: u32 = u32::from_le_bytes(*b"SeEx");

/// A field of the structure.
#[derive(Debug, Clone, Copy)]
enum Field {
    /// The number of a privilege.
    Privilege(u64),
    /// A SID: authority and sub-authorities.
    Sid(u8, &'static [u32]),
}

use Field::{Privilege as P, Sid as S};

/// The fields in their order, each of eight bytes.
const FIELDS: &[Field] = &[
    P(2),
    P(3),
    P(4),
    P(5),
    P(6),
    P(7),
    P(8),
    P(9),
    P(10),
    P(15),
    P(14),
    P(11),
    P(12),
    P(13),
    P(16),
    P(17),
    P(18),
    P(19),
    P(20),
    P(21),
    P(22),
    P(23),
    P(24),
    // Null, world, local, creator owner, creator group, NT authority.
    S(0, &[0]),
    S(1, &[0]),
    S(2, &[0]),
    S(3, &[0]),
    S(3, &[1]),
    S(5, &[]),
    // Dialup, network, batch, interactive, local system.
    S(5, &[1]),
    S(5, &[2]),
    S(5, &[3]),
    S(5, &[4]),
    S(5, &[18]),
    // Administrators, users, guests, power users, account, system, print and
    // backup operators.
    S(5, &[32, 544]),
    S(5, &[32, 545]),
    S(5, &[32, 546]),
    S(5, &[32, 547]),
    S(5, &[32, 548]),
    S(5, &[32, 549]),
    S(5, &[32, 550]),
    S(5, &[32, 551]),
    // Authenticated users, restricted code, anonymous.
    S(5, &[11]),
    S(5, &[12]),
    S(5, &[7]),
    P(25),
    P(26),
    P(27),
    // Local and network service.
    S(5, &[19]),
    S(5, &[20]),
    P(28),
    P(29),
    P(30),
    P(31),
    P(32),
    P(33),
    P(34),
    P(35),
    // IIS users; integrity levels untrusted, low, medium, high, system; owner
    // rights.
    S(5, &[17]),
    S(16, &[0]),
    S(16, &[0x1000]),
    S(16, &[0x2000]),
    S(16, &[0x3000]),
    S(16, &[0x4000]),
    S(3, &[4]),
];

/// Makes the structure and returns its address, which is the variable's value; 0
/// without pool.
pub fn address() -> u64 {
    let size = 8 * FIELDS.len() as u64;
    let Some(base) = pool::allocate(PoolKind::NonPaged, size, TAG) else {
        return 0;
    };
    let fill = || -> Option<()> {
        for (field, n) in FIELDS.iter().zip(0..) {
            let value = match field {
                P(number) => *number,
                S(authority, subs) => {
                    let sid = Sid::new(*authority, subs);
                    let length = sid.bytes().len() as u64;
                    let va = pool::allocate(PoolKind::NonPaged, length, TAG)?;
                    driver_mem::write_bytes(va, sid.bytes()).ok()?;
                    va
                }
            };
            driver_mem::write_u64(base + 8 * n, value).ok()?;
        }
        Some(())
    };
    fill().map_or(0, |()| base)
}
