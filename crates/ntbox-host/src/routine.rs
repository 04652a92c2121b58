//! Routines of the driver that the kernel calls: where the address of one was, and
//! who put it there.
//!
//! A driver may hand over anything as a routine: NULL, a pointer into its data, the
//! pattern of pool that was never written. The call is then the kernel's, and
//! nothing of the driver stands on the stack. So what calls one says what it is.

use std::fmt;

use rustc_hash::FxHashMap;

use super::kernel_cell::KernelCell;
use super::memory_map;
use super::modules;

/// The kind of a routine of which nothing is known.
const ARGUMENT: &str = "routine";

/// A routine that the kernel calls.
#[derive(Debug, Clone, Copy)]
pub struct Routine {
    /// Its address, as the driver gave it.
    pub address: u64,
    /// What it is, such as `DPC routine`.
    kind: &'static str,
    /// The structure that held the address, and what that is; 0 for none.
    holder: (u64, &'static str),
    /// What registered it, such as `set by`, and the address in the driver that this
    /// call returns to; 0 for none.
    registrar: u64,
}

impl From<u64> for Routine {
    fn from(address: u64) -> Self {
        Self::new(address, ARGUMENT)
    }
}

impl Routine {
    /// A routine of a kind.
    #[must_use]
    pub fn new(address: u64, kind: &'static str) -> Self {
        Self {
            address,
            kind,
            holder: (0, ""),
            registrar: 0,
        }
    }

    /// The same, whose address a structure held, for which somebody may have
    /// registered it.
    #[must_use]
    pub fn held_by(self, holder: u64, kind: &'static str) -> Self {
        let registrar = REGISTRARS.lock();
        let registrar = registrar.as_ref().and_then(|all| all.get(&holder).copied());
        Self {
            holder: (holder, kind),
            registrar: registrar.unwrap_or(self.registrar),
            ..self
        }
    }

    /// The same, which the call that returns to `caller` registered.
    #[must_use]
    pub fn registered_by(self, caller: u64) -> Self {
        Self {
            registrar: caller,
            ..self
        }
    }

    /// Whether the processor can go there: [`is_reachable`].
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        is_reachable(self.address)
    }

    /// Whether it was not registered, but given to the call that calls it.
    #[must_use]
    pub fn is_argument(&self) -> bool {
        self.kind == ARGUMENT && self.holder.0 == 0 && self.registrar == 0
    }

    /// Return address of the call that registered it.
    #[must_use]
    pub fn registrar(&self) -> Option<u64> {
        (self.registrar != 0).then_some(self.registrar)
    }
}

impl fmt::Display for Routine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {:#018x}", self.kind, self.address)?;
        if self.holder.0 != 0 {
            write!(f, " of the {} at {:#018x}", self.holder.1, self.holder.0)?;
        }
        match modules::find(self.registrar) {
            Some(image) => {
                let offset = self.registrar - image.base;
                write!(f, ", which {}+{offset:#x} registered", image.name)
            }
            None => Ok(()),
        }
    }
}

/// Whether the processor can go to `address` at all, to find code or to fault: it is a
/// canonical address, and none of this program's own code.
#[must_use]
pub fn is_reachable(address: u64) -> bool {
    address < memory_map::driver_range().end || address >= 0xffff_8000_0000_0000
}

/// Who registered a routine in a structure, by the structure's address.
static REGISTRARS: KernelCell<Option<FxHashMap<u64, u64>>> = KernelCell::new(None);

/// Notes that the call which returns to `caller` put a routine into a structure.
pub fn note_registrar(holder: u64, caller: u64) {
    let mut registrars = REGISTRARS.lock();
    registrars.get_or_insert_default().insert(holder, caller);
}

/// Who registered the routine in a structure; 0 if nobody did.
pub fn registrar_of(holder: u64) -> u64 {
    let registrars = REGISTRARS.lock();
    let known = registrars
        .as_ref()
        .and_then(|all| all.get(&holder).copied());
    known.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_cell::Turn;

    #[test]
    fn is_reachable_rejects_noncanonical_addresses() {
        for address in [0xbdbd_bdbd_bdbd_bdbd, 0x0000_8000_0000_0000] {
            assert!(!Routine::from(address).is_reachable(), "{address:#x}");
        }
        for address in [0, 0x4400_0000_1000, u64::MAX] {
            assert!(Routine::from(address).is_reachable(), "{address:#x}");
        }
    }

    #[test]
    fn display_names_kind_and_holder() {
        let _turn = Turn::take();
        let routine = Routine::new(0x10, "DPC routine").held_by(0x20, "KDPC");
        assert_eq!(
            routine.to_string(),
            "the DPC routine 0x0000000000000010 of the KDPC at 0x0000000000000020"
        );
    }

    #[test]
    fn registrar_of_finds_registration() {
        let _turn = Turn::take();
        note_registrar(0x77_0000, 0x1234);
        assert_eq!(registrar_of(0x77_0000), 0x1234);
        assert_eq!(registrar_of(0x77_0008), 0);
    }
}
