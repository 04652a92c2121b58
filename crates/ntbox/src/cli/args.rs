//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::parse::{self, Mask};
use crate::{
    Config, Fault, Guard, Instrument, MAXIMUM_PROCESSORS, OsVersion, RegValue, Time, Verify,
    VolumeFile,
};
use clap::{Args, Parser, Subcommand};
use ntbox_api::ExitStatus;

use super::requests::{self, Ask};

/// Runs an unmodified Windows kernel driver (a .sys file for x86-64) on Linux, in
/// a small kernel inside a process: shows what the driver logs, what rules of
/// the kernel it breaks, what it leaves behind, and where it crashes.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Try it:
  ntbox run mydriver.sys
  ntbox ioctl mydriver.sys '\\\\.\\MyDevice' control=0x222000,in=text:hello,out=64
  ntbox imports mydriver.sys"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a driver, call DriverEntry, unload it, and report
    Run(Run),
    /// Load a driver, send requests to its device, unload it, and report
    #[command(after_help = with_exit_statuses(IOCTL_HELP))]
    Ioctl(Ioctl),
    /// Run a driver once for each call that may fail and each call stack that leads
    /// to it, and let that call fail
    #[command(after_help = with_exit_statuses(SWEEP_HELP))]
    Sweep(Sweep),
    /// List what a driver imports, and whether this kernel provides it, without
    /// running it
    #[command(visible_alias = "check")]
    Imports(Imports),
    /// List what this kernel provides
    Exports(Exports),
    /// List the rules that the kernel checks
    Rules(Rules),
    /// Explain a rule, a bug check or a status: what it means, and for a rule an example and
    /// how to mend it
    Explain(Explain),
}

/// The help of a command with the table of exit statuses behind it.
fn with_exit_statuses(help: &str) -> String {
    format!("{help}\n\n{}", ExitStatus::HELP)
}

const RUN_HELP: &str = "\
The log is shown as DebugView shows it: number, seconds since the first line, \
text. On a freshly installed Windows the debug print filter lets only errors \
through; what it would hide is marked as filtered, or left out with `--hide-filtered`. \
`--filter IHVDRIVER=0xf` lets all levels of that component through.

Examples:
  ntbox run walk.sys
  ntbox run walk.sys --param Size=dword:0x2000 --param Mode=sz:slow
  ntbox run walk.sys --fault IoAllocateMdl:2    the second call fails
  ntbox run walk.sys --calls                    which calls can be made to fail?
  ntbox run walk.sys --json | jq .verdict

";

