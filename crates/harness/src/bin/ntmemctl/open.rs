//! From the name of a host to the host, with the options that it takes.

use harness::host::Host;

use crate::args::{HostName, NtboxArgs};

/// The host of this name, or why this machine does not have it.
pub fn host(name: HostName, options: &NtboxArgs) -> Result<Box<dyn Host>, String> {
    match name {
        HostName::Ntbox => ntbox::open(options),
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod ntbox {
    use harness::host::Host;
    use harness::host::ntbox::{Ntbox, Options};

    use crate::args::{Filter, NtboxArgs};

    /// `DPFLTR_IHVDRIVER_ID`.
    const IHVDRIVER: u32 = 77;

    pub fn open(args: &NtboxArgs) -> Result<Box<dyn Host>, String> {
        let mut options = Options {
            faults: args.faults.clone(),
            version: args.windows,
            timeout: args.timeout,
            ..Options::default()
        };
        for filter in &args.filters {
            match *filter {
                Filter::Default => {}
                Filter::Win2000(mask) => options.win2000 = Some(mask),
                Filter::Component(component, _)
                    if options.filter.iter().any(|(other, _)| *other == component) =>
                {
                    return Err(format!("--filter gives component {component} two masks"));
                }
                Filter::Component(component, mask) => options.filter.push((component, mask)),
            }
        }
        if args.filters.is_empty() {
            // What a driver's author sets before looking at a log.
            options.filter.push((IHVDRIVER, 0xF));
        }
        Ok(Box::new(Ntbox::new(options)))
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod ntbox {
    use harness::host::Host;

    use crate::args::NtboxArgs;

    pub fn open(_: &NtboxArgs) -> Result<Box<dyn Host>, String> {
        Err("the host ntbox needs Linux on x86-64".to_owned())
    }
}
