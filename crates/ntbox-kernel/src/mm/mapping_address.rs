//! Addresses that are reserved for mappings made later, so that mapping an MDL
//! cannot fail when it matters.

use std::collections::BTreeMap;

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::kernel_address_space::{Area, Frames, Protection, Use};
use ntbox_host::memory_map::{MAPPING_ADDRESSES, PAGE_SIZE};
use ntbox_host::{driver_mem, kernel_address_space};

use super::mdl::{View, flag, offset};
use super::{resource_ledger, with};
use crate::base::export::exports;

/// `SYSTEM_PTE_MISUSE`.
const SYSTEM_PTE_MISUSE: u32 = 0xda;

/// A range that is reserved.
#[derive(Debug, Clone, Copy)]
pub struct Reserved {
    pages: u64,
    tag: u32,
    /// Pages that are mapped now; 0 for none.
    mapped: u64,
}

/// All of them, by address.
pub type Reservations = BTreeMap<u64, Reserved>;

exports! {
    /// `MmAllocateMappingAddress`.
    fn MmAllocateMappingAddress<call>(bytes: u64, tag: u32) -> u64 [max APC_LEVEL, wdm] fails 0 {
        allocate(bytes, tag, call.return_address())
    }

    /// `MmAllocateMappingAddressEx`: the same with flags, of which none matters here.
    fn MmAllocateMappingAddressEx<call>(bytes: u64, tag: u32, flags: u32) -> u64
        [max APC_LEVEL, wdm, since VERSION_2004] fails 0 {
        allocate(bytes, tag, call.return_address())
    }

    /// `MmFreeMappingAddress`.
    fn MmFreeMappingAddress(base: u64, tag: u32) -> () [max APC_LEVEL, wdm] {
        let base = base & !(PAGE_SIZE - 1);
        let reserved = get(base);
        match reserved {
            None => return Err(misuse(0x102, [base, u64::from(tag), 0], "freed, which is not reserved")),
            Some(own) if own.tag != tag => {
                return Err(misuse(0x101, [base, u64::from(tag), u64::from(own.tag)], "freed with a tag that is not its own"));
            }
            Some(own) if own.mapped != 0 => {
                return Err(misuse(0x103, [base, u64::from(tag), own.pages], "freed while an MDL is mapped there"));
            }
            Some(_) => {}
        }
        with(|memory| memory.reservations.remove(&base));
        resource_ledger::give(base);
        Ok(())
    }

    /// `MmMapLockedPagesWithReservedMapping`: NULL if the range is too small.
    fn MmMapLockedPagesWithReservedMapping(base: u64, tag: u32, mdl: u64, cache: u32) -> u64
        [max DISPATCH_LEVEL, wdm] fails 0
    {
        map(base & !(PAGE_SIZE - 1), tag, mdl)
    }

    /// `MmUnmapReservedMapping`.
    fn MmUnmapReservedMapping(base: u64, tag: u32, mdl: u64) -> () [max DISPATCH_LEVEL, wdm] {
        unmap(base & !(PAGE_SIZE - 1), tag, mdl)
    }
}

fn get(base: u64) -> Option<Reserved> {
    with(|memory| memory.reservations.get(&base).copied())
}

fn misuse(kind: u64, [a, b, c]: [u64; 3], what: &str) -> NoReturn {
    let what = format!("the mapping address {a:#018x} was {what}");
    NoReturn::bug_check(SYSTEM_PTE_MISUSE, [kind, a, b, c], what)
}

