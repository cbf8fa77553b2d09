//! The end of a leg: who ended it and why, told to the far end, to the legs that belong to it, and in one plain
//! line to the operator.

use super::caller::CallerProfile;
use super::cause::Cause;
use super::leg::{Direction, Happening, Leg, Progress};
use super::letter::{Ended, Letter, News, Order};
use super::mailbox::Tie;
use super::past::Gone;
use super::queue::Queue;
use super::states::State;
use super::variables::Variables;
use crate::event::EventName;
use crate::net::SendError;
use crate::sip::{Message, Name};
use crate::transaction::Id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// Who ended the leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// The far end: BYE, CANCEL or a refusal.
    FarEnd,
    /// This switch: the dialplan, the other leg, a limit.
    Switch,
    /// Nobody: a timer ran out.
    Timer,
}

/// How a leg ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Why.
    pub cause: Cause,
    /// Who.
    pub by: By,
    /// `send_bye`, `recv_bye`, `send_cancel`, `recv_cancel`, `send_refuse`, `recv_refuse`.
    pub disposition: &'static str,
    /// The status we refused an unanswered caller with.
    pub refused_with: Option<u16>,
    /// The far end's final answer, when it refused.
    pub sip: Option<(u16, String)>,
    /// Where a 3xx pointed.
    pub redirects: Vec<String>,
}

impl Ending {
    /// The SIP message that ended the leg: `BYE received`.
    fn last_message(&self, undelivered: Option<&SendError>) -> String {
        match (self.disposition, &self.sip, self.refused_with) {
            ("recv_refuse", Some((status, phrase)), _) => format!("{status} {phrase} received"),
            ("recv_refuse", None, _) => match undelivered {
                Some(error) => format!("INVITE not delivered: {error}"),
                None => "no answer to our INVITE".to_owned(),
            },
            ("send_refuse", _, Some(status)) => format!("{status} sent"),
            ("recv_bye", ..) => "BYE received".to_owned(),
            ("recv_cancel", ..) => "CANCEL received".to_owned(),
            ("send_cancel", ..) => "CANCEL sent".to_owned(),
            ("send_bye", ..) => "BYE sent".to_owned(),
            (other, ..) => other.to_owned(),
        }
    }
}

/// Seconds after which a caller may try again for whom there were no ports, or no session.
const RETRY_AFTER: u32 = 5;

impl Leg {
    /// Hangs up because the switch wants it. Nothing happens on a leg that is over.
    pub fn hangup(&mut self, cause: Cause) {
        self.hangup_by(By::Switch, cause);
    }

    /// Hangs up, and says whose doing it is.
    pub(super) fn hangup_by(&mut self, by: By, cause: Cause) {
        if self.ending.is_some() {
            return;
        }
        let status = self.refusal_status(cause);
        // Ports, descriptors or sessions have run out, which passes.
        let wait = [("Retry-After".to_owned(), RETRY_AFTER.to_string())];
        let short = cause == Cause::SWITCH_CONGESTION && status == 503;
        self.refuse(by, cause, status, None, if short { &wait } else { &[] });
    }

    /// Gives an unanswered caller a final answer of the dialplan's choice.
    pub fn respond(&mut self, status: u16, phrase: Option<&str>, headers: &[(String, String)], cause: Cause) {
        self.refuse(By::Switch, cause, status, phrase, headers);
    }

    /// The status an unanswered caller gets for `cause`: the called side's own refusal goes through verbatim
    /// (`last_bridge_proto_specific_hangup_cause`), unless `sip_ignore_remote_cause`.
    fn refusal_status(&self, cause: Cause) -> u16 {
        let passed = self
            .variables
            .get("last_bridge_proto_specific_hangup_cause")
            .filter(|_| !self.variables.is_true("sip_ignore_remote_cause"))
            .filter(|_| self.variables.get("last_bridge_hangup_cause") == Some(cause.name()))
            .and_then(|v| v.strip_prefix("sip:")?.parse().ok())
            .filter(|status| (400..700).contains(status) && !matches!(status, 401 | 407));
        passed.unwrap_or_else(|| cause.sip())
    }

