//! Media that do not go through us by codec: past us (`bypass_media`), or through us unread (`proxy_media`).
//!
//! Each far end then has the other's description. A leg that calls hands on what its far end offered
//! ([`Codecs::Passed`](super::Codecs::Passed)), and is answered with what the called one said ([`View::passed`]); a
//! re-INVITE goes across as it is, with offer or without ([`Proposal`]), and so does what comes of it.
//!
//! Legs that are up already are *led* there ([`Leg::lead`]): the one proposes what its far end has said last, the other
//! offers that to its own, and the first is offered the answer. That is `bypass_media_after_bridge`, and what becomes of a
//! leg without media of ours that is transferred, picked up or bridged anew. Where one side does not follow, or an
//! application needs to hear the leg, its media come back by an offer of our own ([`Leg::regain`]).

use super::cause::Cause;
use super::leg::{Direction, Leg, Progress};
use super::letter::{Letter, News, Proposal};
use super::media::{MediaError, Passed, View, Way};
use super::progress::media_cause;
use super::variables::is_true;
use crate::dialog::OfferId;
use crate::sdp;
use bytes::Bytes;
use std::sync::Arc;
use tracing::{debug, info, warn};

/// Variables of FreeSWITCH's that bend this and that nothing is made of yet, and what happens instead.
const NOT_YET: [(&str, &str); 4] = [
    ("bypass_media_resume_on_hold", "hold goes to the other phone"),
    ("bypass_media_after_hold", "hold and resume go to the other phone"),
    ("bypass_media_sdp_filter", "descriptions pass unfiltered"),
    ("bypass_keep_codec", "each phone is offered what the other has said"),
];

/// What happens instead of what such a variable asks for; `None` when it is none of those.
pub fn not_provided(variable: &str) -> Option<&'static str> {
    NOT_YET.iter().find(|(name, _)| *name == variable).map(|(_, instead)| *instead)
}

impl Leg {
    /// Which way its media go now.
    pub fn way(&self) -> Way {
        self.media.way()
    }

    /// Which way the media of those it calls are to go.
    pub fn way_for_calls(&self) -> Way {
        let said = |name| self.variables.get(name).filter(|text| !text.is_empty()).map(is_true);
        match self.media.way() {
            // It has the description of somebody it was bridged with before.
            Way::Bypass if said("bypass_media") == Some(false) => Way::Relay,
            Way::Proxy if said("proxy_media") == Some(false) => Way::Relay,
            Way::Relay if self.has_media() => Way::Relay,
            Way::Relay => {
                let is_caller = self.direction == Direction::Inbound;
                let usual = |on: bool| is_caller && on;
                let conf = &self.agent.conf;
                if said("proxy_media").unwrap_or(usual(conf.inbound_proxy_media)) {
                    Way::Proxy
                } else if said("bypass_media").unwrap_or(usual(conf.inbound_bypass_media)) {
                    Way::Bypass
                } else {
                    Way::Relay
                }
            }
            way => way,
        }
    }

    /// It has media of ours, or is about to.
    fn has_media(&self) -> bool {
        self.is_answered() || !self.media.agreed().is_empty()
    }

    /// It is about to call: what its variables ask for may come too late, or not be there.
    pub fn prepare_way(&mut self) {
        for (name, instead) in NOT_YET {
            if self.variables.is_true(name) {
                warn!("{} {}: {name} is not provided yet: {instead}", self.uuid, self.name());
            }
        }
        if self.media.way() != Way::Relay || !self.has_media() {
            return;
        }
        if self.variables.is_true("proxy_media") {
            warn!(
                "{} {}: proxy_media comes too late, the call has media of ours already: they are relayed",
                self.uuid,
                self.name()
            );
        } else if self.variables.is_true("bypass_media") {
            debug!(
                "{} {}: has media already, which are led past us after the bridge",
                self.uuid,
                self.name()
            );
            self.variables.set("bypass_media_after_bridge", "true");
            self.variables.unset("bypass_media");
        }
    }

    /// What its far end has said, for others to be offered. What it said in answer to a hold is opened again.
    pub fn said(&self) -> Option<Bytes> {
        let text = self.session.remote_sdp()?;
        if self.media.local().is_none() || self.held {
            return Some(text.clone());
        }
        let mut session = sdp::Session::parse_bytes(text).ok()?;
        let mut used = session.media.iter().filter(|media| media.port != 0);
        if used.all(|media| session.direction(media) == sdp::Direction::SendRecv) {
            return Some(text.clone());
        }
        session.set_direction(sdp::Direction::SendRecv);
        Some(session.text().into())
    }

    /// The description the caller gets: what the other far end has said; our offer when the caller has made none.
    pub(super) fn describe_as(&mut self, passed: &Passed) -> Result<Bytes, MediaError> {
        if self.media.remote().is_none() {
            return self.media.pass_offer(passed.way, &passed.text);
        }
        let body = self.media.pass_answer(None, passed.way, &passed.text)?;
        if let Some(text) = self.session.remote_sdp() {
            self.media.heard(text);
        }
        Ok(body)
    }

