//! What is remembered of calls that are over: how each leg ended, in plain words, and the SIP steps on the way (`why`).

use super::cause::Cause;
use super::leg::Direction;
use super::times::Times;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many legs are remembered; the oldest goes for a new one.
const LEGS: usize = 1_000;

/// A leg that is over.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Its uuid.
    pub uuid: Arc<str>,
    /// The uuid of the call it was part of.
    pub call: Arc<str>,
    /// `sofia/internal/1000@example.com`.
    pub name: Arc<str>,
    /// Its Call-ID, to be found in traces.
    pub call_id: Box<str>,
    /// Who called whom.
    pub direction: Direction,
    /// When things happened.
    pub times: Times,
    /// Why it ended.
    pub cause: Cause,
    /// The last SIP message of consequence, and whether we sent it: `BYE received`.
    pub last: Box<str>,
    /// Its INVITE could not be delivered: `last` says why.
    pub undelivered: bool,
    /// How it ended, in plain words.
    pub words: Box<str>,
}

impl Gone {
    /// What happened on the wire, in order: how long after the beginning, and what.
    pub fn steps(&self) -> Vec<(f64, String)> {
        let (came, went) = match self.direction {
            Direction::Inbound => ("received", "sent"),
            Direction::Outbound => ("sent", "received"),
        };
        let times = &self.times;
        let mut steps: Vec<(Instant, String)> = Vec::new();
        if !self.undelivered {
            steps.push((times.created, format!("INVITE {came}")));
        }
        let mut add = |at: Option<Instant>, what: String| steps.extend(at.map(|at| (at, what)));
        add(times.progress, format!("180 {went}"));
        add(times.progress_media, format!("183 with a description {went}"));
        add(times.answered, format!("200 {went}"));
        add(times.bridged, "joined with another leg".to_owned());
        add(times.transferred, "sent to another extension".to_owned());
        for (from, to) in times.each_hold() {
            let by = if times.is_our_hold(*from) { "the switch" } else { "the far end" };
            add(Some(*from), format!("put on hold by {by}"));
            add(Some(*to), format!("taken off hold by {by}"));
        }
        add(times.ended, self.last.to_string());
        steps.sort_by_key(|(at, _)| *at);
        let after = |at: Instant| at.saturating_duration_since(times.created).as_secs_f64();
        steps.into_iter().map(|(at, what)| (after(at), what)).collect()
    }
}

/// The legs that are over, the last ones only.
#[derive(Debug, Default)]
pub struct Past(Mutex<VecDeque<Gone>>);

impl Past {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Gone>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a leg.
    pub fn remember(&self, gone: Gone) {
        let mut held = self.lock();
        let forgotten = if held.len() >= LEGS { held.pop_front() } else { None };
        held.push_back(gone);
        drop(held);
        drop(forgotten);
    }

    /// The leg with that uuid and those of the same call; of the last leg without one. In the order they began.
    pub fn call(&self, uuid: Option<&str>) -> Vec<Gone> {
        let held = self.lock();
        let one = match uuid {
            None => held.back(),
            Some(uuid) => held.iter().rev().find(|gone| *gone.uuid == *uuid),
        };
        let Some(call) = one.map(|gone| gone.call.clone()) else { return Vec::new() };
        let mut legs: Vec<Gone> = held.iter().filter(|gone| gone.call == call).cloned().collect();
        drop(held);
        legs.sort_by_key(|gone| (gone.times.created, gone.direction == Direction::Outbound));
        legs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn gone(uuid: &str, call: &str) -> Gone {
        let now = Instant::now();
        let mut times = Times::begin(now);
        times.progress = Some(now + Duration::from_millis(500));
        times.ended = Some(now + Duration::from_secs(2));
        Gone {
            uuid: uuid.into(),
            call: call.into(),
            name: "sofia/internal/1000".into(),
            call_id: "c".into(),
            direction: Direction::Outbound,
            times,
            cause: Cause::USER_BUSY,
            last: "486 Busy Here received".into(),
            undelivered: false,
            words: "the called party refused".into(),
        }
    }

    #[test]
    fn the_last_ones_are_remembered() {
        let past = Past::default();
        assert!(past.call(None).is_empty());
        for n in 0..LEGS + 10 {
            past.remember(gone(&n.to_string(), &(n / 2).to_string()));
        }
        assert!(past.call(Some("9")).is_empty(), "forgotten");
        assert_eq!(past.call(Some("20")).len(), 2, "both legs of its call");
        assert_eq!(past.call(None).len(), 2);
        assert_eq!(past.lock().len(), LEGS);
    }

    #[test]
    fn steps_are_told_in_order() {
        let steps = gone("a", "a").steps();
        let words: Vec<&str> = steps.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(words, ["INVITE sent", "180 received", "486 Busy Here received"]);
        assert!((steps[1].0 - 0.5).abs() < 0.001);
    }

    #[test]
    fn an_invite_that_was_not_delivered_was_not_sent() {
        let mut gone = gone("a", "a");
        gone.times.progress = None;
        gone.undelivered = true;
        gone.last = "INVITE not delivered: no address for nowhere.test".into();
        let words: Vec<String> = gone.steps().into_iter().map(|(_, what)| what).collect();
        assert_eq!(words, ["INVITE not delivered: no address for nowhere.test"]);
    }

    #[test]
    fn who_holds_is_told() {
        let mut gone = gone("a", "a");
        let at = |ms| gone.times.created + Duration::from_millis(ms);
        let (ours, theirs) = ([at(600), at(700)], [at(800), at(900)]);
        gone.times.hold(ours[0], true);
        gone.times.hold_is_ours();
        gone.times.hold(ours[1], false);
        gone.times.hold(theirs[0], true);
        gone.times.hold(theirs[1], false);
        let words: Vec<String> = gone.steps().into_iter().map(|(_, what)| what).collect();
        assert_eq!(
            words[2..6],
            [
                "put on hold by the switch",
                "taken off hold by the switch",
                "put on hold by the far end",
                "taken off hold by the far end"
            ]
        );
    }
}
