//! Our INVITE (RFC 3261 §13.2, §9.1): forks, early dialogs, CANCEL, and the ACKs to 2xx.

use std::time::Instant;

use bytes::Bytes;
use rand::rngs::SmallRng;

use super::access::Access;
use super::body;
use super::dialog::Dialog;
use super::event::{CommandError, Event, Headers, How};
use super::hops::{Hops, Left};
use super::identity::{Identity, is_reliable, timer_headers};
use super::inside::{allows_update, is_structure};
use super::offer::{Exchange, Pending};
use super::peer_offer::PeerOffer;
use super::reliable::{Heard, Receiver};
use super::session::{Asked, FORKS, Peer, Phase, Session, Side};
use super::wait::Wait;
use crate::sip::digest::Login;
use crate::sip::{Builder, Destination, Flow, Limits, Message, Method, Name, NameAddr, Uri};
use crate::transaction::ClientId;

/// How many ACKs are kept for 2xx that come again.
const ACKS: usize = 32;
/// Bytes up to which an INVITE of ours breaks no limit on the length of its parts.
const PLAIN: usize = 4096;
/// How often a 422 makes us try again.
const TRIES: u32 = 3;
/// How often a challenge does: of a proxy and of the called side, each with a stale nonce once.
const LOGINS: u32 = 5;

/// An INVITE to send.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Request-URI.
    pub uri: Uri,
    /// From, without tag: the tag is [`SessionConfig::local_tag`](super::SessionConfig::local_tag).
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID.
    pub call_id: String,
    /// CSeq; 1, unless this is a second attempt (with credentials, say) under the same Call-ID and tag.
    pub cseq: u32,
    /// Route set known beforehand (a Path, an outbound proxy), in order.
    pub routes: Vec<NameAddr>,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// Our offer; none: the peer is to offer.
    pub sdp: Option<Bytes>,
    /// Where it is sent.
    pub to_destination: Destination,
    /// It goes over a stream.
    pub reliable: bool,
}

/// What else a call may have: an answer to challenges, and further addresses.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// Answers 401 and 407 to whatever we send.
    pub login: Option<Login>,
    /// Where else the INVITE may go, in order, when [`Invite::to_destination`] fails (RFC 3263 §4.3).
    pub others: Vec<Destination>,
}

/// An INVITE, and where it may still go.
#[derive(Debug)]
pub(super) struct Plan {
    pub invite: Invite,
    pub hops: Option<Hops>,
}

/// The calling side of a session.
#[derive(Debug)]
pub(super) struct Caller {
    /// Until it is answered, as is the next.
    pub plan: Option<Box<Plan>>,
    /// The INVITE as sent last.
    pub request: Option<Bytes>,
    pub cseq: u32,
    /// A provisional response came, on this flow.
    progressed: Option<Flow>,
    pub cancel: Cancel,
    forks: u32,
    pub tries: u32,
    /// Addresses that were silent too long.
    pub left: Vec<Left>,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Cancel {
    No,
    /// Wanted, but no provisional response has come (§9.1).
    Wanted(Vec<(String, String)>),
    Sent,
}

/// An ACK to a 2xx.
#[derive(Debug)]
pub(super) struct SentAck {
    until: Instant,
    pub cseq: u32,
    pub tag: Option<String>,
    pub bytes: Bytes,
    pub to: Destination,
}

impl Session {
    /// Sends an INVITE. When it cannot even be built the session ends with status 500.
    pub fn outgoing(now: Instant, own: impl Into<Identity>, invite: Invite, rng: SmallRng) -> Session {
        Session::calling(now, own, invite, Means::default(), rng)
    }

    /// The same with a login for challenges, and with further addresses.
    pub fn calling(
        now: Instant,
        own: impl Into<Identity>,
        invite: Invite,
        means: Means,
        rng: SmallRng,
    ) -> Session {
        let mut session = Session::new(now, own.into(), rng);
        session.access = means.login.map(|login| Box::new(Access::new(login)));
        let hops = (!means.others.is_empty()).then(|| Hops::new(means.others));
        session.invite(now, Box::new(Plan { invite, hops }), 0);
        session.pump(now);
        session
    }

