//! (new folder)

pub mod altitude;
pub mod call_context;
pub mod codepage;
pub mod cookie_table;
pub mod error;
pub mod info_buffer;
pub mod io_layout;
pub mod known_modules;
pub mod list_entry;
pub mod list_walk;
pub mod log;
pub mod os_version;
pub mod processor_mode;
pub mod upcase;
pub mod utf16;
pub mod violation_limit;
