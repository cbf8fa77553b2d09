//! What became of a call, as each side saw it, and whether that fits together.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::script::{Kind, Script};

/// How a session ended for a phone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// BYE came.
    Byed,
    /// It sent BYE.
    HungUp,
    /// CANCEL came.
    Cancelled,
    /// It refused.
    Refused,
    /// Its INVITE failed.
    Failed(u16),
    /// Its 2xx was never acknowledged.
    AckTimedOut,
    /// The session timer ran out.
    Expired,
    /// The switch did not know the dialog any more, or did not answer.
    Lost(u16),
    /// It died.
    Vanished,
}

/// One side of a call.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// INVITEs that began a session here.
    pub sessions: u32,
    pub begun: Option<Instant>,
    /// 200 received, or ACK to ours received.
    pub up: Option<Instant>,
    /// Our 200 went out.
    pub answered: Option<Instant>,
    pub end: Option<(Instant, End)>,
    pub log: Vec<(Instant, String)>,
    /// Its own description and the one it was given, as they were when it hung up or was hung up.
    pub said: Option<Bytes>,
    pub heard: Option<Bytes>,
}

impl Side {
    /// Notes what happened here.
    pub fn note(&mut self, at: Instant, what: impl Into<String>) {
        self.log.push((at, what.into()));
    }
}

impl Side {
    pub fn ended(&self) -> Option<End> {
        self.end.map(|(_, end)| end)
    }

    fn is_over(&self) -> bool {
        self.sessions == 0 || self.end.is_some()
    }
}

/// A call: its script and its sides.
pub struct Call {
    pub script: Script,
    pub caller: Side,
    /// By the index of the phone.
    pub callees: HashMap<usize, Side>,
}

/// All calls of a world, by their number.
pub type Book = Arc<Mutex<Vec<Call>>>;

impl Call {
    pub fn new(script: Script) -> Call {
        Call { script, caller: Side::default(), callees: HashMap::new() }
    }

    pub fn is_over(&self) -> bool {
        self.caller.sessions > 0 && self.caller.is_over() && self.callees.values().all(Side::is_over)
    }

    /// What is wrong with it, whatever the weather.
    pub fn contradictions(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |right: bool, what: &str| {
            if !right {
                wrong.push(what.to_owned());
            }
        };
        let caller = &self.caller;
        check(caller.end.is_some(), "the caller's session never ended");
        for side in self.callees.values() {
            check(side.is_over(), "a callee's session never ended");
            check(side.sessions <= 1 || self.script.kind == Kind::Among, "a phone was called twice");
        }
        if matches!(self.script.kind, Kind::Service | Kind::Panics | Kind::Among) {
            return wrong;
        }
        // The ACK may be lost and the BYE come first, so what counts here is its 200.
        let answered = self.callees.values().any(|s| s.answered.is_some());
        check(caller.up.is_none() || answered || self.dies(), "the caller talks to nobody");
        let up: Vec<&Side> = self.callees.values().filter(|s| s.up.is_some()).collect();
        // A callee that lost the race, or whose caller gave up, is told so at once.
        let lasting = up.iter().filter(|s| s.lasted() > Duration::from_secs(40)).count();
        check(lasting <= 1, "two callees are in the call");
        if caller.up.is_none() && !self.dies() {
            check(lasting == 0, "a callee is in a call without a caller");
        }
        match self.script.kind {
            Kind::Absent | Kind::Unknown | Kind::Refuse(_) | Kind::Cancel | Kind::NoAnswer => {
                check(caller.up.is_none(), "the caller was answered by nobody")
            }
            _ => {}
        }
        wrong
    }

    fn dies(&self) -> bool {
        self.script.kind == Kind::Dies
    }

    /// Did it go as it was meant to? `None`: the script leaves it open.
    pub fn went_well(&self) -> Option<bool> {
        let end = self.caller.ended();
        match self.script.kind {
            Kind::Talk | Kind::BothHangUp | Kind::Renegotiate => {
                let talked = |s: &Side| match (s.up.or(s.answered), s.end) {
                    // A refresh of its own may cross the BYE and be told 481.
                    (Some(up), Some((ended, End::Byed | End::HungUp | End::Lost(481)))) => {
                        ended - up + Duration::from_secs(10) >= self.script.talk
                    }
                    _ => false,
                };
                Some(talked(&self.caller) && self.callees.values().any(talked))
            }
            Kind::Service => Some(self.caller.up.is_some() && end == Some(End::HungUp)),
            Kind::Refuse(status) => Some(end == Some(End::Failed(status))),
            Kind::Cancel => Some(end == Some(End::Failed(487))),
            Kind::NoAnswer => Some(end == Some(End::Failed(480))),
            Kind::Absent => Some(end == Some(End::Failed(480))),
            Kind::Unknown => Some(end == Some(End::Failed(404))),
            Kind::CrossingCancel | Kind::Dies | Kind::Panics | Kind::Among => None,
        }
    }
}

/// The script in one line, then one line for each thing that happened, with the milliseconds since the call began.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.script)?;
        let mut all: Vec<(Instant, String, &str)> =
            self.caller.log.iter().map(|(at, what)| (*at, "caller".to_owned(), what.as_str())).collect();
        for (phone, side) in &self.callees {
            all.extend(side.log.iter().map(|(at, what)| (*at, format!("phone {phone}"), what.as_str())));
        }
        all.sort();
        let begun = self.caller.begun.or(all.first().map(|(at, ..)| *at));
        for (at, who, what) in all {
            let since = begun.map_or(0, |b| at.saturating_duration_since(b).as_millis());
            writeln!(f, "{since:>8} {who:<10} {what}")?;
        }
        Ok(())
    }
}

impl Side {
    fn lasted(&self) -> Duration {
        match (self.up, self.end) {
            (Some(up), Some((end, _))) => end.saturating_duration_since(up),
            _ => Duration::ZERO,
        }
    }
}
