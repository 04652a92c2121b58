//! Passes the linker what a WDM driver needs, as Microsoft's `wdk-build` says.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}
