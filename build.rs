//! Passes the linker what a WDM driver needs, as Microsoft's `wdk-build` says,
//! and the version that the image carries.

#[path = "build/version_resource.rs"]
mod version_resource;

use std::{env, error::Error, fs, path::PathBuf};

use version_resource::Version;

fn main() -> Result<(), Box<dyn Error>> {
    // Code for DriverEntry alone goes when it has returned.
    println!("cargo::rustc-cdylib-link-arg=/SECTION:INIT,ERD");
    link_version()?;
    Ok(wdk_build::configure_wdk_binary_build()?)
}

/// Links the version resource.
fn link_version() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let part = |name: &str| -> Result<u16, Box<dyn Error>> { Ok(env::var(name)?.parse()?) };
    let numbers = [
        part("CARGO_PKG_VERSION_MAJOR")?,
        part("CARGO_PKG_VERSION_MINOR")?,
        part("CARGO_PKG_VERSION_PATCH")?,
        0,
    ];
    let text = numbers.map(|number| number.to_string()).join(".");
    let resource = version_resource::resource_file(&Version {
        numbers,
        strings: &[
            ("CompanyName", &env::var("CARGO_PKG_AUTHORS")?),
            ("FileDescription", "Kernel memory, mapped twice"),
            ("FileVersion", &text),
            ("InternalName", "ntmem.sys"),
            ("LegalCopyright", &env::var("CARGO_PKG_LICENSE")?),
            ("OriginalFilename", "ntmem.sys"),
            ("ProductName", "ntmem"),
            ("ProductVersion", &text),
        ],
    });
    let path = PathBuf::from(env::var("OUT_DIR")?).join("version.res");
    fs::write(&path, resource)?;
    println!("cargo::rustc-cdylib-link-arg={}", path.display());
    Ok(())
}