    /// Ends the leg: BYE when it is answered, CANCEL when we called, else the final `status`.
    pub(super) fn refuse(
        &mut self,
        by: By,
        cause: Cause,
        status: u16,
        phrase: Option<&str>,
        more: &[(String, String)],
    ) {
        if self.ending.is_some() {
            return;
        }
        let now = Self::now();
        let mut headers = Vec::with_capacity(more.len() + 1);
        if !self.variables.is_true("disable_q850_reason") && cause != Cause::NONE {
            // Between two halves of ours a cause stays what it is.
            let reason = match self.inside {
                Some(_) => format!("tandem;cause={}", cause.number()),
                None => cause.reason(),
            };
            headers.push(("Reason".to_owned(), reason));
        }
        headers.extend_from_slice(more);
        let (disposition, sent) = match (self.progress, self.direction) {
            (Progress::Answered, _) => {
                for (name, value) in self.header_variables("sip_bye_h_") {
                    headers.push((name, value));
                }
                ("send_bye", self.session.bye(now, &headers))
            }
            (_, Direction::Outbound) => ("send_cancel", self.session.cancel(now, &headers)),
            (_, Direction::Inbound) => ("send_refuse", self.session.reject(now, status, phrase, &headers)),
        };
        if let Err(error) = sent {
            tracing::debug!("{} {}: nothing to send at hang-up: {error}", self.uuid, self.name());
        }
        let refused_with = (disposition == "send_refuse").then_some(status);
        self.over(Ending { cause, by, disposition, refused_with, sip: None, redirects: Vec::new() });
    }

    /// The far end ended the leg by `message`.
    pub(super) fn ended_by_peer(&mut self, message: &Message, fallback: Cause, disposition: &'static str) {
        let cause = message.headers(Name::Reason).find_map(Cause::from_reason).unwrap_or(fallback);
        self.note_terminated(if disposition == "recv_cancel" { 487 } else { 200 }, cause);
        self.over(Ending {
            cause,
            by: By::FarEnd,
            disposition,
            refused_with: None,
            sip: None,
            redirects: Vec::new(),
        });
    }

    /// The far end ends the leg, with `status` for its INVITE or as the answer to its BYE. Of a leg that we end FreeSWITCH
    /// sets none of these (`sofia_handle_sip_i_bye`, `sofia_handle_sip_i_state` of `sofia.c`).
    pub(super) fn note_terminated(&mut self, status: u16, cause: Cause) {
        if self.ending.is_some() {
            return;
        }
        self.variables.print("sip_term_status", status);
        self.variables.print("proto_specific_hangup_cause", format_args!("sip:{status}"));
        self.variables.print("sip_term_cause", cause.number());
    }

    /// The leg's work has panicked: it ends, and alone. [`finish`](Self::finish) serves what its dialog still needs.
    pub fn panicked(&mut self) {
        warn!("{} {}: the leg's task panicked; ending this call alone", self.uuid, self.name());
        self.refuse(By::Switch, Cause::NORMAL_TEMPORARY_FAILURE, 500, None, &[]);
    }

