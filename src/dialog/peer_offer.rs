//! The peer's offers within the session: re-INVITE (RFC 3261 §14.2), UPDATE (RFC 3311 §5.2), and those of reliable
//! provisional responses and PRACK (RFC 3262 §5). Our 2xx to INVITE, and the wait for its ACK (§13.3.1.4).

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::body::{self, Body};
use super::event::{CommandError, Event, Headers, How, OfferId};
use super::identity::timer_headers;
use super::inside::{Ask, allows_update};
use super::offer::{Exchange, Pending};
use super::session::{Phase, Session};
use super::wait::Wait;
use crate::sip::{Flow, Message};
use crate::transaction::ServerId;

/// An offer of the peer that its owner has to answer.
#[derive(Debug)]
pub(super) struct PeerOffer {
    pub id: OfferId,
    pub fork: u32,
    pub message: Message,
    pub how: How,
    by: By,
    /// What holds if it is refused.
    before: Exchange,
}

#[derive(Clone, Debug)]
enum By {
    Request(Ask),
    Response { rseq: u32 },
}

impl PeerOffer {
    pub fn by_request(id: u32, fork: u32, ask: Ask, before: Exchange, how: How) -> Self {
        PeerOffer { id: OfferId(id), fork, message: ask.message.clone(), how, by: By::Request(ask), before }
    }

    pub fn by_response(id: u32, fork: u32, rseq: u32, message: Message, before: Exchange) -> Self {
        PeerOffer { id: OfferId(id), fork, message, how: How::Provisional, by: By::Response { rseq }, before }
    }

    pub fn server(&self) -> Option<ServerId> {
        match &self.by {
            By::Request(ask) => Some(ask.server),
            By::Response { .. } => None,
        }
    }
}

/// Our 2xx to an INVITE or re-INVITE until its ACK comes.
#[derive(Debug)]
pub(super) struct Unacked {
    id: ServerId,
    cseq: u32,
    bytes: Bytes,
    interval: Duration,
    retransmissions: u32,
    /// The 2xx carried our offer; the ACK brings the answer.
    offered: bool,
    /// It answered the first INVITE.
    pub first: bool,
}

impl Unacked {
    pub fn new(id: ServerId, cseq: u32, bytes: Bytes, offered: bool, first: bool) -> Self {
        Unacked { id, cseq, bytes, interval: Duration::ZERO, retransmissions: 0, offered, first }
    }
}

impl Session {
    /// Our 200 to the first INVITE had to be sent again, and has no ACK yet.
    pub fn is_ack_late(&self) -> bool {
        self.unacked.as_ref().is_some_and(|unacked| unacked.first && unacked.retransmissions > 0)
    }

    //------------ Commands ----------------------------------------------------------------------------------

    /// Accepts an offer with our answer; with our offer when the peer asked for one (its re-INVITE had no SDP).
    pub fn accept_offer(
        &mut self,
        now: Instant,
        id: OfferId,
        sdp: Option<Bytes>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        if self.offered.as_ref().is_none_or(|o| o.id != id) {
            return Err(CommandError::Unknown);
        }
        let sdp = sdp.ok_or(CommandError::SdpNeeded)?;
        let Some(offer) = self.offered.take() else { return Err(CommandError::Unknown) };
        self.waits.stop(Wait::PeerOffer);
        let Some(peer) = self.fork(offer.fork) else { return Err(CommandError::Unknown) };
        let asked_us = peer.exchange.pending() != Pending::Peers;
        if asked_us {
            peer.exchange.offer(&sdp);
        } else {
            peer.exchange.answer(&sdp);
        }
        if matches!(offer.how, How::ReInvite | How::Update) {
            peer.dialog.refresh(&offer.message);
        }
        match &offer.by {
            &By::Response { rseq } => self.send_prack(now, offer.fork, rseq, Some(&sdp)),
            By::Request(ask) => {
                let server = ask.server;
                let mut b = self.wire.response(ask, 200, None, headers);
                if offer.how != How::Prack {
                    let said = self.refreshed_by(now, &offer.message);
                    b = timer_headers(self.wire.abilities(b, headers), &said);
                }
                let bytes = b.carrying(body::SDP, sdp.clone()).finish();
                if offer.how == How::ReInvite {
                    let cseq = offer.message.cseq().number;
                    self.send_until_acked(now, Unacked::new(server, cseq, bytes, asked_us, false));
                } else {
                    self.tx.respond(now, server, bytes, 200);
                }
            }
        }
        if offer.how == How::Prack {
            self.after_prack(now);
        }
        self.pump(now);
        Ok(())
    }

