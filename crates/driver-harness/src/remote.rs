//! A host that another process serves: requests and answers are JSON, one a line.
//!
//! So a test here can drive a driver where this program cannot run: in Wine, in a
//! virtual machine behind a serial line, on another computer. [`serve`] is the far
//! end, which `ntmemctl serve` runs; [`Remote`] is a [`Host`] that asks it.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::host::{Asked, Host, HostError, Inquiry, Service};
use crate::record::{Findings, Line, Start};

/// What a host is asked to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    Install(Service),
    Start,
    Stop,
    Remove,
    Ask(String, Inquiry),
    AskBoth(String, Inquiry, Inquiry),
    Output,
}

/// What it answers when it could do it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done,
    Started(Start),
    Stopped(Findings),
    Asked(Asked),
    AskedBoth(Asked, Asked),
    Logged(Vec<Line>),
}

/// An answer, or why there is none.
type Outcome = Result<Answer, String>;

/// Serves `host`: carries out each line of `input`, and writes an answer to each,
/// until `input` ends.
///
/// # Errors
///
/// When the lines cannot be read or written. What the host cannot do is an answer.
pub fn serve(host: &mut dyn Host, input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    for line in input.lines() {
        let outcome: Outcome = match serde_json::from_str(&line?) {
            Ok(request) => carry_out(host, request).map_err(|error| error.to_string()),
            Err(error) => Err(format!("this is no request: {error}")),
        };
        serde_json::to_writer(&mut output, &outcome)?;
        writeln!(output)?;
        output.flush()?;
    }
    Ok(())
}

fn carry_out(host: &mut dyn Host, request: Request) -> Result<Answer, HostError> {
    Ok(match request {
        Request::Install(service) => {
            host.install(&service)?;
            Answer::Done
        }
        Request::Start => Answer::Started(host.start()?),
        Request::Stop => Answer::Stopped(host.stop()?),
        Request::Remove => {
            host.remove()?;
            Answer::Done
        }
        Request::Ask(path, inquiry) => Answer::Asked(host.ask(&path, &inquiry)?),
        Request::AskBoth(path, first, second) => {
            let (first, second) = host.ask_both(&path, &first, &second)?;
            Answer::AskedBoth(first, second)
        }
        Request::Output => Answer::Logged(host.output()?),
    })
}

/// A host at the other end of a pair of streams.
#[derive(Debug)]
pub struct Remote<R, W> {
    name: &'static str,
    answers: R,
    requests: W,
}

impl<R: BufRead, W: Write> Remote<R, W> {
    /// The host called `name` whose end reads `requests` and writes `answers`.
    pub fn new(name: &'static str, answers: R, requests: W) -> Self {
        Self {
            name,
            answers,
            requests,
        }
    }

    fn failed(&self, action: &'static str, why: &impl ToString) -> HostError {
        HostError::Failed {
            host: self.name,
            action,
            why: why.to_string(),
        }
    }

    fn call(&mut self, action: &'static str, request: &Request) -> Result<Answer, HostError> {
        let outcome = self.exchange(request);
        match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(self.failed(action, &why)),
            Err(error) => Err(self.failed(action, &error)),
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Outcome> {
        serde_json::to_writer(&mut self.requests, request)?;
        writeln!(self.requests)?;
        self.requests.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the other end is gone",
            ));
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn strange(&self, action: &'static str, answer: &Answer) -> HostError {
        self.failed(action, &format!("it answered {answer:?}"))
    }
}

