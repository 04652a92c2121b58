//! The services, called as a driver calls them.

mod helper;
mod key;
mod query_values;
mod rtl_registry;
mod value;
