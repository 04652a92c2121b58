//! Extra create parameters: what filters and file systems tell each other with a
//! request to open a file. Each is a context with a type, a GUID, and lies behind a
//! header in one block; a list of them travels with the request.
//!
//! Header and list are opaque to drivers.

use std::collections::BTreeMap;

use nt_layout::{EcpHeader, EcpList, IoStackLocation, ListEntry};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::kernel_cell::KernelCell;

use super::irp;
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::io_layout::major;
use crate::base::list_walk::ListWalk;
use crate::ex::tracked_structs::Kind;
use crate::ex::{lookaside, pool};
use crate::mm;

/// Bytes of a header.
const HEADER: u64 = DriverPtr::<EcpHeader>::SIZE;
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
static OF_REQUESTS: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

/// A type.
type Guid = [u64; 2];

fn guid(at: u64) -> Result<Guid, Fault> {
    Ok([
        driver_mem::read_u64(at)?,
        driver_mem::read_u64(at.wrapping_add(8))?,
    ])
}

/// The fields of a new header.
struct EcpParams {
    kind: u64,
    cleanup: u64,
    /// Bytes of header and context.
    size: u32,
    lookaside_list: u64,
    paged: bool,
}

fn initialize(header: u64, params: &EcpParams) -> Result<(), Fault> {
    let ecp_type = guid(params.kind)?;
    driver_mem::fill(header, 0, HEADER)?;
    let header = DriverPtr::<EcpHeader>::new(header);
    header.set(|header| &header.signature, ECP_SIGNATURE)?;
    initialize_links(links_of(header))?;
    header.set(|header| &header.ecp_type[0], ecp_type[0])?;
    header.set(|header| &header.ecp_type[1], ecp_type[1])?;
    header.set(|header| &header.cleanup_callback, params.cleanup)?;
    header.set(|header| &header.size, params.size)?;
    header.set(|header| &header.lookaside_list, params.lookaside_list)?;
    header.set(|header| &header.is_paged, params.paged.into())
}

fn initialize_list(list: u64) -> Result<(), Fault> {
    let list = DriverPtr::<EcpList>::new(list);
    list.set(|list| &list.signature, LIST_SIGNATURE)?;
    list.set(|list| &list.flags, 0)?;
    initialize_links(list.at(|list| &list.ecp_list))
}

fn initialize_links(links: DriverPtr<ListEntry>) -> Result<(), Fault> {
    links.set(|links| &links.flink, links.address())?;
    links.set(|links| &links.blink, links.address())
}

fn links_of(header: DriverPtr<EcpHeader>) -> DriverPtr<ListEntry> {
    header.at(|header| &header.list_entry)
}

/// The address of the type of a header.
fn type_of(header: u64) -> u64 {
    DriverPtr::<EcpHeader>::new(header)
        .at(|header| &header.ecp_type)
        .address()
}

/// The headers of a list, in the order of insertion.
fn members(list: u64) -> Result<Vec<u64>, NoReturn> {
    let head = DriverPtr::<EcpList>::new(list).at(|list| &list.ecp_list);
    let mut headers = Vec::new();
    let mut walk = ListWalk::from(head.address());
    let mut links = DriverPtr::<ListEntry>::new(head.get(|head| &head.flink)?);
    while links != head {
        walk.visit(links.address())?;
        headers.push(
            links
                .containing(|header: &EcpHeader| &header.list_entry)
                .address(),
        );
        links = DriverPtr::new(links.get(|links| &links.flink)?);
    }
    Ok(headers)
}

