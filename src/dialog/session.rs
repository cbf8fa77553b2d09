//! One INVITE usage: its early dialogs, its dialog, its transactions, and what was agreed in it.
//!
//! This file: the state, the drive contract, and which part gets what. The parts:
//!
//! | file | part |
//! | --- | --- |
//! | `caller.rs` | our INVITE until it is answered; forks, CANCEL, the ACKs to 2xx |
//! | `hops.rs` | the next address when one fails |
//! | `access.rs` | challenges to what we send |
//! | `callee.rs` | the peer's INVITE until it is answered; reliable provisional responses, CANCEL, PRACK |
//! | `own_offer.rs` | re-INVITE and UPDATE of ours: glare, retry, refresh |
//! | `peer_offer.rs` | re-INVITE and UPDATE of the peer; our 2xx and its ACK |
//! | `inside.rs` | what every request in the dialog is checked for; INFO, OPTIONS … |
//! | `finish.rs` | BYE from both sides, and every other end |

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::SmallRng;

use super::access::Access;
use super::callee::Callee;
use super::caller::{Caller, SentAck};
use super::dialog::Dialog;
use super::event::{Event, Output};
use super::identity::{Identity, Wire};
use super::inside::{Ask, Handed};
use super::offer::Exchange;
use super::own_offer::OwnOffer;
use super::peer_offer::{PeerOffer, Unacked};
use super::reliable::Receiver;
use super::timer::{Refresher, SessionTimer};
use super::wait::{Wait, Waits};
use crate::sip::{Flow, Message, Uri};
use crate::transaction::{self, ClientId, Id, Transactions};

/// How many early dialogs a forked INVITE of ours may have; responses of further ones are still told.
pub(super) const FORKS: usize = 32;
/// How many transactions a session may have at once.
const TRANSACTIONS: usize = 128;
/// How many requests of ours are remembered.
const ASKED: usize = 64;

/// One INVITE session of one leg, from the first message to the last timer.
///
/// # How it is driven
///
/// ```text
/// incoming / outgoing ─▶ poll() until None ─▶ sleep until next_timeout() ─▶ timeout(now) ─▶ poll() …
///                                                  ▲ or a message: receive(now, …) ─▶ poll() …
///                                                  ▲ or a command: answer(now, …)  ─▶ poll() …
/// ```
///
/// * Every call that takes `now` may leave outputs: drain [`poll`](Self::poll) after each, then ask
///   [`next_timeout`](Self::next_timeout) anew. `now` never goes back.
/// * The owner gives it every message with its Call-ID whose To tag (requests) or From tag (responses) is its local
///   tag, the INVITE's retransmissions and its CANCEL. Retransmissions end in the transactions.
/// * A command is refused with a [`CommandError`](super::CommandError), and then nothing has changed.
/// * After [`Event::Ended`] no event follows. Keep driving it until [`is_over`](Self::is_over), for the peer may still
///   send again what it did not see answered; or until it gives its [`remains`](Self::remains), which answer that in
///   its place. An owner in a hurry may drop it at once and lose only that.
#[derive(Debug)]
pub struct Session {
    pub(super) wire: Wire,
    pub(super) rng: SmallRng,
    pub(super) tx: Transactions,
    pub(super) waits: Waits,
    pub(super) phase: Phase,
    pub(super) side: Side,
    /// Called side: the one dialog. Calling side: the early ones, then the confirmed one alone.
    pub(super) peers: Vec<Peer>,
    pub(super) timer: SessionTimer,
    /// Our offer within the session, waiting or sent.
    pub(super) own: Option<OwnOffer>,
    /// The peer's offer which the owner has not answered.
    pub(super) offered: Option<PeerOffer>,
    /// Our 2xx to an INVITE, not acknowledged yet.
    pub(super) unacked: Option<Unacked>,
    /// The ACKs we sent, to be sent again for each 2xx that comes again.
    pub(super) acks: VecDeque<SentAck>,
    /// A 2xx whose ACK waits for the owner's answer.
    pub(super) owes_answer: Option<Message>,
    /// Requests of ours in transactions.
    pub(super) asked: Vec<(ClientId, Asked)>,
    /// Requests of the peer that the owner is to answer.
    pub(super) handed: Vec<Handed>,
    /// What answers challenges.
    pub(super) access: Option<Box<Access>>,
    /// BYE is to be sent once the ACK has come (§15).
    pub(super) bye_wanted: Option<Vec<(String, String)>>,
    pub(super) ids: u32,
    ack_missing_told: bool,
    lingered: bool,
    out: VecDeque<Output>,
}

