//! Mappings that outlive their request. Each belongs to an owner, and is unmapped with the
//! owner, with its process, or with the table.

use core::fmt;

use super::{Access, MappedAddress};
use crate::{
    Error, Rejected, Result, Status,
    irp::Requestor,
    irql::{Apc, Passive},
    map::CacheType,
    mdl::{BuiltForNonpaged, Mdl},
    memory::SharedBytes,
    pool::{NonpagedBlock, PoolTag},
    process::{ProcessNotify, ProcessObserver, current_process_id},
    sync::FastMutex,
};

/// The refusal of a table that has ended.
const UNLOADING: Error = Error::new("MmMapLockedPagesSpecifyCache", Status::DELETE_PENDING);

/// Who a mapping belongs to: any number, such as one for each open file.
pub type Owner = u64;

/// Up to `N` mappings of pool into programs.
///
/// IRQL: `PASSIVE_LEVEL`, unless a method says otherwise; dropping it:
/// `<= DISPATCH_LEVEL`, as for [`ProcessNotify`]. When the driver is being unloaded, there is
/// nothing in it any more.
///
/// ```no_run
/// # use wdm::{Status, irp::Request, irql::Passive, pool::NonpagedBlock, user_map::{Access, UserMappingTable}};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # struct File { number: u64 }
/// # fn example(mut request: Request<'_, File>, block: NonpagedBlock, passive: &mut Passive) -> Result<(), Status> {
/// # let file = File { number: 1 };
/// // When the driver starts:
/// let mappings = UserMappingTable::<16>::new(TAG, passive).map_err(|error| error.status())?;
/// // For a request of a program:
/// let program = request.user_requestor()?;
/// let address = mappings.map(file.number, block, Access::Read, &program, passive);
/// let address = address.map_err(|rejected| rejected.error.status())?;
/// // When its last handle is closed:
/// mappings.unmap_all(file.number, passive);
/// # Ok(())
/// # }
/// ```
pub struct UserMappingTable<const N: usize>(ProcessNotify<Table<N>>);

/// Type invariant: the kernel tells the table of the end of processes, or there is
/// nothing in it and `is_closed`. Entries are made in a program's own thread, and so
/// before the program's last thread ends, of which the table is told then.
struct Table<const N: usize> {
    mappings: FastMutex<Mappings<N>>,
}

struct Mappings<const N: usize> {
    entries: [Option<Entry>; N],
    /// The table is not told of processes any more.
    is_closed: bool,
}

struct Entry {
    owner: Owner,
    /// Identifier of the process; until it ends, no other has the same.
    process: usize,
    address: MappedAddress,
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

impl<const N: usize> UserMappingTable<N> {
    /// A table without mappings, which learns of the end of processes:
    /// `PsSetCreateProcessNotifyRoutine`.
    ///
    /// # Errors
    ///
    /// As for [`ProcessNotify::new`].
    pub fn new(tag: PoolTag, passive: &mut Passive) -> Result<Self> {
        let table = Table {
            mappings: FastMutex::new(
                Mappings {
                    entries: [const { None }; N],
                    is_closed: true,
                },
                tag,
            )?,
        };
        let watch = ProcessNotify::new(table, tag, passive)?;
        // From here on the table is told.
        watch.with(|table| {
            table
                .mappings
                .with(passive, |mappings, _| mappings.is_closed = false);
        });
        Ok(Self(watch))
    }

    /// Maps a block, which is whole pages, into the program that asks, cached as pool
    /// is; returns the address there. What is in the block is shown to the program.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: the table is full, or what
    ///   [`Mdl::allocate`] says.
    /// * `STATUS_DELETE_PENDING`: the driver is being unloaded.
    /// * As for [`Mdl::with_user_mapping`].
    ///
    /// Each returns the block.
    pub fn map(
        &self,
        owner: Owner,
        block: NonpagedBlock,
        access: Access,
        program: &Requestor<'_>,
        passive: &mut Passive,
    ) -> Result<usize, Rejected<NonpagedBlock>> {
        let mdl = Mdl::allocate(block)?.build_for_nonpaged_pool();
        let mapped = self.0.with_value(mdl, |table, mdl| {
            table.mappings.with(passive, |mappings, apc| {
                mappings.map(owner, mdl, access, program, apc)
            })
        });
        mapped.unwrap_or_else(|mdl| {
            Err(Rejected {
                error: UNLOADING,
                returned: mdl.free(),
            })
        })
    }

