//! The library's source as Debian packages it.
//!
//! Debian's `rust-src` holds the source of one release, and its suites carry
//! several. Of this machine's own mirrors, the suites that may have the right
//! one are looked through, with a configuration and lists of our own below
//! `target`, and the package is unpacked there. Nothing is installed, so no
//! right to install is needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Miss, fresh_folder, settle};
use crate::{Places, Rust, Say, exec};

/// The package.
const PACKAGE: &str = "rust-src";
/// The suites to look through, the one with the shortest list first. Mirrors
/// know them by these names whatever the releases are called.
const SUITES: [&str; 4] = ["stable-backports", "testing", "unstable", "stable"];
/// How long one suite's list may take to come.
const LIST_LIMIT: Duration = Duration::from_secs(90);
/// How long the package may take to come.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(2);
/// The keys that Debian signs with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads and unpacks the package of this compiler's release; returns where
/// the source is.
pub(super) fn unpack(
    places: &Places,
    rust: &Rust,
    unpacked: &Path,
    say: Say,
) -> Result<PathBuf, Miss> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if exec::find_program(program).is_none() {
            return Err(format!("Debian's {PACKAGE}: there is no {program}"));
        }
    }
    let mirrors = mirrors(places)?;
    let folder = fresh_folder(unpacked)?;
    let mut misses = Vec::new();
    for mirror in &mirrors {
        for suite in SUITES {
            say(&format!(
                "standard library: looking for {PACKAGE} {} in {mirror} {suite}",
                rust.release
            ));
            match from_suite(places, rust, &folder, mirror, suite, say) {
                Ok(library) => return settle(&library, unpacked),
                Err(miss) => misses.push(format!("{suite}: {miss}")),
            }
        }
    }
    Err(format!("Debian's {PACKAGE}: {}", misses.join("; ")))
}

/// The Debian mirrors that this machine's apt is set up with. apt says which
/// files it would fetch; asking for its indexes instead would miss mirrors whose
/// lists are not here.
fn mirrors(places: &Places) -> Result<Vec<String>, Miss> {
    let mut command = Command::new("apt-get");
    command.args(["update", "--print-uris"]).env("LC_ALL", "C");
    let output =
        exec::capture(&mut command, &places.work, LIST_LIMIT).map_err(|e| e.to_string())?;
    let mut mirrors: Vec<String> = output
        .lines()
        .filter_map(repository)
        .filter(|uri| is_debian(uri))
        .map(str::to_owned)
        .collect();
    mirrors.sort();
    mirrors.dedup();
    if mirrors.is_empty() {
        Err(format!(
            "Debian's {PACKAGE}: apt is set up with no mirror of Debian"
        ))
    } else {
        Ok(mirrors)
    }
}

/// The repository in a line `'URI/dists/SUITE/InRelease' FILE SIZE`.
fn repository(line: &str) -> Option<&str> {
    let (repository, _) = line.strip_prefix('\'')?.split_once("/dists/")?;
    Some(repository)
}

/// Whether a repository is the Debian archive itself.
fn is_debian(uri: &str) -> bool {
    uri.trim_end_matches('/').rsplit('/').next() == Some("debian")
}

/// Looks in one suite, and downloads and unpacks the package if it is there.
fn from_suite(
    places: &Places,
    rust: &Rust,
    folder: &Path,
    mirror: &str,
    suite: &str,
    say: Say,
) -> Result<PathBuf, Miss> {
    let apt = PrivateApt::new(folder, mirror, suite)?;
    exec::capture(
        apt.command("apt-get").arg("update"),
        &places.work,
        LIST_LIMIT,
    )
    .map_err(|e| brief(&e))?;
    let listed = exec::capture(
        apt.command("apt-cache").args(["madison", PACKAGE]),
        &places.work,
        LIST_LIMIT,
    )
    .map_err(|e| brief(&e))?;
    let versions: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .collect();
    let version = versions
        .iter()
        .find(|version| is_release(version, &rust.release))
        .ok_or_else(|| match versions.as_slice() {
            [] => "no such package".to_owned(),
            _ => format!("it has {}", versions.join(", ")),
        })?;
    say(&format!(
        "standard library: downloading {PACKAGE} {version} from {suite}"
    ));
    exec::capture(
        apt.command("apt-get")
            .arg("download")
            .arg(format!("{PACKAGE}={version}"))
            .current_dir(folder),
        &places.work,
        DOWNLOAD_LIMIT,
    )
    .map_err(|e| brief(&e))?;
    unpack_package(places, folder, &rust.release)
}

/// What went wrong, in one line: apt's own errors, if it gave any.
fn brief(error: &crate::Error) -> Miss {
    let text = error.to_string();
    let complaints: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("E: "))
        .collect();
    if complaints.is_empty() {
        text.lines().collect::<Vec<_>>().join(" ")
    } else {
        complaints.join(" ")
    }
}

