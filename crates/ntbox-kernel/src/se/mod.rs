//! Security: SIDs, access control lists, security descriptors, tokens, and the
//! check of what a caller may do.
//!
//! | file | what |
//! |---|---|
//! | `sid` | `RtlValidSid` and its kin |
//! | `acl` | access control lists and their entries |
//! | `sd` | a security descriptor as the kernel reads and writes it |
//! | `sd_accessors` | `RtlSetDaclSecurityDescriptor` and its kin |
//! | `sd_self_relative` | absolute and self-relative form, capture |
//! | `token` | who a process is; subject contexts |
//! | `token_information` | `SeQueryInformationToken` |
//! | `impersonation` | threads that act in a client's name |
//! | `access` | `SeAccessCheck`, privileges |
//! | `object` | descriptors of objects |
//! | `assign`, `inherit` | descriptors of objects that others make |
//! | `restricted_token` | restricted tokens |
//! | `default_sd` | descriptors of objects that nobody gave one |
//! | `access_state` | `SeCreateAccessState`, the privileges that were used |
//! | `sd_query_set` | descriptors that drivers keep themselves |
//! | `audit` | what is told of accesses and sessions: nothing |
//! | `audit_policy` | whether accesses to files are audited: no |
//! | `token_services` | `ZwOpenProcessTokenEx` and its kin |
//! | `user_key` | `RtlFormatCurrentUserKeyPath` |
//! | `se_exports` | `SeExports` |

mod access;
mod access_state;
mod acl;
mod assign;
pub mod audit;
mod audit_policy;
mod default_sd;
mod impersonation;
mod inherit;
pub mod object;
mod restricted_token;
mod sd;
mod sd_accessors;
mod sd_query_set;
mod sd_self_relative;
pub mod se_exports;
pub mod sid;
#[cfg(test)]
mod tests;
pub mod token;
mod token_information;
mod token_services;
mod user_key;

use ntbox_host::gate::Export;

pub use super::se::access::map_generic;
pub use super::se::impersonation::{is_impersonating, thread_ended};
pub use super::se::sd_self_relative::in_pool;
pub use super::se::token::set_account;

/// Whether the current process may open an object with these rights, generic ones
/// translated already.
///
/// # Errors
/// Why not: `STATUS_ACCESS_DENIED`, `STATUS_PRIVILEGE_NOT_HELD`.
pub fn may_open(object: u64, access: u32, mapping: [u32; 4]) -> Result<(), u32> {
    let question = access::AccessRequest {
        desired: access,
        granted: 0,
        mapping,
    };
    let token = token::current()?;
    access::check(&object::of(object), &token, question).map(drop)
}

pub use super::se::audit::LEAK_CHECKS;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    access::EXPORTS,
    access_state::EXPORTS,
    acl::EXPORTS,
    assign::EXPORTS,
    audit::EXPORTS,
    audit_policy::EXPORTS,
    impersonation::EXPORTS,
    object::EXPORTS,
    restricted_token::EXPORTS,
    sd_accessors::EXPORTS,
    sd_query_set::EXPORTS,
    sd_self_relative::EXPORTS,
    sid::EXPORTS,
    token::EXPORTS,
    token_information::EXPORTS,
    token_services::EXPORTS,
    user_key::EXPORTS,
];
