//! Constants of the kernel's headers, with the types that its functions take.

use wdk_sys::{BOOLEAN, KPROCESSOR_MODE};

pub const FALSE: BOOLEAN = 0;
pub const TRUE: BOOLEAN = 1;
pub const KERNEL_MODE: KPROCESSOR_MODE = 0;
pub const USER_MODE: KPROCESSOR_MODE = 1;

/// Of a stack location's `Control`: the request is pending.
pub const SL_PENDING_RETURNED: u8 = 0x01;
/// The same: the completion routine is called on success, error and cancellation.
pub const SL_INVOKE_ALWAYS: u8 = 0x20 | 0x40 | 0x80;
