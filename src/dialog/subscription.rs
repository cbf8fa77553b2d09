//! The notifier's side of one subscription (RFC 6665 §4.2).
//!
//! ```text
//!           SUBSCRIBE           Expires 0, its time is over, or the owner ends it
//!  (none) ────────────▶ Active ──────────────────────────────────────────────────▶ Ending ─ last NOTIFY ─▶ Over
//!                         └──────── a NOTIFY is refused for good, or nobody answers it ─────────────────────▲
//! ```
//!
//! There is one NOTIFY under way at a time, and none sooner than [`Terms::pace`] after the one before unless the subscriber
//! asks. What changes meanwhile is told by the next one: the owner is asked for the document only when it can go out
//! ([`Notice::Document`]), so that it is always the newest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dialog::Dialog;
use super::identity::{Identity, Wire, is_reliable};
use super::inside::Ask;
use crate::sip::{Destination, Flow, Message, Method, Name};
use crate::transaction::{self, ClientId, Id, Transactions};

/// Transactions at once: a NOTIFY, and SUBSCRIBEs of a subscriber that asks again and again.
const TRANSACTIONS: usize = 8;
/// How often in a row a NOTIFY may be answered with a failure that may pass.
const FAILURES: u32 = 3;
/// Seconds until the next try after such a failure that names no time, and the longest wait it may name.
const RETRY: u32 = 10;
const LONGEST_RETRY: u32 = 300;

/// What holds for every subscription of one owner. All in seconds but for the pace.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The shortest subscription; less is refused with 423, but for 0.
    pub least: u32,
    /// The longest; more is cut.
    pub most: u32,
    /// How long one is that names no time.
    pub usual: u32,
    /// The least time between two NOTIFYs of changes.
    pub pace: Duration,
}

impl Terms {
    /// How long a subscription is that asks for so much; the error is the least that may be asked for.
    pub fn grant(&self, asked: Option<u32>) -> Result<u32, u32> {
        match asked.unwrap_or(self.usual) {
            0 => Ok(0),
            // What the owner itself would cut below that is not the subscriber's fault.
            brief if brief < self.least.min(self.most) => Err(self.least.min(self.most)),
            long => Ok(long.min(self.most)),
        }
    }
}

/// What [`Subscription::poll`] returns.
#[derive(Debug)]
pub enum Notice {
    /// Hand these bytes to the net; tell [`Subscription::transport_failed`] about `by` when it cannot deliver.
    Send {
        /// The message.
        bytes: Bytes,
        /// Where it goes.
        to: Destination,
        /// Whose it is.
        by: Option<Id>,
    },
    /// A NOTIFY can go out: call [`Subscription::notify`] with what is true now.
    Document,
}

/// Where a subscription stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Active,
    /// The last NOTIFY, with this reason, is owed or under way.
    Ending(&'static str),
    Over,
}

/// One subscription of one subscriber.
///
/// # How it is driven
///
/// Every call that takes `now` may leave outputs: drain [`poll`](Self::poll) after each, then sleep until
/// [`next_timeout`](Self::next_timeout) and call [`timeout`](Self::timeout). Give it every message whose To tag (requests)
/// or branch (responses) is of its [`Identity`]. `now` never goes back. It is done with when [`is_over`](Self::is_over) says so.
#[derive(Debug)]
pub struct Subscription {
    wire: Wire,
    dialog: Dialog,
    tx: Transactions,
    terms: Terms,
    /// Event as the subscriber wrote it.
    event: Box<str>,
    state: State,
    /// When its time is over.
    until: Instant,
    /// A NOTIFY is owed.
    owed: bool,
    /// The owner has been asked for its document.
    asked: bool,
    /// The NOTIFY under way, and whether it is the last.
    sent: Option<(ClientId, bool)>,
    /// Not before then.
    not_before: Instant,
    failures: u32,
    /// Until when a SUBSCRIBE that was answered may come again.
    answering: Option<Instant>,
    out: VecDeque<Notice>,
}

