//! (new folder)

pub mod deadlock;
pub mod force_irql;
pub mod force_irql_image;
pub mod handle_rules;
pub mod irp_contract;
pub mod object_initialized;
pub mod pageable_object;
pub mod tracked_structs;
pub mod uninitialized_output;
pub mod user_access;
pub mod user_access_rules;