/// Unpacks the package that lies in `folder`; returns the library's source.
fn unpack_package(places: &Places, folder: &Path, release: &str) -> Result<PathBuf, Miss> {
    let package = fs::read_dir(folder)
        .map_err(|e| e.to_string())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or("the download left no package")?;
    let contents = folder.join("contents");
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("-x").arg(&package).arg(&contents);
    exec::capture(&mut dpkg, &places.work, DOWNLOAD_LIMIT).map_err(|e| e.to_string())?;
    Ok(contents.join(format!("usr/src/rustc-{release}/library")))
}

/// Whether a package's version, as `1.95.0+dfsg1-1~bpo13+1`, is of `release`.
fn is_release(version: &str, release: &str) -> bool {
    version
        .strip_prefix(release)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '~'))
}

/// apt with sources, lists and cache of its own.
struct PrivateApt {
    config: PathBuf,
}

impl PrivateApt {
    /// Sets it up below `folder` for one suite.
    fn new(folder: &Path, mirror: &str, suite: &str) -> Result<Self, Miss> {
        let root = folder.join("apt").join(suite);
        let write = |path: PathBuf, text: String| {
            fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
        };
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let part = root.join(part);
            fs::create_dir_all(&part)
                .map_err(|e| format!("cannot make {}: {e}", part.display()))?;
        }
        let signed_by = if Path::new(KEYRING).is_file() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        write(
            root.join("sources.list"),
            format!("deb {signed_by}{mirror} {suite} main\n"),
        )?;
        write(root.join("status"), String::new())?;
        let root_text = root.display();
        // Read after the system's own configuration, so that its proxies hold
        // and its hooks, which mean the system's lists, do not. Signatures are
        // checked; the age of a list is not, since one release is wanted, and a
        // mirror that stands still has it as well as any.
        let config = root.join("apt.conf");
        write(
            config.clone(),
            format!(
                "Dir::Etc::sourcelist \"{root_text}/sources.list\";\n\
                 Dir::Etc::sourceparts \"/dev/null\";\n\
                 Dir::State \"{root_text}/state\";\n\
                 Dir::State::status \"{root_text}/status\";\n\
                 Dir::Cache \"{root_text}/cache\";\n\
                 APT::Sandbox::User \"\";\n\
                 Acquire::Check-Valid-Until \"false\";\n\
                 Acquire::Check-Date \"false\";\n\
                 Acquire::Languages \"none\";\n\
                 Acquire::Retries \"0\";\n\
                 Acquire::http::Timeout \"10\";\n\
                 Acquire::https::Timeout \"10\";\n\
                 #clear Acquire::IndexTargets::deb::DEP-11;\n\
                 #clear Acquire::IndexTargets::deb::Contents-deb;\n\
                 #clear APT::Update::Pre-Invoke;\n\
                 #clear APT::Update::Post-Invoke;\n\
                 #clear APT::Update::Post-Invoke-Success;\n"
            ),
        )?;
        Ok(Self { config })
    }

    /// One of apt's programs, so configured.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("-q")
            .arg("-c")
            .arg(&self.config)
            .env("LC_ALL", "C");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::{is_debian, is_release, repository};

    #[test]
    fn is_release_accepts_exact_release_only() {
        for version in [
            "1.95.0",
            "1.95.0+dfsg1-1",
            "1.95.0+dfsg1-1~bpo13+1",
            "1.95.0-2",
        ] {
            assert!(is_release(version, "1.95.0"), "{version}");
        }
        for version in [
            "1.95.1+dfsg1-1",
            "1.95.01",
            "1.94.0+dfsg1-1",
            "1.95.0~beta.3+dfsg1-1",
            "",
        ] {
            assert!(!is_release(version, "1.95.0"), "{version}");
        }
    }

    #[test]
    fn repository_is_read_from_apt_uris() {
        let line = "'http://deb.debian.org/debian/dists/bookworm/InRelease' deb.debian.org_x 0 ";
        assert_eq!(repository(line), Some("http://deb.debian.org/debian"));
        assert_eq!(repository("Reading package lists..."), None);
    }

    #[test]
    fn is_debian_accepts_debian_archives_only() {
        assert!(is_debian("http://deb.debian.org/debian/"));
        assert!(is_debian(
            "http://snapshot.debian.org/archive/20260101T000000Z/debian"
        ));
        assert!(!is_debian("http://deb.debian.org/debian-security/"));
        assert!(!is_debian("https://deb.nodesource.com/node_20.x/"));
        assert!(!is_debian("http://archive.ubuntu.com/ubuntu/"));
    }
}
