//! The process that reads debug information: this program once more, told by a
//! variable in its environment. It answers as it goes, the sure sources first:
//! what it has said by the time it fails is kept.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ntbox_api::{host_file, ipc};
use ntbox_host::process;
use object::read::pe::PeFile64;
use serde::{Deserialize, Serialize};

use super::{Name, dwarf, pdb, tables};

/// Set in the environment of such a process.
const VARIABLE: &str = "NTBOX_SYMBOLS_PROCESS";
/// How long it may take. The PDB of a large driver takes a second.
const TIME: Duration = Duration::from_secs(20);
/// How much address space it may take.
const MEMORY: libc::rlim_t = 4 << 30;

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// The driver's image.
    #[serde(with = "host_file::path_bytes")]
    image: PathBuf,
    /// Offsets from the image's base.
    places: Vec<u32>,
}

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// What one source knows of each place. A later source knows better.
    Names(Vec<Option<Name>>),
    /// Something that the reader of the report should know.
    Note(String),
    /// Nothing more comes.
    End,
}

/// Has places of `image` looked up, and tells `found` what is known of the one
/// with an index, perhaps more than once.
pub fn look_up(
    image: &Path,
    places: &[u32],
    notes: &mut Vec<String>,
    found: impl FnMut(usize, Name),
) {
    let result = Reader::start(image, places).and_then(|mut reader| reader.listen(notes, found));
    if let Err(error) = result {
        notes.push(format!("functions and lines may be missing: the debug information of {} could not be read: {error}", image.display()));
    }
}

/// The caller's end.
struct Reader {
    child: Child,
    stream: UnixStream,
}

impl Reader {
    fn start(image: &Path, places: &[u32]) -> io::Result<Self> {
        if !IS_SERVED.load(Ordering::Relaxed) {
            return Err(io::Error::other("this program does not serve its reader"));
        }
        let (mut stream, theirs) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .env(VARIABLE, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // What a library says when it gives up is not for the user.
            .stderr(Stdio::null())
            .spawn()?;
        ipc::write(
            &mut stream,
            &Question {
                image: image.to_owned(),
                places: places.to_vec(),
            },
        )?;
        Ok(Self { child, stream })
    }

    fn listen(
        &mut self,
        notes: &mut Vec<String>,
        mut found: impl FnMut(usize, Name),
    ) -> io::Result<()> {
        let deadline = Instant::now() + TIME;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match ipc::read(&mut self.stream) {
                Ok(Some(Answer::Names(names))) => {
                    let known = names.into_iter().enumerate();
                    known.for_each(|(index, name)| {
                        if let Some(name) = name {
                            found(index, name);
                        }
                    });
                }
                Ok(Some(Answer::Note(note))) => notes.push(note),
                Ok(Some(Answer::End)) => return Ok(()),
                Ok(None) => {
                    let status = self.child.wait()?;
                    return Err(io::Error::other(format!(
                        "it is damaged, or too large ({status})"
                    )));
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err(io::Error::other(format!(
                        "that took longer than {} seconds",
                        TIME.as_secs()
                    )));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether [`serve_if_asked`] was called, as it will be in the process of the reader.
static IS_SERVED: AtomicBool = AtomicBool::new(false);

/// Reads debug information if this process was started for it. Called before `main`.
pub fn serve_if_asked() {
    IS_SERVED.store(true, Ordering::Relaxed);
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "1") {
        process::exit(i32::from(serve().is_err()));
    }
}

fn serve() -> io::Result<()> {
    limit();
    let mut stream = ipc::open()?;
    let Some(Question { image, places }) = ipc::read(&mut stream)? else {
        return Ok(());
    };
    let mut say = |answer: &Answer| ipc::write(&mut stream, answer);
    let data = match std::fs::read(&image) {
        Ok(data) => data,
        Err(error) => {
            say(&Answer::Note(format!(
                "functions and lines are missing: {} cannot be read again: {error}",
                image.display()
            )))?;
            return say(&Answer::End);
        }
    };
    answer(&image, &data, &places, &mut say)?;
    say(&Answer::End)
}

/// Asks each source, the better one later.
fn answer(
    path: &Path,
    data: &[u8],
    places: &[u32],
    say: &mut impl FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    let file = match PeFile64::parse(data) {
        Ok(file) => file,
        Err(error) => {
            return say(&Answer::Note(format!(
                "functions and lines are missing: {}: {error}",
                path.display()
            )));
        }
    };
    say(&Answer::Names(tables::look_up(&file, places)))?;
    let sources = [
        ("DWARF", dwarf::look_up(&file, places)),
        ("PDB", pdb::look_up(path, &file, places)),
    ];
    for (kind, outcome) in sources {
        match outcome {
            Ok(Some(names)) => {
                let mut known = names.iter().flatten().peekable();
                let is_public = known.peek().is_some()
                    && known.all(|name| name.source.is_none() && name.symbol.is_some());
                let note = is_public.then(|| {
                    format!(
                        "the {kind} debug information of {} has no private symbols: a function is shown as the public one before it and the distance from that, and lines are missing",
                        path.display()
                    )
                });
                say(&Answer::Names(names))?;
                if let Some(note) = note {
                    say(&Answer::Note(note))?;
                }
            }
            Ok(None) => {}
            Err(reason) => say(&Answer::Note(format!(
                "{kind} debug information was not used: {reason}"
            )))?,
        }
    }
    Ok(())
}

/// Keeps what a damaged file can do within bounds.
fn limit() {
    process::limit(libc::RLIMIT_AS, MEMORY);
    process::limit(libc::RLIMIT_CORE, 0);
    process::limit(libc::RLIMIT_CPU, TIME.as_secs());
    process::end_with_parent();
}
