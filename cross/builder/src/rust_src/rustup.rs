//! What rustup can add to the toolchain, where it can reach its server.

use std::{
    env,
    net::{TcpStream, ToSocketAddrs},
    path::PathBuf,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{Miss, StandardLibrary, in_toolchain, is_installed};
use crate::{Places, Rust, Say, TARGET, exec};

/// How long the server may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// How long a download may take.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);
/// The server that rustup asks unless `RUSTUP_DIST_SERVER` names another.
const SERVER: &str = "https://static.rust-lang.org";

/// `rustup target add`.
pub(super) fn add_target(places: &Places, rust: &Rust, say: Say) -> Result<StandardLibrary, Miss> {
    let arguments = ["target", "add", TARGET];
    run(&arguments, places, rust, say)?;
    if is_installed(rust) {
        Ok(StandardLibrary::Prebuilt)
    } else {
        Err(format!(
            "`rustup target add {TARGET}` left nothing in this toolchain"
        ))
    }
}

/// `rustup component add rust-src`.
pub(super) fn add_source(places: &Places, rust: &Rust, say: Say) -> Result<PathBuf, Miss> {
    run(&["component", "add", "rust-src"], places, rust, say)?;
    in_toolchain(rust)
}

/// Runs rustup if it manages this toolchain and its server answers.
fn run(arguments: &[&str], places: &Places, rust: &Rust, say: Say) -> Result<(), Miss> {
    let line = format!("rustup {}", arguments.join(" "));
    if exec::find_program("rustup").is_none() {
        return Err(format!("`{line}`: there is no rustup"));
    }
    let mut which = rustup(rust);
    which.args(["which", "rustc"]);
    let manages = exec::capture(&mut which, &places.work, CONNECT_LIMIT).is_ok_and(|path| {
        path.trim_start()
            .starts_with(&*rust.sysroot.to_string_lossy())
    });
    if !manages {
        return Err(format!("`{line}`: rustup does not manage this toolchain"));
    }
    reach_server().map_err(|why| format!("`{line}`: {why}"))?;
    say(&format!("{line}: the standard library for {TARGET}"));
    exec::capture(rustup(rust).args(arguments), &places.work, DOWNLOAD_LIMIT)
        .map(drop)
        .map_err(|e| e.to_string())
}

/// rustup, for the toolchain that builds.
fn rustup(rust: &Rust) -> Command {
    let mut command = Command::new("rustup");
    if let Some(name) = &rust.rustup_toolchain {
        command.env("RUSTUP_TOOLCHAIN", name);
    }
    command
}

/// Whether rustup's server can be connected to; behind a proxy that is for
/// rustup to find out. Without this a network that swallows packets would hold
/// the build up for minutes.
fn reach_server() -> Result<(), Miss> {
    if ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        return Ok(());
    }
    let server = env::var("RUSTUP_DIST_SERVER").unwrap_or_else(|_| SERVER.to_owned());
    let Some(address) = host_and_port(&server) else {
        return Ok(());
    };
    let (answer, answered) = mpsc::channel();
    // A thread of its own, because looking up a name cannot be given a limit.
    let target = address.clone();
    thread::spawn(move || {
        let connected = target
            .to_socket_addrs()
            .map_err(|e| e.to_string())
            .and_then(|mut addresses| addresses.next().ok_or_else(|| "no address".to_owned()))
            .and_then(|address| {
                TcpStream::connect_timeout(&address, CONNECT_LIMIT).map_err(|e| e.to_string())
            });
        // Nobody listens any more once the limit is over.
        let _ = answer.send(connected.map(drop));
    });
    match answered.recv_timeout(CONNECT_LIMIT) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(format!("cannot reach {address}: {why}")),
        Err(_) => Err(format!(
            "cannot reach {address}: no answer in {} s",
            CONNECT_LIMIT.as_secs()
        )),
    }
}

/// `host:port` of a web address; `None` for any other, such as a folder.
fn host_and_port(url: &str) -> Option<String> {
    let (rest, port) = url
        .strip_prefix("https://")
        .map(|rest| (rest, 443))
        .or_else(|| url.strip_prefix("http://").map(|rest| (rest, 80)))?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    if host.contains(':') {
        Some(host.to_owned())
    } else {
        Some(format!("{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn host_and_port_of_url() {
        let cases = [
            (
                "https://static.rust-lang.org",
                Some("static.rust-lang.org:443"),
            ),
            ("http://mirror/rust/dist", Some("mirror:80")),
            ("https://mirror:8443/x", Some("mirror:8443")),
            ("file:///srv/rust", None),
            ("https://", None),
        ];
        for (url, expected) in cases {
            assert_eq!(host_and_port(url).as_deref(), expected, "{url}");
        }
    }
}
