//! One question to the driver: it is started, asked through its device, and
//! stopped; the reply is a table for a person and an object for a program.

use std::io;

use driver_harness::host::{Asked, Service};
use driver_harness::lifecycle::{self, Run};
use driver_harness::verdict::{Check, Verdict};
use driver_harness::{debugview, image};
use nt_status::Named;
use ntmem_ioctl::{Command, ContextReply, DEVICE_LINK, IrqlReply, StatisticsReply, VersionReply};
use serde_json::{Map, Value, json};
use zerocopy::FromBytes;

use crate::questions::{self, Question};
use crate::{Failure, args, open, show, show_failure};

/// Exit status if the driver was asked and did not answer.
const REFUSED: u8 = 8;

/// Exit status if what was asked for failed.
const FAILED: u8 = 1;

/// What came of it.
struct Answer {
    run: Run,
    asked: Option<Asked>,
    /// What the other caller got, if there was one.
    other: Option<Asked>,
}

/// Asks, and says what came of it; whether that could be written, and the exit
/// status.
pub fn ask_and_show(question: &Question, args: &args::Ask) -> (io::Result<()>, u8) {
    let command = question.command;
    match ask(question, args) {
        Ok(answer) => {
            let reply = answer.reply(command);
            let exit = answer.exit_status(match &reply {
                Ok(fields) if questions::failure(command, fields) => FAILED,
                Ok(_) => 0,
                Err(_) => REFUSED,
            });
            let shown = if args.json {
                show::print(&answer.json(command, &reply, exit))
            } else {
                answer.text(&reply)
            };
            (shown, exit)
        }
        Err(failure) => show_failure(&failure, args.json),
    }
}

fn ask(question: &Question, args: &args::Ask) -> Result<Answer, Failure> {
    image::check(&args.file)?;
    let service = Service::new(&args.file);
    let mut host = open::host(&args.host)?;
    let (run, asked) = lifecycle::run_with(host.as_mut(), &service, |host| {
        let Some(meanwhile) = &question.meanwhile else {
            return Ok((host.ask(DEVICE_LINK, &question.inquiry)?, None));
        };
        let (asked, other) = host.ask_both(DEVICE_LINK, &question.inquiry, meanwhile)?;
        Ok((asked, Some(other)))
    })?;
    let (asked, other) = asked.map_or((None, None), |(asked, other)| (Some(asked), other));
    Ok(Answer { run, asked, other })
}

impl Answer {
    /// The fields of the reply, or why there is none.
    fn reply(&self, command: Command) -> Result<Map<String, Value>, String> {
        match &self.asked {
            None => Err(match self.run.status() {
                Some(status) => format!("DriverEntry failed: {}", Named(status)),
                None => "DriverEntry never returned".to_owned(),
            }),
            Some(Asked::Unopened(status)) => Err(format!(
                "{DEVICE_LINK} cannot be opened: {}",
                Named(*status)
            )),
            Some(Asked::Stopped) => Err("the kernel stopped".to_owned()),
            Some(Asked::Answered(0, output)) => fields(command, output, self.other())
                .ok_or_else(|| format!("the reply has {} bytes, which is wrong", output.len())),
            Some(Asked::Answered(status, _)) => {
                Err(format!("the driver refused: {}", Named(*status)))
            }
        }
    }

    /// What the other caller got.
    fn other(&self) -> Option<&[u8]> {
        match &self.other {
            Some(Asked::Answered(0, output)) => Some(output),
            _ => None,
        }
    }

    /// A broken rule or a stopped kernel weighs more than a reply.
    fn exit_status(&self, answer: u8) -> u8 {
        let unchecked = Check::Skipped {
            reason: "a question is not a test".to_owned(),
        };
        match Verdict::of(&self.run, &unchecked) {
            Verdict::Passed => answer,
            verdict => verdict.exit_status(),
        }
    }

    fn json(
        &self,
        command: Command,
        reply: &Result<Map<String, Value>, String>,
        exit: u8,
    ) -> Value {
        json!({
            "command": command.name(),
            "reply": reply.as_ref().ok(),
            "error": reply.as_ref().err(),
            "findings": self.run.findings,
            "exit_status": exit,
        })
    }

    fn text(&self, reply: &Result<Map<String, Value>, String>) -> io::Result<()> {
        match reply {
            Ok(fields) => show::table(fields)?,
            Err(why) => show::error(why)?,
        }
        for violation in &self.run.findings.violations {
            let what = debugview::printable(&violation.what);
            show::error(&format!("{}: {what}", violation.rule))?;
        }
        match &self.run.findings.bug_check {
            Some(stop) => show::error(&debugview::printable(&stop.what)),
            None => Ok(()),
        }
    }
}

/// The fields of a reply by name; `None` if it has not the size of one. Addresses
/// are texts, as numbers of 64 bits get lost in some readers of JSON.
fn fields(command: Command, bytes: &[u8], other: Option<&[u8]>) -> Option<Map<String, Value>> {
    let address = |address: u64| format!("{address:#018x}");
    let value = match command {
        Command::Version => {
            let reply = VersionReply::read_from_bytes(bytes).ok()?;
            let [major, minor, patch] = reply.driver;
            let system = reply.system.map(|number| number.to_string());
            json!({
                "protocol": reply.protocol,
                "driver": format!("{major}.{minor}.{patch}"),
                "build": if reply.is_debug == 0 { "release" } else { "debug" },
                "windows": system.join("."),
            })
        }
        Command::Context => {
            let reply = ContextReply::read_from_bytes(bytes).ok()?;
            json!({
                "process": reply.process,
                "thread": reply.thread,
                "irql": reply.irql,
                "previous-mode": if reply.from_user == 0 { "kernel" } else { "user" },
                "highest-user": address(reply.highest_user),
                "user-probe": address(reply.user_probe),
                "system-range-start": address(reply.system_range_start),
            })
        }
        Command::Statistics => {
            let reply = StatisticsReply::read_from_bytes(bytes).ok()?;
            json!({
                "opened": reply.opened,
                "open": reply.open,
                "requests": reply.requests,
                "refused": reply.refused,
                "waiting": reply.waiting,
                "views": reply.views,
                "view-bytes": reply.view_bytes,
                "stored": reply.stored,
            })
        }
        Command::Irql => {
            let reply = IrqlReply::read_from_bytes(bytes).ok()?;
            json!({
                "before": reply.before,
                "apc": reply.apc,
                "dispatch": reply.dispatch,
                "locked": reply.locked,
                "after": reply.after,
            })
        }
        _ => questions::fields(command, bytes, other)?,
    };
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}
