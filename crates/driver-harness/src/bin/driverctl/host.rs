//! Opens the host that the options select.

use driver_harness::host::{Host, HostError};

use crate::Failure;
use crate::host_args::{HostArgs, HostName};

/// The selected host; an error if this system does not have it.
pub fn open(args: &HostArgs) -> Result<Box<dyn Host>, Failure> {
    match args.host {
        HostName::Ntbox => ntbox::open(&args.ntbox).map_err(Failure::Usage),
        HostName::Scm => scm::open(&args.scm).map_err(Failure::from),
        HostName::Wine => wine::open(&args.wine).map_err(Failure::from),
    }
}

#[cfg(windows)]
mod scm {
    use driver_harness::host::scm::{Scm, Source};

    use super::{Host, HostError};
    use crate::host_args::ScmArgs;

    pub fn open(args: &ScmArgs) -> Result<Box<dyn Host>, HostError> {
        let source = match (&args.log, &args.debugview) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(program)) => Source::DebugView(program.clone()),
            (None, None) => Source::None,
        };
        if source != Source::None {
            crate::log::warn_if_filtered();
        }
        Ok(Box::new(Scm::new(source)?))
    }
}

#[cfg(not(windows))]
mod scm {
    use super::{Host, HostError};
    use crate::host_args::ScmArgs;

    pub fn open(_: &ScmArgs) -> Result<Box<dyn Host>, HostError> {
        Err(HostError::Options("host scm needs Windows".to_owned()))
    }
}

#[cfg(unix)]
mod wine {
    use driver_harness::host::wine::{Options, Wine};

    use super::{Host, HostError};
    use crate::host_args::WineArgs;

    pub fn open(args: &WineArgs) -> Result<Box<dyn Host>, HostError> {
        if !args.program.is_file() {
            let program = args.program.display();
            return Err(HostError::Options(format!(
                "{program} does not exist; build it with `cargo xtask build --programs`, or pass its path with --program"
            )));
        }
        let prefix = args
            .prefix
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("driverctl-wine"));
        Ok(Box::new(Wine::new(Options {
            program: args.program.clone(),
            prefix,
        })))
    }
}

#[cfg(not(unix))]
mod wine {
    use super::{Host, HostError};
    use crate::host_args::WineArgs;

    pub fn open(_: &WineArgs) -> Result<Box<dyn Host>, HostError> {
        Err(HostError::Options("host wine needs Linux".to_owned()))
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod ntbox {
    use driver_harness::host::Host;
    use driver_harness::host::ntbox::{Ntbox, Options};

    use ntbox_api::Mask;

    use crate::args::{Filter, NtboxArgs};

    /// `DPFLTR_IHVDRIVER_ID`.
    const IHVDRIVER: u32 = 77;

    pub fn open(args: &NtboxArgs) -> Result<Box<dyn Host>, String> {
        let mut options = Options {
            faults: args
                .faults
                .iter()
                .map(|fault| (fault.export.clone(), fault.nth))
                .collect(),
            version: args.os_version,
            timeout: args.timeout,
            ..Options::default()
        };
        for filter in &args.filters {
            match *filter {
                Filter::Default => {}
                Filter::Mask(Mask::Win2000(mask)) => options.win2000 = Some(mask),
                Filter::Mask(Mask::Component(component, _))
                    if options.filter.iter().any(|(other, _)| *other == component) =>
                {
                    return Err(format!("--filter sets component {component} twice"));
                }
                Filter::Mask(Mask::Component(component, mask)) => {
                    options.filter.push((component, mask));
                }
            }
        }
        if args.filters.is_empty() {
            // All levels of the driver.
            options.filter.push((IHVDRIVER, 0xF));
        }
        Ok(Box::new(Ntbox::new(options)))
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod ntbox {
    use driver_harness::host::Host;

    use crate::args::NtboxArgs;

    pub fn open(_: &NtboxArgs) -> Result<Box<dyn Host>, String> {
        Err("host ntbox needs Linux on x86-64".to_owned())
    }
}
