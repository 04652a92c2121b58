//! Extra create parameters: what filters and file systems tell each other with a
//! request to open a file. Each is a context with a type, a GUID, and lies behind a
//! header in one block; a list of them travels with the request.
//!
//! Header and list are opaque to drivers.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::gate::{Call, Stop};
use ntbox_host::kernel_cell::Exclusive;

use super::irp;
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::io_layout::{major, stack};
use crate::base::list_walk::ListWalk;
use crate::ex::tracked_structs::Kind;
use crate::ex::{lookaside, pool};
use crate::mm;

/// Bytes of a header, and offsets in it.
const HEADER_BYTES: u32 = 0x48;
const HEADER: u64 = HEADER_BYTES as u64;
mod header {
    pub const SIGNATURE: u64 = 0x00;
    pub const LINKS: u64 = 0x08;
    pub const TYPE: u64 = 0x18;
    pub const CLEANUP: u64 = 0x28;
    pub const FLAGS: u64 = 0x30;
    /// Bytes of header and context.
    pub const SIZE: u64 = 0x34;
    /// A lookaside list; NULL for pool.
    pub const FROM: u64 = 0x38;
    /// Whether that has paged entries.
    pub const PAGED: u64 = 0x40;
}

/// Bytes of an `ECP_LIST`, and where its links are.
const LIST: u64 = 0x18;
const LIST_LINKS: u64 = 0x08;
const ECP_SIGNATURE: u32 = u32::from_le_bytes(*b"EcpH");
const LIST_SIGNATURE: u32 = u32::from_le_bytes(*b"EcpL");
/// Pool tag of lists.
const TAG: u32 = u32::from_le_bytes(*b"FSel");
/// `FSRTL_ALLOCATE_ECP_FLAG_NONPAGED_POOL` and `FSRTL_ECP_LOOKASIDE_FLAG_NONPAGED_POOL`.
const NONPAGED_FLAG: u32 = 2;
/// `NonPagedPoolNx` and `PagedPool`.
const NONPAGED: u32 = 0x200;
const PAGED: u32 = 1;
/// In a header's flags: somebody has looked at it.
const ACKNOWLEDGED: u32 = 0x1_0000;

/// The lists of requests that are on their way.
static OF_REQUESTS: Exclusive<BTreeMap<u64, u64>> = Exclusive::new(BTreeMap::new());

/// A type.
type Guid = [u64; 2];

fn guid(at: u64) -> Result<Guid, Fault> {
    Ok([
        driver_mem::read_u64(at)?,
        driver_mem::read_u64(at.wrapping_add(8))?,
    ])
}

/// What a header begins with.
struct New {
    kind: u64,
    cleanup: u64,
    /// Bytes of header and context.
    size: u32,
    from: u64,
    paged: bool,
}

fn begin(at: u64, new: &New) -> Result<(), Fault> {
    let [low, high] = guid(new.kind)?;
    driver_mem::fill(at, 0, HEADER)?;
    driver_mem::write_u32(at + header::SIGNATURE, ECP_SIGNATURE)?;
    driver_mem::write_u64(at + header::LINKS, at + header::LINKS)?;
    driver_mem::write_u64(at + header::LINKS + 8, at + header::LINKS)?;
    driver_mem::write_u64(at + header::TYPE, low)?;
    driver_mem::write_u64(at + header::TYPE + 8, high)?;
    driver_mem::write_u64(at + header::CLEANUP, new.cleanup)?;
    driver_mem::write_u32(at + header::SIZE, new.size)?;
    driver_mem::write_u64(at + header::FROM, new.from)?;
    driver_mem::write_u8(at + header::PAGED, new.paged.into())
}

fn begin_list(at: u64) -> Result<(), Fault> {
    driver_mem::write_u32(at, LIST_SIGNATURE)?;
    driver_mem::write_u32(at + 4, 0)?;
    driver_mem::write_u64(at + LIST_LINKS, at + LIST_LINKS)?;
    driver_mem::write_u64(at + LIST_LINKS + 8, at + LIST_LINKS)
}

/// The headers of a list, in the order of insertion.
fn members(list: u64) -> Result<Vec<u64>, Stop> {
    let end = list.wrapping_add(LIST_LINKS);
    let mut found = Vec::new();
    let mut walk = ListWalk::from(end);
    let mut at = driver_mem::read_u64(end)?;
    while at != end {
        walk.visit(at)?;
        found.push(at.wrapping_sub(header::LINKS));
        at = driver_mem::read_u64(at)?;
    }
    Ok(found)
}