fn find(list: u64, kind: u64) -> Result<Option<u64>, NoReturn> {
    let kind = guid(kind)?;
    for header in members(list)? {
        if guid(type_of(header))? == kind {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

fn insert(list: u64, header: u64) -> Result<(), Fault> {
    let head = DriverPtr::<EcpList>::new(list).at(|list| &list.ecp_list);
    let links = links_of(DriverPtr::new(header));
    let newest = head.get(|head| &head.blink)?;
    links.set(|links| &links.flink, head.address())?;
    links.set(|links| &links.blink, newest)?;
    DriverPtr::<ListEntry>::new(newest).set(|newest| &newest.flink, links.address())?;
    head.set(|head| &head.blink, links.address())
}

fn remove(header: u64) -> Result<(), Fault> {
    let links = links_of(DriverPtr::new(header));
    let (next, previous) = (
        links.get(|links| &links.flink)?,
        links.get(|links| &links.blink)?,
    );
    DriverPtr::<ListEntry>::new(previous).set(|previous| &previous.flink, next)?;
    DriverPtr::<ListEntry>::new(next).set(|next| &next.blink, previous)?;
    initialize_links(links)
}

/// Calls the cleanup routine and frees the memory to its lookaside list or pool.
fn free(
    header: u64,
    call: Option<&mut Call<'_>>,
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    let header = DriverPtr::<EcpHeader>::new(header);
    let cleanup = header.get(|header| &header.cleanup_callback)?;
    if cleanup != 0 {
        caller.call(
            cleanup,
            &[header.next(1).address(), type_of(header.address())],
        );
    }
    let lookaside_list = header.get(|header| &header.lookaside_list)?;
    match call {
        Some(call) if lookaside_list != 0 => {
            let paged = header.get(|header| &header.is_paged)? != 0;
            lookaside::free(
                kind(paged),
                lookaside_list,
                header.address(),
                "FsRtlFreeExtraCreateParameter",
                call,
            )
        }
        _ => {
            mm::pool::free_by(header.address(), caller.address());
            Ok(())
        }
    }
}

/// The flags of the header before a context.
fn flags_of(context: u64) -> DriverPtr<u32> {
    DriverPtr::<EcpHeader>::new(context.wrapping_sub(HEADER)).at(|header| &header.flags)
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
            Some(at) => {
                let bytes = DriverPtr::<EcpHeader>::new(at).get(|header| &header.size)?;
                bytes.saturating_sub(DriverPtr::<EcpHeader>::SIZE_FIELD.into())
            }
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
    initialize(
        at,
        &EcpParams {
            kind,
            cleanup,
            size,
            lookaside_list: 0,
            paged,
        },
    )?;
    Ok(Some(at))
}

/// Whether a request opens a file.
fn is_create(irp: u64) -> Result<bool, Fault> {
    let stack_location = irp::location(irp)?;
    Ok(DriverPtr::<IoStackLocation>::new(stack_location)
        .get(|location| &location.major_function)?
        == major::CREATE)
}

/// The extra create parameters of a request that is being sent.
#[derive(Debug)]
pub struct PendingEcpList {
    irp: u64,
    own: Option<u64>,
    members: Vec<u64>,
}

/// A request to open a file begins, with the list of the one who asks; 0 for none.
///
/// # Errors
/// The list cannot be read.
pub fn request_begins(irp: u64, list: u64) -> Result<PendingEcpList, NoReturn> {
    let mut travelling = PendingEcpList {
        irp,
        own: None,
        members: Vec::new(),
    };
    if list != 0 {
        travelling.own = Some(list);
        travelling.members = members(list)?;
        OF_REQUESTS.lock().insert(irp, list);
    }
    Ok(travelling)
}

/// It has ended: what others have attached goes, the list and what it began with stay
/// with the one who asked.
///
/// # Errors
/// The list cannot be read, or a cleanup routine does not return.
pub fn request_ends(travelling: &PendingEcpList, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let Some(list) = OF_REQUESTS.lock().remove(&travelling.irp) else {
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
        let Ok(list) = pool::allocate_or_raise(PAGED, DriverPtr::<EcpList>::SIZE, TAG, call.return_address()) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        initialize_list(list)?;
        driver_mem::write_u64(out, list)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlInitializeExtraCreateParameterList`.
    fn FsRtlInitializeExtraCreateParameterList(list: u64) -> u32 [max APC_LEVEL, ntifs, since WINDOWS_7] {
        initialize_list(list)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlFreeExtraCreateParameterList`: with all that is in it.
    fn FsRtlFreeExtraCreateParameterList<call>(list: u64) -> () [max APC_LEVEL, ntifs] {
        for at in members(list)? {
            remove(at)?;
            let caller = CallContext::of(call);
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
        Ok(initialize(at, &EcpParams { kind, cleanup, size, lookaside_list: from, paged: true })?)
    }

    /// `FsRtlFreeExtraCreateParameter`: of one that is in no list.
    fn FsRtlFreeExtraCreateParameter<call>(context: u64) -> () [max APC_LEVEL, ntifs] {
        let caller = CallContext::of(call);
        free(context.wrapping_sub(HEADER), Some(call), &caller)
    }

    /// `FsRtlInsertExtraCreateParameter`: one of each type.
    fn FsRtlInsertExtraCreateParameter(list: u64, context: u64) -> u32 [max APC_LEVEL, ntifs] {
        let at = context.wrapping_sub(HEADER);
        if find(list, type_of(at))?.is_some() {
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
            driver_mem::copy(kind, type_of(*at), 16)?;
        }
        Ok(tell(next.copied(), context, size)?)
    }

    /// `FsRtlAcknowledgeEcp`.
    fn FsRtlAcknowledgeEcp(context: u64) -> () [max APC_LEVEL, ntifs] {
        Ok(flags_of(context).update(|flags| flags | ACKNOWLEDGED)?)
    }

    /// `FsRtlPrepareToReuseEcp`.
    fn FsRtlPrepareToReuseEcp(context: u64) -> () [max APC_LEVEL, ntifs, since WINDOWS_8] {
        Ok(flags_of(context).update(|flags| flags & !ACKNOWLEDGED)?)
    }

    /// `FsRtlIsEcpAcknowledged`.
    fn FsRtlIsEcpAcknowledged(context: u64) -> bool [max APC_LEVEL, ntifs] {
        Ok(flags_of(context).read()? & ACKNOWLEDGED != 0)
    }

    /// `FsRtlIsEcpFromUserMode`: programs send none.
    fn FsRtlIsEcpFromUserMode(context: u64) -> bool [max APC_LEVEL, ntifs] {
        Ok(false)
    }

    /// `FsRtlGetEcpListFromIrp`: NULL if it has none.
    fn FsRtlGetEcpListFromIrp(irp: u64, out: u64) -> u32 [max APC_LEVEL, ntifs] {
        if !is_create(irp)? {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let list = OF_REQUESTS.lock().get(&irp).copied();
        driver_mem::write_u64(out, list.unwrap_or(0))?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `FsRtlSetEcpListIntoIrp`: once.
    fn FsRtlSetEcpListIntoIrp(irp: u64, list: u64) -> u32 [max APC_LEVEL, ntifs] {
        if !is_create(irp)? {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_2);
        }
        let mut lists = OF_REQUESTS.lock();
        if lists.contains_key(&irp) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_3);
        }
        lists.insert(irp, list);
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
                initialize(at, &EcpParams { kind, cleanup, size, lookaside_list: list, paged })?;
            }
            at
        };
        let Some(at) = at else { return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES) };
        driver_mem::write_u64(out, at + HEADER)?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}
