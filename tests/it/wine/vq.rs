//! `vq.exe` in Wine: what it lists of a program that made every kind of block, and
//! what the kernel says of the same.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use driver_harness::host::HostError;
use driver_harness::service_run;
use serde_json::Value;
use vq::{Block, parse};

use super::{Turn, service, variable, wine};

/// What is the same on Windows, in Wine and on ntbox.
const GOLDEN: &str = include_str!("../../golden/blocks.txt");

/// Where the program makes its blocks.
const PLACES: std::ops::Range<u64> = 0x100_0000_0000..0x100_0091_0000;

/// A program of Windows.
fn command(program: &str) -> Command {
    let mut command = Command::new("wine");
    command
        .arg(variable("NTMEM_WINDOWS_PROGRAMS").join(program))
        .env("WINEPREFIX", variable("NTMEM_WINE_PREFIX"))
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command
}

/// A turn without a host. Wine ends with it: the service manager writes where the
/// program writes that started it, which for the next turn has to be its own.
struct Alone {
    _turn: Turn,
}

impl Alone {
    fn new() -> Self {
        Self { _turn: wine() }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = Command::new("wineserver")
            .arg("-k")
            .env("WINEPREFIX", variable("NTMEM_WINE_PREFIX"))
            .status();
    }
}

/// The program that made the blocks, until it is dropped.
struct Subject {
    program: Child,
    input: Option<ChildStdin>,
    process: String,
    thread: u64,
}

impl Subject {
    fn start() -> Self {
        let mut program = command("vq-subject.exe")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Wine runs");
        let input = program.stdin.take();
        let mut line = String::new();
        let output = program.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("a line of text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["process", process, "thread", thread] = words[..] else {
            panic!("vq-subject said `{line}`");
        };
        Self {
            process: process.to_owned(),
            thread: thread.parse().expect("a number"),
            program,
            input,
        }
    }

    fn vq(&self, arguments: &[&str]) -> Output {
        vq(&[&[self.process.as_str()], arguments].concat())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.program.wait();
    }
}

fn vq(arguments: &[&str]) -> Output {
    command("vq.exe")
        .args(arguments)
        .output()
        .expect("Wine runs")
}

#[track_caller]
fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert_eq!(error, "", "something was to be said");
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn vq_lists_each_kind_of_block() {
    let _alone = Alone::new();
    let subject = Subject::start();
    let listing = text(&subject.vq(&["--suspend"]));
    let blocks = parse::read(listing.as_bytes(), "listing").expect("a listing");
    assert!(blocks.windows(2).all(|two| two[0].end() == two[1].base));
    let lines: Vec<&str> = listing
        .lines()
        .zip(&blocks)
        .filter(|(_, block)| PLACES.contains(&block.base))
        .map(|(line, _)| line)
        .collect();
    // Wine forgets PAGE_NOCACHE and PAGE_WRITECOMBINE.
    let golden: Vec<String> = GOLDEN
        .lines()
        .map(|line| line.replace(" N--", " ---").replace(" -O-", " ---"))
        .collect();
    assert_eq!(lines, golden);
    // The other views are of the same blocks.
    let sums: Value =
        serde_json::from_str(&text(&subject.vq(&["--summary", "--json"]))).expect("an object");
    let private: u64 = blocks
        .iter()
        .filter(|block| block.kind == Some(vq::Kind::Private))
        .map(|block| block.size)
        .sum();
    assert_eq!(sums["private"]["size"], private);
    let objects: Value = serde_json::from_str(&text(&subject.vq(&["--json"]))).expect("an array");
    assert_eq!(objects.as_array().map(Vec::len), Some(blocks.len()));
    let csv = text(&subject.vq(&["--csv"]));
    assert_eq!(csv.lines().count(), blocks.len() + 1);
}

