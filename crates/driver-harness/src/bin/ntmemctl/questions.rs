//! Commands that take something, or two callers: from the command line to the
//! request, and from the reply to its fields.

use clap::{Args, ValueEnum};
use driver_harness::host::Inquiry;
use nt_status::Named;
use ntmem_ioctl::{
    Command, ContextsReply, ENTRY_POINTS, ScenarioCache, ScenarioCheck, ScenarioKind,
    ScenarioReply, ScenarioRequest, ScenarioStep, ScenarioTarget, ScenarioVerdict, SignalReply,
    SignalRequest,
};
use serde_json::{Map, Value, json};
use zerocopy::{FromBytes, IntoBytes};

use crate::args::Ask;
use crate::exercises;

/// What is asked, and by how many.
pub struct Question {
    /// The command that it is named after.
    pub command: Command,
    /// The request.
    pub inquiry: Inquiry,
    /// A request that another caller makes while the first one waits.
    pub meanwhile: Option<Inquiry>,
}

/// Room for every reply that has a size of its own.
const ROOM: usize = 512;

impl Question {
    /// A command without input.
    pub fn plain(command: Command) -> Self {
        Self::with(command, Vec::new())
    }

    /// A command with this input.
    pub fn with(command: Command, input: Vec<u8>) -> Self {
        Self {
            command,
            inquiry: Inquiry {
                code: command.code(),
                input,
                room: ROOM,
            },
            meanwhile: None,
        }
    }
}

/// The options of `scenario`.
#[derive(Debug, Args)]
pub struct Scenario {
    /// The scenario. `double-map` breaks a rule of Windows' reference.
    #[arg(long, value_enum, default_value_t = Kind(ScenarioKind::Lock))]
    pub kind: Kind,
    /// Where the second address is to be.
    #[arg(long, value_enum, default_value_t = Target(ScenarioTarget::System))]
    pub target: Target,
    /// The cache type that is asked of the mapping.
    #[arg(long, value_enum, default_value_t = Cache(ScenarioCache::Cached))]
    pub cache: Cache,
    /// Bytes of the block, up to 16777216; whole pages (of 4096) for a mapping into
    /// the program.
    #[arg(long, default_value_t = 4096)]
    pub size: u32,
    #[command(flatten)]
    pub ask: Ask,
}

impl Scenario {
    pub fn question(&self) -> Question {
        let request = ScenarioRequest {
            kind: self.kind.0.number(),
            target: self.target.0.number(),
            cache: self.cache.0.number(),
            size: self.size,
        };
        Question::with(Command::Scenario, request.as_bytes().to_vec())
    }
}

/// A number that one caller sends, and who waits gets.
#[derive(Debug, Args)]
pub struct Signal {
    /// The number.
    #[arg(long, default_value_t = 1)]
    pub number: u64,
    #[command(flatten)]
    pub ask: Ask,
}

impl Signal {
    fn request(&self) -> Vec<u8> {
        let number = self.number;
        SignalRequest { number }.as_bytes().to_vec()
    }

    pub fn question(&self) -> Question {
        Question::with(Command::Signal, self.request())
    }

    /// One caller waits, another one signals.
    pub fn waiting(&self) -> Question {
        Question {
            meanwhile: Some(self.question().inquiry),
            ..Question::plain(Command::Wait)
        }
    }
}

/// Text that the driver copies from one buffer of the program to another.
#[derive(Debug, Args)]
pub struct Copy {
    /// The text.
    #[arg(long, default_value = "ntmem")]
    pub text: String,
    #[command(flatten)]
    pub ask: Ask,
}

impl Copy {
    pub fn question(&self) -> Question {
        let mut question = Question::with(Command::Copy, self.text.clone().into_bytes());
        question.inquiry.room = self.text.len();
        question
    }
}

/// Makes names of the protocol values of the command line.
macro_rules! values {
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

values! {
    Kind(ScenarioKind), "A scenario.";
    Target(ScenarioTarget), "The address space of the second mapping.";
    Cache(ScenarioCache), "A cache type.";
}

/// The fields of a reply by name, with what the other caller got if there was one;
/// `None` if it has not the size of one.
pub fn fields(command: Command, bytes: &[u8], other: Option<&[u8]>) -> Option<Value> {
    match command {
        Command::Scenario => ScenarioReply::read_from_bytes(bytes).ok().map(scenario),
        Command::Contexts => ContextsReply::read_from_bytes(bytes).ok().map(contexts),
        Command::Signal => {
            let reply = SignalReply::read_from_bytes(bytes).ok()?;
            Some(json!({ "woken": reply.woken }))
        }
        Command::Wait => {
            let got = SignalRequest::read_from_bytes(bytes).ok()?;
            let signal = SignalReply::read_from_bytes(other?).ok()?;
            Some(json!({ "number": got.number, "woken": signal.woken }))
        }
        Command::Copy => Some(json!({
            "bytes": bytes.len(),
            "text": String::from_utf8_lossy(bytes),
        })),
        _ => exercises::fields(command, bytes),
    }
}

/// The status in a report that is no success; such a scenario has failed.
pub fn failure(command: Command, fields: &Map<String, Value>) -> bool {
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
