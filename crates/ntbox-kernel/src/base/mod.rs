//! What every component uses: errors, call contexts, previous mode, output buffers,
//! strings, diagnostics, events, the export table, and the tables of threads and
//! registrations.

pub mod altitude;
pub mod call_context;
pub mod clock;
pub mod codepage;
pub mod cookie_table;
pub mod diag;
pub mod driver_ptr;
pub mod error;
pub mod events;
pub mod export;
pub mod export_table;
pub mod image_layout;
pub mod info_buffer;
pub mod io_layout;
pub mod key_id;
pub mod known_modules;
pub mod leak_check;
pub mod list_entry;
pub mod list_walk;
pub mod lock_class;
pub mod log;
pub mod missing;
pub mod os_version;
pub mod processor_mode;
pub mod stack_trace_db;
pub mod thread_table;
pub mod upcase;
pub mod utf16;
pub mod violation_limit;
