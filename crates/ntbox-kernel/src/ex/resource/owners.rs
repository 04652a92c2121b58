//! Who owns a resource: kept in the driver's ERESOURCE, as Windows does it. The
//! exclusive owner or one shared owner has its entry in the structure; further
//! shared owners are in a table in pool.

use ntbox_host::driver_mem;
use ntbox_host::gate::Stop;

use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Offsets in an ERESOURCE.
mod offset {
    pub const OWNER_TABLE: u64 = 0x10;
    pub const ACTIVE_COUNT: u64 = 0x18;
    pub const FLAG: u64 = 0x1a;
    pub const OWNER: u64 = 0x30;
    pub const ACTIVE_ENTRIES: u64 = 0x40;
    pub const CONTENTION: u64 = 0x44;
    pub const SHARED_WAITERS: u64 = 0x48;
    pub const EXCLUSIVE_WAITERS: u64 = 0x4c;
}

/// `ResourceOwnedExclusive`.
const OWNED_EXCLUSIVE: u16 = 0x80;
/// Bytes of an `OWNER_ENTRY`: the owner, then its count above three flags.
const ENTRY_SIZE: u64 = 0x10;
const COUNT: u64 = 8;
const COUNT_SHIFT: u32 = 3;
/// Entries of the first table; entry 0 only says how many there are.
const FIRST_TABLE: u32 = 4;
/// Pool tag of tables, `ReTa`.
const TABLE_TAG: u32 = u32::from_le_bytes(*b"ReTa");

/// A resource, by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(pub u64);

impl Resource {
    fn field(self, offset: u64) -> u64 {
        self.0.wrapping_add(offset)
    }

    /// Whether somebody owns it.
    pub fn is_owned(self) -> Result<bool, Stop> {
        Ok(driver_mem::read_u32(self.field(offset::ACTIVE_ENTRIES))? != 0)
    }

    /// Whether it is owned by one thread alone.
    pub fn is_exclusive(self) -> Result<bool, Stop> {
        Ok(driver_mem::read_u16(self.field(offset::FLAG))? & OWNED_EXCLUSIVE != 0)
    }

    /// Says whether its owner has it alone.
    pub fn set_exclusive(self, exclusive: bool) -> Result<(), Stop> {
        let others = driver_mem::read_u16(self.field(offset::FLAG))? & !OWNED_EXCLUSIVE;
        let flag = if exclusive {
            others | OWNED_EXCLUSIVE
        } else {
            others
        };
        Ok(driver_mem::write_u16(self.field(offset::FLAG), flag)?)
    }

    /// Threads that wait for shared access.
    pub fn shared_waiters(self) -> Result<u32, Stop> {
        Ok(driver_mem::read_u32(self.field(offset::SHARED_WAITERS))?)
    }

    /// Threads that wait for exclusive access.
    pub fn exclusive_waiters(self) -> Result<u32, Stop> {
        Ok(driver_mem::read_u32(self.field(offset::EXCLUSIVE_WAITERS))?)
    }

    /// Counts a thread that begins (1) or ends (-1) to wait.
    pub fn count_waiter(self, exclusive: bool, by: i32) -> Result<(), Stop> {
        let at = if exclusive {
            offset::EXCLUSIVE_WAITERS
        } else {
            offset::SHARED_WAITERS
        };
        driver_mem::add_u32(self.field(at), by.cast_unsigned())?;
        if by > 0 {
            driver_mem::add_u32(self.field(offset::CONTENTION), 1)?;
        }
        Ok(())
    }

    /// Address of the table; 0 if there is none.
    pub fn table(self) -> Result<u64, Stop> {
        Ok(driver_mem::read_u64(self.field(offset::OWNER_TABLE))?)
    }

    fn table_size(table: u64) -> Result<u32, Stop> {
        Ok(if table == 0 {
            0
        } else {
            driver_mem::read_u32(table + COUNT)?
        })
    }

    /// Addresses of all owner entries, used or not.
    fn entries(self) -> Result<Vec<u64>, Stop> {
        let table = self.table()?;
        let further = (1..u64::from(Self::table_size(table)?)).map(|n| table + ENTRY_SIZE * n);
        Ok(std::iter::once(self.field(offset::OWNER))
            .chain(further)
            .collect())
    }

