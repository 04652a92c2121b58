//! Runs other programs, and shows their output if they fail.

use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use crate::context::Context;

/// Runs `command`, which does `what`; shows its output if it fails, or always if the
/// context is verbose. Returns its standard output.
pub fn capture(context: &Context, command: &mut Command, what: &str) -> anyhow::Result<Vec<u8>> {
    let output = run(context, command)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    bail!("{what} failed ({})", output.status);
}

/// [`capture`] for programs that report on their standard output.
pub fn quietly(context: &Context, command: &mut Command, what: &str) -> anyhow::Result<()> {
    let output = run(context, command)?;
    if context.verbose {
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    if output.status.success() {
        return Ok(());
    }
    if !context.verbose {
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    bail!("{what} failed ({})", output.status);
}

/// Runs `command` to its end.
fn run(context: &Context, command: &mut Command) -> anyhow::Result<Output> {
    let stderr = if context.verbose {
        eprintln!("xtask: {}", line(command));
        Stdio::inherit()
    } else {
        Stdio::piped()
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .with_context(|| format!("cannot run `{}`", line(command)))
}

/// The command line, for a message.
pub fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
