//! The start, the request loop and the end of the kernel process.

pub mod driver;
pub mod wiring;

use std::path::Path;

use ntbox_api::config::{Config, Instrument, MAXIMUM_PROCESSORS, Time};
use ntbox_api::ipc::{Event, Request};
use ntbox_api::report::ImageInfo;
use ntbox_api::{host_file, ipc};
use ntbox_host::kernel_address_space::{Protection, Use};
use ntbox_host::memory_map::PAGE_SIZE;
use ntbox_host::{channel, cpu, kernel_cell, last_call, process, signals, translation};

use super::base::{export_table, log, stack_trace_db};
use super::ke::{irp_cancel_lock, processor, sched};
use super::loader::Image;
use super::ramfs::InitialFile;
use super::{exports, ke, loader, mm, ramfs, um};
use crate::base::{clock, os_version};
use crate::io::{device, shutdown, system_devices};
use crate::kd::debugger;
use crate::ps::create;
use crate::verifier;

/// Set in the environment of a kernel process.
pub const VARIABLE: &str = "NTBOX_KERNEL_PROCESS";

/// Runs the kernel if this process was started for it. Called before `main`.
pub fn run_if_asked() {
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "1") {
        run();
    }
}

fn run() -> ! {
    kernel_cell::claim();
    std::panic::set_hook(Box::new(|info| {
        process::abandon(format_args!("ntbox itself failed: {info}"))
    }));
    process::prepare();
    let mut stream = ipc::open().unwrap_or_else(|error| {
        process::abandon(format_args!(
            "the socket to the caller cannot be opened: {error}"
        ))
    });
    if let Err(error) = channel::send_to(&stream) {
        process::abandon(format_args!(
            "the socket to the caller cannot be used: {error}"
        ));
    }
    if let Err(error) = last_call::open(exports::functions().map(|export| export.name)) {
        process::abandon(format_args!(
            "the memory that is shared with the caller cannot be used: {error}"
        ));
    }
    wiring::connect();
    let mut machine: Option<Machine> = None;
    loop {
        let request = match ipc::read(&mut stream) {
            Ok(Some(request)) => request,
            Ok(None) => process::exit(0),
            Err(error) => process::abandon(format_args!("a request cannot be read: {error}")),
        };
        match (request, machine.as_mut()) {
            (Request::Boot(config), None) => match mm::initialize() {
                Err(reason) => channel::send(&Event::Unable(reason)),
                Ok(()) => match Machine::boot(&config) {
                    Ok(booted) => {
                        channel::send(&Event::Booted(booted.info()));
                        machine = Some(booted);
                    }
                    Err(reason) => channel::send(&Event::Refused(reason)),
                },
            },
            (Request::Start, Some(machine)) => channel::send(&Event::Entered(machine.start())),
            (Request::Process(name, account), Some(_)) => {
                channel::send(&Event::Made(um::create_process(&name, account)));
            }
            (Request::Begin(process, operation), Some(_)) => {
                channel::send(&Event::Progress(um::begin(process, operation)));
            }
            (Request::Batch(process, operations), Some(_)) => {
                let begun = operations.into_iter().map(|one| um::begin(process, one));
                channel::send(&Event::Batch(begun.collect()));
            }
            (Request::Wait(ticket, patience), Some(_)) => {
                channel::send(&Event::Ended(um::wait(ticket, patience)));
            }
            (Request::Cancel(ticket), Some(_)) => channel::send(&Event::Did(um::cancel(ticket))),
            (Request::Exit(process), Some(_)) => channel::send(&Event::Did(um::exit(process))),
            (Request::Shutdown, Some(_)) => {
                channel::send(&Event::Did(shutdown::shut_down()));
            }
            (Request::Finish, Some(machine)) => {
                machine.finish();
                channel::send(&Event::Finished(export_table::counts()));
                process::exit(0);
            }
            (request, _) => process::abandon(format_args!("a request out of order: {request:?}")),
        }
    }
}

