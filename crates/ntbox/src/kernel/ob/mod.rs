//! Objects.
pub mod handles {
    /// Handles that are open.
    pub fn open() -> Vec<(u64, String, u64)> {
        Vec::new()
    }
}