    /// Notes the end once, and tells everyone who must know.
    pub(super) fn over(&mut self, ending: Ending) {
        if self.ending.is_some() {
            return;
        }
        self.times.ended = Some(Self::now());
        let news = Arc::new(Ended {
            uuid: self.uuid.clone(),
            cause: ending.cause,
            sip: ending.sip.clone(),
            disposition: ending.disposition,
            redirects: ending.redirects.clone(),
            answered: self.progress == Progress::Answered,
            stats: self.media.main_line().map(|(_, stats)| Box::new(stats)),
        });
        self.leave_aside(ending.cause, true);
        self.end_transfer(ending.cause);
        let from = self.token();
        for mailbox in self.partner.iter().map(|p| &p.tie).chain(&self.owner).map(Tie::mailbox) {
            mailbox.post(Letter::News { from, news: News::Ended(news.clone()) });
        }
        let because = if ending.by == By::FarEnd && self.direction == Direction::Inbound {
            Cause::ORIGINATOR_CANCEL
        } else {
            ending.cause
        };
        if self.heir().is_none() {
            for mailbox in self.dialled.drain(..) {
                mailbox.post(Letter::Order(Order::Hangup(because)));
            }
        }
        if std::mem::take(&mut self.held) {
            self.times.hold(Self::now(), false);
            self.tell_unheld();
        }
        self.variables.set("hangup_cause", ending.cause.name());
        self.variables.set("sip_hangup_disposition", ending.disposition);
        self.ending = Some(ending);
        self.tell(Happening::Over);
        self.fire(EventName::ChannelHangup, Vec::new);
        if let Some(other) = self.partner.as_ref().map(|partner| partner.uuid.clone()) {
            self.tell_unbridged(&other);
        }
    }

    /// Frees what the call held (ports, uuid) and says in plain words how it went. Runs once.
    pub(super) fn close(&mut self) {
        let Some(ending) = self.ending.clone() else { return };
        let ended = self.times.ended.unwrap_or_else(Self::now);
        let talked = self.times.answered.map(|at| ended.saturating_duration_since(at));
        let lasted = ended.saturating_duration_since(self.times.created);
        self.agent.count_ended(self.direction == Direction::Outbound, talked.is_some());
        self.limits.release_all();
        self.tell_over();
        if let (None, Some(name)) = (talked, self.variables.get("sip_gateway_name"))
            && let Some(gateway) = self.exchange.gateways.load().find(name)
        {
            gateway.count(self.direction == Direction::Outbound, true);
        }
        let recorder = self.exchange.recorder.get().filter(|recorder| recorder.wants(self)).cloned();
        if recorder.is_some() || self.exchange.events.is_heard() {
            self.stamp();
        }
        self.pass(State::Reporting);
        self.fire(EventName::ChannelHangupComplete, || {
            vec![("Hangup-Cause".into(), ending.cause.name().to_owned())]
        });
        if let Some(recorder) = recorder {
            recorder.record(self);
        }
        let verdict = self.verdict().map(|v| v.to_string());
        let words = self.closing_line(&ending, talked, lasted, verdict.as_deref());
        info!("{words}");
        self.exchange.past.remember(Gone {
            uuid: self.uuid.clone(),
            call: self.variables.get("call_uuid").map_or_else(|| self.uuid.clone(), Arc::from),
            name: self.caller.chan_name.clone(),
            call_id: self.variables.get("sip_call_id").unwrap_or_default().into(),
            direction: self.direction,
            times: self.times.clone(),
            cause: ending.cause,
            last: ending.last_message(self.undelivered.as_deref()).into(),
            undelivered: self.was_undelivered(&ending),
            words: words.into(),
        });
        self.fire(EventName::ChannelDestroy, Vec::new);
        self.exchange.stores.schedule.forget_leg(&self.uuid);
        self.media.close();
        self.unacked = None;
        self.entry.leave_call();
        // The leg may live on for half a minute to answer retransmissions: it keeps no more than that takes.
        self.variables = Variables::default();
        self.caller = CallerProfile::default();
        self.last_partner = None;
        self.other_leg = None;
        self.followers = Vec::new();
        self.lamp = None;
        self.aside = None;
        self.keys = None;
        self.happenings = Queue::default();
        self.dialled = Vec::new();
    }

