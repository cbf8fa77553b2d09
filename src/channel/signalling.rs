//! What a leg's session tells, and what the leg does about it by itself.

use super::cause::Cause;
use super::ending::{By, Ending};
use super::leg::{Direction, Happening, Leg, Progress};
use super::letter::{Letter, News, Order};
use super::media::Way;
use super::moment::Moment;
use crate::dialog::{Event, RequestId};
use crate::event::EventName;
use crate::sip::{Message, Method, Name};
use bytes::Bytes;
use std::sync::Arc;
use tracing::{debug, info, warn};

impl Leg {
    /// Acts on one event of the session.
    pub(super) fn on_session(&mut self, event: Event) {
        match event {
            Event::AddressFailed { to } => {
                info!("{} {}: no call by {to}; the next address is tried", self.uuid, self.name());
                if let Some(net) = self.agent.net() {
                    net.avoid(&to);
                }
            }
            Event::Provisional { message, sdp, .. } => self.on_provisional(&message, sdp),
            Event::Answered { message, sdp, needs_answer } => self.on_answered(&message, sdp, needs_answer),
            Event::Failed { status, message } => self.on_failed(status, message),
            Event::Cancelled { message } => {
                self.ended_by_peer(&message, Cause::ORIGINATOR_CANCEL, "recv_cancel")
            }
            Event::Bye { message } => self.ended_by_peer(&message, Cause::NORMAL_CLEARING, "recv_bye"),
            Event::Acknowledged { sdp } | Event::OfferAcknowledged { sdp } => self.on_acknowledged(sdp),
            Event::AckMissing { retransmissions, contact } => warn!(
                "{} {}: our 200 was sent {retransmissions} times more and {} has not ACKed it; the Contact we gave is \
                 {contact}. If that address cannot be reached from there, set ext-sip-ip (and ext-rtp-ip) in profile \
                 {}",
                self.uuid,
                self.name(),
                self.variables.get("sip_network_ip").unwrap_or("the far end"),
                self.agent.name
            ),
            Event::AckTimedOut => self.timed_out("the far end never ACKed our 200"),
            Event::SessionExpired => self.timed_out("the far end did not refresh the session (RFC 4028)"),
            Event::Lost { status } => {
                self.timed_out(&format!("the far end no longer knows the call ({status})"));
            }
            Event::Offer { id, sdp, message, .. } => {
                self.learn_party(&message);
                self.on_offer(id, sdp);
            }
            Event::OfferWithdrawn { id } => self.on_offer_withdrawn(id),
            Event::OfferAnswered { sdp, needs_answer } => self.on_offer_answered(sdp, needs_answer),
            Event::OfferRefused { status } => self.on_offer_refused(status),
            Event::Updated { message } => self.learn_party(&message),
            Event::Request { id, message } => self.on_request(id, &message),
            Event::Response { id, status, .. } => self.on_response(id, status),
            Event::Ended => {
                if self.ending.is_none() {
                    self.timed_out("the session ended");
                }
            }
        }
    }

    fn timed_out(&mut self, why: &str) {
        info!("{} {}: {why}", self.uuid, self.name());
        self.over(Ending {
            cause: Cause::RECOVERY_ON_TIMER_EXPIRE,
            by: By::Timer,
            disposition: "send_bye",
            refused_with: None,
            sip: None,
            redirects: Vec::new(),
        });
    }

    //------------ Our INVITE -----------------------------------------------------------------------------------

    fn on_provisional(&mut self, message: &Message, sdp: Option<Bytes>) {
        let status = message.status().unwrap_or(180);
        self.learn_dialog(message);
        self.learn_callee(message);
        let from = self.token();
        match sdp.map(|body| self.media.take_answer(&body)) {
            Some(Ok(())) => {
                self.tell_codecs();
                let had_media = self.progress >= Progress::EarlyMedia;
                self.progress = self.progress.max(Progress::EarlyMedia);
                self.times.progress_media.get_or_insert_with(Self::now);
                if !had_media {
                    self.fire(EventName::ChannelProgressMedia, Vec::new);
                }
                self.tell(Happening::EarlyMedia);
                if let (Some(other), Some(view)) = (self.other(), self.media.view()) {
                    self.introduce(other, false);
                    other.post(Letter::News { from, news: News::EarlyMedia(Arc::new(view)) });
                }
                if !had_media {
                    self.reaches(Moment::PreAnswer);
                    self.reaches(Moment::Media);
                }
                self.tell_state();
            }
            outcome => {
                if let Some(Err(error)) = outcome {
                    warn!("{} {}: early media of a {status} not usable: {error}", self.uuid, self.name());
                }
                if status == 183 {
                    return;
                }
                let is_first = self.progress < Progress::Ringing;
                if is_first {
                    self.progress = Progress::Ringing;
                    self.times.progress.get_or_insert_with(Self::now);
                    self.fire(EventName::ChannelProgress, Vec::new);
                }
                self.tell(Happening::Ringing(status));
                if let Some(other) = self.other() {
                    other.post(Letter::News { from, news: News::Ringing { status } });
                }
                if is_first {
                    self.reaches(Moment::Ring);
                }
                self.tell_state();
            }
        }
    }