    /// An application needs to hear the leg, or to be heard: its media come to us. An error has hung it up.
    pub fn need_media(&mut self) -> Result<(), Cause> {
        match self.media.way() {
            Way::Bypass if self.is_answered() => {
                self.regain(None);
                return self.cause().map_or(Ok(()), Err);
            }
            Way::Bypass => {
                self.media.forget();
                self.progress = self.progress.min(Progress::Ringing);
            }
            Way::Relay | Way::Proxy => {}
        }
        if self.is_answered() { Ok(()) } else { self.pre_answer(None) }
    }

    //------------ Offers that go across -----------------------------------------------------------------------

    /// The far end offers (or asks for an offer): the other side's far end is to answer.
    pub(super) fn propose(&mut self, id: OfferId, body: Option<Bytes>) {
        let offer =
            match body.map(|body| sdp::Session::parse_bytes(&body).map(|offer| (Arc::new(offer), body))) {
                None => None,
                Some(Ok(offer)) => Some(offer),
                Some(Err(error)) => {
                    warn!("{} {}: a re-INVITE whose description is broken: {error}", self.uuid, self.name());
                    return self.refuse_offer(id, error.status());
                }
            };
        let (Some(partner), Some(view)) = (&self.partner, self.media.view()) else {
            return self.refuse_offer(id, 488);
        };
        let text = offer.as_ref().map(|(_, text)| text.clone());
        let news = News::Proposed(Arc::new(Proposal { view, way: self.media.way(), offer: text }));
        match partner.mailbox().post(Letter::News { from: self.token(), news }) {
            true => self.pending.proposed = Some((id, offer)),
            false => self.refuse_offer(id, 500),
        }
    }

    /// The other side's far end offers, or asks for an offer: ours is to answer.
    pub(super) fn pass_on(&mut self, proposal: &Proposal) {
        let now = Self::now();
        let ours = match &proposal.offer {
            None => None,
            Some(text) => match self.media.pass_offer(proposal.way, text) {
                Ok(ours) => Some(ours),
                Err(error) => {
                    warn!("{} {}: an offer cannot be passed on: {error}", self.uuid, self.name());
                    let busy = matches!(error, MediaError::Port(_));
                    return self.tell_settled(Err(if busy { 500 } else { 488 }));
                }
            },
        };
        let sent = match (self.is_answered(), &ours) {
            (true, _) => self.session.offer(now, ours, &[]),
            (false, Some(_)) => self.session.update(now, ours, &[]),
            (false, None) => return self.tell_settled(Err(491)),
        };
        match sent {
            Ok(()) => self.pending.offered = true,
            Err(_) => {
                self.media.restore();
                self.tell_settled(Err(491));
            }
        }
    }

    /// Our far end, asked to, has offered: the other side's is to answer.
    pub(super) fn pass_late_offer(&mut self, body: Option<Bytes>) {
        let way = self.media.way();
        let taken = body.map(|body| self.media.take_late_offer(way, &body));
        let view = self.media.view().filter(|_| matches!(taken, Some(Ok(()))));
        match view {
            Some(view) => {
                self.pending.owed = true;
                self.tell_settled(Ok(Arc::new(view)));
            }
            None => {
                warn!("{} {}: asked for an offer, the far end made none of use", self.uuid, self.name());
                self.acknowledge(None);
                self.tell_settled(Err(488));
            }
        }
    }

    /// The other side's far end has answered what ours offered, if it did.
    pub(super) fn pay_owed(&mut self, view: &View) {
        if self.pending.owed {
            self.pay(view);
        }
    }

    fn pay(&mut self, view: &View) {
        self.pending.owed = false;
        let answer =
            view.passed.as_ref().map(|passed| self.media.pass_answer(None, passed.way, &passed.text));
        match answer {
            Some(Ok(answer)) => {
                self.acknowledge(Some(answer));
                self.media.bridge(view);
            }
            _ => {
                warn!("{} {}: there is no answer to what the far end offered", self.uuid, self.name());
                self.acknowledge(None);
                self.hangup(Cause::INCOMPATIBLE_DESTINATION);
            }
        }
    }

    fn acknowledge(&mut self, answer: Option<Bytes>) {
        if let Err(error) = self.session.acknowledge(Self::now(), answer) {
            debug!("{} {}: no ACK: {error}", self.uuid, self.name());
        }
    }

    /// What the partner's media are now, as far as that changes which way ours go.
    pub(super) fn see_way(&mut self, view: &View) {
        if self.pending.owed {
            return self.pay(view);
        }
        if self.pending.is_busy() || !self.is_answered() || self.is_over() {
            return;
        }
        match (self.media.way(), &view.passed) {
            (Way::Relay, _) => {}
            (_, None) if !view.agreed.is_empty() => self.regain(Some(view)),
            (Way::Bypass, Some(passed)) if !self.media.knows(&view.remote) => self.redirect(passed),
            _ => {}
        }
    }

