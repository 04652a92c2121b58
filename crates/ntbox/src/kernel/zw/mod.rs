//! System services; the registry so far only has its path.
pub mod registry {
    /// Path of a service's key.
    pub fn seed(service: &str, _parameters: &[(String, crate::config::RegValue)]) -> String {
        format!("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\{service}")
    }
}
