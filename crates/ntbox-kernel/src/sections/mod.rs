//! Sections, views, and virtual memory of processes: `ZwCreateSection`,
//! `ZwMapViewOfSection`, `ZwAllocateVirtualMemory`, `MmSecureVirtualMemory`. Sections of
//! files get their data from the file system by a hook.

pub mod file_data;
pub mod image_section;
pub mod section;
pub mod secure;
pub mod view;
pub mod virtual_memory;
pub mod virtual_query;

use ntbox_host::gate::Export;
/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    section::EXPORTS,
    secure::EXPORTS,
    view::EXPORTS,
    virtual_memory::EXPORTS,
    virtual_query::EXPORTS,
];
