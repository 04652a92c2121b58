//! The owners of a resource, kept in the driver's ERESOURCE as Windows does it. The
//! exclusive owner or one shared owner has its entry in the structure; further
//! shared owners have theirs in a table in pool.

use nt_layout::{Eresource, OwnerEntry};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;

use crate::base::driver_ptr::DriverPtr;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// `ResourceOwnedExclusive`.
const OWNED_EXCLUSIVE: u16 = 0x80;
/// Bytes of an entry.
const ENTRY_SIZE: u64 = DriverPtr::<OwnerEntry>::SIZE;
/// The count of an entry is above three flags.
const COUNT_SHIFT: u32 = 3;
/// Entries of the first table; entry 0 only says how many there are.
const FIRST_TABLE: u32 = 4;
/// Pool tag of tables, `ReTa`.
const TABLE_TAG: u32 = u32::from_le_bytes(*b"ReTa");

/// The fields of the `OWNER_ENTRY` at an address.
const fn entry(address: u64) -> DriverPtr<OwnerEntry> {
    DriverPtr::new(address)
}

/// The address of an entry of a table.
const fn nth_entry(table: u64, n: u64) -> u64 {
    table + ENTRY_SIZE * n
}

fn set_owner(address: u64, owner: u64) -> Result<(), Fault> {
    entry(address).set(|entry| &entry.owner_thread, owner)
}

/// A resource, by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(pub u64);

impl Resource {
    const fn fields(self) -> DriverPtr<Eresource> {
        DriverPtr::new(self.0)
    }

    /// Whether somebody owns it.
    pub fn is_owned(self) -> Result<bool, NoReturn> {
        Ok(self.fields().get(|resource| &resource.active_entries)? != 0)
    }

    /// Whether it is owned by one thread alone.
    pub fn is_exclusive(self) -> Result<bool, NoReturn> {
        Ok(self.fields().get(|resource| &resource.flag)? & OWNED_EXCLUSIVE != 0)
    }

    /// Says whether its owner has it alone.
    pub fn set_exclusive(self, exclusive: bool) -> Result<(), NoReturn> {
        let others = self.fields().get(|resource| &resource.flag)? & !OWNED_EXCLUSIVE;
        let flag = if exclusive {
            others | OWNED_EXCLUSIVE
        } else {
            others
        };
        Ok(self.fields().set(|resource| &resource.flag, flag)?)
    }

    /// Threads that wait for shared access.
    pub fn shared_waiters(self) -> Result<u32, NoReturn> {
        Ok(self
            .fields()
            .get(|resource| &resource.number_of_shared_waiters)?)
    }

    /// Threads that wait for exclusive access.
    pub fn exclusive_waiters(self) -> Result<u32, NoReturn> {
        Ok(self
            .fields()
            .get(|resource| &resource.number_of_exclusive_waiters)?)
    }

    /// Counts a thread that begins (1) or ends (-1) to wait.
    pub fn count_waiter(self, exclusive: bool, by: i32) -> Result<(), NoReturn> {
        let waiters = self.fields().at(|resource| {
            if exclusive {
                &resource.number_of_exclusive_waiters
            } else {
                &resource.number_of_shared_waiters
            }
        });
        driver_mem::add_u32(waiters.address(), by.cast_unsigned())?;
        if by > 0 {
            let contention = self.fields().at(|resource| &resource.contention_count);
            driver_mem::add_u32(contention.address(), 1)?;
        }
        Ok(())
    }

    /// Address of the table; 0 if there is none.
    pub fn table(self) -> Result<u64, NoReturn> {
        Ok(self.fields().get(|resource| &resource.owner_table)?)
    }

    fn table_size(table: u64) -> Result<u32, NoReturn> {
        Ok(if table == 0 {
            0
        } else {
            entry(table).get(|entry| &entry.owner_count)?
        })
    }

    /// Addresses of all owner entries, used or not.
    fn entries(self) -> Result<Vec<u64>, NoReturn> {
        let table = self.table()?;
        let further = (1..u64::from(Self::table_size(table)?)).map(|n| nth_entry(table, n));
        let first = self.fields().at(|resource| &resource.owner_entry);
        Ok(std::iter::once(first.address()).chain(further).collect())
    }

