//! The services, called as a driver calls them.

#[cfg(test)]
pub mod callbacks;
pub mod helper;
mod nt_key;
mod nt_query_value;
mod query_registry_values;
mod rtl_registry;
