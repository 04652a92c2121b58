//! (new folder)

pub mod config;
pub mod hex_serde;
pub mod host_file;
pub mod ipc;
pub mod parse;
pub mod report;
pub mod request;
