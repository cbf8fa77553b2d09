//! A connection to an event socket. A thread reads: replies go to whoever asked, in order; what is told without being asked
//! goes to a function of the caller's.

use std::io::{self, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::Duration;

use super::Place;
use super::wire::{self, Frame};

/// A command may wait for a call as long as that rings.
const LONGEST: Duration = Duration::from_secs(3600);

/// What the switch tells without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A line of its log: level 0 (console) to 7 (debug), the leg it is about, the text.
    Log {
        /// 0 to 7.
        level: u8,
        /// The uuid of the leg, or empty.
        uuid: String,
        /// The line.
        text: String,
    },
    /// An event, or something nobody knows, as it came.
    Event(String),
    /// The connection is gone, and why.
    Closed(String),
}

/// A connection that has been let in.
pub struct Session {
    stream: TcpStream,
    replies: Receiver<Frame>,
    open: bool,
    longest: Duration,
}

impl Session {
    /// From now on no answer is waited for longer than that; the connection is given up then.
    pub fn wait_at_most(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// Connects and logs in. `told` hears, on a thread of its own, what comes unasked.
    ///
    /// # Errors
    /// Nobody is there, it is no event socket, or it does not let us in.
    pub fn open(place: &Place, told: impl FnMut(Told) + Send + 'static) -> io::Result<Session> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let found = (place.host.as_str(), place.port).to_socket_addrs()?;
        let stream = found.into_iter().find_map(|at| match TcpStream::connect_timeout(&at, place.patience) {
            Ok(stream) => Some(stream),
            Err(error) => {
                last = error;
                None
            }
        });
        let Some(stream) = stream else { return Err(last) };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(place.patience))?;
        let mut input = BufReader::new(stream.try_clone()?);
        let mut output = &stream;
        let greeting = wire::read(&mut input)?;
        match greeting.as_ref().map(Frame::kind) {
            Some("auth/request") => {}
            Some("text/rude-rejection") => {
                return Err(refused("this address is not let in (apply-inbound-acl)"));
            }
            _ => return Err(refused("this is no event socket")),
        }
        let login = match &place.user {
            Some(user) => format!("userauth {user}:{}", place.password),
            None => format!("auth {}", place.password),
        };
        output.write_all(wire::command(&login, &[]).as_bytes())?;
        let answer = wire::read(&mut input)?;
        let reply = answer.as_ref().and_then(|frame| frame.header("Reply-Text")).unwrap_or_default();
        if !reply.starts_with("+OK") {
            return Err(refused("the password is not accepted"));
        }
        stream.set_read_timeout(None)?;
        let (sender, replies) = mpsc::sync_channel(64);
        thread::Builder::new().name("event-socket".to_owned()).spawn(move || listen(input, &sender, told))?;
        Ok(Session { stream, replies, open: true, longest: LONGEST })
    }

    /// As [`Session::open`], tried that often, a second apart, when nobody answers.
    ///
    /// # Errors
    /// Those of the last try; who is there and does not let us in is not asked again.
    pub fn open_within(
        place: &Place,
        tries: u32,
        told: impl FnMut(Told) + Send + Clone + 'static,
    ) -> io::Result<Session> {
        let mut left = tries;
        loop {
            left = left.saturating_sub(1);
            match Session::open(place, told.clone()) {
                Err(error) if left > 0 && error.kind() != io::ErrorKind::PermissionDenied => {
                    eprintln!("{}:{}: {error}; trying again", place.host, place.port);
                    thread::sleep(Duration::from_secs(1));
                }
                outcome => return outcome,
            }
        }
    }

    /// Whether the connection is there still.
    pub fn is_open(&mut self) -> bool {
        // The thread that reads takes its end of the channel with it.
        self.open &= !matches!(self.replies.try_recv(), Err(TryRecvError::Disconnected));
        self.open
    }

