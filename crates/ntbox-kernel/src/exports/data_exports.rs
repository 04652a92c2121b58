//! The variables that drivers import. Each has eight bytes, of which a driver reads
//! as many as its declaration says; a table has more.

use ntbox_host::memory_map::{HIGHEST_USER_ADDRESS, SYSTEM_RANGE_START, USER_PROBE_ADDRESS};

use crate::base::{os_version, thread_table};
use crate::fsrtl::name_rules;
use crate::kd::debugger;
use crate::ke::{hal_dispatch, processor};
use crate::ob;
use crate::se::se_exports;

/// This file.
pub const SOURCE: &str = file!();

/// A variable and how its value is found once the kernel has begun.
struct Variable {
    name: &'static str,
    value: fn() -> u64,
}

/// Those that belong to no family of their own.
const VARIABLES: &[Variable] = &[
    Variable {
        name: "FsRtlLegalAnsiCharacterArray",
        value: name_rules::table,
    },
    Variable {
        name: "InitSafeBootMode",
        value: || 0,
    },
    Variable {
        name: "KdDebuggerEnabled",
        value: || debugger::is_attached().into(),
    },
    Variable {
        name: "KdDebuggerNotPresent",
        value: || (!debugger::is_attached()).into(),
    },
    Variable {
        name: "KeNumberProcessors",
        value: || u64::from(processor::active()),
    },
    Variable {
        name: "Mm64BitPhysicalAddress",
        value: || 1,
    },
    // A system address at which there never is anything.
    Variable {
        name: "MmBadPointer",
        value: || SYSTEM_RANGE_START,
    },
    Variable {
        name: "MmHighestUserAddress",
        value: || HIGHEST_USER_ADDRESS,
    },
    Variable {
        name: "MmSystemRangeStart",
        value: || SYSTEM_RANGE_START,
    },
    Variable {
        name: "MmUserProbeAddress",
        value: || USER_PROBE_ADDRESS,
    },
    // The four high bits say that this is a build for customers, not a checked one.
    Variable {
        name: "NtBuildNumber",
        value: || u64::from(os_version::get().build) | 0xf000_0000,
    },
    Variable {
        name: "NtGlobalFlag",
        value: || 0,
    },
    Variable {
        name: "PsInitialSystemProcess",
        value: thread_table::system_process,
    },
    Variable {
        name: "SeExports",
        value: se_exports::address,
    },
];

/// The table of the HAL's routines.
const HAL_DISPATCH: &str = "HalDispatchTable";

/// What a variable leaves out.
#[must_use]
pub fn partial(name: &str) -> Option<&'static str> {
    (name == HAL_DISPATCH).then_some("its routines are not there: a call of one stops the kernel")
}

/// The name of each, and its value in words of eight bytes.
#[must_use]
pub fn all() -> Vec<(&'static str, Vec<u64>)> {
    VARIABLES
        .iter()
        .map(|variable| (variable.name, (variable.value)()))
        .chain(ob::variables())
        .map(|(name, value)| (name, vec![value]))
        .chain([(HAL_DISPATCH, hal_dispatch::words())])
        .collect()
}

/// The name of each.
pub fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .map(|variable| variable.name)
        .chain(ob::variable_names())
        .chain([HAL_DISPATCH])
}