    pub(super) fn invite(&mut self, now: Instant, mut plan: Box<Plan>, tries: u32) {
        plan.invite.from = plan.invite.from.with_tag(&self.wire.own.local_tag);
        let Some(request) = self.build_invite(&plan.invite) else {
            self.tell(Event::Failed { status: 500, message: None });
            return self.end(now);
        };
        let to = plan.invite.to_destination.clone();
        let reliable = plan.invite.reliable || is_reliable(&to);
        let branch = self.wire.last_branch();
        let sent = self.tx.request_as(now, (&branch, &Method::Invite), request.clone(), to, reliable);
        let cseq = plan.invite.cseq;
        if let Some(hops) = &mut plan.hops {
            self.watch_hop(now, hops);
        }
        let (plan, request, left) = (Some(plan), Some(request), Vec::new());
        let (progressed, cancel, tries) = (None, Cancel::No, tries + 1);
        let caller = Caller { plan, request, cseq, progressed, cancel, forks: 0, tries, left };
        self.side = Side::Caller(Box::new(caller));
        match sent {
            Ok(id) => self.remember(id, Asked::Invite),
            Err(_) => self.invite_failed(now, 500, None),
        }
    }

    fn build_invite(&mut self, plan: &Invite) -> Option<Bytes> {
        let via = self.wire.via(&plan.to_destination, plan.reliable);
        let mut b = Builder::request(&Method::Invite, &plan.uri)
            .header(Name::Via, via)
            .header(Name::MaxForwards, plan.max_forwards);
        for route in &plan.routes {
            b = b.text(Name::Route, route.as_str());
        }
        b = b
            .text(Name::From, plan.from.as_str())
            .text(Name::To, plan.to.as_str())
            .text(Name::CallId, &plan.call_id)
            .header(Name::CSeq, format_args!("{} INVITE", plan.cseq));
        b = self.wire.ours(b, true, &[]);
        b = self.wire.abilities(b, &plan.headers);
        b = timer_headers(b, &self.timer.request());
        for (name, value) in &plan.headers {
            b = b.text(name.as_str(), value);
        }
        if let Some(access) = &mut self.access {
            b = access.authorize(b, &Method::Invite, &plan.uri, &mut self.rng);
        }
        let bytes = match &plan.sdp {
            Some(sdp) => b.carrying(body::SDP, sdp.clone()).finish(),
            None => b.finish(),
        };
        // What is small and has none of the owner's headers where only ours may stand can be read; else it must prove so.
        let plain = bytes.len() <= PLAIN
            && plan.headers.len() <= 64
            && !plan.headers.iter().any(|(name, _)| is_structure(name));
        let readable = plain || Message::parse(bytes.clone(), &Limits::default()).is_ok();
        readable.then_some(bytes)
    }

    //------------ Commands ----------------------------------------------------------------------------------

    /// Cancels our INVITE. The CANCEL goes out after the first provisional response; the end is told by
    /// [`Event::Failed`] with 487, or what the peer answers. When a 2xx crosses it, it is acknowledged and ended.
    pub fn cancel(&mut self, now: Instant, headers: Headers<'_>) -> Result<(), CommandError> {
        let Side::Caller(caller) = &mut self.side else { return Err(CommandError::NotCaller) };
        match self.phase {
            Phase::Ended => return Err(CommandError::Ended),
            Phase::Up => return Err(CommandError::Answered),
            Phase::Setup => {}
        }
        if caller.cancel != Cancel::No {
            return Err(CommandError::Cancelled);
        }
        caller.cancel = Cancel::Wanted(headers.to_vec());
        if caller.progressed.is_some() {
            self.send_cancel(now);
        }
        self.pump(now);
        Ok(())
    }