    /// Sends a line and waits for its reply.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn ask(&mut self, line: &str, headers: &[(&str, &str)]) -> io::Result<String> {
        self.ask_within(self.longest, line, headers)
    }

    /// The same, not waited for longer than that: then the connection is given up.
    pub(super) fn ask_within(
        &mut self,
        longest: Duration,
        line: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<String> {
        if !self.open {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let sent = self.stream.write_all(wire::command(line, headers).as_bytes());
        let answer = sent.and_then(|()| match self.replies.recv_timeout(longest) {
            Ok(frame) => Ok(frame),
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::ConnectionAborted.into()),
        });
        match answer {
            Ok(frame) if frame.kind() == "api/response" => Ok(frame.body),
            Ok(frame) => Ok(frame.header("Reply-Text").unwrap_or_default().to_owned()),
            Err(error) => {
                self.open = false;
                Err(error)
            }
        }
    }

    /// Runs a command of the console: aliases in it are expanded there.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn api(&mut self, line: &str) -> io::Result<String> {
        self.ask(&format!("api {line}"), &[("console_execute", "true")])
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The thread that reads ends by it.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn listen(mut input: BufReader<TcpStream>, replies: &mpsc::SyncSender<Frame>, mut told: impl FnMut(Told)) {
    let end = loop {
        let frame = match wire::read(&mut input) {
            Ok(Some(frame)) => frame,
            Ok(None) => break "Disconnected.".to_owned(),
            Err(error) => break format!("Disconnected: {error}"),
        };
        match frame.kind() {
            "api/response" | "command/reply" => {
                if replies.send(frame).is_err() {
                    break "Disconnected.".to_owned();
                }
            }
            "log/data" => {
                let level = frame.header("Log-Level").and_then(|level| level.parse().ok()).unwrap_or(7);
                let uuid = frame.header("User-Data").unwrap_or_default().to_owned();
                told(Told::Log { level, uuid, text: frame.body });
            }
            "text/disconnect-notice" => break "Disconnected.".to_owned(),
            kind if kind.starts_with("text/event-") => told(Told::Event(frame.body)),
            kind => told(Told::Event(format!("INCOMING DATA [{kind}]\n{}", frame.body))),
        }
    };
    told(Told::Closed(end));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    /// A switch that says this, a part whenever it has heard an empty line; and what it heard.
    fn recorded(parts: &'static [&'static str]) -> (Place, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place {
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            user: None,
            patience: Duration::from_secs(10),
            password: "ClueCon".into(),
        };
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = String::new();
            let mut byte = [0];
            for (n, part) in parts.iter().enumerate() {
                while n > 0
                    && heard.matches("\n\n").count() < n
                    && stream.read(&mut byte).is_ok_and(|read| read == 1)
                {
                    heard.push(char::from(byte[0]));
                }
                stream.write_all(part.as_bytes()).unwrap();
            }
            heard
        });
        (place, server)
    }

    #[test]
    fn a_session_asks_in_order_and_hears_what_is_told_between() {
        let (place, server) = recorded(&[
            "Content-Type: auth/request\n\n",
            "Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
            "Content-Type: log/data\nContent-Length: 6\nLog-Level: 3\nUser-Data: u1\n\nline!\n\
             Content-Type: api/response\nContent-Length: 4\n\n+OK\n",
            "Content-Type: text/event-plain\nContent-Length: 2\n\na\nContent-Type: command/reply\nReply-Text: +OK log level debug [7]\n\n",
            "Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye",
        ]);
        let (sender, told) = mpsc::channel();
        let mut session = Session::open(&place, move |news| sender.send(news).unwrap()).unwrap();
        assert_eq!(session.api("status\n\nexit").unwrap(), "+OK\n");
        assert!(session.is_open());
        assert_eq!(session.ask("log debug", &[]).unwrap(), "+OK log level debug [7]");
        assert!(session.ask("exit", &[]).is_err(), "it has hung up");
        assert!(!session.is_open());
        assert!(session.ask("status", &[]).is_err());
        let told: Vec<Told> = told.iter().collect();
        assert_eq!(
            told,
            [
                Told::Log { level: 3, uuid: "u1".into(), text: "line!\n".into() },
                Told::Event("a\n".into()),
                Told::Closed("Disconnected.".into())
            ]
        );
        let heard = server.join().unwrap();
        assert_eq!(heard, "auth ClueCon\n\napi statusexit\nconsole_execute: true\n\nlog debug\n\nexit\n\n");
    }

    #[test]
    fn an_answer_that_refuses_is_a_failure() {
        let (place, server) = recorded(&[
            "Content-Type: auth/request\n\n",
            "Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
            "Content-Type: api/response\nContent-Length: 10\n\n-USAGE: x\n",
            "Content-Type: api/response\nContent-Length: 16\n\nInvalid Profile!",
            "Content-Type: api/response\nContent-Length: 6\n\n-ERR x",
            "Content-Type: api/response\nContent-Length: 14\n\n+OK none -ERR ",
        ]);
        let mut session = Session::open(&place, |_| {}).unwrap();
        for failed in [true, true, true, false] {
            assert_eq!(crate::cli::execute(&mut session, "x").unwrap().1, failed);
        }
        drop(session);
        server.join().unwrap();
    }

    #[test]
    fn who_is_not_there_yet_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let place = Place {
            host: at.ip().to_string(),
            port: at.port(),
            user: None,
            password: "x".into(),
            patience: Duration::from_secs(10),
        };
        assert!(Session::open_within(&place, 1, |_| {}).is_err());
        let server = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            let (mut stream, _) = TcpListener::bind(at).unwrap().accept().unwrap();
            stream.write_all(b"Content-Type: auth/request\n\n").unwrap();
            stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        drop(Session::open_within(&place, 5, |_| {}).unwrap());
        server.join().unwrap();
    }

    #[test]
    fn who_is_not_let_in_is_told_why() {
        for (parts, why) in [
            (
                &[
                    "Content-Type: auth/request\n\n",
                    "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n",
                ][..],
                "password",
            ),
            (&["Content-Type: text/rude-rejection\nContent-Length: 2\n\nno"][..], "apply-inbound-acl"),
            (&["HTTP/1.1 400 Bad Request\r\n\r\n"][..], "no event socket"),
            (&[""][..], "no event socket"),
        ] {
            let parts: &'static [&'static str] = Vec::from(parts).leak();
            let (place, server) = recorded(parts);
            let error = Session::open(&place, |_| {}).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
            drop(server.join());
        }
    }
}
