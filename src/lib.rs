//! `ntmem`: a WDM driver that takes nonpaged pool, describes it with an MDL, finds
//! it at a second address, and proves that both addresses are the same memory.
//!
//! Everything happens while the driver starts, and every step is a line of debug
//! output; `docs/log-format.md` gives the lines, `docs/driver.md` the settings.
//! What cannot be expressed safely lives in the crate `wdm`; this one forbids it.

#![no_std]

// Brings the panic handler, which nothing in the release image can reach.
use wdk_panic as _;

#[macro_use]
mod report;
mod device;
mod parameters;
mod proof;
mod tags;
mod toolkit;
mod walk;

use wdm::{
    Status,
    device::ControlDevice,
    driver::{Context, Driver},
    irql::{Irql, Passive},
    process,
    system::{AddressLimits, has_allocate_pool2},
};

use crate::{
    device::NtMem,
    parameters::{Parameters, Source},
    report::{Address, Outcome, Scope},
    walk::Target,
};

wdm::driver!(Ntmem);

/// The driver between its start and its unloading.
struct Ntmem {
    scope: Scope,
    walks: usize,
    device: ControlDevice<NtMem>,
}

impl Driver for Ntmem {
    fn start(context: &Context<'_>, passive: &mut Passive) -> Result<Self, Status> {
        let source = Source::open(context, passive);
        let scope = Scope::new("driver", source.log_level());
        Self::run(context, &source, scope, passive).inspect_err(|&status| {
            error!(scope, "not-started {}", Outcome(status));
        })
    }

    fn stop(self, _: &mut Passive) {
        let Self {
            scope,
            walks,
            device,
        } = self;
        drop(device);
        step!(scope, "unload {} walks={walks}", Where);
    }
}

impl Ntmem {
    wdm::init! { context:
        /// Says what starts and where, then runs the walks that the parameters name.
        fn run(
            context: &Context<'_>,
            source: &Source,
            scope: Scope,
            passive: &mut Passive,
        ) -> Result<Self, Status> {
            introduce(context, scope)?;
            let parameters = Parameters::read(source, scope, passive)?;
            step!(scope, "parameters {parameters}");
            for walk in parameters.walks.iter() {
                let (outcome, _) = walk.run(&parameters.plan(), Target::System);
                outcome?;
            }
            let walks = parameters.walks.iter().count();
            let device = device::create(context, scope, passive)?;
            step!(scope, "started walks={walks}");
            Ok(Self {
                scope,
                walks,
                device,
            })
        }
    }
}

wdm::init! { context:
    /// Logs the driver's version, the context that it starts in, and the system.
    fn introduce(context: &Context<'_>, scope: Scope) -> Result<(), Status> {
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let allocator = if has_allocate_pool2() {
            "ExAllocatePool2"
        } else {
            "ExAllocatePoolWithTag"
        };
        let windows = context
            .version()
            .map_err(|error| scope.failed("version", &error))?;
        step!(
            scope,
            "start version={} build={build} {} windows={windows} allocator={allocator}",
            env!("CARGO_PKG_VERSION"),
            Where,
        );
        let limits = AddressLimits::current();
        step!(
            scope,
            "limits highest-user={} user-probe={} system-range-start={}",
            Address(limits.highest_user),
            Address(limits.user_probe),
            Address(limits.system_range_start),
        );
        Ok(())
    }
}

/// Prints the process, the thread and the IRQL that the code runs in.
struct Where;

impl core::fmt::Display for Where {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            formatter,
            "process={} thread={} irql={}",
            process::current_process_id(),
            process::current_thread_id(),
            Irql::current(),
        )
    }
}