    /// The entry of an owner.
    fn find_entry(self, owner: u64) -> Result<Option<u64>, NoReturn> {
        for address in self.entries()? {
            if entry(address).get(|entry| &entry.owner_thread)? == owner {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    /// How often an owner has acquired the resource; 0 if it is none.
    pub fn count_of(self, owner: u64) -> Result<u32, NoReturn> {
        match self.find_entry(owner)? {
            Some(address) => Ok(entry(address).get(|entry| &entry.owner_count)? >> COUNT_SHIFT),
            None => Ok(0),
        }
    }

    fn set_count(address: u64, count: u32) -> Result<(), NoReturn> {
        Ok(entry(address).set(|entry| &entry.owner_count, count << COUNT_SHIFT)?)
    }

    fn count_entries(self, by: i32) -> Result<(), NoReturn> {
        let entries = self.fields().at(|resource| &resource.active_entries);
        let entries = driver_mem::add_u32(entries.address(), by.cast_unsigned())?;
        let active = u16::try_from(entries.wrapping_add_signed(by)).unwrap_or(u16::MAX);
        Ok(self
            .fields()
            .set(|resource| &resource.active_count, active)?)
    }

    /// Gives an owner one more acquisition.
    pub fn add(self, owner: u64) -> Result<(), NoReturn> {
        if let Some(entry) = self.find_entry(owner)? {
            return Self::set_count(entry, self.count_of(owner)? + 1);
        }
        let entry = match self.find_entry(0)? {
            Some(free) => free,
            None => self.grow()?,
        };
        set_owner(entry, owner)?;
        Self::set_count(entry, 1)?;
        self.count_entries(1)
    }

    /// Takes one acquisition from an owner and returns how many are left; `None`
    /// if it has none.
    pub fn remove(self, owner: u64) -> Result<Option<u32>, NoReturn> {
        let Some(entry) = self.find_entry(owner)? else {
            return Ok(None);
        };
        let left = self.count_of(owner)?.saturating_sub(1);
        Self::set_count(entry, left)?;
        if left == 0 {
            set_owner(entry, 0)?;
            self.count_entries(-1)?;
        }
        Ok(Some(left))
    }

    /// Makes what one owner has acquired another's. False if it has nothing.
    pub fn transfer(self, from: u64, to: u64) -> Result<bool, NoReturn> {
        let Some(entry) = self.find_entry(from)? else {
            return Ok(false);
        };
        match self.find_entry(to)? {
            None => set_owner(entry, to)?,
            Some(other) => {
                Self::set_count(other, self.count_of(from)? + self.count_of(to)?)?;
                Self::set_count(entry, 0)?;
                set_owner(entry, 0)?;
                self.count_entries(-1)?;
            }
        }
        Ok(true)
    }

    /// Makes room for more owners; returns an entry that is free.
    fn grow(self) -> Result<u64, NoReturn> {
        let old = self.table()?;
        let old_size = Self::table_size(old)?;
        let size = FIRST_TABLE.max(2 * old_size);
        let table = pool::allocate(PoolKind::NonPaged, ENTRY_SIZE * u64::from(size), TABLE_TAG)
            .ok_or_else(|| {
                let what = format!(
                    "there is no memory for the owners of the resource at {:#018x}",
                    self.0
                );
                NoReturn::bug_check(0x1d, [self.0, u64::from(size), 0, 0], what)
            })?;
        if old != 0 {
            driver_mem::copy(table, old, ENTRY_SIZE * u64::from(old_size))?;
            pool::free(old);
        }
        entry(table).set(|entry| &entry.owner_count, size)?;
        self.fields().set(|resource| &resource.owner_table, table)?;
        Ok(nth_entry(table, u64::from(old_size.max(1))))
    }

    /// Frees the table.
    pub fn free_table(self) -> Result<(), NoReturn> {
        let table = self.table()?;
        if table != 0 {
            pool::free(table);
            self.fields().set(|resource| &resource.owner_table, 0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, processor};

    #[test]
    fn resource_counts_each_owner() {
        processor();
        let mut memory = [0_u64; 13];
        let resource = Resource(address_mut(&mut memory));
        let threads: Vec<u64> = (1..=20).map(|n| n * 0x1000).collect();
        for thread in &threads {
            resource.add(*thread).expect("it is ours");
            resource.add(*thread).expect("it is ours");
        }
        assert_eq!(
            resource.fields().get(|resource| &resource.active_entries),
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
            resource.fields().get(|resource| &resource.active_entries),
            Ok(18)
        );
        resource.free_table().expect("it is ours");
        assert_eq!(resource.table().expect("it is ours"), 0);
    }
}
