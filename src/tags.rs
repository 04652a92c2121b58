//! Every pool tag of this driver, with what carries it, so that a tag seen in a
//! debugger leads to one place.

use wdm::pool::PoolTag;

/// The block that a walk takes, describes and finds at a second address.
pub const WALKED_BLOCK: PoolTag = wdm::pool_tag!(b"NtmB");

/// The device's own memory: its state, its files, its queue.
pub const DEVICE: PoolTag = wdm::pool_tag!(b"NtmD");

/// Pages that programs have views of.
pub const VIEW: PoolTag = wdm::pool_tag!(b"NtmV");

/// What files keep for their callers.
pub const STORE: PoolTag = wdm::pool_tag!(b"NtmS");

/// What the commands that try out the toolkit take and give back.
pub const TOOLKIT: PoolTag = wdm::pool_tag!(b"NtmT");
