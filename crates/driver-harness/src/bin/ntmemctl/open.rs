//! From the name of a host to the host, with the options that it takes.

use driver_harness::host::{Host, HostError};

use crate::Failure;
use crate::hosts::{HostArgs, HostName};

/// The host that was asked for, or why this machine does not have it.
pub fn host(args: &HostArgs) -> Result<Box<dyn Host>, Failure> {
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
    use crate::hosts::ScmArgs;

    pub fn open(args: &ScmArgs) -> Result<Box<dyn Host>, HostError> {
        let source = match (&args.log, &args.debugview) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(program)) => Source::DebugView(program.clone()),
            (None, None) => Source::Nowhere,
        };
        if source != Source::Nowhere {
            crate::listen::warn_of_filter();
        }
        Ok(Box::new(Scm::new(source)?))
    }
}

#[cfg(not(windows))]
mod scm {
    use super::{Host, HostError};
    use crate::hosts::ScmArgs;

    pub fn open(_: &ScmArgs) -> Result<Box<dyn Host>, HostError> {
        Err(HostError::Options("the host scm needs Windows".to_owned()))
    }
}

#[cfg(unix)]
mod wine {
    use driver_harness::host::wine::{Options, Wine};

    use super::{Host, HostError};
    use crate::hosts::WineArgs;

    pub fn open(args: &WineArgs) -> Result<Box<dyn Host>, HostError> {
        if !args.program.is_file() {
            let program = args.program.display();
            return Err(HostError::Options(format!(
                "{program} is not there; `cargo xtask build --programs` builds it, --program says where it is"
            )));
        }
        let prefix = args
            .prefix
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("ntmemctl-wine"));
        Ok(Box::new(Wine::new(Options {
            program: args.program.clone(),
            prefix,
        })))
    }
}

#[cfg(not(unix))]
mod wine {
    use super::{Host, HostError};
    use crate::hosts::WineArgs;

    pub fn open(_: &WineArgs) -> Result<Box<dyn Host>, HostError> {
        Err(HostError::Options("the host wine needs Linux".to_owned()))
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
            version: args.windows,
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
                    return Err(format!("--filter gives component {component} two masks"));
                }
                Filter::Mask(Mask::Component(component, mask)) => {
                    options.filter.push((component, mask));
                }
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
    use driver_harness::host::Host;

    use crate::args::NtboxArgs;

    pub fn open(_: &NtboxArgs) -> Result<Box<dyn Host>, String> {
        Err("the host ntbox needs Linux on x86-64".to_owned())
    }
}