    fn on_answered(&mut self, message: &Message, sdp: Option<Bytes>, needs_answer: bool) {
        self.learn_dialog(message);
        self.learn_callee(message);
        self.learn_abilities(message);
        self.pass_callee();
        let had_media = self.progress >= Progress::EarlyMedia;
        let now = Self::now();
        let taken = match (&sdp, needs_answer) {
            (Some(body), false) => self.media.take_answer(body).map_err(|e| e.to_string()),
            (Some(body), true) if self.media.way() != Way::Relay => {
                self.pending.owed = true;
                self.media.take_late_offer(self.media.way(), body).map_err(|e| e.to_string())
            }
            // Every other INVITE of ours carries an offer, so a 2xx never does.
            (Some(_), true) => Err("an offer in the 200 to our offer".to_owned()),
            (None, _) if self.media.agreed().is_empty() && self.media.remote().is_none() => {
                Err("a 200 without a session description".to_owned())
            }
            (None, _) => Ok(()),
        };
        self.tell_codecs();
        self.progress = Progress::Answered;
        self.times.answered = Some(now);
        if let Err(error) = taken {
            warn!("{} {}: the answer cannot be used: {error}", self.uuid, self.name());
            self.hangup(Cause::INCOMPATIBLE_DESTINATION);
            return;
        }
        self.fire(EventName::ChannelAnswer, Vec::new);
        self.watch.answered(now);
        self.tell(Happening::Answered);
        let from = self.token();
        if let (Some(other), Some(view)) = (self.other(), self.media.view()) {
            self.introduce(other, false);
            other.post(Letter::News { from, news: News::Answered(Arc::new(view)) });
        }
        self.reaches(Moment::Answer);
        if !had_media {
            self.reaches(Moment::Media);
        }
        self.tell_state();
        if self.partner.is_some() {
            self.display_caller(); // joined by its early media
        }
    }

    fn on_failed(&mut self, status: u16, message: Option<Message>) {
        let cause = message
            .as_ref()
            .and_then(|m| m.headers(Name::Reason).find_map(Cause::from_reason))
            .unwrap_or_else(|| Cause::from_sip(status));
        let mut redirects = Vec::new();
        if let (300..400, Some(message)) = (status, &message) {
            redirects =
                message.contacts().map(|c| crate::channel::identity::redirects(&c)).unwrap_or_default();
        }
        if message.is_some() {
            self.undelivered = None; // whatever it was, the INVITE has been answered
        }
        let phrase = message.as_ref().map_or("no answer", Message::reason).to_owned();
        self.variables.print("sip_invite_failure_status", status);
        self.variables.set_wire("sip_invite_failure_phrase", &phrase);
        let cause = if (300..400).contains(&status) { Cause::REDIRECTION_TO_NEW_DESTINATION } else { cause };
        self.note_terminated(status, cause);
        self.over(Ending {
            cause,
            by: By::FarEnd,
            disposition: "recv_refuse",
            refused_with: None,
            sip: message.is_some().then_some((status, phrase)),
            redirects,
        });
    }

    //------------ Requests inside the dialog -------------------------------------------------------------------

    fn on_request(&mut self, id: RequestId, message: &Message) {
        let now = Self::now();
        if *message.method() == Method::Notify {
            // Answered first: what it tells may end the call.
            if let Err(error) = self.session.respond(now, id, 200, &[], None) {
                debug!("{} {}: {error}", self.uuid, self.name());
            }
            return self.on_notify(message);
        }
        let (status, headers) = match message.method() {
            Method::Info => (self.on_info(message), Vec::new()),
            Method::Message => (202, Vec::new()),
            Method::Refer => return self.on_refer(id, message),
            _ => (405, vec![("Allow".to_owned(), self.agent.allow().to_owned())]),
        };
        if let Err(error) = self.session.respond(now, id, status, &headers, None) {
            debug!("{} {}: {error}", self.uuid, self.name());
        }
    }

