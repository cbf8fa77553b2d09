//! Our offers within the session: re-INVITE (RFC 3261 §14.1) and UPDATE (RFC 3311), and the refresh of the session
//! timer (RFC 4028 §7.4), which is one of these.
//!
//! An offer that may not go out now (another one is under way) waits for its turn; one that met an offer of the peer
//! (491) is sent again after the RFC's random time, as is one the peer had no time for (500 with Retry-After).

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::body;
use super::event::{CommandError, Event, Headers};
use super::identity::timer_headers;
use super::inside::{allows_update, timer_asked};
use super::offer::{Exchange, Pending};
use super::session::{Asked, Phase, Session};
use super::timer::Said;
use super::wait::Wait;
use crate::sip::{Flow, Limits, Message, Method};
use crate::transaction::ClientId;

/// How often one offer is sent.
const TRIES: u32 = 8;

/// An offer of ours.
#[derive(Debug)]
pub(super) struct OwnOffer {
    update: bool,
    /// None in a re-INVITE: the peer is to offer. None in an UPDATE: no offer at all.
    sdp: Option<Bytes>,
    headers: Vec<(String, String)>,
    /// The session timer's, not the owner's.
    refresh: bool,
    tries: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// For its turn, or for the time of [`Wait::OwnOffer`].
    Waiting,
    Sent {
        fork: u32,
        cseq: u32,
        before: Box<Exchange>,
    },
}

impl OwnOffer {
    fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent { .. })
    }
}

impl Session {
    //------------ Commands ----------------------------------------------------------------------------------

    /// Offers `sdp` by re-INVITE; without it the peer is asked to offer. Waits for its turn if need be. The answer is
    /// told by [`Event::OfferAnswered`] or [`Event::OfferRefused`].
    pub fn offer(
        &mut self,
        now: Instant,
        sdp: Option<Bytes>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        match self.phase {
            Phase::Setup => return Err(CommandError::NotAnswered),
            Phase::Ended => return Err(CommandError::Ended),
            Phase::Up => {}
        }
        self.plan_own(false, sdp, headers)?;
        self.pump(now);
        Ok(())
    }

    /// Sends UPDATE, with an offer or without (a new display name, a new target). Before the answer an offer may only
    /// follow on a completed exchange (RFC 3311 §5.1).
    pub fn update(
        &mut self,
        now: Instant,
        sdp: Option<Bytes>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        if self.phase == Phase::Ended {
            return Err(CommandError::Ended);
        }
        if self.peer_takes_update() == Some(false) {
            return Err(CommandError::Method);
        }
        let peer = self.peers.last().ok_or(CommandError::NotAnswered)?;
        if self.phase == Phase::Setup
            && (sdp.is_some() && !peer.exchange.agreed() || !self.is_known_to_peer())
        {
            return Err(CommandError::NotAnswered);
        }
        self.plan_own(true, sdp, headers)?;
        self.pump(now);
        Ok(())
    }

    fn plan_own(
        &mut self,
        update: bool,
        sdp: Option<Bytes>,
        headers: Headers<'_>,
    ) -> Result<(), CommandError> {
        if self.bye_wanted.is_some() {
            return Err(CommandError::Ended);
        }
        match &self.own {
            Some(own) if !own.refresh || own.is_sent() => return Err(CommandError::OfferPending),
            _ => {}
        }
        self.waits.stop(Wait::OwnOffer);
        let headers = headers.to_vec();
        self.own = Some(OwnOffer { update, sdp, headers, refresh: false, tries: 0, state: State::Waiting });
        Ok(())
    }

    //------------ Sending -----------------------------------------------------------------------------------

    /// Is a re-INVITE or UPDATE of ours under way? An incoming one meets it then (491).
    pub(super) fn own_under_way(&self) -> bool {
        self.owes_answer.is_some()
            || self.own.as_ref().is_some_and(|o| o.is_sent() && (!o.update || o.sdp.is_some()))
    }

