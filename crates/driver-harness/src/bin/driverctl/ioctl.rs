//! Sends a request to a driver that is started for it, and prints the reply as a table or
//! as JSON.

use std::io;

use driver_harness::host::{IoctlResponse, Service};
use driver_harness::image;
use driver_harness::logs::debugview::printable;
use driver_harness::service_run::{self, ServiceRun};
use driver_harness::verdict::{LogCheck, verdict};
use nt_status::Named;
use ntbox_api::ExitStatus;
use ntmem_ioctl::{Command, ContextReply, DEVICE_LINK, IrqlReply, StatisticsReply, VersionReply};
use serde_json::{Map, Value, json};
use zerocopy::FromBytes;

use crate::args::RequestArgs;
use crate::requests::{self, DriverRequest};
use crate::{CommandResult, Failure, host, output, print_failure};

/// The run, and the responses to the request and to that of the second program.
struct RequestResult {
    run: ServiceRun,
    response: Option<IoctlResponse>,
    second: Option<IoctlResponse>,
}

/// Sends the request and prints the reply.
pub fn send_and_print(request: &DriverRequest, args: &RequestArgs) -> CommandResult {
    let command = request.command;
    match send(request, args) {
        Ok(result) => {
            let reply = result.reply(command);
            let request_status = match &reply {
                Ok(fields) if !requests::is_failure(command, fields) => ExitStatus::Success,
                _ => ExitStatus::RequestFailed,
            };
            let exit = exit_status(&result.run, request_status);
            let written = if args.json {
                output::print_json(&result.json(command, &reply, exit))
            } else {
                result.text(&reply)
            };
            (written, exit)
        }
        Err(failure) => print_failure(&failure, args.json),
    }
}

fn send(request: &DriverRequest, args: &RequestArgs) -> Result<RequestResult, Failure> {
    image::check(&args.file)?;
    let service = Service::new(&args.file);
    let mut host = host::open(&args.host)?;
    let (run, responses) = service_run::run_with(host.as_mut(), &service, |host| {
        let Some(second) = &request.second else {
            return Ok((host.send_ioctl(DEVICE_LINK, &request.ioctl)?, None));
        };
        let (response, second) = host.send_ioctl_pair(DEVICE_LINK, &request.ioctl, second)?;
        Ok((response, Some(second)))
    })?;
    let (response, second) =
        responses.map_or((None, None), |(first, second)| (Some(first), second));
    Ok(RequestResult {
        run,
        response,
        second,
    })
}

/// The exit status of a run with a request: the more severe of both.
pub fn exit_status(run: &ServiceRun, request: ExitStatus) -> ExitStatus {
    let unchecked = LogCheck::Skipped {
        reason: "a request has no expected log".to_owned(),
    };
    let run = verdict(run, &unchecked).exit_status();
    ExitStatus::most_severe([run, request]).unwrap_or(request)
}

impl RequestResult {
    /// The fields of the reply, or the reason why there is none.
    fn reply(&self, command: Command) -> Result<Map<String, Value>, String> {
        match &self.response {
            None => Err(match self.run.status() {
                Some(status) => format!("DriverEntry failed: {}", Named(status)),
                None => "DriverEntry did not return".to_owned(),
            }),
            Some(IoctlResponse::OpenFailed(status)) => Err(format!(
                "{DEVICE_LINK} cannot be opened: {}",
                Named(*status)
            )),
            Some(IoctlResponse::KernelStopped) => Err("the kernel stopped".to_owned()),
            Some(IoctlResponse::Completed(0, output)) => fields(command, output, self.second())
                .ok_or_else(|| {
                    let size = output.len();
                    format!(
                        "the reply to {} has the wrong size, {size} bytes",
                        command.name()
                    )
                }),
            Some(IoctlResponse::Completed(status, _)) => {
                Err(format!("the request failed: {}", Named(*status)))
            }
        }
    }

    /// The output for the second program.
    fn second(&self) -> Option<&[u8]> {
        match &self.second {
            Some(IoctlResponse::Completed(0, output)) => Some(output),
            _ => None,
        }
    }

    fn json(
        &self,
        command: Command,
        reply: &Result<Map<String, Value>, String>,
        exit: ExitStatus,
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
            Ok(fields) => output::table(fields)?,
            Err(message) => output::error(message)?,
        }
        for violation in &self.run.findings.violations {
            let message = printable(&violation.message);
            output::error(&format!("{}: {message}", violation.rule))?;
        }
        match &self.run.findings.bug_check {
            Some(bug_check) => output::error(&printable(&bug_check.message)),
            None => Ok(()),
        }
    }
}

/// The fields of a reply by name; `None` if its size is wrong. Addresses are text: some
/// JSON readers lose the low bits of 64-bit numbers.
fn fields(command: Command, bytes: &[u8], second: Option<&[u8]>) -> Option<Map<String, Value>> {
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
        _ => requests::fields(command, bytes, second)?,
    };
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}
