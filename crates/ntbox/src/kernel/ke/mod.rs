//! The kernel proper: IRQL, bug checks.

pub mod bugcheck;
pub mod irql;