#[derive(Debug, Args)]
#[command(after_help = with_exit_statuses(RUN_HELP))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own on the command line"
)]
pub struct Run {
    /// The driver's image; its PDB, if it has one, lies beside it
    #[arg(value_name = "FILE")]
    pub image: PathBuf,
    /// Name of the service, and of its registry key [default: the file's name]
    #[arg(long, value_parser = parse::service)]
    pub service: Option<String>,
    /// A value of the service's Parameters key: dword:N, qword:N, sz:TEXT,
    /// expand:TEXT, multi:A,B, binary:HEX or raw:KIND:HEX
    #[arg(long = "param", value_name = "NAME=TYPE:DATA", value_parser = parse::parameter)]
    pub parameters: Vec<(String, RegValue)>,
    /// Make the Nth call of an export fail, the first if N is left out
    #[arg(long = "fault", value_name = "EXPORT[:N]", value_parser = parse::fault)]
    pub faults: Vec<Fault>,
    /// A mask of the debug print filter, such as IHVDRIVER=0xf or WIN2000=8
    #[arg(long = "filter", value_name = "COMPONENT=MASK", value_parser = parse::filter)]
    pub filters: Vec<Mask>,
    /// Leave out the lines that the debug print filter of Windows hides
    #[arg(long)]
    pub hide_filtered: bool,
    /// What is done anyway: show the lines too that the filter hides
    #[arg(long, hide = true)]
    pub all: bool,
    /// List the exports that the driver called
    #[arg(long)]
    pub calls: bool,
    /// How long DriverEntry or DriverUnload may take [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = parse::seconds)]
    pub timeout: Option<Duration>,
    /// Version of Windows that the kernel claims to be [default: 10.0.19045]
    #[arg(long, visible_alias = "windows", value_name = "MAJOR.MINOR.BUILD", value_parser = parse::version)]
    pub os: Option<OsVersion>,
    /// Let waiting take as long as the driver says; otherwise the clock jumps
    /// ahead when all threads wait
    #[arg(long)]
    pub real_time: bool,
    /// Put a copy of a file on the volume C:, as in 'C:\\data\\x.bin=x.bin'
    #[arg(long = "file", value_name = "C:\\PATH=FILE", value_parser = parse::volume_file)]
    pub files: Vec<VolumeFile>,
    /// How many processors the machine has, 1 to 8; they take turns
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAXIMUM_PROCESSORS)))]
    pub processors: u32,
    /// Draw the turns of threads and processors from a seed, in place of the
    /// clock: the same seed gives the same run
    #[arg(long, value_name = "SEED", conflicts_with = "real_time")]
    pub schedule: Option<u64>,
    /// Watch the driver as Driver Verifier does, by its standard settings or by a
    /// strict set of rules: pool blocks have inaccessible pages beside them and stay
    /// inaccessible when they are freed, paged pool is inaccessible at dispatch
    /// level, call stacks are kept
    #[arg(long, value_name = "standard|strict", num_args = 0..=1, require_equals = true,
        default_missing_value = "standard", value_parser = parse::verify)]
    pub verify: Option<(Verify, Option<Guard>)>,
    /// With --verify, on which side of a pool block the inaccessible page is
    /// [default: after]
    #[arg(long, value_name = "after|before", requires = "verify", value_parser = parse::guard)]
    pub guard: Option<Guard>,
    /// Leave a rule out, such as executable-pool
    #[arg(long = "ignore", value_name = "RULE", value_parser = parse::rule)]
    pub ignored: Vec<String>,
    /// How many bytes of pool the driver can have at a time
    #[arg(long, value_name = "BYTES", value_parser = parse::number)]
    pub pool_limit: Option<u64>,
    /// Let every mapping of an MDL fail
    #[arg(long)]
    pub no_mappings: bool,
    /// Attach a kernel debugger: breakpoints are logged and the driver goes on
    #[arg(long)]
    pub debugger: bool,
    /// Run the driver's code translated: plain adds nothing to it, memory checks its
    /// accesses to memory [default: off]
    #[arg(long, value_name = "off|plain|memory", value_parser = parse::instrument)]
    pub instrument: Option<Instrument>,
    /// Write a JUnit file for a build server, with one test case for what was run
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a SARIF file for a code host, with one result for each violation and bug check
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Write one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl Run {
    /// The configuration that this asks for.
    pub fn config(&self) -> Config {
        let mut config = Config::new(&self.image);
        config.parameters.clone_from(&self.parameters);
        config.faults.clone_from(&self.faults);
        self.filters
            .iter()
            .for_each(|mask| config.filter.set(*mask));
        config.service = self.service.clone().unwrap_or(config.service);
        config.timeout = self.timeout.unwrap_or(config.timeout);
        config.version = self.os.unwrap_or(config.version);
        config.files.clone_from(&self.files);
        config.processors = self.processors;
        config.schedule = self.schedule;
        if let Some((rules, guard)) = self.verify {
            config.verify = rules;
            config.guard = self.guard.or(guard).unwrap_or_default();
        }
        config.ignored_rules.clone_from(&self.ignored);
        config.pool_limit = self.pool_limit;
        config.no_mappings = self.no_mappings;
        config.debugger = self.debugger;
        config.instrument = self.instrument.unwrap_or(config.instrument);
        if self.real_time {
            config.time = Time::Real;
        }
        config
    }
}

const IOCTL_HELP: &str = "\
DEVICE is the name that a program opens, such as '\\\\.\\MyDevice', or the name of \
the device itself, such as '\\Device\\MyDevice'.

REQUEST is one of
  control=CODE[,in=DATA][,out=BYTES]   DeviceIoControl
  read=BYTES[,at=OFFSET]               ReadFile
  write=DATA[,at=OFFSET]               WriteFile
  wait=MILLISECONDS                    Sleep
and DATA is hex:00ff, text:hello or file:PATH. Requests are sent in their order, \
each when the one before has ended, or has been pending for 30 seconds; time passes \
as it must. What is pending in the end is cancelled.

Examples:
  ntbox ioctl echo.sys '\\\\.\\Echo' control=0x222000,in=text:hello,out=64
  ntbox ioctl echo.sys '\\\\.\\Echo' write=file:data.bin read=512,at=0x200 --json";

#[derive(Debug, Args)]
pub struct Ioctl {
    #[command(flatten)]
    pub run: Run,
    /// Name of the device or of a link to it
    pub device: String,
    /// What to send: control=CODE, read=BYTES or write=DATA, see below
    #[arg(value_name = "REQUEST", value_parser = requests::request)]
    pub requests: Vec<Ask>,
}

const SWEEP_HELP: &str = "\
With a DEVICE, each run opens it and sends the REQUESTs, as `ntbox ioctl` does. Calls \
that are made only after one has failed get their turn too. Runs go on in parallel; \
the outcome does not depend on it. A driver may refuse to start, and requests may \
end in errors; it may not stop the kernel, break a rule or leave anything behind.

Examples:
  ntbox sweep walk.sys --verify
  ntbox sweep echo.sys '\\\\.\\Echo' control=0x222000,in=text:hello,out=64 --junit sweep.xml

The exit status is that of the worst run.";