    /// Sends our waiting offer if its time has come and nothing else is under way. True when something was sent.
    pub(super) fn try_own(&mut self, now: Instant) -> bool {
        let Some(own) = &self.own else { return false };
        if own.is_sent() || self.waits.is_set(Wait::OwnOffer) || self.bye_wanted.is_some() {
            return false;
        }
        let Some(index) = self.peers.len().checked_sub(1) else { return false };
        let Some(peer) = self.peers.get_mut(index) else { return false };
        let offers = !own.update || own.sdp.is_some();
        let busy = self.offered.is_some()
            || self.unacked.is_some()
            || self.owes_answer.is_some()
            || peer.exchange.pending() != Pending::None;
        if offers && busy {
            return false;
        }
        let method = if own.update { Method::Update } else { Method::Invite };
        let (cseq, fork, before) = (peer.dialog.next_cseq(), peer.fork, Box::new(peer.exchange.clone()));
        if let Some(sdp) = &own.sdp {
            peer.exchange.offer(sdp);
        }
        let (mut b, to) = self.wire.request(&peer.dialog, &method, cseq, &own.headers);
        b = self.wire.abilities(b, &own.headers);
        if self.phase == Phase::Up {
            b = timer_headers(b, &self.timer.request());
        }
        if let Some(access) = &mut self.access {
            let (uri, _) = peer.dialog.request_line();
            b = access.authorize(b, &method, &uri, &mut self.rng);
        }
        let bytes = match &own.sdp {
            Some(sdp) => b.carrying(body::SDP, sdp.clone()).finish(),
            None => b.finish(),
        };
        let reliable = super::identity::is_reliable(&to);
        if let Some(own) = &mut self.own {
            own.tries += 1;
            own.state = State::Sent { fork, cseq, before };
        }
        let sent = Message::parse(bytes, &Limits::default()).ok();
        match sent.and_then(|request| self.tx.request(now, request, to, reliable).ok()) {
            Some(id) => self.remember(id, Asked::Offer),
            None => self.offer_failed(now, 500, None),
        }
        true
    }

    //------------ Responses ---------------------------------------------------------------------------------

    /// A response to our re-INVITE or UPDATE.
    pub(super) fn offer_responded(&mut self, now: Instant, id: ClientId, message: Message, flow: Flow) {
        let status = message.status().unwrap_or(0);
        let invite = matches!(message.cseq().method, Method::Invite);
        if status < 200 {
            if invite && self.phase == Phase::Up {
                self.waits.set(Wait::OfferEnds, now + 2 * self.wire.own.shared.timers.t1x64);
                self.prack_within(now, &message);
            }
            return;
        }
        self.forget(id);
        if status >= 300 {
            let challenged = self.answers_challenge(&message, flow);
            return self.offer_refused(now, status, Some(message), challenged);
        }
        if invite {
            self.remember(id, Asked::Accepted(message.cseq().number));
        }
        let Some(own) = &self.own else {
            // The session ended meanwhile; the peer still wants its ACK.
            if invite {
                self.send_ack(now, &message, 0, None);
            }
            return;
        };
        let State::Sent { fork, .. } = own.state else { return };
        let (refresh, had_offer) = (own.refresh, own.sdp.is_some());
        self.waits.stop(Wait::OfferEnds);
        let index = self.peers.iter().position(|p| p.fork == fork);
        let Some(peer) = index.and_then(|i| self.peers.get_mut(i)) else {
            self.own = None;
            return;
        };
        peer.dialog.refresh(&message);
        peer.dialog.heard_on(flow);
        peer.updates = allows_update(&message).or(peer.updates);
        let sdp = body::of(&message).sdp();
        let news = sdp.is_some() && sdp.as_ref() != peer.exchange.remote();
        let mut needs_answer = false;
        match (&sdp, had_offer) {
            (Some(sdp), true) => peer.exchange.answered(sdp),
            (None, true) => peer.exchange.settle(),
            (Some(sdp), false) if invite => {
                peer.exchange.offered(sdp);
                needs_answer = true;
            }
            (_, false) => {}
        }
        if self.phase == Phase::Up {
            self.timer.accepted(&timer_asked(&message));
        }
        self.restart_timer(now);
        self.own = None;
        if needs_answer {
            self.owes_answer = Some(message);
            self.waits.set(Wait::OwnAnswer, now + self.wire.own.shared.timers.t1x64);
        } else if invite {
            self.send_ack(now, &message, index.unwrap_or(0), None);
        }
        if !refresh || needs_answer || news {
            self.tell(Event::OfferAnswered { sdp, needs_answer });
        }
    }

    /// A reliable provisional response to a re-INVITE is acknowledged; its description waits for the 2xx.
    fn prack_within(&mut self, now: Instant, message: &Message) {
        let reliable = message.require().has("100rel");
        let Some(rseq) = message.rseq().filter(|_| reliable) else { return };
        let Some(peer) = self.peers.first_mut() else { return };
        if peer.receiver.heard(rseq) == super::reliable::Heard::Ignore {
            return;
        }
        let rack = ("RAck".to_owned(), format!("{rseq} {} INVITE", message.cseq().number));
        if let Some(id) = self.send_inside(now, 0, &Method::Prack, &[rack], None) {
            self.remember(id, Asked::Nothing);
        }
    }

    /// Our re-INVITE or UPDATE has no answer.
    pub(super) fn offer_failed(&mut self, now: Instant, status: u16, message: Option<Message>) {
        self.offer_refused(now, status, message, false);
    }

