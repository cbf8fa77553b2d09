//! Offers on an established session: hold and resume, a new address, other codecs.
//!
//! FreeSWITCH answers a re-INVITE by itself, and so does a leg here as long as the codec of the call stays
//! among those offered. When it does not, the leg asks the other side of the bridge (`Proposed`), which offers
//! the new codecs to its own far end; what comes of it (`Settled`) is the answer. While one side waits so, an
//! offer from the other meets 491 (RFC 3261 §14.2): glare across the two legs.

use super::commanded::Deflected;
use super::leg::Leg;
use super::letter::{Letter, News, Proposal};
use super::media::{MediaError, Said, View, Way};
use super::renewal::Renewal;
use crate::dialog::OfferId;
use crate::sdp::{self, SdpError};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// What of an offer is open on a leg.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The far end's offer (or its wish for one) waits for the other side of the bridge.
    pub(super) proposed: Option<(OfferId, Option<Said>)>,
    /// Our offer, made for the other side of the bridge, waits for the far end.
    pub(super) offered: bool,
    /// Our description stands in a 200 as an offer; the ACK brings the answer.
    pub(super) unanswered: bool,
    /// Our offer is of the codec of the leg this one has been joined with, which it must take.
    pub(super) aligning: bool,
    /// Our far end has offered because the other side's asked it to, and waits for the answer in our ACK.
    pub(super) owed: bool,
    /// The other side is being led where our media are to go.
    pub(super) leading: bool,
    /// The other side has been led there, and our far end is offered to follow.
    pub(super) led: bool,
    /// Where both sides are to be led once both are up.
    pub(super) after: Option<Way>,
    /// Both are up: so now, or when the offer that is under way is answered.
    pub(super) due: Option<Way>,
    /// We hold the far end, as a command wants it.
    pub(super) holds: bool,
    /// Our offer puts the far end on hold, or takes it back.
    pub(super) holding: Option<bool>,
    /// Our offer is one for a command.
    pub(super) renewal: Option<Renewal>,
    /// Who waits for what comes of our REFER.
    pub(super) deflected: Option<oneshot::Sender<Deflected>>,
}

impl Pending {
    /// Nothing else may be offered now.
    pub(super) fn is_busy(&self) -> bool {
        let Pending { proposed, offered, unanswered, aligning, owed, leading, led, holding, renewal, .. } =
            self;
        proposed.is_some()
            || *offered
            || *unanswered
            || *aligning
            || *owed
            || *leading
            || *led
            || holding.is_some()
            || renewal.is_some()
    }
}

impl Leg {
    /// The far end offers (or, without a description, asks us to).
    pub(super) fn on_offer(&mut self, id: OfferId, body: Option<Bytes>) {
        let Pending { proposed, offered, aligning, owed, leading, led, renewal, .. } = &self.pending;
        if proposed.is_some() || *offered || *aligning || *owed || *leading || *led || renewal.is_some() {
            return self.refuse_offer(id, 491);
        }
        if self.media.way() != Way::Relay && self.partner.is_some() {
            return self.propose(id, body);
        }
        let Some(body) = body else {
            return match self.media.local() {
                Some(local) => {
                    self.pending.unanswered = true;
                    self.accept_offer(id, local);
                }
                None => self.refuse_offer(id, 488),
            };
        };
        let offer = match sdp::Session::parse_bytes(&body) {
            Ok(offer) => Arc::new(offer),
            Err(error) => {
                warn!("{} {}: a re-INVITE whose description is broken: {error}", self.uuid, self.name());
                return self.refuse_offer(id, error.status());
            }
        };
        match self.answer_within(&offer) {
            Ok(answer) => self.accept_offer(id, answer),
            Err(MediaError::Description(SdpError::NoCommonCodec)) => match &self.partner {
                Some(partner) => {
                    let streams = self.media.streams();
                    let view = View {
                        remote: offer.clone(),
                        agreed: Arc::default(),
                        streams,
                        passed: None,
                        screens_digits: false,
                    };
                    let news = News::Proposed(Arc::new(Proposal { view, way: Way::Relay, offer: None }));
                    if partner.mailbox().post(Letter::News { from: self.token(), news }) {
                        self.pending.proposed = Some((id, Some((offer, body))));
                    } else {
                        self.refuse_offer(id, 500);
                    }
                }
                None => self.refuse_offer(id, 488),
            },
            Err(error) => {
                warn!("{} {}: a re-INVITE cannot be answered: {error}", self.uuid, self.name());
                self.refuse_offer(id, 488);
            }
        }
    }

