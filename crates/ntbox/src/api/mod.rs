//! What a run takes and gives: configuration, requests, messages between the two
//! processes, and the report with its text form. Builds on every system.

pub mod config;
pub mod hex_serde;
pub mod host_file;
pub mod ipc;
pub mod parse;
pub mod report;
pub mod request;
