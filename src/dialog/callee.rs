//! The peer's INVITE (RFC 3261 §13.3, §9.2; RFC 3262 §3) until it is answered and acknowledged.

use std::time::Instant;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;

use super::body::{self, Body};
use super::dialog::Dialog;
use super::event::{CommandError, Event, Headers, How};
use super::identity::{Identity, timer_headers};
use super::inside::{Ask, allows_update};
use super::offer::{Exchange, Pending};
use super::peer_offer::{PeerOffer, Unacked};
use super::reliable::{Receiver, Sender, Waiting, rack};
use super::session::{Peer, Phase, Session, Side};
use super::wait::Wait;
use crate::sip::{Flow, Message, Name};
use crate::transaction::{Id, ServerId};

/// The called side of a session.
#[derive(Debug)]
pub(super) struct Callee {
    /// The INVITE, until it is answered.
    pub invite: Option<Box<Ask>>,
    pub server: ServerId,
    cseq: u32,
    reliability: Reliability,
    sender: Sender,
    /// The answer that waits for a PRACK (RFC 3262 §3).
    answer: Option<Answer>,
    /// A response with our tag has gone out: there is an early dialog.
    pub told_tag: bool,
}

/// What the owner answers with: the description and more headers.
type Answer = (Option<Bytes>, Vec<(String, String)>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reliability {
    Never,
    /// The peer supports it and so are we configured, or it requires it.
    Always,
}

impl Session {
    /// Takes the peer's INVITE, which came on `flow`. 100 Trying goes out at once; an INVITE that cannot be
    /// accepted whatever the owner thinks (420, 415, 422, 400) is refused, told by [`Event::Failed`].
    pub fn incoming(
        now: Instant,
        own: impl Into<Identity>,
        invite: Message,
        flow: Flow,
        rng: SmallRng,
    ) -> Session {
        let mut session = Session::new(now, own.into(), rng);
        session.receive(now, invite, flow);
        if matches!(session.side, Side::None) {
            session.end(now);
        }
        session
    }

    /// The first request of the session.
    pub(super) fn invited(&mut self, now: Instant, ask: Ask) {
        let (invite, flow) = (ask.message.clone(), ask.flow);
        let first = Sender::new(self.rng.random_range(1..1 << 30));
        let required = invite.require().has("100rel");
        let supported = invite.supported().has("100rel");
        let reliable = required || (supported && self.wire.own.shared.reliable_provisional);
        let reliability = if reliable { Reliability::Always } else { Reliability::Never };
        let dialog = Dialog::of_request(&invite, &self.wire.own.local_tag, flow);
        let callee = Callee {
            invite: Some(Box::new(ask.clone())),
            server: ask.server,
            cseq: invite.cseq().number,
            reliability,
            sender: first,
            answer: None,
            told_tag: false,
        };
        self.side = Side::Callee(Box::new(callee));
        if !matches!(invite.method(), crate::sip::Method::Invite) || invite.to_tag().is_some() {
            return self.refuse_invite(now, 481, None, &[]);
        }
        let Some(dialog) = dialog else {
            let reason =
                if invite.contact().is_none() { "Missing Contact Header" } else { "Bad Record-Route Header" };
            return self.refuse_invite(now, 400, Some(reason), &[]);
        };
        if let Some((status, headers)) = self.unacceptable(&invite) {
            return self.refuse_invite(now, status, None, &headers);
        }
        let trying = self.wire.response(&ask, 100, None, &[]).finish();
        self.tx.respond(now, ask.server, trying, 100);
        let mut exchange = Exchange::default();
        if let Body::Sdp(sdp) = body::of(&invite) {
            exchange.offered(&sdp);
        }
        let updates = allows_update(&invite);
        self.peers = vec![Peer { dialog, exchange, receiver: Receiver::default(), fork: 0, updates }];
    }

    //------------ Commands ----------------------------------------------------------------------------------

    /// Sends a provisional response (101–199), reliably if that was agreed.
    ///
    /// `sdp` is the answer, or a preview of it, to the offer of the INVITE. When the INVITE had none it is our offer
    /// if the response goes out reliably, and is left out otherwise (the 2xx will carry it, §13.3.1).
    pub fn provisional(
        &mut self,
        now: Instant,
        status: u16,
        sdp: Option<Bytes>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        if !(101..200).contains(&status) {
            return Err(CommandError::Status);
        }
        let callee = self.open_callee()?;
        if callee.answer.is_some() {
            return Err(CommandError::Answered);
        }
        if callee.reliability == Reliability::Always && callee.sender.is_busy() {
            let waiting = Waiting { status, sdp, headers: headers.to_vec() };
            return if callee.sender.queue(waiting) { Ok(()) } else { Err(CommandError::TooMany) };
        }
        self.send_provisional(now, status, sdp, headers);
        self.pump(now);
        Ok(())
    }

    /// Answers with 200. Without `sdp` the description of an earlier provisional response is sent again. Waits by
    /// itself for the PRACK of a reliable response that carried a description (RFC 3262 §3).
    pub fn answer(
        &mut self,
        now: Instant,
        sdp: Option<Bytes>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        let exchange = self.peers.first().map(|p| p.exchange.clone()).unwrap_or_default();
        let waiting = self.offered.is_some();
        let callee = self.open_callee()?;
        if callee.answer.is_some() {
            return Err(CommandError::Answered);
        }
        if waiting {
            return Err(CommandError::OfferPending);
        }
        let previewed = exchange.pending() == Pending::Peers && exchange.local().is_some();
        if sdp.is_none() && !previewed && !exchange.agreed() && !callee.sender.holds_answer() {
            return Err(CommandError::SdpNeeded);
        }
        if callee.sender.holds_answer() {
            callee.answer = Some((sdp, headers.to_vec()));
        } else {
            self.send_answer(now, sdp, headers);
        }
        self.pump(now);
        Ok(())
    }

    /// Refuses the INVITE, or redirects it (300–699).
    pub fn reject(
        &mut self,
        now: Instant,
        status: u16,
        reason: Option<&str>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        if !(300..700).contains(&status) {
            return Err(CommandError::Status);
        }
        self.open_callee()?;
        self.send_refusal(now, status, reason, headers);
        self.end(now);
        self.pump(now);
        Ok(())
    }

    fn open_callee(&mut self) -> Result<&mut Callee, CommandError> {
        match (&mut self.side, self.phase) {
            (_, Phase::Ended) | (Side::None, _) => Err(CommandError::Ended),
            (Side::Caller(_), _) => Err(CommandError::NotCallee),
            (Side::Callee(_), Phase::Up) => Err(CommandError::Answered),
            (Side::Callee(callee), Phase::Setup) => Ok(callee),
        }
    }

    //------------ What we send ------------------------------------------------------------------------------

    fn send_provisional(&mut self, now: Instant, status: u16, sdp: Option<Bytes>, headers: Headers<'_>) {
        let Side::Callee(callee) = &mut self.side else { return };
        let (Some(peer), Some(invite)) = (self.peers.first_mut(), &callee.invite) else { return };
        let reliable = callee.reliability == Reliability::Always;
        let sdp = sdp
            .filter(|_| !peer.exchange.agreed() && (reliable || peer.exchange.pending() == Pending::Peers));
        match (&sdp, peer.exchange.pending()) {
            (Some(sdp), Pending::Peers) if reliable => peer.exchange.answer(sdp),
            (Some(sdp), Pending::Peers) => peer.exchange.preview(sdp),
            (Some(sdp), _) => peer.exchange.offer(sdp),
            (None, _) => {}
        }
        callee.told_tag = true;
        let mut b = self.wire.response(invite, status, None, headers);
        b = self.wire.abilities(b, headers);
        if reliable {
            b = b.header(Name::Require, "100rel").header(Name::RSeq, callee.sender.rseq());
        }
        let bytes = match &sdp {
            Some(sdp) => b.carrying(body::SDP, sdp.clone()).finish(),
            None => b.finish(),
        };
        if reliable {
            let timers = self.wire.own.shared.timers;
            callee.sender.sent(status, bytes.clone(), sdp.is_some(), timers.t1);
            self.waits.set(Wait::ReliableAgain, now + timers.t1);
            self.waits.set(Wait::ReliableEnds, now + timers.t1x64);
        }
        self.tx.respond(now, callee.server, bytes, status);
    }

    fn send_answer(&mut self, now: Instant, sdp: Option<Bytes>, headers: Headers<'_>) {
        let Side::Callee(callee) = &mut self.side else { return };
        let (Some(peer), Some(invite)) = (self.peers.first_mut(), callee.invite.take()) else { return };
        let said = self.timer.accept(&super::inside::timer_asked(&invite.message));
        let mut offered = false;
        let sdp = match peer.exchange.pending() {
            Pending::Peers => {
                let sdp = sdp.or_else(|| peer.exchange.local().cloned());
                match &sdp {
                    Some(sdp) => peer.exchange.answer(sdp),
                    None => peer.exchange.settle(),
                }
                sdp
            }
            // everything is agreed: only the same once more, or it would be an offer
            _ if peer.exchange.agreed() => sdp.filter(|s| Some(s) == peer.exchange.local()),
            _ => {
                if let Some(sdp) = &sdp {
                    peer.exchange.offer(sdp);
                    offered = true;
                }
                sdp
            }
        };
        callee.sender.finish();
        let mut b = self.wire.response(&invite, 200, None, headers);
        b = self.wire.abilities(b, headers);
        b = timer_headers(b, &said);
        let bytes = match &sdp {
            Some(sdp) => b.carrying(body::SDP, sdp.clone()).finish(),
            None => b.finish(),
        };
        self.phase = Phase::Up;
        self.waits.stop(Wait::Setup);
        self.waits.stop(Wait::ReliableAgain);
        self.waits.stop(Wait::ReliableEnds);
        self.restart_timer(now);
        self.send_until_acked(
            now,
            Unacked::new(invite.server, invite.message.cseq().number, bytes, offered, true),
        );
    }

    pub(super) fn send_refusal(
        &mut self,
        now: Instant,
        status: u16,
        reason: Option<&str>,
        headers: Headers<'_>,
    ) {
        let Side::Callee(callee) = &self.side else { return };
        let Some(invite) = &callee.invite else { return };
        let mut b = self.wire.response(invite, status, reason, headers);
        if matches!(status, 405 | 501) {
            b = self.wire.abilities(b, headers);
        }
        let bytes = b.finish();
        self.tx.respond(now, callee.server, bytes, status);
        self.close_offers(now);
    }

    /// The session itself refuses the INVITE.
    pub(super) fn refuse_invite(
        &mut self,
        now: Instant,
        status: u16,
        reason: Option<&str>,
        headers: Headers<'_>,
    ) {
        self.send_refusal(now, status, reason, headers);
        self.tell(Event::Failed { status, message: None });
        self.end(now);
    }

    //------------ What comes --------------------------------------------------------------------------------

    /// CANCEL, for the first INVITE or a re-INVITE (§9.2).
    pub(super) fn cancelled(&mut self, now: Instant, ask: Ask, invite: ServerId) {
        self.reply(now, &ask, 200, &[]);
        let message = ask.message;
        if !self.tx.is_pending(Id::Server(invite)) {
            return;
        }
        let first = matches!(&self.side, Side::Callee(c) if c.server == invite);
        if first && self.phase == Phase::Setup {
            self.send_refusal(now, 487, None, &[]);
            self.tell(Event::Cancelled { message });
            self.end(now);
        } else if let Some(offer) = self.offered.take_if(|o| o.server() == Some(invite)) {
            self.waits.stop(Wait::PeerOffer);
            self.answer_offer_with(now, &offer, 487, &[]);
            self.restore_exchange(&offer);
            self.tell(Event::OfferWithdrawn { id: offer.id });
        }
    }

    /// A PRACK in the dialog (RFC 3262 §3).
    pub(super) fn pracked(&mut self, now: Instant, ask: Ask) {
        let Side::Callee(callee) = &mut self.side else { return self.reply(now, &ask, 481, &[]) };
        let rseq = ask.message.header(Name::RAck).and_then(|r| rack(r, callee.cseq));
        let Some(_) = rseq.and_then(|r| callee.sender.acknowledged(r)) else {
            return self.reply(now, &ask, 481, &[]);
        };
        self.waits.stop(Wait::ReliableAgain);
        self.waits.stop(Wait::ReliableEnds);
        let Some(peer) = self.peers.first_mut() else { return };
        let sdp = body::of(&ask.message).sdp();
        match (sdp, peer.exchange.pending()) {
            (sdp, Pending::Ours) => {
                match &sdp {
                    Some(sdp) => peer.exchange.answered(sdp),
                    None => peer.exchange.settle(),
                }
                self.reply(now, &ask, 200, &[]);
                self.tell(Event::OfferAcknowledged { sdp });
            }
            (Some(sdp), Pending::None) if peer.exchange.agreed() && self.offered.is_none() => {
                let before = peer.exchange.clone();
                peer.exchange.offered(&sdp);
                let offer = PeerOffer::by_request(self.next_id(), 0, ask, before, How::Prack);
                self.hand_offer(now, offer, Some(sdp), How::Prack);
            }
            _ => self.reply(now, &ask, 200, &[]),
        }
        self.after_prack(now);
    }

    /// What waited for a PRACK goes on.
    pub(super) fn after_prack(&mut self, now: Instant) {
        let Side::Callee(callee) = &mut self.side else { return };
        if self.phase != Phase::Setup {
            return;
        }
        if self.offered.is_none()
            && !callee.sender.holds_answer()
            && let Some((sdp, headers)) = callee.answer.take()
        {
            return self.send_answer(now, sdp, &headers);
        }
        if let Some(next) = callee.sender.take() {
            self.send_provisional(now, next.status, next.sdp, &next.headers);
        }
    }

    //------------ Ends of waits -----------------------------------------------------------------------------

    pub(super) fn send_reliable_again(&mut self, now: Instant) {
        let Side::Callee(callee) = &mut self.side else { return };
        if let Some((status, bytes, interval)) = callee.sender.again() {
            self.waits.set(Wait::ReliableAgain, now + interval);
            self.tx.respond(now, callee.server, bytes, status);
        }
    }

    pub(super) fn prack_never_came(&mut self, now: Instant) {
        if self.phase == Phase::Setup {
            self.refuse_invite(now, 504, None, &[]);
        }
    }
}
