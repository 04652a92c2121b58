//! `ntmem`: a WDM driver that allocates nonpaged pool, describes it with an MDL,
//! maps it at a second address, and checks that both addresses alias the same pages.
//!
//! DriverEntry runs the scenarios and logs each step; a control device serves
//! programs until the driver is unloaded. The log-format document gives the lines,
//! the driver document the registry values. This crate is safe Rust on top of `wdm`.

#![no_std]

// Brings the panic handler, which nothing in the release image can reach.
use wdk_panic as _;

#[macro_use]
mod log;
mod alias_check;
mod device;
mod parameters;
mod scenario;
mod selftest;
mod tags;

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
    log::{Address, Scope, StatusFields},
    parameters::{ParameterKey, Parameters},
    scenario::Target,
};

wdm::driver!(Ntmem);

/// The loaded driver.
struct Ntmem {
    scope: Scope,
    scenarios: usize,
    device: ControlDevice<NtMem>,
}

impl Driver for Ntmem {
    fn start(context: &Context<'_>, passive: &mut Passive) -> Result<Self, Status> {
        let key = ParameterKey::open(context, passive);
        let scope = Scope::new("driver", key.log_level());
        Self::run(context, &key, scope, passive).inspect_err(|&status| {
            error!(scope, "not-started {}", StatusFields(status));
        })
    }

    fn stop(self, _: &mut Passive) {
        let Self {
            scope,
            scenarios,
            device,
        } = self;
        drop(device);
        step!(scope, "unload {} scenarios={scenarios}", ExecutionContext);
    }
}

impl Ntmem {
    wdm::init! { context:
        /// Logs the driver and the system, then runs the scenarios that the parameters list.
        fn run(
            context: &Context<'_>,
            key: &ParameterKey,
            scope: Scope,
            passive: &mut Passive,
        ) -> Result<Self, Status> {
            log_system(context, scope)?;
            let parameters = Parameters::read(key, scope, passive)?;
            step!(scope, "parameters {parameters}");
            for scenario in parameters.scenarios.iter() {
                let (result, _) = scenario.run(&parameters.plan(), Target::System);
                result?;
            }
            let scenarios = parameters.scenarios.iter().count();
            let device = device::create(context, scope, passive)?;
            step!(scope, "started scenarios={scenarios}");
            Ok(Self {
                scope,
                scenarios,
                device,
            })
        }
    }
}

wdm::init! { context:
    /// Logs the driver's version, the context that it starts in, and the system.
    fn log_system(context: &Context<'_>, scope: Scope) -> Result<(), Status> {
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
            ExecutionContext,
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
struct ExecutionContext;

impl core::fmt::Display for ExecutionContext {
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