    /// Refuses an offer (300–699, 488 mostly); the session goes on as it was. An offer that came by a provisional
    /// response cannot be refused, only cancelled with the call.
    pub fn refuse_offer(
        &mut self,
        now: Instant,
        id: OfferId,
        status: u16,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        if !(300..700).contains(&status) {
            return Err(CommandError::Status);
        }
        if self.offered.as_ref().is_some_and(|o| o.id == id && o.how == How::Provisional) {
            return Err(CommandError::Status);
        }
        let offer = self.offered.take_if(|o| o.id == id).ok_or(CommandError::Unknown)?;
        self.waits.stop(Wait::PeerOffer);
        self.answer_offer_with(now, &offer, status, headers);
        self.restore_exchange(&offer);
        if offer.how == How::Prack {
            self.after_prack(now);
        }
        self.pump(now);
        Ok(())
    }

    //------------ What comes --------------------------------------------------------------------------------

    /// A re-INVITE that passed the checks every request passes.
    pub(super) fn reinvited(&mut self, now: Instant, index: usize, ask: Ask) {
        let message = &ask.message;
        if self.phase == Phase::Setup {
            // Before our answer: the callee has an INVITE to answer first, the caller has one out (§14.2).
            return if self.is_caller() {
                self.reply(now, &ask, 491, &[])
            } else {
                self.reply_later(now, &ask)
            };
        }
        if self.offered.is_some() {
            return self.reply_later(now, &ask);
        }
        if self.own_under_way() || self.unacked.as_ref().is_some_and(|u| u.offered) {
            return self.reply(now, &ask, 491, &[]);
        }
        if let Some(unacked) = self.unacked.take() {
            // Its sender has our 2xx; only the ACK was lost or overtaken.
            self.told_acked(&unacked, None);
            if let Some(headers) = self.bye_wanted.take() {
                self.reply(now, &ask, 487, &[]);
                self.send_bye(now, &headers);
                return self.end(now);
            }
        }
        let Some(peer) = self.peers.get_mut(index) else { return };
        peer.updates = allows_update(message).or(peer.updates);
        let before = peer.exchange.clone();
        let sdp = body::of(message).sdp();
        if let Some(sdp) = &sdp {
            peer.exchange.offered(sdp);
        }
        let fork = peer.fork;
        let offer = PeerOffer::by_request(self.next_id(), fork, ask, before, How::ReInvite);
        self.hand_offer(now, offer, sdp, How::ReInvite);
    }

    /// An UPDATE that passed the checks every request passes.
    pub(super) fn updated(&mut self, now: Instant, index: usize, ask: Ask) {
        let message = &ask.message;
        let sdp = body::of(message).sdp();
        let ours = self.own_under_way();
        let Some(peer) = self.peers.get_mut(index) else { return };
        peer.updates = allows_update(message).or(peer.updates);
        let Some(sdp) = sdp else {
            peer.dialog.refresh(message);
            let said = self.refreshed_by(now, message);
            let b = self.wire.abilities(self.wire.response(&ask, 200, None, &[]), &[]);
            let bytes = timer_headers(b, &said).finish();
            self.tx.respond(now, ask.server, bytes, 200);
            return self.tell(Event::Updated { message: ask.message });
        };
        let pending = peer.exchange.pending();
        // RFC 3311 §5.2: theirs is not answered yet → 500, ours is not → 491.
        if self.offered.is_some() || pending == Pending::Peers {
            return self.reply_later(now, &ask);
        }
        if pending == Pending::Ours || ours {
            return self.reply(now, &ask, 491, &[]);
        }
        let before = peer.exchange.clone();
        peer.exchange.offered(&sdp);
        let fork = peer.fork;
        let offer = PeerOffer::by_request(self.next_id(), fork, ask, before, How::Update);
        self.hand_offer(now, offer, Some(sdp), How::Update);
    }

    /// An ACK to a 2xx.
    pub(super) fn acknowledged(&mut self, now: Instant, message: &Message, flow: Flow) {
        let Some(peer) = self.peers.iter_mut().find(|p| p.dialog.matches(message)) else { return };
        let Some(unacked) = self.unacked.take_if(|u| u.cseq == message.cseq().number) else { return };
        peer.dialog.heard_on(flow);
        let sdp = body::of(message).sdp().filter(|_| unacked.offered);
        if unacked.offered {
            match &sdp {
                Some(sdp) => peer.exchange.answered(sdp),
                None => peer.exchange.settle(),
            }
        }
        self.told_acked(&unacked, sdp);
        if let Some(headers) = self.bye_wanted.take() {
            self.send_bye(now, &headers);
            self.end(now);
        }
    }

    fn told_acked(&mut self, unacked: &Unacked, sdp: Option<Bytes>) {
        self.waits.stop(Wait::AnswerAgain);
        self.waits.stop(Wait::AnswerEnds);
        self.tell(if unacked.first { Event::Acknowledged { sdp } } else { Event::OfferAcknowledged { sdp } });
    }

