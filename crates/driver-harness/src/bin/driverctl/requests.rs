//! The requests with input or with two callers: from the command line to the request,
//! and from the reply to its fields.

use clap::{Args, ValueEnum};
use driver_harness::host::IoctlRequest;
use nt_status::Named;
use ntmem_ioctl::{
    Command, ContextsReply, ENTRY_POINTS, ScenarioCache, ScenarioCheck, ScenarioKind,
    ScenarioReply, ScenarioRequest, ScenarioStep, ScenarioTarget, ScenarioVerdict, SignalReply,
    SignalRequest,
};
use serde_json::{Map, Value, json};
use zerocopy::{FromBytes, IntoBytes};

use crate::args::RequestArgs;
use crate::selftest;

/// A request to the driver.
pub struct DriverRequest {
    /// The command of the IOCTL interface.
    pub command: Command,
    /// The request.
    pub ioctl: IoctlRequest,
    /// A request that a second program sends while the first one may be pending.
    pub second: Option<IoctlRequest>,
}

/// Size of the output buffer, at least that of every reply.
const OUTPUT_SIZE: usize = 512;

impl DriverRequest {
    /// A request with this input.
    pub fn new(command: Command, input: Vec<u8>) -> Self {
        Self {
            command,
            ioctl: IoctlRequest {
                code: command.code(),
                input,
                output_size: OUTPUT_SIZE,
            },
            second: None,
        }
    }
}

/// The options of `scenario`.
#[derive(Debug, Args)]
pub struct Scenario {
    /// The scenario. `double-map` breaks a rule of the WDK reference.
    #[arg(long, value_enum, default_value_t = Kind(ScenarioKind::Lock))]
    pub kind: Kind,
    /// Address space of the second mapping.
    #[arg(long, value_enum, default_value_t = Target(ScenarioTarget::System))]
    pub target: Target,
    /// Cache type of the mapping.
    #[arg(long, value_enum, default_value_t = Cache(ScenarioCache::Cached))]
    pub cache: Cache,
    /// Size of the block in bytes, up to 16777216; a multiple of 4096 for a mapping into
    /// the program.
    #[arg(long, default_value_t = 4096)]
    pub size: u32,
    #[command(flatten)]
    pub common: RequestArgs,
}

impl Scenario {
    pub fn request(&self) -> DriverRequest {
        let request = ScenarioRequest {
            kind: self.kind.0.number(),
            target: self.target.0.number(),
            cache: self.cache.0.number(),
            size: self.size,
        };
        DriverRequest::new(Command::Scenario, request.as_bytes().to_vec())
    }
}

/// The options of `wait` and `signal`.
#[derive(Debug, Args)]
pub struct Signal {
    /// Number that the signal request sends and the wait request receives.
    #[arg(long, default_value_t = 1)]
    pub number: u64,
    #[command(flatten)]
    pub common: RequestArgs,
}

impl Signal {
    fn input(&self) -> Vec<u8> {
        let number = self.number;
        SignalRequest { number }.as_bytes().to_vec()
    }

    pub fn request(&self) -> DriverRequest {
        DriverRequest::new(Command::Signal, self.input())
    }

    /// A wait request, and a signal request from a second program.
    pub fn wait_request(&self) -> DriverRequest {
        DriverRequest {
            second: Some(self.request().ioctl),
            ..DriverRequest::new(Command::Wait, Vec::new())
        }
    }
}

/// The options of `copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// Text that the driver copies.
    #[arg(long, default_value = "ntmem")]
    pub text: String,
    #[command(flatten)]
    pub common: RequestArgs,
}

impl Copy {
    pub fn request(&self) -> DriverRequest {
        let mut request = DriverRequest::new(Command::Copy, self.text.clone().into_bytes());
        request.ioctl.output_size = self.text.len();
        request
    }
}

/// Declares option types for enumerations of the IOCTL interface.
macro_rules! option_types {
    ($($type:ident($of:ident), $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type(pub $of);

        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                const COUNT: usize = $of::ALL.len();
                const ALL: [$type; COUNT] = {
                    let mut all = [$type($of::ALL[0]); COUNT];
                    let mut index = 0;
                    while index < COUNT {
                        all[index] = $type($of::ALL[index]);
                        index += 1;
                    }
                    all
                };
                &ALL
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                let value = clap::builder::PossibleValue::new(self.0.name());
                Some(value.aliases(self.0.alias()))
            }
        }
    )*};
}

option_types! {
    Kind(ScenarioKind), "A scenario.";
    Target(ScenarioTarget), "The address space of the second mapping.";
    Cache(ScenarioCache), "A cache type.";
}

/// The fields of a reply by name; `None` if its size is wrong. `second` is the reply to
/// the second program.
pub fn fields(command: Command, bytes: &[u8], second: Option<&[u8]>) -> Option<Value> {
    match command {
        Command::Scenario => ScenarioReply::read_from_bytes(bytes).ok().map(scenario),
        Command::Contexts => ContextsReply::read_from_bytes(bytes).ok().map(contexts),
        Command::Signal => {
            let reply = SignalReply::read_from_bytes(bytes).ok()?;
            Some(json!({ "woken": reply.woken }))
        }
        Command::Wait => {
            let received = SignalRequest::read_from_bytes(bytes).ok()?;
            let signal = SignalReply::read_from_bytes(second?).ok()?;
            Some(json!({ "number": received.number, "woken": signal.woken }))
        }
        Command::Copy => Some(json!({
            "bytes": bytes.len(),
            "text": String::from_utf8_lossy(bytes),
        })),
        _ => selftest::fields(command, bytes),
    }
}

/// Whether the reply reports that a scenario failed.
pub fn is_failure(command: Command, fields: &Map<String, Value>) -> bool {
    command == Command::Scenario && fields.get("status") != Some(&json!(Named(0).to_string()))
}

fn contexts(reply: ContextsReply) -> Value {
    let entries = ENTRY_POINTS.iter().zip(reply.entries);
    let fields = entries.map(|(name, entry)| {
        let context = json!({
            "count": entry.count,
            "process": entry.process,
            "thread": entry.thread,
            "irql": entry.irql,
            "requestor-mode": if entry.from_user == 0 { "kernel" } else { "user" },
        });
        ((*name).to_owned(), context)
    });
    Value::Object(fields.collect())
}

fn scenario(report: ScenarioReply) -> Value {
    let named = |name: Option<&str>, number: u32| match name {
        Some(name) => name.to_owned(),
        None => number.to_string(),
    };
    let steps = report.steps.iter().take_while(|step| step.step != 0);
    let steps = steps.map(|step| {
        json!({
            "step": named(ScenarioStep::from_number(step.step).map(ScenarioStep::name), step.step),
            "status": Named(step.status).to_string(),
            "flags": format!("{:#06x}", step.flags),
        })
    });
    let checks = report.checks.iter().take_while(|check| check.check != 0);
    let checks = checks.map(|check| {
        json!({
            "check": named(ScenarioCheck::from_number(check.check).map(ScenarioCheck::name), check.check),
            "compared": check.compared,
            "equal": check.equal,
        })
    });
    let verdict = ScenarioVerdict::from_number(report.verdict).map(ScenarioVerdict::name);
    json!({
        "status": Named(report.status).to_string(),
        "verdict": named(verdict, report.verdict),
        "mdl-size": report.mdl_size,
        "byte-count": report.byte_count,
        "byte-offset": report.byte_offset,
        "pages": report.pages,
        "steps": steps.collect::<Vec<_>>(),
        "checks": checks.collect::<Vec<_>>(),
    })
}