    /// INFO: digits (`application/dtmf-relay`, `application/dtmf`) are digits, a hook flash is told, anything else goes
    /// across.
    fn on_info(&mut self, message: &Message) -> u16 {
        let kind = message.header(Name::ContentType).unwrap_or("").to_ascii_lowercase();
        self.fire(EventName::RecvInfo, || vec![("SIP-Content-Type".into(), kind.clone())]);
        if kind.starts_with("message/update_display") {
            self.learn_party(message);
            return 200;
        }
        if kind.starts_with("application/dtmf") {
            let Some((digit, duration_ms)) = dtmf(&kind, message.body()) else { return 400 };
            self.on_digit(digit, duration_ms, "INFO");
            return 200;
        }
        if kind.starts_with("application/hook-flash") || kind.starts_with("application/x-hook-flash") {
            debug!("{} {}: hook flash, told and otherwise ignored", self.uuid, self.name());
            return 200;
        }
        if let (Some(partner), false) = (&self.partner, message.body().is_empty()) {
            partner.mailbox().post(Letter::Order(Order::Info {
                content_type: message.header(Name::ContentType).unwrap_or("text/plain").to_owned(),
                body: message.body_bytes(),
            }));
        }
        200
    }

    /// Sends a digit to the far end: RFC 4733 where agreed, else INFO.
    pub fn send_digit(&mut self, digit: char, duration_ms: u32) {
        if self.media.send_digit(digit, duration_ms) {
            return;
        }
        let body = format!("Signal={digit}\r\nDuration={duration_ms}\r\n");
        let kind = "application/dtmf-relay";
        if let Err(error) = self.session.request(Self::now(), Method::Info, &[], Some((kind, body.into()))) {
            debug!("{} {}: digit {digit} not sent: {error}", self.uuid, self.name());
        }
    }

    /// A text for the far end, by INFO, if it takes such.
    pub fn send_info(&mut self, text: &str) {
        let supports = self.variables.get("X-FS-Support").is_some_and(|s| s.contains("send_info"));
        if !supports && !self.variables.is_true("fs_send_unsupported_info") {
            return info!("{} {}: send_info: the far end does not take it", self.uuid, self.name());
        }
        let headers = self.header_variables("sip_info_h_");
        let body = Some(("freeswitch/data", Bytes::copy_from_slice(text.as_bytes())));
        if let Err(error) = self.session.request(Self::now(), Method::Info, &headers, body) {
            warn!("{} {}: send_info: {error}", self.uuid, self.name());
        }
    }

    /// What the far end is, and can do.
    fn learn_abilities(&mut self, message: &Message) {
        let agent = message.header(Name::UserAgent).or_else(|| message.header(Name::Server));
        let support = message.header_named("X-FS-Support").next();
        for (name, said) in
            [("sip_user_agent", agent), ("sip_allow", message.header(Name::Allow)), ("X-FS-Support", support)]
        {
            if let Some(said) = said {
                self.variables.set_wire(name, said);
            }
        }
    }

    /// What the far end says of the called party, for the caller's display.
    fn learn_callee(&mut self, message: &Message) {
        if self.direction == Direction::Outbound
            && let Some((name, number)) = crate::channel::identity::asserted(message)
        {
            self.caller.callee_id_name = name.into();
            self.caller.callee_id_number = number.into();
        }
    }
}

/// The digit and its duration in ms of an INFO body: `Signal=5\r\nDuration=250`, or just `5`.
fn dtmf(kind: &str, body: &[u8]) -> Option<(char, u32)> {
    let text = std::str::from_utf8(body).ok()?;
    let mut digit = None;
    let mut duration = 250;
    if kind.starts_with("application/dtmf-relay") {
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "signal" => digit = named_digit(value.trim()),
                "duration" => duration = value.trim().parse().unwrap_or(duration),
                _ => {}
            }
        }
    } else {
        digit = named_digit(text.trim());
    }
    Some((digit?, duration.clamp(40, 6000)))
}

/// `5`, `*`, `#`, `a`, or the event numbers 10 and 11 some phones send for `*` and `#`.
fn named_digit(text: &str) -> Option<char> {
    match text {
        "10" => return Some('*'),
        "11" => return Some('#'),
        _ => {}
    }
    let mut chars = text.chars();
    match (chars.next().map(|c| c.to_ascii_uppercase()), chars.next()) {
        (Some(c @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::dtmf;

    #[test]
    fn digits_come_in_two_bodies() {
        for (kind, body, want) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some(('5', 160))),
            ("application/dtmf-relay", "Signal= #\nDuration= 100", Some(('#', 100))),
            ("application/dtmf-relay", "Signal=10", Some(('*', 250))),
            ("application/dtmf", "9", Some(('9', 250))),
            ("application/dtmf", "a\r\n", Some(('A', 250))),
            ("application/dtmf", "", None),
            ("application/dtmf-relay", "Duration=100", None),
            ("application/dtmf-relay", "Signal=flash", None),
            ("application/dtmf-relay", "Signal=1\nDuration=99999999999", Some(('1', 250))),
        ] {
            assert_eq!(dtmf(kind, body.as_bytes()), want, "{kind} {body:?}");
        }
    }
}
