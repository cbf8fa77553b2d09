//! The torture messages of RFC 4475 and RFC 5118, as datagrams and in streams, to a profile that challenges and to
//! one that does not: each is answered as the RFC wants or within its latitude, and the switch serves on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::line::Line;
use crate::process::PATIENCE;
use crate::puppet::Message;
use crate::switch::Switch;

struct Verdict {
    name: String,
    allowed: Vec<String>,
    bytes: Vec<u8>,
}

impl Verdict {
    fn silence(&self) -> bool {
        self.allowed.iter().any(|w| w == "none")
    }

    /// With the latitude that is not of the message but of where it is sent.
    fn allows_here(&self, status: u16) -> bool {
        self.allows(status)
            // §10.3: the registrar challenges (or refuses) before it looks at the Contacts
            || self.name == "regbadct" && matches!(status, 401 | 403)
            // §8.1.1.8: an INVITE of RFC 2543 may be without a Contact; FreeSWITCH takes none of those either
            || self.name == "inv2543" && status == 400
    }

    fn allows(&self, status: u16) -> bool {
        self.allowed.iter().any(|word| match word.as_str() {
            "none" => false,
            "any" => status != 400 && status < 500 || status >= 600,
            word => {
                word.len() == 3
                    && word.chars().zip(status.to_string().chars()).all(|(w, s)| w == 'x' || w == s)
            }
        })
    }
}

fn verdicts() -> Vec<Verdict> {
    let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let table = std::fs::read_to_string(dir.join("verdicts.txt")).expect("the table");
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let allowed = words.skip(3).map(str::to_owned).collect();
        let bytes = std::fs::read(dir.join(format!("{name}.sip"))).expect("the message");
        Some(Verdict { name, allowed, bytes })
    };
    table.lines().filter(|l| !l.starts_with('#')).filter_map(of).collect()
}

/// The next message. A stream whose last message promised more than it had is ended by us: what follows is its body.
fn next(line: &mut Line) -> Option<Message> {
    if !line.is_stream() {
        return line.wait(PATIENCE, |_| true);
    }
    line.wait(Duration::from_secs(2), |_| true).or_else(|| {
        line.end();
        line.wait(PATIENCE, |_| true)
    })
}

/// What came back.
fn answers(line: &mut Line) -> Vec<Message> {
    let mut all = Vec::new();
    let fence = line.ask("OPTIONS");
    line.send(&fence);
    while let Some(message) = next(line) {
        if message.header("Call-ID") == fence.call_id {
            // a call's own task may be a moment later than the fence
            while let Some(late) = line.wait(Duration::from_millis(150), |_| true) {
                all.push(late);
            }
            return all;
        }
        all.push(message);
        if line.closed {
            return all;
        }
    }
    all
}

fn torture(port: u16, stream: bool) {
    let switch = Switch::start();
    let to = SocketAddr::new(switch.ip(), port);
    let mut wrong = Vec::new();
    for verdict in verdicts() {
        let open = || if stream { Line::tcp_to(to) } else { Line::udp_from([127, 0, 0, 1].into(), to) };
        let mut line = open();
        line.send_raw(&verdict.bytes);
        let got = answers(&mut line);
        let statuses: Vec<u16> = got.iter().filter_map(Message::status).filter(|s| *s >= 200).collect();
        let fine = match statuses.first() {
            // A stream that cannot be framed any more is closed; a call may still ring.
            None => verdict.silence() || line.closed || got.iter().any(|m| m.status().is_some()),
            Some(status) => verdict.allows_here(*status),
        };
        if !fine {
            let words = verdict.allowed.join(" ");
            wrong.push(format!("{}: {statuses:?}, allowed {words}", verdict.name));
        }
        open().fence();
    }
    Line::udp(&switch).log_in("1000");
    let log = switch.log();
    assert!(!log.iter().any(|l| l.contains("panicked")), "{}", log.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn datagrams_to_a_profile_that_challenges() {
    torture(5060, false);
}

#[test]
fn datagrams_to_a_profile_that_is_open() {
    torture(5080, false);
}

#[test]
fn streams_to_a_profile_that_challenges() {
    torture(5060, true);
}

#[test]
fn streams_to_a_profile_that_is_open() {
    torture(5080, true);
}