impl<R: BufRead, W: Write> Host for Remote<R, W> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn install(&mut self, service: &Service) -> Result<(), HostError> {
        service.check_name()?;
        match self.call("install", &Request::Install(service.clone()))? {
            Answer::Done => Ok(()),
            other => Err(self.strange("install", &other)),
        }
    }

    fn start(&mut self) -> Result<Start, HostError> {
        match self.call("start", &Request::Start)? {
            Answer::Started(start) => Ok(start),
            other => Err(self.strange("start", &other)),
        }
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        match self.call("stop", &Request::Stop)? {
            Answer::Stopped(findings) => Ok(findings),
            other => Err(self.strange("stop", &other)),
        }
    }

    fn remove(&mut self) -> Result<(), HostError> {
        match self.call("remove", &Request::Remove)? {
            Answer::Done => Ok(()),
            other => Err(self.strange("remove", &other)),
        }
    }

    fn ask(&mut self, path: &str, inquiry: &Inquiry) -> Result<Asked, HostError> {
        let request = Request::Ask(path.to_owned(), inquiry.clone());
        match self.call("ask", &request)? {
            Answer::Asked(asked) => Ok(asked),
            other => Err(self.strange("ask", &other)),
        }
    }

    fn ask_both(
        &mut self,
        path: &str,
        first: &Inquiry,
        second: &Inquiry,
    ) -> Result<(Asked, Asked), HostError> {
        let request = Request::AskBoth(path.to_owned(), first.clone(), second.clone());
        match self.call("ask", &request)? {
            Answer::AskedBoth(first, second) => Ok((first, second)),
            other => Err(self.strange("ask", &other)),
        }
    }

    fn output(&mut self) -> Result<Vec<Line>, HostError> {
        match self.call("read the log of", &Request::Output)? {
            Answer::Logged(lines) => Ok(lines),
            other => Err(self.strange("read the log of", &other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, pipe};

    use super::*;
    use crate::host::RegValue;
    use crate::record::{BugCheck, Level};

    /// Says what it was asked, in its log.
    #[derive(Default)]
    struct Echo {
        log: Vec<Line>,
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

        fn start(&mut self) -> Result<Start, HostError> {
            match self.service.as_ref() {
                Some(service) => {
                    let text = format!("{service:?}");
                    self.log.push(Line {
                        level: Some(Level::Other(17)),
                        time: 7,
                        ..Line::from_text(&text)
                    });
                    Ok(Start::Refused(0xC000_009A))
                }
                None => Err(HostError::Image("there is no image".to_owned())),
            }
        }

        fn stop(&mut self) -> Result<Findings, HostError> {
            let bug_check = BugCheck {
                code: 0x50,
                parameters: [u64::MAX; 4],
                what: "\u{e4}\n\"".to_owned(),
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

        fn ask(&mut self, path: &str, inquiry: &Inquiry) -> Result<Asked, HostError> {
            let output = format!("{path} {inquiry:?}").into_bytes();
            Ok(Asked::Answered(1, output))
        }

        fn ask_both(
            &mut self,
            path: &str,
            first: &Inquiry,
            _: &Inquiry,
        ) -> Result<(Asked, Asked), HostError> {
            Ok((self.ask(path, first)?, Asked::Unopened(5)))
        }

        fn output(&mut self) -> Result<Vec<Line>, HostError> {
            Ok(self.log.clone())
        }
    }

    /// Works on a host that is served in another thread.
    fn with_served(work: impl FnOnce(&mut dyn Host)) {
        let (there, requests) = pipe().expect("a pipe");
        let (answers, back) = pipe().expect("a pipe");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                serve(&mut Echo::default(), BufReader::new(there), back).expect("it serves");
            });
            let mut remote = Remote::new("remote", BufReader::new(answers), requests);
            work(&mut remote);
        });
    }

    #[test]
    fn everything_goes_there_and_comes_back() {
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
            host.install(&service).expect("it installs");
            assert_eq!(
                host.start().expect("an answer"),
                Start::Refused(0xC000_009A)
            );
            let log = host.output().expect("a log");
            assert_eq!(log[0].text, format!("{service:?}"));
            assert_eq!((log[0].level, log[0].time), (Some(Level::Other(17)), 7));
            let inquiry = Inquiry {
                code: 3,
                input: vec![1, 2],
                room: 9,
            };
            let asked = host.ask(r"\\.\X", &inquiry).expect("an answer");
            let heard = Asked::Answered(1, format!(r"\\.\X {inquiry:?}").into_bytes());
            assert_eq!(asked, heard);
            let both = host.ask_both(r"\\.\X", &inquiry, &Inquiry::default());
            assert_eq!(both.expect("answers"), (heard, Asked::Unopened(5)));
            let stop = host.stop().expect("findings").bug_check.expect("a stop");
            assert_eq!(
                (stop.what.as_str(), stop.parameters[3]),
                ("\u{e4}\n\"", u64::MAX)
            );
            host.remove().expect("it is removed");
            let error = host.start().expect_err("nothing is installed").to_string();
            assert!(
                error.contains("remote") && error.contains("there is no image"),
                "{error}"
            );
        });
    }

    #[test]
    fn names_are_refused_before_they_are_sent() {
        let service = Service {
            name: "a/b".to_owned(),
            ..Service::new("a.sys")
        };
        let mut remote = Remote::new("remote", Cursor::new(b""), Vec::new());
        let error = remote.install(&service).expect_err("a bad name");
        assert!(matches!(error, HostError::Name { .. }));
        assert!(remote.requests.is_empty());
    }

    #[test]
    fn an_end_that_is_gone_or_talks_nonsense_is_an_error() {
        for (answer, part) in [
            ("", "the other end is gone"),
            ("hello\n", "expected value"),
            ("{\"Ok\":\"done\"}\n", "it answered Done"),
        ] {
            let mut remote = Remote::new("remote", Cursor::new(answer), Vec::new());
            let error = remote.start().expect_err("no answer").to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_no_request_is_answered_and_the_next_one_served() {
        let mut output = Vec::new();
        let input = Cursor::new("what?\n\"output\"\n");
        serve(&mut Echo::default(), input, &mut output).expect("it serves");
        let text = String::from_utf8(output).expect("text");
        let answers: Vec<_> = text.lines().collect();
        assert!(answers[0].contains("this is no request"), "{text}");
        assert_eq!(answers[1], "{\"Ok\":{\"logged\":[]}}");
    }
}
