//! The services, called as a driver calls them.

mod directory;
mod handle;
pub mod helper;
mod key;
mod object;
mod query_values;
mod rtl_registry;
mod symbolic_link;
mod value;