fn find(list: u64, kind: u64) -> Result<Option<u64>, Stop> {
    let wanted = guid(kind)?;
    for at in members(list)? {
        if guid(at + header::TYPE)? == wanted {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn insert(list: u64, at: u64) -> Result<(), Fault> {
    let (head, links) = (list + LIST_LINKS, at + header::LINKS);
    let newest = driver_mem::read_u64(head + 8)?;
    driver_mem::write_u64(links, head)?;
    driver_mem::write_u64(links + 8, newest)?;
    driver_mem::write_u64(newest, links)?;
    driver_mem::write_u64(head + 8, links)
}

fn remove(at: u64) -> Result<(), Fault> {
    let links = at + header::LINKS;
    let (next, previous) = (
        driver_mem::read_u64(links)?,
        driver_mem::read_u64(links + 8)?,
    );
    driver_mem::write_u64(previous, next)?;
    driver_mem::write_u64(next.wrapping_add(8), previous)?;
    driver_mem::write_u64(links, links)?;
    driver_mem::write_u64(links + 8, links)
}

/// Calls the cleanup routine, and gives the memory back to where it is from.
fn free(at: u64, call: Option<&mut Call<'_>>, caller: &Caller<'_>) -> Result<(), Stop> {
    let cleanup = driver_mem::read_u64(at + header::CLEANUP)?;
    if cleanup != 0 {
        caller.call(cleanup, &[at + HEADER, at + header::TYPE]);
    }
    let from = driver_mem::read_u64(at + header::FROM)?;
    match call {
        Some(call) if from != 0 => {
            let paged = driver_mem::read_u8(at + header::PAGED)? != 0;
            lookaside::free(kind(paged), from, at, "FsRtlFreeExtraCreateParameter", call)
        }
        _ => {
            mm::pool::free_by(at, caller.address());
            Ok(())
        }
    }
}

/// Which lookaside list.
fn kind(paged: bool) -> Kind {
    if paged {
        Kind::PagedLookaside
    } else {
        Kind::NPagedLookaside
    }
}

/// Writes what was found to where it is wanted: context and size.
fn tell(at: Option<u64>, context: u64, size: u64) -> Result<u32, Fault> {
    if context != 0 {
        driver_mem::write_u64(context, at.map_or(0, |at| at + HEADER))?;
    }
    if size != 0 {
        let bytes = match at {
            Some(at) => driver_mem::read_u32(at + header::SIZE)?.saturating_sub(HEADER_BYTES),
            None => 0,
        };
        driver_mem::write_u32(size, bytes)?;
    }
    Ok(at.map_or(nt_status::STATUS_NOT_FOUND, |_| nt_status::STATUS_SUCCESS))
}

fn allocate(
    kind: u64,
    bytes: u32,
    flags: u32,
    cleanup: u64,
    tag: u32,
    caller: u64,
) -> Result<Option<u64>, Fault> {
    let pool = if flags & NONPAGED_FLAG == 0 {
        PAGED
    } else {
        NONPAGED
    };
    let size = HEADER + u64::from(bytes);
    let Ok(at) = pool::allocate_or_raise(pool, size, tag, caller) else {
        return Ok(None);
    };
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let paged = pool == PAGED;
    begin(
        at,
        &New {
            kind,
            cleanup,
            size,
            from: 0,
            paged,
        },
    )?;
    Ok(Some(at))
}

/// Whether a request opens a file.
fn is_create(packet: u64) -> Result<bool, Fault> {
    let place = irp::location(packet)?;
    Ok(driver_mem::read_u8(place + stack::MAJOR)? == major::CREATE)
}

/// What a request to open a file takes along.
#[derive(Debug)]
pub struct Travelling {
    packet: u64,
    own: Option<u64>,
    members: Vec<u64>,
}

/// A request to open a file begins, with the list of the one who asks; 0 for none.
///
/// # Errors
/// The list cannot be read.
pub fn request_begins(packet: u64, list: u64) -> Result<Travelling, Stop> {
    let mut travelling = Travelling {
        packet,
        own: None,
        members: Vec::new(),
    };
    if list != 0 {
        travelling.own = Some(list);
        travelling.members = members(list)?;
        OF_REQUESTS.lock().insert(packet, list);
    }
    Ok(travelling)
}

/// It has ended: what others have attached goes, the list and what it began with stay
/// with the one who asked.
///
/// # Errors
/// The list cannot be read, or a cleanup routine does not return.
pub fn request_ends(travelling: &Travelling, caller: &Caller<'_>) -> Result<(), Stop> {
    let Some(list) = OF_REQUESTS.lock().remove(&travelling.packet) else {
        return Ok(());
    };
    for at in members(list)? {
        if !travelling.members.contains(&at) {
            remove(at)?;
            free(at, None, caller)?;
        }
    }
    if travelling.own != Some(list) {
        mm::pool::free_by(list, caller.address());
    }
    Ok(())
}

exports! {
    /// `FsRtlAllocateExtraCreateParameterList`.
    fn FsRtlAllocateExtraCreateParameterList<call>(flags: u32, out: u64) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        driver_mem::write_u64(out, 0)?;
        let Ok(list) = pool::allocate_or_raise(PAGED, LIST, TAG, call.return_address()) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        begin_list(list)?;
        driver_mem::write_u64(out, list)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlInitializeExtraCreateParameterList`.
    fn FsRtlInitializeExtraCreateParameterList(list: u64) -> u32 [max APC_LEVEL, ntifs, since WINDOWS_7] {
        begin_list(list)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlFreeExtraCreateParameterList`: with all that is in it.
    fn FsRtlFreeExtraCreateParameterList<call>(list: u64) -> () [max APC_LEVEL, ntifs] {
        for at in members(list)? {
            remove(at)?;
            let caller = Caller::of(call);
            free(at, Some(call), &caller)?;
        }
        mm::pool::free_by(list, call.return_address());
        Ok(())
    }

    /// `FsRtlAllocateExtraCreateParameter`.
    fn FsRtlAllocateExtraCreateParameter<call>(
        kind: u64, size: u32, flags: u32, cleanup: u64, tag: u32, out: u64,
    ) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        driver_mem::write_u64(out, 0)?;
        match allocate(kind, size, flags, cleanup, tag, call.return_address())? {
            Some(at) => {
                driver_mem::write_u64(out, at + HEADER)?;
                Ok(nt_status::STATUS_SUCCESS)
            }
            None => Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES),
        }
    }

    /// `FsRtlInitializeExtraCreateParameter`: the size counts the header.
    fn FsRtlInitializeExtraCreateParameter(at: u64, flags: u32, cleanup: u64, size: u32, kind: u64, from: u64) -> ()
        [max APC_LEVEL, ntifs, since WINDOWS_7]
    {
        Ok(begin(at, &New { kind, cleanup, size, from, paged: true })?)
    }

    /// `FsRtlFreeExtraCreateParameter`: of one that is in no list.
    fn FsRtlFreeExtraCreateParameter<call>(context: u64) -> () [max APC_LEVEL, ntifs] {
        let caller = Caller::of(call);
        free(context.wrapping_sub(HEADER), Some(call), &caller)
    }

    /// `FsRtlInsertExtraCreateParameter`: one of each type.
    fn FsRtlInsertExtraCreateParameter(list: u64, context: u64) -> u32 [max APC_LEVEL, ntifs] {
        let at = context.wrapping_sub(HEADER);
        if find(list, at + header::TYPE)?.is_some() {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        insert(list, at)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlFindExtraCreateParameter`.
    fn FsRtlFindExtraCreateParameter(list: u64, kind: u64, context: u64, size: u64) -> u32 [max APC_LEVEL, ntifs] {
        Ok(tell(find(list, kind)?, context, size)?)
    }

    /// `FsRtlRemoveExtraCreateParameter`: takes it out, and leaves it to the caller.
    fn FsRtlRemoveExtraCreateParameter(list: u64, kind: u64, context: u64, size: u64) -> u32 [max APC_LEVEL, ntifs] {
        let found = find(list, kind)?;
        if let Some(at) = found {
            remove(at)?;
        }
        Ok(tell(found, context, size)?)
    }

    /// `FsRtlGetNextExtraCreateParameter`: the one after this, or the first.
    fn FsRtlGetNextExtraCreateParameter(list: u64, current: u64, kind: u64, context: u64, size: u64) -> u32
        [max APC_LEVEL, ntifs]
    {
        if list == 0 {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let all = members(list)?;
        let next = match current {
            0 => all.first(),
            current => {
                let at = all.iter().position(|at| at + HEADER == current);
                at.and_then(|at| all.get(at + 1))
            }
        };
        if let Some(at) = next && kind != 0 {
            driver_mem::copy(kind, at + header::TYPE, 16)?;
        }
        Ok(tell(next.copied(), context, size)?)
    }

    /// `FsRtlAcknowledgeEcp`.
    fn FsRtlAcknowledgeEcp(context: u64) -> () [max APC_LEVEL, ntifs] {
        let flags = context.wrapping_sub(HEADER) + header::FLAGS;
        Ok(driver_mem::write_u32(flags, driver_mem::read_u32(flags)? | ACKNOWLEDGED)?)
    }

    /// `FsRtlPrepareToReuseEcp`.
    fn FsRtlPrepareToReuseEcp(context: u64) -> () [max APC_LEVEL, ntifs, since WINDOWS_8] {
        let flags = context.wrapping_sub(HEADER) + header::FLAGS;
        Ok(driver_mem::write_u32(flags, driver_mem::read_u32(flags)? & !ACKNOWLEDGED)?)
    }

    /// `FsRtlIsEcpAcknowledged`.
    fn FsRtlIsEcpAcknowledged(context: u64) -> bool [max APC_LEVEL, ntifs] {
        let flags = driver_mem::read_u32(context.wrapping_sub(HEADER) + header::FLAGS)?;
        Ok(flags & ACKNOWLEDGED != 0)
    }

    /// `FsRtlIsEcpFromUserMode`: programs send none.
    fn FsRtlIsEcpFromUserMode(context: u64) -> bool [max APC_LEVEL, ntifs] {
        Ok(false)
    }

    /// `FsRtlGetEcpListFromIrp`: NULL if it has none.
    fn FsRtlGetEcpListFromIrp(packet: u64, out: u64) -> u32 [max APC_LEVEL, ntifs] {
        if !is_create(packet)? {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let list = OF_REQUESTS.lock().get(&packet).copied();
        driver_mem::write_u64(out, list.unwrap_or(0))?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlSetEcpListIntoIrp`: once.
    fn FsRtlSetEcpListIntoIrp(packet: u64, list: u64) -> u32 [max APC_LEVEL, ntifs] {
        if !is_create(packet)? {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_2);
        }
        let mut lists = OF_REQUESTS.lock();
        if lists.contains_key(&packet) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_3);
        }
        lists.insert(packet, list);
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlInitExtraCreateParameterLookasideList`: of contexts of a size.
    fn FsRtlInitExtraCreateParameterLookasideList<call>(list: u64, flags: u32, size: u64, tag: u32) -> ()
        [max APC_LEVEL, ntifs]
    {
        let paged = flags & NONPAGED_FLAG == 0;
        let parameters = lookaside::Parameters {
            kind: kind(paged),
            allocate: 0,
            free: 0,
            pool_type: if paged { PAGED } else { NONPAGED },
            size: HEADER + size,
            tag,
        };
        lookaside::initialize(list, parameters, call.return_address())
    }

    /// `FsRtlDeleteExtraCreateParameterLookasideList`.
    fn FsRtlDeleteExtraCreateParameterLookasideList<call>(list: u64, flags: u32) -> () [max APC_LEVEL, ntifs] {
        let kind = kind(flags & NONPAGED_FLAG == 0);
        lookaside::delete(kind, list, "FsRtlDeleteExtraCreateParameterLookasideList", call)
    }

    /// `FsRtlAllocateExtraCreateParameterFromLookasideList`: what is too large for the
    /// list is pool.
    fn FsRtlAllocateExtraCreateParameterFromLookasideList<call>(
        kind: u64, size: u32, flags: u32, cleanup: u64, list: u64, out: u64,
    ) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        /// Offsets of type, tag and size of entries in a lookaside list.
        const POOL_TYPE: u64 = 0x24;
        const LIST_TAG: u64 = 0x28;
        const ENTRY_SIZE: u64 = 0x2c;
        driver_mem::write_u64(out, 0)?;
        let room = u64::from(driver_mem::read_u32(list + ENTRY_SIZE)?);
        let paged = driver_mem::read_u32(list + POOL_TYPE)? & PAGED != 0;
        let whole = HEADER + u64::from(size);
        let at = if whole > room {
            let flags = if paged { 0 } else { NONPAGED_FLAG };
            let tag = driver_mem::read_u32(list + LIST_TAG)?;
            allocate(kind, size, flags, cleanup, tag, call.return_address())?
        } else {
            let function = "FsRtlAllocateExtraCreateParameterFromLookasideList";
            let at = Some(lookaside::allocate(self::kind(paged), list, function, call)?).filter(|at| *at != 0);
            if let Some(at) = at {
                let size = u32::try_from(whole).unwrap_or(u32::MAX);
                begin(at, &New { kind, cleanup, size, from: list, paged })?;
            }
            at
        };
        let Some(at) = at else { return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES) };
        driver_mem::write_u64(out, at + HEADER)?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}