    /// Acknowledges a 2xx that brought the offer (`needs_answer`) with our answer.
    pub fn acknowledge(&mut self, now: Instant, sdp: Option<Bytes>) -> Result<(), CommandError> {
        if self.phase == Phase::Ended {
            return Err(CommandError::Ended);
        }
        let accepted = self.owes_answer.take().ok_or(CommandError::Unknown)?;
        self.waits.stop(Wait::OwnAnswer);
        self.own = None;
        if let Some(peer) = self.peers.first_mut() {
            match &sdp {
                Some(sdp) => peer.exchange.answer(sdp),
                None => peer.exchange.settle(),
            }
        }
        self.send_ack(now, &accepted, 0, sdp.as_ref());
        self.pump(now);
        Ok(())
    }

    //------------ Responses ---------------------------------------------------------------------------------

    /// A response to the first INVITE.
    pub(super) fn invite_answered(&mut self, now: Instant, id: ClientId, message: Message, flow: Flow) {
        match message.status().unwrap_or(0) {
            0..200 => self.progressed(now, message, flow),
            200..300 => {
                let Side::Caller(caller) = &self.side else { return };
                let cseq = caller.cseq;
                self.forget(id);
                self.remember(id, Asked::Accepted(cseq));
                self.accepted(now, message, flow);
            }
            status => {
                self.forget(id);
                if matches!(status, 401 | 407 | 422) && self.invite_again(now, &message, flow) {
                    return;
                }
                if status == 503 && self.next_hop(now) {
                    return;
                }
                self.invite_failed(now, status, Some(message));
            }
        }
    }

    /// After a 422: once more, with what it asks for (RFC 4028 §7.3); after a challenge with our answer (§22.2). Same
    /// Call-ID and tag, next CSeq.
    fn invite_again(&mut self, now: Instant, response: &Message, flow: Flow) -> bool {
        let Side::Caller(caller) = &self.side else { return false };
        let (wanted, tries) = (caller.cancel == Cancel::No, caller.tries);
        let worth = match response.status() {
            Some(422) => wanted && tries < TRIES && self.timer.raise(response.min_se()),
            _ => wanted && tries < LOGINS && self.answers_challenge(response, flow),
        };
        let Side::Caller(caller) = &mut self.side else { return false };
        let Some(mut plan) = caller.plan.take_if(|_| worth) else { return false };
        let left = std::mem::take(&mut caller.left);
        plan.invite.cseq = plan.invite.cseq.saturating_add(1);
        self.peers.clear();
        self.invite(now, plan, tries);
        if let Side::Caller(caller) = &mut self.side {
            caller.left = left;
        }
        true
    }

    /// The INVITE has failed.
    pub(super) fn invite_failed(&mut self, now: Instant, status: u16, message: Option<Message>) {
        if self.phase != Phase::Setup {
            return;
        }
        let cancelled = matches!(&self.side, Side::Caller(c) if c.cancel != Cancel::No);
        let status = if cancelled && message.is_none() { 487 } else { status };
        self.tell(Event::Failed { status, message });
        self.end(now);
    }

