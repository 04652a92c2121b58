//! What can be said on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};

/// Lists the address space of a process, one line a block: allocation base, base
/// address, size, state, type, current protection, allocation protection.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
#[command(group(ArgGroup::new("subject").required(true)))]
#[command(group(ArgGroup::new("view")))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Args {
    /// The process, by its number or the name of its program.
    #[arg(group = "subject", value_name = "PID|NAME")]
    pub process: Option<String>,
    /// Every process that can be opened, one after the other. JSON and CSV tell the
    /// number and the program of each with its blocks.
    #[arg(long, group = "subject", conflicts_with_all = ["map", "watch"])]
    pub all: bool,
    /// A listing that was written down; `-` for standard input.
    #[arg(long, group = "subject", value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// What differs between two listings that were written down. Exit status 1 if
    /// anything does.
    #[arg(long, group = "subject", num_args = 2, value_names = ["A", "B"])]
    pub diff: Option<Vec<PathBuf>>,

    /// Sums by type and state, instead of the blocks.
    #[arg(long, group = "view")]
    pub summary: bool,
    /// Allocations and what they are: images with their sections, stacks, heaps,
    /// mapped files, environment blocks.
    #[arg(long, group = "view")]
    pub groups: bool,
    /// How much of each committed block is in physical memory.
    #[arg(long, group = "view")]
    pub working_set: bool,
    /// Draw the address space into a file, as SVG.
    #[arg(long, group = "view", value_name = "FILE.svg")]
    pub map: Option<PathBuf>,
    /// Comma-separated values, with the numbers of Windows.
    #[arg(long, group = "view")]
    pub csv: bool,
    /// Compare the kernel's answer with the user's, and print each difference.
    /// Exit status 1 if there is any. Suspend the process for it.
    #[arg(long, group = "view")]
    pub check: bool,
    /// Print what has changed, every so many seconds, until the process ends.
    #[arg(long, group = "view", value_name = "SECONDS", value_parser = seconds)]
    pub watch: Option<std::time::Duration>,

    /// JSON: an array of blocks or groups, or the sums.
    #[arg(long, conflicts_with_all = ["csv", "map", "check", "watch", "working_set", "diff"])]
    pub json: bool,
    /// Ask the kernel, through the driver ntmem, which must be running.
    #[arg(long, conflicts_with_all = ["from", "diff", "check"])]
    pub kernel: bool,
    /// Suspend the threads of the process while it is listed.
    #[arg(long, conflicts_with_all = ["from", "diff", "watch"])]
    pub suspend: bool,
    /// Print the names of the columns above them.
    #[arg(long)]
    pub header: bool,
}

const AFTER: &str = "\
Protections are seven places: N no-cache, O write-combined, G guard, R read, W write,
E execute, C copy on write. Reserved and free blocks have none.

Exit status:
  0  done
  1  --diff, --check: there are differences
  2  wrong usage
  3  there is no such process
  4  access is denied
  5  the process ended meanwhile
  6  a file cannot be read or is no listing
  7  the system or the driver failed";

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    std::time::Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|wait| !wait.is_zero())
        .ok_or_else(|| "write a number of seconds above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn conflicting_options_are_refused() {
        let parse = |line: &str| Args::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("vq 4"));
        assert!(parse("vq notes.exe --kernel --summary --json"));
        assert!(parse("vq --diff a b"));
        assert!(parse("vq 4 --watch 0.5"));
        for wrong in [
            "vq",
            "vq 4 --all",
            "vq --all --map one.svg",
            "vq --all --watch 1",
            "vq 4 --csv --json",
            "vq --from a --kernel",
            "vq --diff a",
            "vq 4 --watch 0",
            "vq 4 --watch nan",
        ] {
            assert!(!parse(wrong), "{wrong}");
        }
    }
}
