//! Security: who may open what. A device has an access control list once a driver
//! has set one; a process has a token, which says who runs it; opening a device
//! compares the two.
//!
//! | file | what |
//! |---|---|
//! | `descriptor` | security descriptors and lists, as they lie in memory |
//! | `access` | tokens, and what a list grants to one |
//! | `object` | `ZwSetSecurityObject`, and the lists of devices |

mod access;
mod descriptor;
mod object;

pub use access::set_account;
pub use object::{check_open, forget};

use super::call::Export;

/// The exports of this folder.
pub const TABLES: &[&[Export]] = &[object::EXPORTS];
