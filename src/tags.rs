//! The pool tags of this driver, for looking up a tag seen in a debugger.

use wdm::pool::PoolTag;

/// The block of a scenario.
pub const SCENARIO_BLOCK: PoolTag = wdm::pool_tag!(b"NtmB");

/// The device's own memory: its state, its files, its queue.
pub const DEVICE: PoolTag = wdm::pool_tag!(b"NtmD");

/// Pages mapped into programs.
pub const VIEW: PoolTag = wdm::pool_tag!(b"NtmV");

/// The data of files.
pub const STORE: PoolTag = wdm::pool_tag!(b"NtmS");

/// Allocations of the self-test commands.
pub const SELFTEST: PoolTag = wdm::pool_tag!(b"NtmT");