    fn progressed(&mut self, now: Instant, message: Message, flow: Flow) {
        if self.phase != Phase::Setup {
            return;
        }
        self.waits.stop(Wait::NextHop);
        let Side::Caller(caller) = &mut self.side else { return };
        caller.progressed = Some(flow);
        let cancelled = caller.cancel != Cancel::No;
        if matches!(caller.cancel, Cancel::Wanted(_)) {
            self.send_cancel(now);
        }
        if message.status() == Some(100) {
            return;
        }
        let sdp = body::of(&message).sdp();
        let Some(fork) = self.early(&message, flow) else {
            if !cancelled {
                self.tell(Event::Provisional { message, sdp, fork: 0 });
            }
            return;
        };
        let reliable = message.require().has("100rel");
        let rseq = message.rseq().filter(|_| reliable);
        let mut answer_by_prack = None;
        if let Some(peer) = self.fork(fork) {
            if let Some(rseq) = rseq
                && peer.receiver.heard(rseq) == Heard::Ignore
            {
                return;
            }
            match (&sdp, rseq, peer.exchange.pending()) {
                (Some(sdp), Some(_), Pending::Ours) => peer.exchange.answered(sdp),
                (Some(sdp), None, Pending::Ours) => peer.exchange.previewed(sdp),
                (Some(sdp), Some(rseq), Pending::None) if !peer.exchange.agreed() => {
                    let before = peer.exchange.clone();
                    peer.exchange.offered(sdp);
                    answer_by_prack = Some((rseq, before));
                }
                _ => {}
            }
        }
        if let (Some(rseq), None) = (rseq, &answer_by_prack) {
            self.send_prack(now, fork, rseq, None);
        }
        if cancelled {
            return;
        }
        self.tell(Event::Provisional { message: message.clone(), sdp: sdp.clone(), fork });
        if let Some((rseq, before)) = answer_by_prack {
            if self.offered.is_some() {
                return self.send_prack(now, fork, rseq, None); // one at a time; this fork shall say it again
            }
            let offer = PeerOffer::by_response(self.next_id(), fork, rseq, message, before);
            self.hand_offer(now, offer, sdp, How::Provisional);
        }
    }

    /// The number of the early dialog of a response with a To tag, which may be new.
    fn early(&mut self, message: &Message, flow: Flow) -> Option<u32> {
        let tag = message.to_tag()?;
        if let Some(peer) = self.peers.iter_mut().find(|p| p.dialog.remote_tag() == Some(tag)) {
            peer.dialog.heard_on(flow);
            if message.header(Name::Contact).is_some() {
                peer.dialog.refresh(message);
            }
            return Some(peer.fork);
        }
        if self.peers.len() >= FORKS {
            return None;
        }
        let Side::Caller(caller) = &mut self.side else { return None };
        let dialog = Dialog::of_response(&caller.plan.as_ref()?.invite, message, flow)?;
        let fork = caller.forks;
        caller.forks += 1;
        let exchange = exchange_of(caller);
        let updates = allows_update(message);
        self.peers.push(Peer { dialog, exchange, receiver: Receiver::default(), fork, updates });
        Some(fork)
    }

    /// A 2xx for the first INVITE, or for one that has one already.
    fn accepted(&mut self, now: Instant, message: Message, flow: Flow) {
        let Side::Caller(caller) = &mut self.side else { return };
        if self.phase == Phase::Ended {
            return self.end_fork(now, &message, flow);
        }
        let cancelled = caller.cancel != Cancel::No;
        let known = self.peers.iter().position(|p| p.dialog.answers(&message));
        let mut peer = match known {
            Some(index) => {
                let mut peer = self.peers.swap_remove(index);
                peer.dialog.confirm(&message, flow);
                peer
            }
            None => {
                let dialog =
                    caller.plan.as_ref().and_then(|plan| Dialog::of_response(&plan.invite, &message, flow));
                let Some(dialog) = dialog else { return };
                let fork = if message.to_tag().is_some() { caller.forks } else { 0 };
                let exchange = exchange_of(caller);
                Peer { dialog, exchange, receiver: Receiver::default(), fork, updates: None }
            }
        };
        peer.updates = allows_update(&message).or(peer.updates);
        let brought = body::of(&message).sdp();
        let mut needs_answer = false;
        let sdp = match (brought, peer.exchange.pending()) {
            (Some(sdp), Pending::Ours) => {
                peer.exchange.answered(&sdp);
                Some(sdp)
            }
            (Some(sdp), Pending::None) if !peer.exchange.agreed() => {
                peer.exchange.offered(&sdp);
                needs_answer = true;
                Some(sdp)
            }
            _ => {
                peer.exchange.settle();
                peer.exchange.remote().cloned()
            }
        };
        // Not needed any more, and a call may be long.
        (caller.plan, caller.request) = (None, None);
        peer.dialog.compact();
        peer.exchange.compact();
        let fork = peer.fork;
        self.drop_offer_of_other_forks(now, fork);
        self.peers = vec![peer];
        self.phase = Phase::Up;
        self.waits.stop(Wait::Setup);
        self.waits.stop(Wait::NextHop);
        if cancelled {
            // The CANCEL crossed it (§9.1): there is a call now, so end it.
            self.send_ack(now, &message, 0, None);
            self.send_bye(now, &[]);
            self.tell(Event::Failed { status: 487, message: Some(message) });
            return self.end(now);
        }
        self.timer.accepted(&super::inside::timer_asked(&message));
        self.restart_timer(now);
        if needs_answer {
            self.owes_answer = Some(message.clone());
            self.waits.set(Wait::OwnAnswer, now + self.wire.own.shared.timers.t1x64);
        } else {
            self.send_ack(now, &message, 0, None);
        }
        self.tell(Event::Answered { message, sdp, needs_answer });
    }

