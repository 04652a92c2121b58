//! A host in another process: requests and responses are JSON, one per line.
//!
//! It makes a host usable where this program cannot run: in Wine, in a virtual
//! machine behind a serial line, on another computer. [`serve`] is the server, which
//! `driverctl stdio-server` runs; [`RemoteHost`] is the client.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::host::{Host, HostError, IoctlRequest, IoctlResponse, Service};
use crate::record::{Findings, LogLine, StartResult};

/// A call of a [`Host`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    Install(Service),
    Start,
    Stop,
    Remove,
    Ioctl(String, IoctlRequest),
    IoctlPair(String, IoctlRequest, IoctlRequest),
    Output,
}

/// The result of a successful call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Response {
    Done,
    Started(StartResult),
    Stopped(Findings),
    Ioctl(IoctlResponse),
    IoctlPair(IoctlResponse, IoctlResponse),
    Log(Vec<LogLine>),
}

/// A response, or an error message.
type CallResult = Result<Response, String>;

/// Serves `host`: executes the request on each line of `input` and writes a response
/// line, until `input` ends.
///
/// # Errors
///
/// If the lines cannot be read or written. An error of the host is a response.
pub fn serve(host: &mut dyn Host, input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    for line in input.lines() {
        let result: CallResult = match serde_json::from_str(&line?) {
            Ok(request) => execute(host, request).map_err(|error| error.to_string()),
            Err(error) => Err(format!("invalid request: {error}")),
        };
        serde_json::to_writer(&mut output, &result)?;
        writeln!(output)?;
        output.flush()?;
    }
    Ok(())
}

fn execute(host: &mut dyn Host, request: Request) -> Result<Response, HostError> {
    Ok(match request {
        Request::Install(service) => {
            host.install(&service)?;
            Response::Done
        }
        Request::Start => Response::Started(host.start()?),
        Request::Stop => Response::Stopped(host.stop()?),
        Request::Remove => {
            host.remove()?;
            Response::Done
        }
        Request::Ioctl(path, request) => Response::Ioctl(host.send_ioctl(&path, &request)?),
        Request::IoctlPair(path, first, second) => {
            let (first, second) = host.send_ioctl_pair(&path, &first, &second)?;
            Response::IoctlPair(first, second)
        }
        Request::Output => Response::Log(host.output()?),
    })
}

/// A client of [`serve`], by a pair of streams.
#[derive(Debug)]
pub struct RemoteHost<R, W> {
    name: &'static str,
    responses: R,
    requests: W,
}

impl<R: BufRead, W: Write> RemoteHost<R, W> {
    /// The host called `name`, whose server reads `requests` and writes `responses`.
    pub fn new(name: &'static str, responses: R, requests: W) -> Self {
        Self {
            name,
            responses,
            requests,
        }
    }

    fn failed(&self, action: &'static str, reason: &impl ToString) -> HostError {
        HostError::Failed {
            host: self.name,
            action,
            reason: reason.to_string(),
        }
    }

    fn call(&mut self, action: &'static str, request: &Request) -> Result<Response, HostError> {
        match self.exchange(request) {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(message)) => Err(self.failed(action, &message)),
            Err(error) => Err(self.failed(action, &error)),
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<CallResult> {
        serde_json::to_writer(&mut self.requests, request)?;
        writeln!(self.requests)?;
        self.requests.flush()?;
        let mut line = String::new();
        if self.responses.read_line(&mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server has closed the connection",
            ));
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn unexpected(&self, action: &'static str, response: &Response) -> HostError {
        self.failed(action, &format!("unexpected response {response:?}"))
    }
}

impl<R: BufRead, W: Write> Host for RemoteHost<R, W> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn install(&mut self, service: &Service) -> Result<(), HostError> {
        service.check_name()?;
        match self.call("install", &Request::Install(service.clone()))? {
            Response::Done => Ok(()),
            other => Err(self.unexpected("install", &other)),
        }
    }

    fn start(&mut self) -> Result<StartResult, HostError> {
        match self.call("start", &Request::Start)? {
            Response::Started(start) => Ok(start),
            other => Err(self.unexpected("start", &other)),
        }
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        match self.call("stop", &Request::Stop)? {
            Response::Stopped(findings) => Ok(findings),
            other => Err(self.unexpected("stop", &other)),
        }
    }

    fn remove(&mut self) -> Result<(), HostError> {
        match self.call("remove", &Request::Remove)? {
            Response::Done => Ok(()),
            other => Err(self.unexpected("remove", &other)),
        }
    }

    fn send_ioctl(
        &mut self,
        path: &str,
        request: &IoctlRequest,
    ) -> Result<IoctlResponse, HostError> {
        let request = Request::Ioctl(path.to_owned(), request.clone());
        match self.call("send a request to", &request)? {
            Response::Ioctl(asked) => Ok(asked),
            other => Err(self.unexpected("send a request to", &other)),
        }
    }

    fn send_ioctl_pair(
        &mut self,
        path: &str,
        first: &IoctlRequest,
        second: &IoctlRequest,
    ) -> Result<(IoctlResponse, IoctlResponse), HostError> {
        let request = Request::IoctlPair(path.to_owned(), first.clone(), second.clone());
        match self.call("send a request to", &request)? {
            Response::IoctlPair(first, second) => Ok((first, second)),
            other => Err(self.unexpected("send a request to", &other)),
        }
    }