    /// Answers with what the call uses now: the other side's codecs when bridged, our preferences otherwise.
    fn answer_within(&mut self, offer: &Arc<sdp::Session>) -> Result<Bytes, MediaError> {
        let rules = sdp::Rules { mirror: false, ..self.rules() };
        match &self.partner {
            Some(partner) => {
                let theirs = partner.view.remote.clone();
                self.media.answer_to(offer, sdp::Settled::Leg(&theirs), &rules)
            }
            None => {
                let prefs = self.own_prefs();
                let settled = sdp::Settled::Prefs { prefs: &prefs, negotiation: self.negotiation() };
                self.media.answer_to(offer, settled, &rules)
            }
        }
    }

    fn accept_offer(&mut self, id: OfferId, answer: Bytes) {
        if let Err(error) = self.session.accept_offer(Self::now(), id, Some(answer), &[]) {
            warn!("{} {}: re-INVITE not answered: {error}", self.uuid, self.name());
            return;
        }
        self.renegotiated();
    }

    /// Our 200 brings an offer; the ACK brings the answer.
    fn accept_late(&mut self, id: OfferId, offer: Bytes) {
        if let Err(error) = self.session.accept_offer(Self::now(), id, Some(offer), &[]) {
            warn!("{} {}: re-INVITE not answered: {error}", self.uuid, self.name());
        }
    }

    pub(super) fn refuse_offer(&mut self, id: OfferId, status: u16) {
        if let Err(error) = self.session.refuse_offer(Self::now(), id, status, &[]) {
            warn!("{} {}: re-INVITE not refused: {error}", self.uuid, self.name());
        }
    }

    /// The far end took its offer back.
    pub(super) fn on_offer_withdrawn(&mut self, id: OfferId) {
        if self.pending.proposed.as_ref().is_some_and(|(p, _)| *p == id) {
            self.pending.proposed = None;
        }
    }

    /// The media are as they are now: relay them, tell the other side, and see whether the far end is on hold.
    pub(super) fn renegotiated(&mut self) {
        self.tell_codecs();
        if let Some(partner) = &self.partner {
            self.media.bridge(&partner.view);
            if let Some(view) = self.media.view() {
                let news = News::Renegotiated(Arc::new(view));
                partner.mailbox().post(Letter::News { from: self.token(), news });
            }
        }
        let held = self.media.is_held() || self.pending.holds;
        if held != self.held {
            self.held = held;
            self.times.hold(Self::now(), held);
            if held && self.pending.holds {
                self.times.hold_is_ours();
            }
            info!("{} {}: {}", self.uuid, self.name(), if held { "on hold" } else { "resumed" });
            self.tell_held(held);
        }
        if self.media.way() != Way::Relay
            && let Some(view) = self.partner_view().cloned()
        {
            self.see_way(&view);
        }
        self.lead_if_due();
    }

    /// The ACK of a 200 that carried our offer brings the answer.
    pub(super) fn on_acknowledged(&mut self, body: Option<Bytes>) {
        let waited = std::mem::take(&mut self.pending.unanswered);
        self.unacked = None;
        let Some(body) = body else {
            if waited && self.media.way() != Way::Relay {
                warn!("{} {}: no answer in the ACK, and the other side waits for it", self.uuid, self.name());
                self.hangup(super::Cause::INCOMPATIBLE_DESTINATION);
            }
            return;
        };
        let is_first = self.media.remote().is_none();
        match self.media.take_answer(&body) {
            Ok(()) if is_first => {
                self.show_to_partner();
                self.renegotiated();
            }
            Ok(()) => self.renegotiated(),
            Err(error) => {
                warn!("{} {}: the answer in an ACK cannot be used: {error}", self.uuid, self.name());
                self.hangup(super::Cause::INCOMPATIBLE_DESTINATION);
            }
        }
    }

    //------------ Across the bridge ----------------------------------------------------------------------------

    /// The other side's far end wants codecs the call does not use: offer them to ours.
    pub(super) fn on_proposed(&mut self, proposal: &Proposal) {
        if self.pending.is_busy() {
            return self.tell_settled(Err(491));
        }
        if proposal.way != Way::Relay {
            return self.pass_on(proposal);
        }
        if !self.is_answered() {
            return self.tell_settled(Err(491));
        }
        let prefs = self.own_prefs();
        let source = sdp::Source::Offer { offer: &proposal.view.remote, prefs: Some(&prefs) };
        let rules = self.rules();
        let Ok(offer) = self.media.offer(source, &rules) else { return self.tell_settled(Err(488)) };
        if self.session.offer(Self::now(), Some(offer), &[]).is_ok() {
            self.pending.offered = true;
        } else {
            self.media.restore();
            self.tell_settled(Err(491));
        }
    }