    /// A 2xx after the first for the INVITE numbered `cseq`: the same one again, or another fork's.
    pub(super) fn accepted_again(&mut self, now: Instant, cseq: u32, message: &Message, flow: Flow) {
        let tag = message.to_tag();
        if let Some(ack) = self.acks.iter().find(|a| a.cseq == cseq && a.tag.as_deref() == tag) {
            let (bytes, to) = (ack.bytes.clone(), ack.to.clone());
            return self.send(bytes, to);
        }
        if self.owes_answer.as_ref().is_some_and(|m| m.cseq().number == cseq && m.to_tag() == tag) {
            return; // the ACK waits for the owner
        }
        if matches!(&self.side, Side::Caller(c) if c.cseq == cseq) {
            self.end_fork(now, message, flow);
        }
    }

    /// Another fork answered too: it gets its ACK and a BYE (§13.2.2.4).
    pub(super) fn end_fork(&mut self, now: Instant, message: &Message, flow: Flow) {
        let Side::Caller(caller) = &self.side else { return };
        let dialog = match &caller.plan {
            Some(plan) => Dialog::of_response(&plan.invite, message, flow),
            None => Dialog::of_late_response(message, flow),
        };
        let Some(dialog) = dialog else { return };
        self.answered_late(now, dialog, message);
    }

    /// Ends the dialog of a fork that nobody wants.
    pub(super) fn answered_late(&mut self, now: Instant, dialog: Dialog, message: &Message) {
        let exchange = Exchange::default();
        let peer = Peer { dialog, exchange, receiver: Receiver::default(), fork: u32::MAX, updates: None };
        self.peers.push(peer);
        let index = self.peers.len() - 1;
        self.send_ack(now, message, index, None);
        self.send_bye_in(now, index, &[super::remains::elsewhere()]);
        self.peers.truncate(index);
    }

    //------------ What we send ------------------------------------------------------------------------------

    fn send_cancel(&mut self, now: Instant) {
        let Side::Caller(caller) = &mut self.side else { return };
        let Cancel::Wanted(headers) = std::mem::replace(&mut caller.cancel, Cancel::Sent) else { return };
        let (Some(request), Some(plan)) = (&caller.request, &caller.plan) else { return };
        let Ok(invite) = Message::parse(request.clone(), &Limits::default()) else { return };
        let Some(uri) = invite.uri() else { return };
        let b = Builder::request(&Method::Cancel, uri)
            .via(invite.via())
            .header(Name::MaxForwards, 70)
            .copied(&invite, Name::Route)
            .copied(&invite, Name::From)
            .copied(&invite, Name::To)
            .copied(&invite, Name::CallId)
            .header(Name::CSeq, format_args!("{} CANCEL", invite.cseq().number));
        let bytes = self.wire.ours(b, false, &headers).finish();
        // where the INVITE went, not where its name may lead now (§9.1)
        let to = match (&plan.invite.to_destination, caller.progressed) {
            (Destination::Host { .. }, Some(flow)) => Destination::Flow(flow),
            (to, _) => to.clone(),
        };
        let reliable = plan.invite.reliable || is_reliable(&to);
        let Ok(cancel) = Message::parse(bytes, &Limits::default()) else { return };
        if let Ok(id) = self.tx.request(now, cancel, to, reliable) {
            self.remember(id, Asked::Nothing);
        }
    }