    fn output(&mut self) -> Result<Vec<LogLine>, HostError> {
        match self.call("read the log of", &Request::Output)? {
            Response::Log(lines) => Ok(lines),
            other => Err(self.unexpected("read the log of", &other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, pipe};

    use super::*;
    use crate::host::RegValue;
    use crate::record::{BugCheck, Level};

    /// A host whose results contain the arguments of its calls.
    #[derive(Default)]
    struct Echo {
        log: Vec<LogLine>,
        service: Option<Service>,
    }

    impl Host for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn install(&mut self, service: &Service) -> Result<(), HostError> {
            self.service = Some(service.clone());
            Ok(())
        }

        fn start(&mut self) -> Result<StartResult, HostError> {
            match self.service.as_ref() {
                Some(service) => {
                    let text = format!("{service:?}");
                    self.log.push(LogLine {
                        level: Some(Level::Other(17)),
                        time: 7,
                        ..LogLine::from_text(&text)
                    });
                    Ok(StartResult::EntryFailed(0xC000_009A))
                }
                None => Err(HostError::Image("no image".to_owned())),
            }
        }

        fn stop(&mut self) -> Result<Findings, HostError> {
            let bug_check = BugCheck {
                code: 0x50,
                parameters: [u64::MAX; 4],
                message: "\u{e4}\n\"".to_owned(),
                stack: Vec::new(),
            };
            Ok(Findings {
                bug_check: Some(bug_check),
                ..Findings::default()
            })
        }

        fn remove(&mut self) -> Result<(), HostError> {
            self.service = None;
            Ok(())
        }

        fn send_ioctl(
            &mut self,
            path: &str,
            request: &IoctlRequest,
        ) -> Result<IoctlResponse, HostError> {
            let output = format!("{path} {request:?}").into_bytes();
            Ok(IoctlResponse::Completed(1, output))
        }

        fn send_ioctl_pair(
            &mut self,
            path: &str,
            first: &IoctlRequest,
            _: &IoctlRequest,
        ) -> Result<(IoctlResponse, IoctlResponse), HostError> {
            Ok((self.send_ioctl(path, first)?, IoctlResponse::OpenFailed(5)))
        }

        fn output(&mut self) -> Result<Vec<LogLine>, HostError> {
            Ok(self.log.clone())
        }
    }

    /// Calls `work` with a client of an [`Echo`] that another thread serves.
    fn with_served(work: impl FnOnce(&mut dyn Host)) {
        let (there, requests) = pipe().expect("a pipe");
        let (responses, back) = pipe().expect("a pipe");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                serve(&mut Echo::default(), BufReader::new(there), back)
                    .expect("the server reads and writes");
            });
            let mut remote = RemoteHost::new("remote", BufReader::new(responses), requests);
            work(&mut remote);
        });
    }

    #[test]
    fn remote_host_transmits_all_calls_and_results() {
        let service = Service {
            name: "some".to_owned(),
            ..Service::new("some\\a b.sys")
        };
        let service = service
            .parameter("Scenario", RegValue::Sz("lock,\"".to_owned()))
            .parameter(
                "Raw",
                RegValue::Raw {
                    kind: 9,
                    data: vec![0, 255],
                },
            );
        with_served(|host| {
            host.install(&service).expect("installed");
            assert_eq!(
                host.start().expect("a response"),
                StartResult::EntryFailed(0xC000_009A)
            );
            let log = host.output().expect("a log");
            assert_eq!(log[0].text, format!("{service:?}"));
            assert_eq!((log[0].level, log[0].time), (Some(Level::Other(17)), 7));
            let request = IoctlRequest {
                code: 3,
                input: vec![1, 2],
                output_size: 9,
            };
            let response = host.send_ioctl(r"\\.\X", &request).expect("a response");
            let expected = IoctlResponse::Completed(1, format!(r"\\.\X {request:?}").into_bytes());
            assert_eq!(response, expected);
            let both = host.send_ioctl_pair(r"\\.\X", &request, &IoctlRequest::default());
            assert_eq!(
                both.expect("responses"),
                (expected, IoctlResponse::OpenFailed(5))
            );
            let stop = host.stop().expect("findings").bug_check.expect("a stop");
            assert_eq!(
                (stop.message.as_str(), stop.parameters[3]),
                ("\u{e4}\n\"", u64::MAX)
            );
            host.remove().expect("removed");
            let error = host.start().expect_err("nothing is installed").to_string();
            assert!(
                error.contains("remote") && error.contains("no image"),
                "{error}"
            );
        });
    }

    #[test]
    fn remote_install_with_invalid_name_sends_nothing() {
        let service = Service {
            name: "a/b".to_owned(),
            ..Service::new("a.sys")
        };
        let mut remote = RemoteHost::new("remote", Cursor::new(b""), Vec::new());
        let error = remote.install(&service).expect_err("a bad name");
        assert!(matches!(error, HostError::Name { .. }));
        assert!(remote.requests.is_empty());
    }

    #[test]
    fn remote_call_with_missing_or_invalid_response_is_an_error() {
        for (response, part) in [
            ("", "the server has closed the connection"),
            ("hello\n", "expected value"),
            ("{\"Ok\":\"done\"}\n", "unexpected response Done"),
        ] {
            let mut remote = RemoteHost::new("remote", Cursor::new(response), Vec::new());
            let error = remote.start().expect_err("no response").to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn serve_invalid_request_responds_with_error_and_continues() {
        let mut output = Vec::new();
        let input = Cursor::new("what?\n\"output\"\n");
        serve(&mut Echo::default(), input, &mut output).expect("the server reads and writes");
        let text = String::from_utf8(output).expect("text");
        let responses: Vec<_> = text.lines().collect();
        assert!(responses[0].contains("invalid request"), "{text}");
        assert_eq!(responses[1], "{\"Ok\":{\"log\":[]}}");
    }
}
