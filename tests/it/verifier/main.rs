//! The rules of the verifier: drivers that break each rule once, and their correct
//! twins.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod bounds;
mod ddi_compliance;
mod detected_mistakes;
mod detected_request_mistakes;
mod locks;
mod memory;
mod more_mistakes;
mod pageable_objects;
mod user_memory;