#[test]
fn vq_groups_have_their_kinds() {
    let _alone = Alone::new();
    let subject = Subject::start();
    let groups: Value =
        serde_json::from_str(&text(&subject.vq(&["--groups", "--json"]))).expect("an array");
    let groups = groups.as_array().expect("an array");
    let find = |what: &str, matches: &dyn Fn(&Value) -> bool| {
        let found = groups
            .iter()
            .find(|group| group["what"] == what && matches(group));
        found.unwrap_or_else(|| panic!("no {what} of {groups:#?}"))
    };
    let named = |end: &'static str| {
        move |group: &Value| {
            group["file"]
                .as_str()
                .is_some_and(|file| file.ends_with(end))
        }
    };
    // The thread went 128 KiB down its stack of a MiB, past the first guard page.
    // Wine commits the whole of a stack, so nothing is left to be reserved.
    let stack = find("stack", &|group| group["thread"] == subject.thread);
    let size = |name: &str| stack[name].as_u64().expect("a number");
    assert!(size("guard") >= 4096, "{stack}");
    assert!(size("committed") >= 0x2_0000, "{stack}");
    assert!(size("size") >= 1 << 20, "{stack}");
    assert_eq!(size("committed") + size("reserved"), size("size"));
    let image = find("image", &named("vq-subject.exe"));
    let sections = image["sections"].as_array().expect("an array");
    assert!(sections.iter().any(|section| section["name"] == ".text"));
    find("image", &named("ntdll.dll"));
    let file = format!("vq-subject-{}", subject.process);
    find("mapped", &|group| {
        group["file"]
            .as_str()
            .is_some_and(|name| name.ends_with(&file))
    });
    find("environment", &|group| group["process"] == true);
    find("heap", &|group| group["number"] == 0);
    find("shared-user-data", &|_| true);
}

#[test]
fn vq_watch_prints_changes_until_process_exit() {
    let _alone = Alone::new();
    let mut subject = Subject::start();
    let mut watching = command("vq.exe")
        .args([&subject.process, "--watch", "0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Wine runs");
    let (say, heard) = std::sync::mpsc::channel();
    let output = BufReader::new(watching.stdout.take().expect("a pipe"));
    let listener = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // Nobody listening is the end of the test.
            let _ = say.send(line);
        }
    });
    // Which page is the first that is seen depends on when the watching begins.
    let mut line = None;
    for _ in 0..16 {
        let input = subject.input.as_mut().expect("it waits");
        input.write_all(b"\n").expect("it reads");
        line = heard.recv_timeout(Duration::from_secs(1)).ok();
        if line.is_some() {
            break;
        }
    }
    let line = line.expect("a page that was committed is seen");
    let block = line.strip_prefix("- ").or_else(|| line.strip_prefix("+ "));
    let block = parse::read(block.unwrap_or(&line).as_bytes(), "watched").expect("a block");
    assert_eq!(block[0].allocation_base, PLACES.start, "{line}");
    drop(subject);
    let ended = watching.wait_with_output().expect("it ends");
    listener.join().expect("it only reads");
    assert!(ended.status.success(), "{ended:?}");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("has ended"), "{said}");
}

#[test]
fn vq_all_lists_each_process_by_name() {
    let _alone = Alone::new();
    let subject = Subject::start();
    // A process may end meanwhile, which is said.
    let output = |arguments: &[&str]| {
        let output = vq(&[&["--all"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let listing = output(&[]);
    let title = format!("# {} vq-subject.exe\n", subject.process);
    let (_, rest) = listing.split_once(&title).expect("the subject is listed");
    let own = rest.split("\n# ").next().unwrap_or_default();
    assert_eq!(chosen(own).len(), GOLDEN.lines().count());
    assert!(
        listing
            .lines()
            .filter(|line| line.starts_with("# "))
            .count()
            > 1
    );
}

#[test]
fn vq_of_unknown_process_or_missing_driver_fails() {
    let _alone = Alone::new();
    let output = vq(&["nothing-of-this-name"]);
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("there is no process named nothing-of-this-name"),
        "{error}"
    );
    let subject = Subject::start();
    let output = subject.vq(&["--check"]);
    assert_eq!(output.status.code(), Some(7));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("the driver ntmem is not running"), "{error}");
}

/// Blocks that a listing has in the places that the program chose.
fn chosen(listing: &str) -> Vec<Block> {
    let blocks = parse::read(listing.as_bytes(), "listing").expect("a listing");
    let mut blocks: Vec<Block> = blocks;
    blocks.retain(|block| PLACES.contains(&block.base));
    blocks
}

#[test]
fn vq_kernel_listing_equals_virtualqueryex() {
    let mut turn = wine();
    let (_, outputs) = service_run::run_with(&mut turn.wine, &service("none"), |_| {
        let subject = Subject::start();
        let outputs = [&["--suspend"][..], &["--kernel"], &["--check"]]
            .map(|arguments| subject.vq(arguments));
        Ok::<_, HostError>(outputs)
    })
    .expect("the host works");
    let [user, kernel, check] = outputs.expect("it started");
    let kernel = text(&kernel);
    assert_eq!(chosen(&kernel), chosen(&text(&user)));
    assert!(!chosen(&kernel).is_empty());
    let (differences, says) = (
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr),
    );
    assert_eq!(
        (&*differences, check.status.code()),
        ("", Some(0)),
        "{says}"
    );
    assert!(
        says.contains("the kernel and the user tell the same"),
        "{says}"
    );
}