/// Makes the processors, and this thread of the host the first of them, with the
/// first thread of the kernel.
fn begin_processors(count: u32) -> Result<(), String> {
    if !(1..=MAXIMUM_PROCESSORS).contains(&count) {
        return Err(format!(
            "a machine with {count} processors was asked for; there can be 1 to {MAXIMUM_PROCESSORS}"
        ));
    }
    let no_memory = "no memory for the processors";
    processor::initialize(count);
    for number in 0..count {
        let (region, pages) = (cpu::region(number), cpu::PCR_SIZE / PAGE_SIZE);
        mm::with(|memory| memory.map_new(region, pages, Protection::READ_WRITE, Use::Kernel))
            .map_err(|_| no_memory)?;
    }
    let thread = create::initialize().ok_or("no memory for the first thread")?;
    let idle = (0..count).map(|_| create::create_idle());
    let idle: Vec<u64> = idle.collect::<Option<_>>().ok_or(no_memory)?;
    for (number, idle) in (0..count).zip(&idle) {
        cpu::prepare(number, *idle).map_err(|_| no_memory)?;
    }
    cpu::become_processor(0);
    cpu::set_thread(thread).map_err(|_| no_memory)?;
    sched::initialize(thread, &idle)
}

/// A kernel with its driver.
struct Machine {
    image: Image,
    driver: driver::Driver,
    started: bool,
}

impl Machine {
    fn boot(config: &Config) -> Result<Self, String> {
        let file =
            host_file::read(&config.image, host_file::LIMIT).map_err(|error| error.to_string())?;
        if config.schedule.is_some() && config.time == Time::Real {
            return Err("a schedule that is drawn from a seed needs simulated time".to_owned());
        }
        clock::initialize(config.time);
        ke::seeded_schedule::initialize(config.schedule);
        log::initialize(config.filter.clone());
        debugger::attach(config.debugger);
        if config.instrument != Instrument::Off {
            translation::initialize(config.instrument == Instrument::Memory)?;
        }
        begin_processors(config.processors)?;
        os_version::set(config.version);
        ke::kuser_shared_data::initialize()
            .map_err(|_| "no memory for the shared page".to_owned())?;
        signals::install();
        if config.processors > 1 {
            ke::clock_interrupt::start();
        }
        stack_trace_db::initialize(config);
        verifier::initialize();
        mm::with(|memory| {
            let limit = config.pool_limit;
            memory.pools.configure(config.verify, config.guard, limit);
        });
        exports::initialize(config)?;
        let name = Path::new(&config.image).file_name().map_or_else(
            || config.service.clone(),
            |name| name.to_string_lossy().into_owned(),
        );
        let image = loader::load(&name, &file)?;
        let driver = driver::Driver::new(&image, config)?;
        ramfs::initialize(&files_of(config, &name, file)?)?;
        system_devices::initialize()?;
        Ok(Self {
            image,
            driver,
            started: false,
        })
    }

    fn info(&self) -> ImageInfo {
        ImageInfo {
            name: self.image.name.clone(),
            base: self.image.base,
            size: self.image.size,
        }
    }

    fn start(&mut self) -> u32 {
        let status = self.driver.enter();
        self.started = status.cast_signed() >= 0;
        if self.started {
            // The object is the kernel's own memory; a driver that has lost it is
            // found by the first request.
            let _ = self.driver.make_ready();
            loader::discard_init(&self.image);
            device::initialized();
            self.driver.reinitialize();
        } else {
            driver::report_leaks("after DriverEntry failed");
        }
        status
    }

    fn finish(&mut self) {
        um::exit_all();
        if self.started && stack_trace_db::is_on() && irp_cancel_lock::is_any_cancelled() {
            let_time_pass();
        }
        if self.started && self.driver.unload() {
            channel::send(&Event::Unloaded);
            driver::report_leaks("at unload");
        }
        log::flush();
    }
}

/// Lets the driver run for a while: what completes a request that was cancelled too is a
/// timer or a thread that comes late.
fn let_time_pass() {
    /// In units of 100 ns.
    const WHILE: i64 = 200 * 10_000;
    /// What nobody signals.
    const WAIT_KEY: u64 = 0xffff_fd80_0000_0000;
    let until = clock::deadline(-WHILE);
    while clock::interrupt_time() < until {
        sched::park(WAIT_KEY, Some(until));
    }
}

/// What is on the volume: the driver's own image, and what the caller puts there.
fn files_of(config: &Config, name: &str, image: Vec<u8>) -> Result<Vec<InitialFile>, String> {
    let own = InitialFile {
        path: format!(r"\Windows\System32\drivers\{name}"),
        data: image,
    };
    let mut files = vec![own];
    for file in &config.files {
        let data = host_file::read(&file.content, host_file::LIMIT)
            .map_err(|error| format!("{}: {error}", file.content.display()))?;
        let path = file.path.clone();
        files.push(InitialFile { path, data });
    }
    Ok(files)
}