    //------------ Legs that are up ----------------------------------------------------------------------------

    /// What is to be done once both sides are up: leads the media past us. Nothing when they go there already.
    pub fn lead_after_bridge(&mut self) {
        self.pending.after = (self.media.way() == Way::Relay).then_some(Way::Bypass);
    }

    /// It is joined with a leg that it has not called: where either's media do not go through us by codec, both are led
    /// together when both are up.
    pub fn lead_together(&mut self) {
        let theirs =
            self.partner.as_ref().and_then(|p| Some(p.view.passed.as_ref()?.way)).unwrap_or_default();
        self.pending.after = match (self.media.way(), theirs) {
            (Way::Relay, Way::Relay) => None,
            (Way::Bypass, _) | (_, Way::Bypass) => Some(Way::Bypass),
            _ => Some(Way::Proxy),
        };
    }

    /// Both sides are up.
    pub fn both_up(&mut self) {
        self.pending.due = self.pending.after.take();
        self.lead_if_due();
    }

    /// Does what is due, unless an offer is under way; then when that is done.
    pub(super) fn lead_if_due(&mut self) {
        if let Some(way) = self.pending.due.filter(|_| !self.pending.is_busy()) {
            self.pending.due = None;
            self.lead(way);
        }
    }

    /// The leg was up before, without media of ours, and has called the one it is joined with now: its far end is told.
    pub fn tell_of(&mut self, view: &View) {
        match &view.passed {
            _ if self.media.way() == Way::Relay => {}
            Some(passed) => self.redirect(passed),
            None => self.regain(Some(view)),
        }
    }

    /// Leads the media of both sides that way: the other side's far end is offered what ours has said, and ours is
    /// offered the answer.
    fn lead(&mut self, way: Way) {
        let (Some(partner), Some(view), Some(text)) = (&self.partner, self.media.view(), self.said()) else {
            return;
        };
        let news = News::Proposed(Arc::new(Proposal { view, way, offer: Some(text) }));
        self.pending.leading = partner.mailbox().post(Letter::News { from: self.token(), news });
    }

    /// The other side has followed, or not.
    pub(super) fn led(&mut self, view: Result<Arc<View>, u16>) {
        self.pending.leading = false;
        let view = match view {
            Ok(view) => view,
            Err(status) => {
                info!("{} {}: the other side refused with {status} to be led there", self.uuid, self.name());
                return self.not_led();
            }
        };
        if let Some(partner) = &mut self.partner {
            partner.view = view.clone();
        }
        let Some(passed) = &view.passed else { return self.not_led() };
        self.pending.led = self.offer_passed(passed);
        if !self.pending.led {
            self.not_led();
        }
    }

    /// One of both sides did not follow: the media go through us.
    pub(super) fn not_led(&mut self) {
        let Some(partner) = &self.partner else { return };
        let view = partner.view.clone();
        match self.media.way() {
            // The other side hears of it and comes back.
            Way::Relay => self.renegotiated(),
            Way::Proxy | Way::Bypass => self.regain(Some(&view)),
        }
    }

    fn redirect(&mut self, passed: &Passed) {
        match self.offer_passed(passed) {
            true => self.pending.aligning = true,
            false => self.out_of_line(),
        }
    }

    fn offer_passed(&mut self, passed: &Passed) -> bool {
        let offered = self.media.pass_offer(passed.way, &passed.text);
        let sent = offered.is_ok_and(|offer| self.session.offer(Self::now(), Some(offer), &[]).is_ok());
        if !sent {
            self.media.restore();
        }
        sent
    }

    /// The far end gets an offer of our own: by the codec of `view` when the other leg has one.
    pub(super) fn regain(&mut self, view: Option<&View>) {
        info!("{} {}: its media come back to us", self.uuid, self.name());
        let (rules, prefs) = (self.rules(), self.prefs_of_its_kinds());
        let relayed = view.filter(|view| view.passed.is_none() && !view.agreed.is_empty());
        let source = match relayed {
            Some(view) => sdp::Source::Agreed(&view.agreed),
            None => sdp::Source::Prefs(&prefs),
        };
        let offered = self.media.offer(source, &rules);
        let sent = match offered {
            Ok(offer) => self.session.offer(Self::now(), Some(offer), &[]).is_ok(),
            Err(MediaError::Port(error)) => {
                warn!("{} {}: {error}", self.uuid, self.name());
                return self.hangup(media_cause(&MediaError::Port(error)));
            }
            Err(_) => false,
        };
        match sent {
            true => self.pending.aligning = true,
            false => {
                self.media.restore();
                self.out_of_line();
            }
        }
    }
}