#[derive(Debug, Args)]
pub struct Sweep {
    #[command(flatten)]
    pub run: Run,
    /// Name of the device or of a link to it
    pub device: Option<String>,
    /// What to send, as for `ntbox ioctl`
    #[arg(value_name = "REQUEST", value_parser = requests::request)]
    pub requests: Vec<Ask>,
}

const IMPORTS_HELP: &str = "\
What is missing is no error until the driver calls it; then the report names it.";

#[derive(Debug, Args)]
#[command(after_help = with_exit_statuses(IMPORTS_HELP))]
pub struct Imports {
    /// The driver's image
    pub file: PathBuf,
    /// Version of Windows whose exports count [default: 10.0.19045]
    #[arg(long, visible_alias = "windows", value_name = "MAJOR.MINOR.BUILD", value_parser = parse::version)]
    pub os: Option<OsVersion>,
    /// Write one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Exports {
    /// Show this export only, in full
    #[arg(conflicts_with = "missing")]
    pub name: Option<String>,
    /// List what Windows provides and this kernel does not, each with the reason
    #[arg(long)]
    pub missing: bool,
    /// Write one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Rules {
    /// Write one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Write docs/reference/rules.md
    #[arg(long, hide = true, conflicts_with = "json")]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The rule, such as pool-leak, or a bug check, such as 0xC4
    pub rule: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_reach_the_configuration() {
        let line = "ntbox run a/walk.sys --service w --param A=dword:1 --param B=sz:x --fault IoAllocateMdl:2 \
                    --filter IHVDRIVER=1 --filter ihvdriver=0xf --filter WIN2000=0 --timeout 0.5 --os 6.1.7601 --real-time --processors 4 --file c:\\x\\y=a/b=c";
        let Command::Run(run) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("not run")
        };
        let config = run.config();
        assert_eq!(config.image, PathBuf::from("a/walk.sys"));
        assert_eq!(config.service, "w");
        assert_eq!(
            config.parameters,
            [
                ("A".to_owned(), RegValue::Dword(1)),
                ("B".to_owned(), RegValue::Sz("x".to_owned()))
            ]
        );
        assert_eq!(
            config.faults,
            [Fault {
                export: "IoAllocateMdl".to_owned(),
                nth: 2
            }]
        );
        assert_eq!(config.filter.components, [(77, 15)]);
        assert_eq!(config.filter.win2000, 0);
        assert_eq!(config.timeout, Duration::from_millis(500));
        assert_eq!(config.time, Time::Real);
        assert_eq!(config.processors, 4);
        assert_eq!(config.schedule, None);
        assert_eq!(
            config.files,
            [VolumeFile {
                path: r"\x\y".to_owned(),
                content: PathBuf::from("a/b=c")
            }]
        );
        assert_eq!(
            config.version,
            OsVersion {
                major: 6,
                minor: 1,
                build: 7601
            }
        );
    }

    #[test]
    fn rules_and_guards_reach_the_configuration() {
        for (line, verify, guard, ignored) in [
            ("", Verify::Off, Guard::After, &[][..]),
            ("--verify", Verify::Standard, Guard::After, &[]),
            ("--verify=standard", Verify::Standard, Guard::After, &[]),
            (
                "--verify=strict --guard before --ignore pool-leak --ignore executable-pool",
                Verify::Strict,
                Guard::Before,
                &["pool-leak", "executable-pool"],
            ),
            (
                "--ignore device-left",
                Verify::Off,
                Guard::After,
                &["device-leak"],
            ),
            ("--verify=overruns", Verify::Standard, Guard::After, &[]),
            ("--verify=underruns", Verify::Standard, Guard::Before, &[]),
        ] {
            let line = format!("ntbox run a/walk.sys {line}");
            let Command::Run(run) = Cli::parse_from(line.split_whitespace()).command else {
                panic!("not run")
            };
            let config = run.config();
            assert_eq!((config.verify, config.guard), (verify, guard), "{line}");
            assert_eq!(config.ignored_rules, ignored, "{line}");
        }
        for wrong in ["--verify=all", "--guard before", "--ignore pool-leek"] {
            let line = format!("ntbox run a/walk.sys {wrong}");
            assert!(
                Cli::try_parse_from(line.split_whitespace()).is_err(),
                "{line}"
            );
        }
    }

    #[test]
    fn options_omitted_have_defaults() {
        let Command::Run(run) = Cli::parse_from(["ntbox", "run", "a/walk.sys"]).command else {
            panic!("not run")
        };
        let config = run.config();
        assert_eq!(config.service, "walk");
        assert_eq!(config.timeout, Duration::from_secs(10));
        assert_eq!(config.version, OsVersion::default());
        assert_eq!(config.time, Time::Simulated);
        assert_eq!(config.processors, 1);
    }

    #[test]
    fn processors_out_of_range_are_refused() {
        for count in ["0", "9", "-1", "two"] {
            let line = ["ntbox", "run", "a/walk.sys", "--processors", count];
            assert!(Cli::try_parse_from(line).is_err(), "{count}");
        }
    }
}