    //------------ Sending -----------------------------------------------------------------------------------

    /// Hands an offer to the owner.
    pub(super) fn hand_offer(&mut self, now: Instant, offer: PeerOffer, sdp: Option<Bytes>, how: How) {
        let (id, message) = (offer.id, offer.message.clone());
        self.offered = Some(offer);
        self.waits.set(Wait::PeerOffer, now + self.wire.own.shared.timers.t1x64);
        self.tell(Event::Offer { id, sdp, how, message });
    }

    /// Sends a 2xx to an INVITE, again and again until its ACK comes (§13.3.1.4), over streams too.
    pub(super) fn send_until_acked(&mut self, now: Instant, mut unacked: Unacked) {
        let timers = self.wire.own.shared.timers;
        unacked.interval = timers.t1;
        self.waits.set(Wait::AnswerAgain, now + timers.t1);
        self.waits.set(Wait::AnswerEnds, now + timers.t1x64);
        self.tx.respond(now, unacked.id, unacked.bytes.clone(), 200);
        self.unacked = Some(unacked);
    }

    /// 500 with a Retry-After of up to 10 s (§14.2, RFC 3311 §5.2).
    fn reply_later(&mut self, now: Instant, ask: &Ask) {
        let seconds = self.rng.random_range(0..=10u32);
        self.reply(now, ask, 500, &[("Retry-After".to_owned(), seconds.to_string())]);
    }

    /// Answers the request that brought an offer with a failure.
    pub(super) fn answer_offer_with(
        &mut self,
        now: Instant,
        offer: &PeerOffer,
        status: u16,
        headers: Headers<'_>,
    ) {
        if let By::Request(ask) = &offer.by {
            self.reply(now, ask, status, headers);
        }
    }

    /// What held before a refused offer holds again.
    pub(super) fn restore_exchange(&mut self, offer: &PeerOffer) {
        if let Some(peer) = self.fork(offer.fork) {
            peer.exchange.restore(offer.before.clone());
        }
    }

    /// A 2xx chose one early dialog: what other forks offered is moot.
    pub(super) fn drop_offer_of_other_forks(&mut self, now: Instant, fork: u32) {
        let Some(offer) = self.offered.take_if(|o| o.fork != fork || o.how == How::Provisional) else {
            return;
        };
        self.waits.stop(Wait::PeerOffer);
        self.answer_offer_with(now, &offer, 487, &[]);
    }

    //------------ Ends of waits -----------------------------------------------------------------------------

    pub(super) fn send_answer_again(&mut self, now: Instant) {
        let timers = self.wire.own.shared.timers;
        let Some(unacked) = &mut self.unacked else { return };
        unacked.retransmissions += 1;
        unacked.interval = timers.backed_off(unacked.interval);
        let (id, bytes, times) = (unacked.id, unacked.bytes.clone(), unacked.retransmissions);
        self.waits.set(Wait::AnswerAgain, now + unacked.interval);
        self.tx.respond(now, id, bytes, 200);
        if times == 3 {
            self.tell_ack_missing(times);
        }
    }

    pub(super) fn ack_never_came(&mut self, now: Instant) {
        self.waits.stop(Wait::AnswerAgain);
        if self.unacked.take().is_none() {
            return;
        }
        let headers = self.bye_wanted.take().unwrap_or_default();
        self.send_bye(now, &headers);
        self.tell(Event::AckTimedOut);
        self.end(now);
    }

    pub(super) fn offer_not_decided(&mut self, now: Instant) {
        let Some(offer) = self.offered.take() else { return };
        self.answer_offer_with(now, &offer, 504, &[]);
        if let By::Response { rseq } = offer.by {
            self.send_prack(now, offer.fork, rseq, None);
        }
        self.restore_exchange(&offer);
        self.tell(Event::OfferWithdrawn { id: offer.id });
        self.after_prack(now);
    }

    /// The session ends: no request of the peer stays without an answer (§15.1.2).
    pub(super) fn close_offers(&mut self, now: Instant) {
        if let Some(offer) = self.offered.take() {
            self.waits.stop(Wait::PeerOffer);
            self.answer_offer_with(now, &offer, 487, &[]);
        }
        for handed in std::mem::take(&mut self.handed) {
            self.reply(now, &handed.ask, 487, &[]);
        }
    }

    /// The unsupported content of an offer-carrying request: 415 and what would do.
    pub(super) fn wrong_content(message: &Message) -> Option<(u16, Vec<(String, String)>)> {
        match body::of(message) {
            Body::Unknown => Some((415, vec![("Accept".to_owned(), body::ACCEPT.to_owned())])),
            Body::Encoded => Some((415, vec![("Accept-Encoding".to_owned(), "identity".to_owned())])),
            Body::None | Body::Sdp(_) => None,
        }
    }
}
