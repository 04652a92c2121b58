//! Mappings that outlast the request that made them: each belongs to whoever asked
//! for it, and goes with him, with its process, or with the table.

use core::fmt;

use super::{Access, UserAddress};
use crate::{
    Error, Rejected, Result, Status,
    irql::{Apc, Passive},
    map::CacheType,
    mdl::{BuiltForNonpaged, Mdl},
    memory::SharedBytes,
    mutex::Mutex,
    pool::{NonpagedBlock, PoolTag},
    process::{Observer, Watch, current_process_id},
};

/// Who a mapping belongs to: any number, such as one for each open file.
pub type Owner = u64;

/// Up to `N` mappings of pool into programs.
///
/// IRQL: `PASSIVE_LEVEL`, dropping included, unless a method says otherwise.
///
/// ```ignore
/// // When the driver starts:
/// let mappings = UserMappings::<16>::new(TAG, passive)?;
/// // For a request of a program:
/// let address = mappings.map(file.number, block, Access::Read, CacheType::Cached, passive)?;
/// // When its last handle is closed:
/// mappings.unmap_all(file.number, passive);
/// ```
pub struct UserMappings<const N: usize>(Watch<Table<N>>);

struct Table<const N: usize> {
    mappings: Mutex<[Option<Entry>; N]>,
}

struct Entry {
    owner: Owner,
    /// Identifier of the process; until it ends, no other has the same.
    process: usize,
    address: UserAddress,
    mdl: Mdl<BuiltForNonpaged>,
}

// SAFETY: an MDL and its pool belong to no thread; the memory is reached under the
// table's lock only.
unsafe impl Send for Entry {}

impl Entry {
    /// Undoes the mapping, then frees the MDL and the pool.
    fn end(self, irql: &Apc) {
        let Self { address, mdl, .. } = self;
        address.unmap(irql);
        drop(mdl);
    }

    fn start(&self) -> usize {
        self.address.start.addr().get()
    }
}

impl<const N: usize> UserMappings<N> {
    /// A table without mappings, which learns of the end of processes:
    /// `PsSetCreateProcessNotifyRoutine`.
    ///
    /// # Errors
    ///
    /// As for [`Watch::new`].
    pub fn new(tag: PoolTag, passive: &mut Passive) -> Result<Self> {
        let table = Table {
            mappings: Mutex::new([const { None }; N], tag)?,
        };
        Watch::new(table, tag, passive).map(Self)
    }

    /// Maps a block, which is whole pages, into the current process; returns the
    /// address there. What is in the block is shown to the program.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: the table is full, or what
    ///   [`Mdl::describe`] says.
    /// * As for [`Mdl::with_user_mapping`].
    ///
    /// Each returns the block.
    pub fn map(
        &self,
        owner: Owner,
        block: NonpagedBlock,
        access: Access,
        cache: CacheType,
        passive: &mut Passive,
    ) -> Result<usize, Rejected<NonpagedBlock>> {
        let mdl = Mdl::describe(block)?.build_for_nonpaged_pool();
        let process = current_process_id();
        self.0.mappings.with(passive, |table, apc| {
            let Some(place) = table.iter_mut().find(|place| place.is_none()) else {
                return Err(Rejected {
                    error: Error::new("none", Status::INSUFFICIENT_RESOURCES),
                    returned: mdl.free(),
                });
            };
            // SAFETY: the entry ends the mapping before its MDL goes. It is found
            // when the process ends, because it is in the table before this thread,
            // which is in the process, leaves the request.
            match unsafe { UserAddress::map(&mdl, access, cache, apc) } {
                Ok(address) => {
                    let entry = Entry {
                        owner,
                        process,
                        address,
                        mdl,
                    };
                    let start = entry.start();
                    *place = Some(entry);
                    Ok(start)
                }
                Err(error) => Err(Rejected {
                    error,
                    returned: mdl.free(),
                }),
            }
        })
    }

    /// Undoes a mapping of this owner, in the current process. False if there is
    /// none at that address.
    pub fn unmap(&self, owner: Owner, address: usize, passive: &mut Passive) -> bool {
        let process = current_process_id();
        let is_it = |entry: &Entry| entry.is(owner, process, address);
        self.0.end(is_it, passive) != 0
    }

    /// Undoes all mappings of this owner, in whatever process they are.
    pub fn unmap_all(&self, owner: Owner, passive: &mut Passive) {
        self.0.end(|entry| entry.owner == owner, passive);
    }

    /// Runs `work` with the memory of a mapping of this owner in the current
    /// process, at the kernel's own address. The program may be using it meanwhile.
    /// `None` if there is no such mapping.
    pub fn with_memory<R>(
        &self,
        owner: Owner,
        address: usize,
        passive: &mut Passive,
        work: impl FnOnce(SharedBytes<'_>) -> R,
    ) -> Option<R> {
        let process = current_process_id();
        self.0.mappings.with(passive, |table, _| {
            let mut entries = table.iter().flatten();
            let entry = entries.find(|entry| entry.is(owner, process, address))?;
            Some(work(entry.mdl.block().memory()))
        })
    }

    /// How many mappings there are, and how many bytes these have.
    #[must_use]
    pub fn held(&self, passive: &mut Passive) -> (usize, usize) {
        self.0.mappings.with(passive, |table, _| {
            let sizes = table.iter().flatten().map(|entry| entry.mdl.block().size());
            sizes.fold((0_usize, 0_usize), |(count, sum), size| {
                (count.saturating_add(1), sum.saturating_add(size))
            })
        })
    }
}

impl Entry {
    fn is(&self, owner: Owner, process: usize, address: usize) -> bool {
        self.owner == owner && self.process == process && self.start() == address
    }
}

impl<const N: usize> Table<N> {
    /// Ends the mappings that `which` says; returns how many.
    fn end(&self, which: impl Fn(&Entry) -> bool, irql: &mut Apc) -> usize {
        self.mappings.with(irql, |table, apc| {
            let ended = table
                .iter_mut()
                .filter_map(|place| place.take_if(|entry| which(entry)));
            ended.fold(0, |count: usize, entry| {
                entry.end(apc);
                count.saturating_add(1)
            })
        })
    }
}

impl<const N: usize> Observer for Table<N> {
    fn process_ends(&self, process: usize, passive: &mut Passive) {
        self.end(|entry| entry.process == process, passive);
    }
}

impl<const N: usize> Drop for Table<N> {
    fn drop(&mut self) {
        // SAFETY: a watch drops its observer at PASSIVE_LEVEL, and the table is in
        // nobody else's hands.
        let mut passive = unsafe { Passive::assume() };
        self.end(|_| true, &mut passive);
    }
}

impl<const N: usize> fmt::Debug for UserMappings<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UserMappings of up to {N}")
    }
}
