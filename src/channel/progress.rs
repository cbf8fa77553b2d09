//! What we tell a caller before and at answer: 180, 183 with a description, 200.

use super::cause::Cause;
use super::leg::{Direction, Leg, Progress};
use super::media::{MediaError, View, Way};
use super::moment::Moment;
use crate::event::EventName;
use crate::sdp::{self, SdpError};
use bytes::Bytes;
use tracing::{debug, warn};

impl Leg {
    /// What this leg's descriptions have: the profile's rules and the variables that bend them.
    pub(super) fn rules(&self) -> sdp::Rules {
        let mut rules = self.agent.rules();
        if self.exchange.globals.get("suppress_cng").is_some_and(|v| super::variables::is_true(&v)) {
            rules.suppress_noise = true;
        }
        if self.pending.holds {
            rules.direction = sdp::Direction::SendOnly;
        }
        match self.variables.get("dtmf_type").map(str::to_ascii_lowercase).as_deref() {
            Some("info" | "none") => rules.event_pt = None,
            Some("rfc2833") => rules.event_pt = Some(self.agent.conf.rfc2833_pt),
            _ => {}
        }
        rules.verbose |= self.variables.is_true("verbose_sdp");
        rules
    }

    /// Tells the caller that it rings (180), or waits (182). Nothing once early media or an answer went out.
    pub fn ring(&mut self, status: u16) {
        if self.direction == Direction::Outbound || self.progress >= Progress::Ringing && status == 180 {
            return;
        }
        let headers = self.callee_headers("sip_ph_");
        match self.session.provisional(Self::now(), status, None, &headers) {
            Ok(()) => {
                self.progress = self.progress.max(Progress::Ringing);
                self.times.progress.get_or_insert_with(Self::now);
                self.fire(EventName::ChannelProgress, Vec::new);
                self.reaches(Moment::Ring);
                self.tell_state();
            }
            Err(error) => debug!("{} {}: no {status}: {error}", self.uuid, self.name()),
        }
    }

    /// Opens early media towards the caller (183 with a description): with what `other` settled on, or by our own
    /// preferences. An error has hung the leg up.
    pub fn pre_answer(&mut self, other: Option<&View>) -> Result<(), Cause> {
        if self.direction == Direction::Outbound || self.progress >= Progress::EarlyMedia {
            return Ok(());
        }
        if self.media.remote().is_none() {
            // The caller made no offer: ours can only go out in the 200 (RFC 3261 §13.2.1).
            self.ring(180);
            return Ok(());
        }
        let body = self.describe(other)?;
        let headers = self.callee_headers("sip_ph_");
        let status = if self.variables.is_true("early_use_180") { 180 } else { 183 };
        match self.session.provisional(Self::now(), status, body, &headers) {
            Ok(()) => {
                self.tell_codecs();
                self.progress = self.progress.max(Progress::EarlyMedia);
                self.times.progress_media.get_or_insert_with(Self::now);
                self.variables.set("endpoint_disposition", "EARLY MEDIA");
                self.fire(EventName::ChannelProgressMedia, Vec::new);
                self.reaches(Moment::PreAnswer);
                self.reaches(Moment::Media);
                self.tell_state();
            }
            Err(error) => debug!("{} {}: no {status}: {error}", self.uuid, self.name()),
        }
        Ok(())
    }

    /// Answers the caller (200): with what `other` settled on, or by our own preferences. An error has hung the
    /// leg up.
    pub fn answer(&mut self, other: Option<&View>) -> Result<(), Cause> {
        if self.direction == Direction::Outbound || self.is_answered() || self.is_over() {
            return Ok(());
        }
        let body = self.describe(other)?;
        self.pending.unanswered = self.media.remote().is_none();
        let headers = self.callee_headers("sip_rh_");
        let now = Self::now();
        if let Err(error) = self.session.answer(now, body, &headers) {
            warn!("{} {}: cannot answer: {error}", self.uuid, self.name());
            return Err(self.give_up(Cause::NORMAL_TEMPORARY_FAILURE));
        }
        let had_media = self.progress >= Progress::EarlyMedia;
        self.tell_codecs();
        self.progress = Progress::Answered;
        self.note_shown();
        self.times.answered = Some(now);
        self.watch.answered(now);
        self.variables.set("endpoint_disposition", "ANSWER");
        self.fire(EventName::ChannelAnswer, Vec::new);
        self.reaches(Moment::Answer);
        if !had_media {
            self.reaches(Moment::Media);
        }
        self.tell_state();
        Ok(())
    }

    /// The description the caller gets; the same in the 200 as in the 183 before it.
    fn describe(&mut self, other: Option<&View>) -> Result<Option<Bytes>, Cause> {
        let passed = other.and_then(|view| view.passed.as_ref());
        match passed {
            Some(passed) if self.media.way() != Way::Relay || self.media.agreed().is_empty() => {
                self.media.set_timeouts(self.agent.media_timeouts_for(&self.variables));
                return self.described(|leg| leg.describe_as(passed));
            }
            None if self.media.way() != Way::Relay => self.media.forget(),
            _ => {}
        }
        if !self.media.agreed().is_empty() {
            return Ok(self.media.local());
        }
        let rules = self.rules();
        let prefs = self.own_prefs();
        self.media.set_timeouts(self.agent.media_timeouts_for(&self.variables));
        let made = match (self.media.remote().is_some(), other) {
            (true, Some(view)) => self.media.answer(sdp::Settled::Leg(&view.remote), &rules),
            (true, None) => {
                let negotiation = self.negotiation();
                self.media.answer(sdp::Settled::Prefs { prefs: &prefs, negotiation }, &rules)
            }
            (false, Some(view)) => self.media.offer(sdp::Source::Agreed(&view.agreed), &rules),
            (false, None) => self.media.offer(sdp::Source::Prefs(&prefs), &rules),
        };
        self.described(|_| made)
    }

    fn described(
        &mut self,
        make: impl FnOnce(&mut Leg) -> Result<Bytes, MediaError>,
    ) -> Result<Option<Bytes>, Cause> {
        match make(self) {
            Ok(body) => Ok(Some(body)),
            Err(error) => {
                warn!("{} {}: no description for the caller: {error}", self.uuid, self.name());
                Err(self.give_up(media_cause(&error)))
            }
        }
    }

    fn give_up(&mut self, cause: Cause) -> Cause {
        self.hangup(cause);
        cause
    }
}

/// What a failure to make or take a description means for the call.
pub(super) fn media_cause(error: &MediaError) -> Cause {
    match error {
        MediaError::Description(SdpError::NoCommonCodec) => Cause::INCOMPATIBLE_DESTINATION,
        MediaError::Description(_) => Cause::INCOMPATIBLE_DESTINATION,
        MediaError::Port(_) => Cause::SWITCH_CONGESTION,
        MediaError::NothingOffered => Cause::MANDATORY_IE_MISSING,
    }
}
