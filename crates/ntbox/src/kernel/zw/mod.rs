//! System services as drivers call them: registry and handles.

pub mod handle;
pub mod key;
pub mod registry;
mod reply;
pub mod value;