    /// Acknowledges a 2xx in the dialog at `index`, and keeps the ACK for when the 2xx comes again.
    pub(super) fn send_ack(&mut self, now: Instant, accepted: &Message, index: usize, sdp: Option<&Bytes>) {
        let Some(peer) = self.peers.get(index) else { return };
        let cseq = accepted.cseq().number;
        let (mut b, to) = self.wire.request(&peer.dialog, &Method::Ack, cseq, &[]);
        if let Some(access) = &mut self.access {
            b = access.authorize(b, &Method::Ack, peer.dialog.target(), &mut self.rng);
        }
        let bytes = match sdp {
            Some(sdp) => b.carrying(body::SDP, sdp.clone()).finish(),
            None => b.finish(),
        };
        self.acks.retain(|a| a.until > now);
        if self.acks.len() >= ACKS {
            self.acks.pop_front();
        }
        let until = now + self.wire.own.shared.timers.t1x64;
        let tag = accepted.to_tag().map(str::to_owned);
        // Without the room it was written in.
        let kept = Bytes::copy_from_slice(&bytes);
        self.acks.push_back(SentAck { until, cseq, tag, bytes: kept, to: to.clone() });
        self.send(bytes, to);
    }

    pub(super) fn send_prack(&mut self, now: Instant, fork: u32, rseq: u32, sdp: Option<&Bytes>) {
        let Side::Caller(caller) = &self.side else { return };
        let rack = ("RAck".to_owned(), format!("{rseq} {} INVITE", caller.cseq));
        let Some(index) = self.peers.iter().position(|p| p.fork == fork) else { return };
        let sdp = sdp.map(|s| (body::SDP, s.clone()));
        if let Some(id) = self.send_inside(now, index, &Method::Prack, &[rack], sdp) {
            self.remember(id, Asked::Nothing);
        }
    }

    //------------ Ends of waits -----------------------------------------------------------------------------

    /// The owner did not answer the offer of a 2xx.
    pub(super) fn own_answer_never_came(&mut self, now: Instant) {
        let Some(accepted) = self.owes_answer.take() else { return };
        self.send_ack(now, &accepted, 0, None);
        self.send_bye(now, &[]);
        self.end(now);
    }

    /// The first INVITE has no final response after `setup_limit`.
    pub(super) fn setup_took_too_long(&mut self, now: Instant) {
        match &mut self.side {
            Side::Caller(caller) if caller.cancel == Cancel::No => {
                caller.cancel = Cancel::Wanted(Vec::new());
                if caller.progressed.is_some() {
                    self.send_cancel(now);
                }
            }
            Side::Caller(_) => {}
            Side::Callee(_) => self.refuse_invite(now, 480, None, &[]),
            Side::None => self.end(now),
        }
    }

    /// The callee said BYE in an early dialog; without any other there is no call.
    pub(super) fn early_dialog_ended(&mut self, now: Instant, index: usize) {
        if index < self.peers.len() {
            self.peers.remove(index);
        }
        let Side::Caller(caller) = &mut self.side else { return };
        if self.peers.is_empty() && caller.cancel == Cancel::No {
            caller.cancel = Cancel::Wanted(Vec::new());
            self.send_cancel(now);
        }
    }
}

/// Where offer and answer stand in a new early dialog.
fn exchange_of(caller: &Caller) -> Exchange {
    let mut exchange = Exchange::default();
    if let Some(sdp) = caller.plan.as_ref().and_then(|plan| plan.invite.sdp.as_ref()) {
        exchange.offer(sdp);
    }
    exchange
}