    /// Our re-INVITE or UPDATE was not accepted: again at once (`challenged`, and we have an answer), later, or never, or
    /// the end of the session.
    fn offer_refused(&mut self, now: Instant, status: u16, message: Option<Message>, challenged: bool) {
        self.waits.stop(Wait::OfferEnds);
        let Some(own) = &mut self.own else { return };
        let State::Sent { fork, cseq, .. } = own.state else { return };
        if message.as_ref().is_some_and(|m| m.cseq().number != cseq) {
            return;
        }
        if let State::Sent { before, .. } = std::mem::replace(&mut own.state, State::Waiting)
            && let Some(peer) = self.peers.iter_mut().find(|p| p.fork == fork)
        {
            peer.exchange.restore(*before);
        }
        let Some(own) = &mut self.own else { return };
        let again = own.tries < TRIES;
        let after = message.as_ref().and_then(Message::retry_after);
        match status {
            401 | 407 if challenged && again => return,
            // No such dialog, or nobody there (§12.2.1.2, §14.1).
            481 | 408 | 503
                if self.phase == Phase::Up && (status == 481 || message.is_none() || status == 408) =>
            {
                return self.lost(now, status);
            }
            491 if again => {
                let wait = self.glare_wait();
                self.waits.set(Wait::OwnOffer, now + wait);
                return;
            }
            500 if again && after.is_some() => {
                let seconds = u64::from(after.unwrap_or(0).min(10));
                let wait = Duration::from_millis(seconds * 1000 + self.rng.random_range(0..100) * 10);
                self.waits.set(Wait::OwnOffer, now + wait);
                return;
            }
            422 if again && self.timer.raise(message.as_ref().and_then(Message::min_se)) => return,
            // The peer does not know UPDATE after all: a refresh can do without.
            405 | 501 if own.update && own.refresh => {
                own.update = false;
                own.sdp = self.peers.last().and_then(|p| p.exchange.local().cloned());
                if let Some(peer) = self.peers.last_mut() {
                    peer.updates = Some(false);
                }
                return;
            }
            _ => {}
        }
        let refresh = own.refresh;
        self.own = None;
        if refresh {
            // The session goes on until it expires (RFC 4028 §7.4); try again in time.
            if let Some(after) = self.timer.refresh_after() {
                self.waits.set(Wait::Refresh, now + after / 6);
            }
        } else {
            self.tell(Event::OfferRefused { status });
        }
    }

    /// How long to wait after 491 (§14.1): who made the Call-ID 2.1 to 4 s, the other up to 2 s, in steps of 10 ms.
    fn glare_wait(&mut self) -> Duration {
        let steps =
            if self.is_caller() { self.rng.random_range(210..=400) } else { self.rng.random_range(0..=200) };
        Duration::from_millis(steps * 10)
    }

    //------------ The session timer -------------------------------------------------------------------------

    /// The session was refreshed, by whomever. Before the answer there is nothing to refresh.
    pub(super) fn restart_timer(&mut self, now: Instant) {
        if self.phase != Phase::Up {
            return;
        }
        self.waits.stop(Wait::Refresh);
        self.waits.stop(Wait::Expiry);
        if let Some(after) = self.timer.refresh_after() {
            self.waits.set(Wait::Refresh, now + after);
        }
        if let Some(after) = self.timer.expires_after() {
            self.waits.set(Wait::Expiry, now + after);
        }
    }

    /// A re-INVITE or UPDATE of the peer refreshes the session: what our 2xx says about it.
    pub(super) fn refreshed_by(&mut self, now: Instant, message: &Message) -> Said {
        if self.phase != Phase::Up {
            return Said::default();
        }
        let said = self.timer.accept(&timer_asked(message));
        self.restart_timer(now);
        said
    }

    /// It is for us to refresh the session.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.phase != Phase::Up || self.own.is_some() {
            // an offer under way refreshes as well, if it is accepted
            if let Some(after) = self.timer.refresh_after() {
                self.waits.set(Wait::Refresh, now + after / 6);
            }
            return;
        }
        let update = self.wire.own.shared.update_refresher && self.peer_takes_update() == Some(true);
        let local = self.peers.last().and_then(|p| p.exchange.local().cloned());
        let sdp = local.filter(|_| !update);
        let state = State::Waiting;
        self.own = Some(OwnOffer { update, sdp, headers: Vec::new(), refresh: true, tries: 0, state });
    }

    /// Nobody refreshed the session.
    pub(super) fn expired(&mut self, now: Instant) {
        self.send_bye(now, &[]);
        self.tell(Event::SessionExpired);
        self.end(now);
    }
}
