//! Running other programs: quietly, with a limit on how long, and with what
//! they printed at hand when they fail.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::Error;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How many lines of a failed program's output are worth showing.
const TAIL_LINES: usize = 15;

/// Runs `command` for at most `limit`; returns what it wrote to its standard
/// output. Both its streams go through files in `scratch`, so that no pipe can
/// fill up and stall it.
pub(crate) fn capture(
    command: &mut Command,
    scratch: &Path,
    limit: Duration,
) -> Result<String, Error> {
    let stdout_path = scratch.join(format!("{}.out", std::process::id()));
    let stderr_path = scratch.join(format!("{}.err", std::process::id()));
    let result = run(command, &stdout_path, &stderr_path, limit);
    for path in [&stdout_path, &stderr_path] {
        // They are only scratch, and the folder is ours to clear another time.
        let _ = fs::remove_file(path);
    }
    result
}

/// [`capture`] with its files.
fn run(
    command: &mut Command,
    stdout_path: &Path,
    stderr_path: &Path,
    limit: Duration,
) -> Result<String, Error> {
    let create = |path: &Path| File::create(path).map_err(|e| Error::io("create", path, e));
    let line = command_line(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(create(stdout_path)?)
        .stderr(create(stderr_path)?)
        .spawn()
        .map_err(|source| Error::Spawn {
            command: line.clone(),
            source,
        })?;
    let deadline = Instant::now() + limit;
    let status = loop {
        let polled = child.try_wait().map_err(|source| Error::Spawn {
            command: line.clone(),
            source,
        })?;
        if polled.is_some() || Instant::now() >= deadline {
            break polled;
        }
        thread::sleep(POLL);
    };
    let outcome = match status {
        Some(status) if status.success() => {
            let output = fs::read(stdout_path).map_err(|e| Error::io("read", stdout_path, e))?;
            return Ok(String::from_utf8_lossy(&output).into_owned());
        }
        Some(status) => status.to_string(),
        None => {
            // It may have ended in this very moment; either way it is waited for.
            let _ = child.kill();
            let _ = child.wait();
            format!("no end after {} s", limit.as_secs())
        }
    };
    Err(Error::Failed {
        command: line,
        outcome,
        output: tail(stdout_path) + &tail(stderr_path),
    })
}

/// The last lines of a file, indented.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(TAIL_LINES))
        .fold(String::new(), |text, line| text + "    " + line + "\n")
}

/// A command as one would type it, near enough for a message.
pub(crate) fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Where `program` is in PATH.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The newest clang in PATH: its plain name first, then names with a version.
pub(crate) fn find_clang() -> Option<PathBuf> {
    find_versioned("clang")
}

/// `name` in PATH, or `name-N` with the highest N.
pub(crate) fn find_versioned(name: &str) -> Option<PathBuf> {
    find_program(name).or_else(|| {
        (10..40)
            .rev()
            .find_map(|version| find_program(&format!("{name}-{version}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Error> {
        let scratch = std::env::temp_dir().join(format!("cross-exec-{:?}", thread::current().id()));
        fs::create_dir_all(&scratch).expect("a scratch folder");
        let result = capture(Command::new("sh").arg("-c").arg(script), &scratch, limit);
        fs::remove_dir_all(&scratch).expect("the scratch folder can go");
        result
    }

    #[test]
    fn output_larger_than_pipe_is_captured() {
        let output = shell("head -c 300000 /dev/zero", Duration::from_mins(1));
        assert_eq!(output.map(|text| text.len()).ok(), Some(300_000));
    }

    #[test]
    fn failure_has_status_and_output() {
        let error = shell("echo why >&2; exit 3", Duration::from_mins(1)).expect_err("status 3");
        let message = error.to_string();
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(message.contains("    why\n"), "{message}");
    }

    #[test]
    fn hanging_program_is_killed() {
        let error = shell("sleep 1000", Duration::ZERO).expect_err("a limit");
        assert!(error.to_string().contains("no end after 0 s"), "{error}");
    }
}