/// Where the first INVITE stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// No final response yet.
    Setup,
    /// Answered; perhaps not acknowledged.
    Up,
    /// Over but for the transactions.
    Ended,
}

/// Who sent the first INVITE.
#[derive(Debug)]
pub(super) enum Side {
    /// We.
    Caller(Box<Caller>),
    /// The peer.
    Callee(Box<Callee>),
    /// The peer, but its INVITE was not even one.
    None,
}

/// One dialog with its offer/answer state.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub dialog: Dialog,
    pub exchange: Exchange,
    pub receiver: Receiver,
    /// Number among the early dialogs.
    pub fork: u32,
    /// Whether the Allow of the peer's last INVITE, UPDATE or 2xx names UPDATE.
    pub updates: Option<bool>,
}

/// What a client transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// The first INVITE.
    Invite,
    /// An INVITE that has its 2xx, with its CSeq; more may come.
    Accepted(u32),
    /// Our re-INVITE or UPDATE of `own`.
    Offer,
    /// A request of the owner.
    Request(u32),
    /// The first INVITE at an address that was left for the next.
    Left,
    /// CANCEL, BYE, PRACK: whatever the answer, nothing follows from it.
    Nothing,
}

impl Session {
    pub(super) fn new(now: Instant, own: Identity, rng: SmallRng) -> Session {
        let config = &own.shared;
        let timer = SessionTimer::new(config.enable_timer, config.session_expires, config.min_se);
        let mut session = Session {
            tx: Transactions::new(config.timers, TRANSACTIONS),
            timer,
            rng,
            waits: Waits::default(),
            phase: Phase::Setup,
            side: Side::None,
            peers: Vec::new(),
            own: None,
            offered: None,
            unacked: None,
            acks: VecDeque::new(),
            owes_answer: None,
            asked: Vec::new(),
            handed: Vec::new(),
            access: None,
            bye_wanted: None,
            ids: 0,
            ack_missing_told: false,
            lingered: false,
            out: VecDeque::new(),
            wire: Wire::new(own),
        };
        session.waits.set(Wait::Setup, now + session.wire.own.shared.setup_limit);
        session
    }

    /// A session without an INVITE, over from the start: of one who only hears of other sessions.
    pub fn none(now: Instant, own: Identity, rng: SmallRng) -> Session {
        let mut session = Session::new(now, own, rng);
        session.waits.stop_all();
        session.phase = Phase::Ended;
        session
    }

    //------------ Drive -------------------------------------------------------------------------------------

    /// Takes a message of this session.
    pub fn receive(&mut self, now: Instant, message: Message, flow: Flow) {
        self.tx.receive(now, message, flow);
        self.pump(now);
    }

    /// The net could not deliver what [`Output::Send`] named.
    pub fn transport_failed(&mut self, now: Instant, by: Id) {
        self.tx.transport_failed(by);
        self.pump(now);
    }

    /// The net sent a request over a stream although it was begun over UDP (too large): no retransmissions.
    pub fn now_reliable(&mut self, by: Id) {
        if let Id::Client(id) = by {
            self.tx.now_reliable(id);
        }
    }

    /// Runs everything due at `now`.
    pub fn timeout(&mut self, now: Instant) {
        self.tx.timeout(now);
        self.pump(now);
        while let Some(wait) = self.waits.expired(now) {
            self.ended_wait(now, wait);
            self.pump(now);
        }
    }