    /// What `by` sent could not be delivered. Of our requests the operator is told: they are what a call hangs on.
    pub(super) fn cannot_deliver(&mut self, by: Id, error: SendError) {
        if let Id::Server(_) = by {
            info!("{} {}: an answer of ours cannot be delivered: {error}", self.uuid, self.name());
            return;
        }
        warn!("{} {}: cannot deliver: {error}", self.uuid, self.name());
        self.undelivered = Some(Box::new(error));
    }

    /// True for a call that ended because its INVITE could not be delivered.
    fn was_undelivered(&self, ending: &Ending) -> bool {
        ending.disposition == "recv_refuse" && ending.sip.is_none() && self.undelivered.is_some()
    }

    /// "call 1000 → 1001 ended: the caller hung up after 12.3 s (NORMAL_CLEARING); audio …".
    fn closing_line(
        &self,
        ending: &Ending,
        talked: Option<Duration>,
        lasted: Duration,
        verdict: Option<&str>,
    ) -> String {
        let far = match self.direction {
            Direction::Inbound => "the caller",
            Direction::Outbound => "the called party",
        };
        let who = match (ending.by, ending.disposition) {
            (By::FarEnd, "recv_cancel") => format!("{far} gave up"),
            (By::FarEnd, "recv_refuse") => match &ending.sip {
                Some((status, phrase)) => format!("{far} refused with {status} {phrase}"),
                None => match &self.undelivered {
                    Some(error) => format!("our INVITE could not be delivered: {error}"),
                    None => format!("{far} did not answer our INVITE"),
                },
            },
            (By::FarEnd, _) => format!("{far} hung up"),
            (By::Timer, _) => "a timer ran out".to_owned(),
            (By::Switch, "send_refuse") => {
                format!("refused by the switch with {}", ending.refused_with.unwrap_or_default())
            }
            (By::Switch, "send_cancel") => "cancelled by the switch".to_owned(),
            (By::Switch, _) => "hung up by the switch".to_owned(),
        };
        let length = match talked {
            Some(talked) => format!("talked {:.1} s", talked.as_secs_f64()),
            None if self.was_undelivered(ending) => format!("after {:.1} s", lasted.as_secs_f64()),
            None => format!("not answered in {:.1} s", lasted.as_secs_f64()),
        };
        format!(
            "{} {} leg of {} → {} ended: {who}, cause {} ({}), {length}; {}",
            self.uuid,
            if self.is_b_leg() { "b" } else { "a" },
            self.caller.caller_id_number,
            self.caller.destination_number,
            ending.cause.name(),
            ending.cause.number(),
            match (self.media.main_line(), verdict) {
                (Some((_, stats)), Some(verdict)) => {
                    format!("{} packets in, {} out; {verdict}", stats.received.packets, stats.sent.packets)
                }
                (Some((_, stats)), None) => {
                    format!("{} packets in, {} out", stats.received.packets, stats.sent.packets)
                }
                (None, _) if self.media.goes_past() =>
                    "the media went past the switch (bypass_media)".to_owned(),
                (None, _) => "no media was negotiated".to_owned(),
            },
        )
    }
}

impl Drop for Leg {
    /// The last resort: a leg that was dropped before its task was done (it panicked while it was ending, or the runtime
    /// stops) still says goodbye. The fault may be met again on the way, and a second panic would end the process, so
    /// each step is tried by itself.
    fn drop(&mut self) {
        if !self.entry.is_in_call() {
            return; // finish() has done all this
        }
        let steps: [fn(&mut Leg); 4] = [
            |leg| leg.refuse(By::Switch, Cause::NORMAL_TEMPORARY_FAILURE, 500, None, &[]),
            |leg| {
                leg.over(Ending {
                    cause: Cause::NORMAL_TEMPORARY_FAILURE,
                    by: By::Switch,
                    disposition: "send_bye",
                    refused_with: None,
                    sip: None,
                    redirects: Vec::new(),
                });
            },
            Leg::drive,
            Leg::close,
        ];
        for step in steps {
            let _ = catch_unwind(AssertUnwindSafe(|| step(self)));
        }
    }
}
