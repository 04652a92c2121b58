//! From the name of a host to the host, with the options that it takes.

use harness::host::Host;

use crate::args::{HostName, Run};

/// The host that `args` name.
pub fn host(args: &Run) -> Result<Box<dyn Host>, String> {
    match args.host {
        HostName::Ntbox => ntbox(args),
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn ntbox(args: &Run) -> Result<Box<dyn Host>, String> {
    use harness::host::ntbox::{Ntbox, Options};

    use crate::args::Filter;

    let mut options = Options {
        faults: args.ntbox.faults.clone(),
        timeout: args.ntbox.timeout,
        ..Options::default()
    };
    for filter in &args.ntbox.filters {
        match *filter {
            Filter::Default => {}
            Filter::Win2000(mask) => options.win2000 = Some(mask),
            Filter::Component(component, mask) => {
                options.filter.retain(|(other, _)| *other != component);
                options.filter.push((component, mask));
            }
        }
    }
    if args.ntbox.filters.is_empty() {
        // What a driver's author sets before looking at a log.
        options.filter.push((IHVDRIVER, 0xF));
    }
    return Ok(Box::new(Ntbox::new(options)));

    /// `DPFLTR_IHVDRIVER_ID`.
    const IHVDRIVER: u32 = 77;
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn ntbox(_: &Run) -> Result<Box<dyn Host>, String> {
    Err("the host ntbox needs Linux on x86-64".to_owned())
}