    /// Our far end answered the offer we made for the other side.
    pub(super) fn on_offer_answered(&mut self, body: Option<Bytes>, needs_answer: bool) {
        let asked = std::mem::take(&mut self.pending.offered);
        let aligning = std::mem::take(&mut self.pending.aligning);
        let led = std::mem::take(&mut self.pending.led);
        let holding = self.pending.holding.take();
        if needs_answer {
            return self.pass_late_offer(body);
        }
        let taken = body.map(|body| self.media.take_answer(&body));
        match taken {
            Some(Ok(())) if self.renewed() => {}
            Some(Ok(())) if asked => {
                self.tell_codecs();
                let view = self.media.view().map(Arc::new);
                self.tell_settled(view.ok_or(488));
            }
            Some(Ok(())) => self.renegotiated(),
            Some(Err(error)) => {
                warn!("{} {}: the answer to our re-INVITE cannot be used: {error}", self.uuid, self.name());
                self.pending.holding = holding;
                self.hold_refused();
                match () {
                    () if self.renewal_void(&error.to_string()) => {}
                    () if aligning => self.out_of_line(),
                    () if led => {
                        self.media.restore();
                        self.not_led();
                    }
                    () => self.tell_settled(Err(488)),
                }
            }
            None if asked => self.tell_settled(Err(488)),
            None => {}
        }
    }

    /// Our far end refused it: everything stays.
    pub(super) fn on_offer_refused(&mut self, status: u16) {
        info!("{} {}: our re-INVITE was refused with {status}", self.uuid, self.name());
        self.hold_refused();
        self.renewal_refused(&status.to_string());
        if std::mem::take(&mut self.pending.offered) {
            let passed = self.media.way() != Way::Relay;
            self.media.restore();
            // An offer of the other far end's own making is refused in our far end's words.
            let ours = matches!(status, 401 | 407 | 415) || !passed;
            self.tell_settled(Err(if ours { 488 } else { status }));
        }
        if std::mem::take(&mut self.pending.led) {
            self.media.restore();
            self.not_led();
        }
        if std::mem::take(&mut self.pending.aligning) {
            self.media.restore();
            self.out_of_line();
        }
    }

    //------------ Legs that met ---------------------------------------------------------------------------------

    /// This leg has been joined with another in mid-call: when they have different codecs, ours is asked to take theirs.
    pub(super) fn align(&mut self) {
        let Some(partner) = &self.partner else { return };
        let view = partner.view.clone();
        if self.media.way() != Way::Relay || view.passed.is_some() {
            return; // whoever asked for it leads both
        }
        let (Some(theirs), Some(ours)) =
            (view.main_line(), self.agreed().iter().find(|m| m.kind == sdp::Kind::Audio))
        else {
            return;
        };
        if ours.codec.same_format(&theirs.codec) {
            return;
        }
        info!(
            "{} {}: the other leg has {}, this one {}: the far end is asked to change",
            self.uuid,
            self.name(),
            theirs.codec,
            ours.codec
        );
        let rules = self.rules();
        let offered = self.media.offer(sdp::Source::Agreed(&view.agreed), &rules);
        let sent = offered.is_ok_and(|offer| self.session.offer(Self::now(), Some(offer), &[]).is_ok());
        match sent {
            true => self.pending.aligning = true,
            false => {
                self.media.restore();
                self.out_of_line();
            }
        }
    }

    /// The far end cannot do what the other leg does, and tandem does not translate yet.
    pub(super) fn out_of_line(&mut self) {
        warn!("{} {}: no codec in common with the leg it has been joined with", self.uuid, self.name());
        self.hangup(super::Cause::INCOMPATIBLE_DESTINATION);
    }

    pub(super) fn tell_settled(&self, view: Result<Arc<View>, u16>) {
        if let Some(partner) = &self.partner {
            partner.mailbox().post(Letter::News { from: self.token(), news: News::Settled(view) });
        }
    }

    /// What came of our proposal: answer our far end.
    pub(super) fn on_settled(&mut self, view: Result<Arc<View>, u16>) {
        if self.pending.leading {
            return self.led(view);
        }
        if self.renewal_settled(&view) {
            return;
        }
        let Some((id, offer)) = self.pending.proposed.take() else { return };
        let view = match view {
            Ok(view) => view,
            Err(status) => return self.refuse_offer(id, status),
        };
        let rules = sdp::Rules { mirror: false, ..self.rules() };
        let late = offer.is_none();
        let answer = match (&view.passed, offer) {
            (Some(passed), None) => self.media.pass_offer(passed.way, &passed.text),
            (Some(passed), offer) => self.media.pass_answer(offer, passed.way, &passed.text),
            (None, Some((offer, _))) => self.media.answer_to(&offer, sdp::Settled::Leg(&view.remote), &rules),
            (None, None) => Err(MediaError::NothingOffered),
        };
        match answer {
            Ok(answer) => {
                if let Some(partner) = &mut self.partner {
                    partner.view = view;
                }
                match late {
                    true => {
                        self.pending.unanswered = true;
                        self.accept_late(id, answer);
                    }
                    false => self.accept_offer(id, answer),
                }
            }
            Err(error) => {
                warn!("{} {}: a re-INVITE cannot be answered: {error}", self.uuid, self.name());
                self.refuse_offer(id, 488);
            }
        }
    }
}