    /// The entry of an owner.
    fn entry(self, owner: u64) -> Result<Option<u64>, Stop> {
        for entry in self.entries()? {
            if driver_mem::read_u64(entry)? == owner {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// How often an owner has acquired the resource; 0 if it is none.
    pub fn count_of(self, owner: u64) -> Result<u32, Stop> {
        match self.entry(owner)? {
            Some(entry) => Ok(driver_mem::read_u32(entry + COUNT)? >> COUNT_SHIFT),
            None => Ok(0),
        }
    }

    fn set_count(entry: u64, count: u32) -> Result<(), Stop> {
        Ok(driver_mem::write_u32(entry + COUNT, count << COUNT_SHIFT)?)
    }

    fn count_entries(self, by: i32) -> Result<(), Stop> {
        let at = self.field(offset::ACTIVE_ENTRIES);
        let entries = driver_mem::add_u32(at, by.cast_unsigned())?.wrapping_add_signed(by);
        let active = u16::try_from(entries).unwrap_or(u16::MAX);
        Ok(driver_mem::write_u16(
            self.field(offset::ACTIVE_COUNT),
            active,
        )?)
    }

    /// Gives an owner one more acquisition.
    pub fn add(self, owner: u64) -> Result<(), Stop> {
        if let Some(entry) = self.entry(owner)? {
            return Self::set_count(entry, self.count_of(owner)? + 1);
        }
        let entry = match self.entry(0)? {
            Some(free) => free,
            None => self.grow()?,
        };
        driver_mem::write_u64(entry, owner)?;
        Self::set_count(entry, 1)?;
        self.count_entries(1)
    }

    /// Takes one acquisition from an owner and returns how many are left; `None`
    /// if it has none.
    pub fn remove(self, owner: u64) -> Result<Option<u32>, Stop> {
        let Some(entry) = self.entry(owner)? else {
            return Ok(None);
        };
        let left = self.count_of(owner)?.saturating_sub(1);
        Self::set_count(entry, left)?;
        if left == 0 {
            driver_mem::write_u64(entry, 0)?;
            self.count_entries(-1)?;
        }
        Ok(Some(left))
    }

    /// Makes what one owner has acquired another's. False if it has nothing.
    pub fn transfer(self, from: u64, to: u64) -> Result<bool, Stop> {
        let Some(entry) = self.entry(from)? else {
            return Ok(false);
        };
        match self.entry(to)? {
            None => driver_mem::write_u64(entry, to)?,
            Some(other) => {
                Self::set_count(other, self.count_of(from)? + self.count_of(to)?)?;
                Self::set_count(entry, 0)?;
                driver_mem::write_u64(entry, 0)?;
                self.count_entries(-1)?;
            }
        }
        Ok(true)
    }

    /// Makes room for more owners; returns an entry that is free.
    fn grow(self) -> Result<u64, Stop> {
        let old = self.table()?;
        let old_size = Self::table_size(old)?;
        let size = FIRST_TABLE.max(2 * old_size);
        let table = pool::allocate(PoolKind::NonPaged, ENTRY_SIZE * u64::from(size), TABLE_TAG)
            .ok_or_else(|| {
                let what = format!(
                    "there is no memory for the owners of the resource at {:#018x}",
                    self.0
                );
                Stop::bug_check(0x1d, [self.0, u64::from(size), 0, 0], what)
            })?;
        if old != 0 {
            driver_mem::copy(table, old, ENTRY_SIZE * u64::from(old_size))?;
            pool::free(old);
        }
        driver_mem::write_u32(table + COUNT, size)?;
        driver_mem::write_u64(self.field(offset::OWNER_TABLE), table)?;
        Ok(table + ENTRY_SIZE * u64::from(old_size.max(1)))
    }

    /// Frees the table.
    pub fn free_table(self) -> Result<(), Stop> {
        let table = self.table()?;
        if table != 0 {
            pool::free(table);
            driver_mem::write_u64(self.field(offset::OWNER_TABLE), 0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, processor};

    #[test]
    fn many_owners_are_counted_each_for_itself() {
        processor();
        let mut memory = [0_u64; 13];
        let resource = Resource(address_mut(&mut memory));
        let threads: Vec<u64> = (1..=20).map(|n| n * 0x1000).collect();
        for thread in &threads {
            resource.add(*thread).expect("it is ours");
            resource.add(*thread).expect("it is ours");
        }
        assert_eq!(
            driver_mem::read_u32(resource.field(offset::ACTIVE_ENTRIES)),
            Ok(20)
        );
        for thread in &threads {
            assert_eq!(resource.count_of(*thread).expect("it is ours"), 2);
        }
        assert_eq!(resource.remove(0x5000).expect("it is ours"), Some(1));
        assert_eq!(resource.remove(0x5000).expect("it is ours"), Some(0));
        assert_eq!(resource.remove(0x5000).expect("it is ours"), None);
        assert!(resource.transfer(0x6000, 0x6003).expect("it is ours"));
        assert!(resource.transfer(0x7000, 0x6003).expect("it is ours"));
        assert!(!resource.transfer(0x7000, 0x6003).expect("it is ours"));
        assert_eq!(resource.count_of(0x6003).expect("it is ours"), 4);
        assert_eq!(
            driver_mem::read_u32(resource.field(offset::ACTIVE_ENTRIES)),
            Ok(18)
        );
        resource.free_table().expect("it is ours");
        assert_eq!(resource.table().expect("it is ours"), 0);
    }
}