    /// Undoes a mapping of this owner, in the current process. False if there is
    /// none at that address.
    pub fn unmap(&self, owner: Owner, address: usize, passive: &mut Passive) -> bool {
        let process = current_process_id();
        let is_it = |entry: &Entry| entry.is(owner, process, address);
        self.0.with(|table| table.end(is_it, passive)) > Some(0)
    }

    /// Undoes all mappings of this owner, in whatever process they are.
    pub fn unmap_all(&self, owner: Owner, passive: &mut Passive) {
        self.0
            .with(|table| table.end(|entry| entry.owner == owner, passive));
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
        let worked = self.0.with(|table| {
            table.mappings.with(passive, |mappings, _| {
                let mut entries = mappings.entries.iter().flatten();
                let entry = entries.find(|entry| entry.is(owner, process, address))?;
                Some(work(entry.mdl.block().memory()))
            })
        });
        worked.flatten()
    }

    /// How many mappings there are, and how many bytes these have.
    #[must_use]
    pub fn usage(&self, passive: &mut Passive) -> (usize, usize) {
        let held = self.0.with(|table| {
            table.mappings.with(passive, |mappings, _| {
                let entries = mappings.entries.iter().flatten();
                let sizes = entries.map(|entry| entry.mdl.block().size());
                sizes.fold((0_usize, 0_usize), |(count, sum), size| {
                    (count.saturating_add(1), sum.saturating_add(size))
                })
            })
        });
        held.unwrap_or_default()
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
        self.mappings.with(irql, |mappings, apc| {
            let ended = mappings
                .entries
                .iter_mut()
                .filter_map(|place| place.take_if(|entry| which(entry)));
            ended.fold(0, |count: usize, entry| {
                entry.end(apc);
                count.saturating_add(1)
            })
        })
    }
}

impl<const N: usize> ProcessObserver for Table<N> {
    fn on_process_exit(&self, process: usize, passive: &mut Passive) {
        self.end(|entry| entry.process == process, passive);
    }

    /// While the table is still told of processes: one that ended before its mapping
    /// is undone would take the mapping with it.
    fn on_unregister(&self, passive: &mut Passive) {
        self.mappings
            .with(passive, |mappings, _| mappings.is_closed = true);
        self.end(|_| true, passive);
    }
}

impl<const N: usize> Mappings<N> {
    /// Maps the block of an MDL into the program, and enters that.
    fn map(
        &mut self,
        owner: Owner,
        mdl: Mdl<BuiltForNonpaged>,
        access: Access,
        _: &Requestor<'_>,
        apc: &Apc,
    ) -> Result<usize, Rejected<NonpagedBlock>> {
        let refuse = |error, mdl: Mdl<BuiltForNonpaged>| {
            Err(Rejected {
                error,
                returned: mdl.free(),
            })
        };
        if self.is_closed {
            return refuse(UNLOADING, mdl);
        }
        let Some(place) = self.entries.iter_mut().find(|place| place.is_none()) else {
            return refuse(Error::new("none", Status::INSUFFICIENT_RESOURCES), mdl);
        };
        // SAFETY: the entry ends the mapping before its MDL goes. The program has a
        // thread that has not ended, the one at hand, so the table is yet to be told
        // of its end, and waits for this lock then.
        match unsafe { MappedAddress::map(&mdl, access, CacheType::Cached, apc) } {
            Ok(address) => {
                let entry = Entry {
                    owner,
                    process: current_process_id(),
                    address,
                    mdl,
                };
                let start = entry.start();
                *place = Some(entry);
                Ok(start)
            }
            Err(error) => refuse(error, mdl),
        }
    }
}

impl<const N: usize> fmt::Debug for UserMappingTable<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UserMappingTable of up to {N}")
    }
}
