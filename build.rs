//! Passes the linker what a WDM driver needs, as Microsoft's `wdk-build` says.

fn main() -> Result<(), wdk_build::ConfigError> {
    // Code for DriverEntry alone goes when it has returned.
    println!("cargo::rustc-cdylib-link-arg=/SECTION:INIT,ERD");
    wdk_build::configure_wdk_binary_build()
}
