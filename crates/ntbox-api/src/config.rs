//! What a caller says before a driver is loaded: the image, its service key,
//! what the debug output filter lets through, and which calls are to fail.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Fault, Guard, Mask, OsVersion, RegValue, Verify, host_file, parse};

/// Everything that one run of a driver depends on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// The driver image, a PE32+ file for x86-64.
    #[serde(with = "host_file::path_bytes")]
    pub image: PathBuf,
    /// Name of the service, which names the registry key
    /// `\Registry\Machine\System\CurrentControlSet\Services\<service>` and the
    /// driver object `\Driver\<service>`.
    pub service: String,
    /// Values of the service's `Parameters` key, in order.
    pub parameters: Vec<(String, RegValue)>,
    /// What of the debug output is shown; nothing is lost, lines that the
    /// filter hides are recorded with [`LogLine::shown`](crate::report::LogLine) false.
    pub filter: DebugFilter,
    /// Calls that are made to fail.
    pub faults: Vec<Fault>,
    /// How long the driver may run in one request before it is ended and
    /// reported as hung.
    pub timeout: Duration,
    /// Version of Windows that the kernel claims to be.
    pub version: OsVersion,
    /// Whether waiting takes time.
    pub time: Time,
    /// Files on the volume `C:`, beside those that are always there.
    pub files: Vec<VolumeFile>,
    /// How many processors the machine has, 1 to [`MAXIMUM_PROCESSORS`].
    pub processors: u32,
    /// The seed that the turns of threads and processors are drawn from, in place of
    /// the host's clock.
    pub schedule: Option<u64>,
    /// Whether the driver is watched as Driver Verifier does it, and by which rules:
    /// each of its pool blocks has pages of its own, which are inaccessible once it
    /// is freed; paged pool is inaccessible at `DISPATCH_LEVEL` and above; call
    /// stacks are kept of what is taken and freed.
    pub verify: Verify,
    /// Where the inaccessible page of such a block lies.
    pub guard: Guard,
    /// Rules that are not reported.
    pub ignored_rules: Vec<String>,
    /// Whether the report says which calls a [`Fault`] could make fail, one for
    /// each call stack.
    pub list_faults: bool,
    /// Bytes of pool that the driver may have at a time, if there is a limit.
    pub pool_limit: Option<u64>,
    /// Whether every mapping of an MDL fails, as with used-up page table entries.
    pub no_mappings: bool,
    /// Whether a kernel debugger is attached, whose user lets the driver go on at each
    /// breakpoint.
    pub debugger: bool,
    /// Whether the driver's code runs as it is, or translated.
    pub instrument: Instrument,
}

/// How the driver's code runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instrument {
    /// On the processor, as it is.
    #[default]
    Off,
    /// Translated into a code cache, and nothing added to it.
    Plain,
    /// The same, with a check before each access to memory that is not provably the
    /// driver's own.
    Memory,
}

impl Instrument {
    /// What is done where nobody says: what the environment variable
    /// `NTBOX_INSTRUMENT` names, or [`Instrument::Off`].
    fn usual() -> Self {
        let named = std::env::var("NTBOX_INSTRUMENT").ok();
        named
            .and_then(|text| parse::instrument(&text).ok())
            .unwrap_or_default()
    }
}

/// A file that the volume `C:` has when the driver starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFile {
    /// Its path from the root of the volume, as in `\Windows\Temp\data.bin`.
    pub path: String,
    /// The file of the host that it is a copy of: a regular file of at most
    /// [`LIMIT`](crate::host_file::LIMIT) bytes.
    #[serde(with = "host_file::path_bytes")]
    pub content: PathBuf,
}

/// Most processors that a machine can have.
pub const MAXIMUM_PROCESSORS: u32 = 8;

/// What happens when all threads of the kernel wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Time {
    /// Its clock jumps to when the next of them goes on: thirty seconds of waiting
    /// cost none.
    #[default]
    Simulated,
    /// It waits as long as they do.
    Real,
}

