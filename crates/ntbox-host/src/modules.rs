//! The loaded images: where each lies. Messages name an address by module and
//! offset, and exception handling finds the function table.

use super::kernel_cell::KernelCell;

/// A loaded image.
#[derive(Debug, Clone)]
pub struct Module {
    /// Address of the first byte.
    pub base: u64,
    /// Bytes in memory.
    pub size: u64,
    /// RVA and size of the function table.
    pub pdata: (u32, u32),
    /// File name.
    pub name: String,
}

static MODULES: KernelCell<Vec<Module>> = KernelCell::new(Vec::new());

/// Adds an image.
pub fn insert(module: Module) {
    MODULES.lock().push(module);
}

/// The image that holds an address.
pub fn find(address: u64) -> Option<Module> {
    let modules = MODULES.lock();
    modules
        .iter()
        .find(|module| address.wrapping_sub(module.base) < module.size)
        .cloned()
}

/// All images, in load order.
pub fn all() -> Vec<Module> {
    MODULES.lock().clone()
}