    /// When [`timeout`](Self::timeout) is due next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.tx.next_timeout().into_iter().chain(self.waits.next_timeout()).min()
    }

    /// What is to be done next, in order; call until it says none.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if output.is_none() && self.phase == Phase::Up {
            self.rest();
        }
        output
    }

    /// A call that is up and where nothing is under way may be so for long: it keeps no more than it needs.
    fn rest(&mut self) {
        let busy = self.unacked.is_some() || self.own.is_some() || self.offered.is_some();
        let lean = self.out.capacity() == 0 && !self.tx.is_roomy();
        if lean || busy || self.owes_answer.is_some() || !self.handed.is_empty() {
            return;
        }
        self.out = VecDeque::new();
        self.tx.shrink();
        self.waits.shrink();
        // An ACK of ours is sent again as long as its INVITE is known.
        let tx = &self.tx;
        self.asked
            .retain(|(id, what)| !matches!(what, Asked::Accepted(_)) || tx.key(Id::Client(*id)).is_some());
        self.asked.shrink_to_fit();
        let asked = &self.asked;
        self.acks.retain(|ack| asked.iter().any(|(_, what)| *what == Asked::Accepted(ack.cseq)));
        self.acks.shrink_to_fit();
        self.handed = Vec::new();
        self.peers.shrink_to_fit();
    }

    /// Ended, and every transaction gone: it may be dropped without loss.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended && self.out.is_empty() && (self.tx.is_empty() || self.lingered)
    }

    /// Nothing waits to be taken out or to be dealt with.
    pub(super) fn is_quiet(&self) -> bool {
        self.out.is_empty()
    }

    //------------ What may be read --------------------------------------------------------------------------

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        let invite = match &self.side {
            Side::Caller(caller) => caller.plan.as_ref().map(|plan| plan.invite.call_id.as_str()),
            Side::Callee(callee) => callee.invite.as_ref().map(|ask| ask.message.call_id()),
            Side::None => None,
        };
        let dialog = || self.peers.first().map(|p| p.dialog.call_id());
        invite.or_else(dialog).unwrap_or("")
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.wire.own.local_tag
    }

    /// The peer's tag; of the latest early dialog while there is no answer.
    pub fn remote_tag(&self) -> Option<&str> {
        self.peers.last()?.dialog.remote_tag()
    }

    /// The peer's Contact.
    pub fn remote_target(&self) -> Option<&Uri> {
        Some(self.peers.last()?.dialog.target())
    }

    /// The flow the peer's last message came on.
    pub fn remote_flow(&self) -> Option<Flow> {
        self.peers.last()?.dialog.flow()
    }

    /// The dialog; the latest early one while there is no answer.
    pub fn dialog(&self) -> Option<&Dialog> {
        self.peers.last().map(|p| &p.dialog)
    }

    /// Answered and not ended.
    pub fn is_confirmed(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Ended; transactions may remain.
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Did we send the INVITE?
    pub fn is_caller(&self) -> bool {
        matches!(self.side, Side::Caller(_))
    }

    /// Session-Expires in force, in seconds, and who refreshes.
    pub fn session_expires(&self) -> Option<(u32, Refresher)> {
        self.timer.running()
    }

    /// Our description in force, or last offered.
    pub fn local_sdp(&self) -> Option<&Bytes> {
        self.peers.last()?.exchange.local()
    }

    /// The peer's description in force, or last offered.
    pub fn remote_sdp(&self) -> Option<&Bytes> {
        self.peers.last()?.exchange.remote()
    }

    /// Does the peer say it takes UPDATE? None: it has not said.
    pub fn peer_takes_update(&self) -> Option<bool> {
        self.peers.last()?.updates
    }

    /// Does the peer know our tag, so that it takes requests of ours?
    pub(super) fn is_known_to_peer(&self) -> bool {
        match &self.side {
            Side::Callee(callee) => callee.told_tag || self.phase == Phase::Up,
            Side::Caller(_) | Side::None => true,
        }
    }

    //------------ Inside ------------------------------------------------------------------------------------

    /// Tells the owner, after what has been sent so far.
    pub(super) fn tell(&mut self, event: Event) {
        self.collect();
        if self.phase != Phase::Ended {
            self.out.push_back(Output::Event(event));
        }
    }

    /// Takes from the transactions what they send; what they tell waits for [`pump`](Self::pump).
    pub(super) fn collect(&mut self) {
        let out = &mut self.out;
        self.tx.poll_sends(|bytes, to, by| out.push_back(Output::Send { bytes, to, by }));
    }

    /// The one place that ends a session; whatever must still be said has been said.
    pub(super) fn end(&mut self, now: Instant) {
        if self.phase == Phase::Ended {
            return;
        }
        self.tell(Event::Ended);
        self.end_silently(now);
    }

    /// The same without a word to the owner.
    pub(super) fn end_silently(&mut self, now: Instant) {
        self.collect();
        self.phase = Phase::Ended;
        self.waits.stop_all();
        self.waits.set(Wait::Linger, now + 2 * self.wire.own.shared.timers.t1x64);
        self.own = None;
        self.unacked = None;
        self.bye_wanted = None;
    }

    pub(super) fn send(&mut self, bytes: Bytes, to: crate::sip::Destination) {
        self.collect();
        self.out.push_back(Output::Send { bytes, to, by: None });
    }

    /// The dialog of early dialog `fork`.
    pub(super) fn fork(&mut self, fork: u32) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|p| p.fork == fork)
    }

    pub(super) fn next_id(&mut self) -> u32 {
        self.ids = self.ids.wrapping_add(1);
        self.ids
    }

    /// Remembers what a request of ours is for. The oldest answered one makes room.
    pub(super) fn remember(&mut self, id: ClientId, what: Asked) {
        if self.asked.len() >= ASKED {
            let gone = self.asked.iter().position(|(_, a)| matches!(a, Asked::Nothing | Asked::Accepted(_)));
            self.asked.remove(gone.unwrap_or(0));
        }
        self.asked.push((id, what));
    }

    pub(super) fn asked(&self, id: ClientId) -> Option<Asked> {
        self.asked.iter().find(|(i, _)| *i == id).map(|(_, a)| *a)
    }

    pub(super) fn forget(&mut self, id: ClientId) {
        self.asked.retain(|(i, _)| *i != id);
    }

    /// Moves everything the transactions have to say to where it belongs.
    pub(super) fn pump(&mut self, now: Instant) {
        loop {
            match self.tx.poll() {
                Some(told) => self.transacted(now, told),
                None if self.try_own(now) => {}
                None => break,
            }
        }
    }

    fn transacted(&mut self, now: Instant, output: transaction::Output) {
        use transaction::Output as Tx;
        match output {
            Tx::Send { bytes, to, by } => self.out.push_back(Output::Send { bytes, to, by }),
            Tx::Request { id, message, flow } => self.requested(now, Ask { server: id, message, flow }),
            Tx::Cancel { id, invite, message, flow } => {
                self.cancelled(now, Ask { server: id, message, flow }, invite)
            }
            Tx::Ack { message, flow } => self.acknowledged(now, &message, flow),
            Tx::Response { id, message, flow } => self.responded(now, id, message, flow),
            Tx::TimedOut { id } => self.unanswered(now, id, 408),
            Tx::Unreachable { id } => self.unanswered(now, id, 503),
            Tx::NoAck { .. } => {}
        }
    }

    fn responded(&mut self, now: Instant, id: ClientId, message: Message, flow: Flow) {
        let status = message.status().unwrap_or(0);
        match self.asked(id) {
            Some(Asked::Invite) => self.invite_answered(now, id, message, flow),
            Some(Asked::Accepted(cseq)) => self.accepted_again(now, cseq, &message, flow),
            Some(Asked::Offer) => self.offer_responded(now, id, message, flow),
            Some(Asked::Left) => self.left_answered(now, id, &message, flow),
            Some(Asked::Request(_) | Asked::Nothing) if status < 200 => {}
            Some(Asked::Request(_) | Asked::Nothing) if self.asked_again(now, id, &message, flow) => {}
            Some(Asked::Request(number)) => {
                self.forget(id);
                self.tell(Event::Response {
                    id: super::event::RequestId(number),
                    status,
                    message: Some(message),
                });
            }
            Some(Asked::Nothing) => self.forget(id),
            None => {}
        }
    }

    fn unanswered(&mut self, now: Instant, id: ClientId, status: u16) {
        let Some(what) = self.asked(id) else { return };
        self.forget(id);
        match what {
            Asked::Invite if self.next_hop(now) => {}
            Asked::Invite => self.invite_failed(now, status, None),
            Asked::Left => self.left_for_good(id),
            Asked::Offer => self.offer_failed(now, status, None),
            Asked::Request(number) => {
                self.tell(Event::Response { id: super::event::RequestId(number), status, message: None });
            }
            Asked::Accepted(_) | Asked::Nothing => {}
        }
    }

    fn requested(&mut self, now: Instant, ask: Ask) {
        if self.phase == Phase::Setup && matches!(self.side, Side::None) {
            return self.invited(now, ask);
        }
        self.asked_inside(now, ask);
    }

    fn ended_wait(&mut self, now: Instant, wait: Wait) {
        match wait {
            Wait::Setup => self.setup_took_too_long(now),
            Wait::NextHop => self.hop_is_silent(now),
            Wait::AnswerAgain => self.send_answer_again(now),
            Wait::AnswerEnds => self.ack_never_came(now),
            Wait::ReliableAgain => self.send_reliable_again(now),
            Wait::ReliableEnds => self.prack_never_came(now),
            Wait::OwnAnswer => self.own_answer_never_came(now),
            Wait::PeerOffer => self.offer_not_decided(now),
            Wait::OwnOffer => {} // pump() tries it
            Wait::OfferEnds => self.offer_failed(now, 408, None),
            Wait::Reply => self.replies_overdue(now),
            Wait::Refresh => self.refresh(now),
            Wait::Expiry => self.expired(now),
            Wait::Linger => self.lingered = true,
        }
    }

    /// Told once in the life of a session.
    pub(super) fn tell_ack_missing(&mut self, retransmissions: u32) {
        if !self.ack_missing_told {
            self.ack_missing_told = true;
            let contact = self.wire.own.contact.to_string();
            self.tell(Event::AckMissing { retransmissions, contact });
        }
    }
}