impl Config {
    /// A run of `image` with nothing special: service named after the file,
    /// no parameters, the default filter of Windows, no faults.
    #[must_use]
    pub fn new(image: impl Into<PathBuf>) -> Self {
        let image = image.into();
        let service = image.file_stem().map_or_else(
            || "driver".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        Self {
            image,
            service,
            parameters: Vec::new(),
            filter: DebugFilter::default(),
            faults: Vec::new(),
            timeout: Duration::from_secs(10),
            version: OsVersion::default(),
            time: Time::default(),
            files: Vec::new(),
            processors: 1,
            schedule: None,
            verify: Verify::default(),
            guard: Guard::default(),
            ignored_rules: Vec::new(),
            list_faults: false,
            pool_limit: None,
            no_mappings: false,
            debugger: false,
            instrument: Instrument::usual(),
        }
    }

    /// Watches the driver as Driver Verifier does it.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Puts the inaccessible page of a block after it or before it.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Leaves a rule out, by its identifier or a former one; a machine does not boot if
    /// there is no such rule.
    #[must_use]
    pub fn ignore(mut self, rule: impl Into<String>) -> Self {
        self.ignored_rules.push(rule.into());
        self
    }

    /// Attaches a kernel debugger, which lets the driver go on at each breakpoint.
    #[must_use]
    pub fn debugger(mut self, attached: bool) -> Self {
        self.debugger = attached;
        self
    }

    /// Runs the driver's code as it is, or translated.
    #[must_use]
    pub fn instrument(mut self, how: Instrument) -> Self {
        self.instrument = how;
        self
    }

    /// Gives the machine so many processors, which take turns; it does not boot
    /// with none, nor with more than [`MAXIMUM_PROCESSORS`].
    #[must_use]
    pub fn processors(mut self, count: u32) -> Self {
        self.processors = count;
        self
    }

    /// Draws the turns of threads and processors from a seed, so that the same seed
    /// gives the same run; it does not go with [`Time::Real`].
    #[must_use]
    pub fn schedule(mut self, seed: u64) -> Self {
        self.schedule = Some(seed);
        self
    }

    /// Adds a value to the `Parameters` key.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: RegValue) -> Self {
        self.parameters.push((name.into(), value));
        self
    }

    /// Puts a copy of a file of the host on the volume `C:`, as in
    /// `file(r"C:\Windows\Temp\data.bin", "data.bin")`; directories are made as
    /// needed.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, content: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let inside = path.strip_prefix("C:").or_else(|| path.strip_prefix("c:"));
        self.files.push(VolumeFile {
            path: inside.unwrap_or(&path).to_owned(),
            content: content.into(),
        });
        self
    }

    /// Makes the `nth` call (1-based) of `export` fail.
    #[must_use]
    pub fn fault(mut self, export: impl Into<String>, nth: u32) -> Self {
        self.faults.push(Fault {
            export: export.into(),
            nth,
        });
        self
    }
}

/// The masks behind `DbgPrintEx`: a message of `level` for `component` is shown
/// if bit `level` is set in the component's mask or in that of WIN2000.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugFilter {
    /// `Kd_WIN2000_Mask`: 1 on a freshly installed system, so that level ERROR
    /// shows for all components.
    pub win2000: u32,
    /// Component number and mask, for components whose mask is not 0.
    pub components: Vec<(u32, u32)>,
}

impl Default for DebugFilter {
    fn default() -> Self {
        Self {
            win2000: 1,
            components: Vec::new(),
        }
    }
}

impl DebugFilter {
    /// Sets one mask.
    pub fn set(&mut self, mask: Mask) {
        match mask {
            Mask::Win2000(mask) => self.win2000 = mask,
            Mask::Component(component, mask) => {
                self.components.retain(|(other, _)| *other != component);
                self.components.push((component, mask));
            }
        }
    }

    /// Whether a message is shown. `level` above 31 is itself the mask to test,
    /// as `DbgPrintEx` documents it.
    #[must_use]
    pub fn shows(&self, component: u32, level: u32) -> bool {
        let bit = if level < 32 { 1 << level } else { level };
        let mask = self
            .components
            .iter()
            .find(|(id, _)| *id == component)
            .map_or(0, |(_, mask)| *mask);
        bit & (mask | self.win2000) != 0
    }
}