impl Subscription {
    /// Begins with a SUBSCRIBE that came on `flow`, which the owner answers with a 2xx itself: To tag and Contact of `own`.
    /// `granted` seconds, 0 for one look only; the first document is asked for at once. `None` when no dialog can be made
    /// of it.
    pub fn begin(
        now: Instant,
        own: Identity,
        subscribe: &Message,
        flow: Flow,
        granted: u32,
        terms: Terms,
    ) -> Option<Subscription> {
        let event = subscribe.header(Name::Event)?.into();
        let mut dialog = Dialog::of_request(subscribe, &own.local_tag, flow)?;
        dialog.go_by(subscribe.paths().ok()?);
        dialog.compact();
        let mut new = Subscription {
            tx: Transactions::new(own.shared.timers, TRANSACTIONS),
            wire: Wire::new(own),
            dialog,
            terms,
            event,
            state: if granted == 0 { State::Ending("timeout") } else { State::Active },
            until: now + Duration::from_secs(granted.into()),
            owed: true,
            asked: false,
            sent: None,
            not_before: now,
            failures: 0,
            answering: None,
            out: VecDeque::new(),
        };
        new.settle(now);
        Some(new)
    }

    //------------ Drive -------------------------------------------------------------------------------------

    /// What is to be done next, in order; call until it says none.
    pub fn poll(&mut self) -> Option<Notice> {
        self.out.pop_front()
    }

    /// There is something new to tell.
    pub fn changed(&mut self, now: Instant) {
        if self.state == State::Active {
            self.owed = true;
            self.settle(now);
        }
    }