fn allocate(bytes: u64, tag: u32, caller: u64) -> Result<u64, NoReturn> {
    if bytes == 0 {
        let what = "a mapping address for 0 bytes was asked for";
        return Err(NoReturn::bug_check(
            SYSTEM_PTE_MISUSE,
            [0x100, 0, u64::from(tag), caller],
            what,
        ));
    }
    if tag == 0 {
        return Ok(0);
    }
    let pages = bytes.div_ceil(PAGE_SIZE);
    let base = with(|memory| {
        let zone = MAPPING_ADDRESSES;
        let mut at = zone.base;
        for (start, reserved) in &memory.reservations {
            if start - at > pages * PAGE_SIZE {
                break;
            }
            at = start + (reserved.pages + 1) * PAGE_SIZE;
        }
        (at + pages * PAGE_SIZE < zone.end()).then(|| {
            let reserved = Reserved {
                pages,
                tag,
                mapped: 0,
            };
            memory.reservations.insert(at, reserved);
            at
        })
    });
    let Some(base) = base else { return Ok(0) };
    let what = format!("the mapping address {base:#018x} is not freed");
    resource_ledger::take(base, rules::MAPPING_ADDRESS_LEAK, what, caller);
    Ok(base)
}

fn map(base: u64, tag: u32, mdl: u64) -> Result<u64, NoReturn> {
    let mut view = View::read(mdl)?;
    let Some(reserved) = get(base) else {
        return Err(misuse(
            0x105,
            [base, u64::from(tag), 0],
            "mapped to, which is not reserved",
        ));
    };
    if reserved.tag != tag {
        let tags = [base, u64::from(tag), u64::from(reserved.tag)];
        return Err(misuse(
            0x104,
            tags,
            "mapped to with a tag that is not its own",
        ));
    }
    if reserved.mapped != 0 {
        let last = base + (reserved.pages - 1) * PAGE_SIZE;
        return Err(misuse(
            0x107,
            [base, base, last],
            "mapped to while an MDL is mapped there",
        ));
    }
    let frames = view.frames()?;
    let pages = frames.len() as u64;
    if pages > reserved.pages {
        return Ok(0);
    }
    let mapped = with(|memory| {
        let area = Area {
            pages,
            frames: Frames::List(frames),
            protection: Protection::READ_WRITE,
            used_for: Use::SystemMapping,
        };
        memory.space.map(&memory.physical, base, area)?;
        if let Some(reserved) = memory.reservations.get_mut(&base) {
            reserved.mapped = pages;
        }
        Ok::<(), kernel_address_space::NoSpace>(())
    });
    if mapped.is_err() {
        return Ok(0);
    }
    let address = base + u64::from(view.offset);
    driver_mem::write_u64(mdl + offset::MAPPED_SYSTEM_VA, address)?;
    view.set_flags(view.flags | flag::MAPPED_TO_SYSTEM_VA)?;
    Ok(address)
}

fn unmap(base: u64, tag: u32, mdl: u64) -> Result<(), NoReturn> {
    let mut view = View::read(mdl)?;
    let Some(reserved) = get(base) else {
        return Err(misuse(
            0x109,
            [base, u64::from(tag), 0],
            "unmapped, which is not reserved",
        ));
    };
    let pages = view.pages();
    if reserved.tag != tag {
        let tags = [base, u64::from(tag), u64::from(reserved.tag)];
        return Err(misuse(
            0x108,
            tags,
            "unmapped with a tag that is not its own",
        ));
    }
    match reserved.mapped {
        0 => {
            return Err(misuse(
                0x10b,
                [base, u64::from(tag), pages],
                "unmapped and nothing is mapped there",
            ));
        }
        mapped if pages > mapped => {
            return Err(misuse(
                0x10a,
                [base, mapped, pages],
                "unmapped with an MDL of more pages than are mapped",
            ));
        }
        mapped if pages < mapped => {
            return Err(misuse(
                0x10c,
                [base, u64::from(tag), pages],
                "unmapped with an MDL of fewer pages than are mapped",
            ));
        }
        _ => {}
    }
    with(|memory| {
        memory.space.unmap(base);
        if let Some(reserved) = memory.reservations.get_mut(&base) {
            reserved.mapped = 0;
        }
    });
    Ok(view.set_flags(view.flags & !(flag::MAPPED_TO_SYSTEM_VA | flag::PARTIAL_HAS_BEEN_MAPPED))?)
}
