//! The command line against its reference page: each option of `run` is described, and
//! each described option exists.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use crate::args::Cli;

/// The reference page.
const PAGE: &str = include_str!("../../../../../docs/reference/driverctl.md");

#[test]
fn run_options_match_the_page() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").expect("the command `run`");
    let options: BTreeSet<String> = run
        .get_arguments()
        .filter(|option| !option.is_hide_set())
        .filter_map(|option| Some(format!("--{}", option.get_long()?)))
        .collect();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `--"));
    let described: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').nth(1)?.split(' ').next())
        .filter(|option| option.len() > 2)
        .map(str::to_owned)
        .collect();
    assert_eq!(options, described);
}