    /// The document [`Notice::Document`] has asked for.
    pub fn notify(&mut self, now: Instant, content_type: &str, body: Bytes) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let state = match self.state {
            State::Active => {
                let left = self.until.saturating_duration_since(now);
                format!("active;expires={}", left.as_millis().div_ceil(1000).max(1))
            }
            State::Ending(reason) => format!("terminated;reason={reason}"),
            State::Over => return,
        };
        let headers =
            [("Event".to_owned(), self.event.to_string()), ("Subscription-State".to_owned(), state)];
        let cseq = self.dialog.next_cseq();
        let (b, to) = self.wire.request(&self.dialog, &Method::Notify, cseq, &headers);
        let bytes = b.carrying(content_type, body).finish();
        let (branch, reliable) = (self.wire.last_branch(), is_reliable(&to));
        self.owed = false;
        self.not_before = now + self.terms.pace;
        match self.tx.request_as(now, (&branch, &Method::Notify), bytes, to, reliable) {
            Ok(id) => self.sent = Some((id, matches!(self.state, State::Ending(_)))),
            Err(_) => self.state = State::Over,
        }
        self.settle(now);
    }

    /// Takes a message.
    pub fn receive(&mut self, now: Instant, message: Message, flow: Flow) {
        self.tx.receive(now, message, flow);
        self.settle(now);
    }

    /// The net could not deliver what [`Notice::Send`] named.
    pub fn transport_failed(&mut self, now: Instant, by: Id) {
        self.tx.transport_failed(by);
        self.settle(now);
    }

    /// The net sent a NOTIFY over a stream, being large: it is not retransmitted.
    pub fn now_reliable(&mut self, by: Id) {
        if let Id::Client(id) = by {
            self.tx.now_reliable(id);
        }
    }

    /// Runs everything due at `now`.
    pub fn timeout(&mut self, now: Instant) {
        self.tx.timeout(now);
        if self.state == State::Active && self.until <= now {
            self.finish(now, "timeout");
        }
        if self.answering.is_some_and(|at| at <= now) {
            self.answering = None;
        }
        self.settle(now);
    }

    /// When [`timeout`](Self::timeout) is due next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = match self.state {
            State::Active => Some(self.until),
            State::Ending(_) => None,
            State::Over => self.answering,
        };
        let waits = self.owed && !self.asked && self.sent.is_none() && self.state != State::Over;
        let pace = waits.then_some(self.not_before);
        [own, pace, self.tx.next_timeout()].into_iter().flatten().min()
    }

    /// Ends it: the last NOTIFY says why (RFC 6665 §4.2.2: `deactivated`, `noresource`, …).
    pub fn end(&mut self, now: Instant, reason: &'static str) {
        if self.state == State::Active {
            self.finish(now, reason);
            self.settle(now);
        }
    }

    /// Nothing more is told, and nothing can come again that wants an answer.
    pub fn is_over(&self) -> bool {
        self.state == State::Over && self.answering.is_none() && self.out.is_empty()
    }

    //------------ Inside ------------------------------------------------------------------------------------

    fn finish(&mut self, now: Instant, reason: &'static str) {
        self.state = State::Ending(reason);
        self.owed = true;
        self.not_before = now;
        self.failures = 0;
    }

    /// Takes what the transactions tell, and asks for a document when one can go out.
    fn settle(&mut self, now: Instant) {
        use transaction::Output as Tx;
        while let Some(output) = self.tx.poll() {
            match output {
                Tx::Send { bytes, to, by } => self.out.push_back(Notice::Send { bytes, to, by }),
                Tx::Request { id, message, flow } => self.request(now, &Ask { server: id, message, flow }),
                Tx::Response { id, message, .. } => {
                    let status = message.status().unwrap_or(0);
                    if status >= 200 && self.is_sent(id) {
                        self.answered(now, status, message.retry_after());
                    }
                }
                // 408 and 503, which a subscription does not outlive (§4.2.2).
                Tx::TimedOut { id } | Tx::Unreachable { id } if self.is_sent(id) => self.state = State::Over,
                Tx::TimedOut { .. } | Tx::Unreachable { .. } => {}
                // INVITE has no place here: what is left of it is none of ours.
                Tx::Cancel { .. } | Tx::Ack { .. } | Tx::NoAck { .. } => {}
            }
        }
        if self.owed
            && !self.asked
            && self.sent.is_none()
            && self.not_before <= now
            && self.state != State::Over
        {
            self.asked = true;
            self.out.push_back(Notice::Document);
        }
    }

    fn is_sent(&self, id: ClientId) -> bool {
        self.sent.is_some_and(|(sent, _)| sent == id)
    }

    /// The NOTIFY under way has its final answer.
    fn answered(&mut self, now: Instant, status: u16, retry_after: Option<u32>) {
        let last = self.sent.take().is_some_and(|(_, last)| last);
        match status {
            _ if last => self.state = State::Over,
            200..=299 => self.failures = 0,
            500 | 502..=599 if self.failures < FAILURES => {
                self.failures += 1;
                self.owed = true;
                let wait = retry_after.unwrap_or(RETRY).clamp(1, LONGEST_RETRY);
                self.not_before = now + Duration::from_secs(wait.into());
            }
            // It wants no more of them, knows nothing of them, or cannot be told.
            _ => self.state = State::Over,
        }
    }

    /// A request inside the dialog.
    fn request(&mut self, now: Instant, ask: &Ask) {
        let message = &ask.message;
        if !self.dialog.matches(message) || self.state != State::Active {
            return self.reply(now, ask, 481, &[]);
        }
        if !self.dialog.in_order(message.cseq().number) {
            return self.reply(now, ask, 500, &[]);
        }
        if *message.method() != Method::Subscribe {
            return self.reply(now, ask, 405, &[("Allow".to_owned(), "SUBSCRIBE, NOTIFY".to_owned())]);
        }
        if !self.is_same_event(message) {
            return self.reply(now, ask, 489, &[]);
        }
        let granted = match self.terms.grant(message.expires()) {
            Ok(granted) => granted,
            Err(least) => {
                return self.reply(now, ask, 423, &[("Min-Expires".to_owned(), least.to_string())]);
            }
        };
        self.dialog.refresh(message);
        self.dialog.heard_on(ask.flow);
        if !ask.flow.transport.is_reliable() {
            self.answering = Some(now + self.wire.own.shared.timers.t1x64);
        }
        self.reply(now, ask, 200, &[("Expires".to_owned(), granted.to_string())]);
        if granted == 0 {
            return self.finish(now, "timeout");
        }
        self.until = now + Duration::from_secs(granted.into());
        // §4.2.1: each SUBSCRIBE is followed by a NOTIFY.
        self.owed = true;
        self.not_before = now;
    }

    /// Of the same package, and by the same `id`.
    fn is_same_event(&self, message: &Message) -> bool {
        let Some(event) = message.event() else { return false };
        let (package, params) = self.event.split_once(';').unwrap_or((&self.event, ""));
        let id = params.split(';').find_map(|param| param.trim().strip_prefix("id="));
        event.package().eq_ignore_ascii_case(package.trim()) && event.id() == id.map(str::trim)
    }

    fn reply(&mut self, now: Instant, ask: &Ask, status: u16, headers: &[(String, String)]) {
        let bytes = self.wire.response(ask, status, None, headers).finish();
        self.tx.respond(now, ask.server, bytes, status);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
