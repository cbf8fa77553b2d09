//! All transactions of one owner.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use super::reply::{other_way, reply_flow};
use super::{Client, InviteClient, InviteServer, Kept, Key, Server, Step, Tell, Timers};
use crate::sip::{Builder, Destination, Flow, Message, Method};

/// The number of a transaction; none is used twice.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
struct Slot(u32);

/// A client transaction: a request of ours.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct ClientId(Slot);

/// A server transaction: a request of a peer.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct ServerId(Slot);

/// Either.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Id {
    /// A request of ours.
    Client(ClientId),
    /// A request of a peer.
    Server(ServerId),
}

/// Why a request could not be sent.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The table holds as many transactions as it may.
    #[error("too many transactions")]
    Full,
    /// A transaction with this Via branch and method is under way: the owner must give each request its own.
    #[error("the Via branch is in use")]
    BranchInUse,
}

/// What the owner of a [`Transactions`] gets from [`Transactions::poll`].
#[derive(Debug)]
pub enum Output {
    /// Hand these bytes to `net`; tell [`Transactions::transport_failed`] about `by` when it cannot deliver.
    Send {
        /// The message.
        bytes: Bytes,
        /// Where it goes.
        to: Destination,
        /// Whose message it is; none for an answer given without a transaction (503 when full).
        by: Option<Id>,
    },
    /// A new request, to be answered by [`Transactions::respond`]. Never ACK, never CANCEL.
    Request {
        /// What to answer it by.
        id: ServerId,
        /// The request.
        message: Message,
        /// The flow it came on.
        flow: Flow,
    },
    /// A CANCEL for an INVITE in this table: answer it 200, and if the INVITE has no final response yet
    /// ([`Transactions::is_pending`]) answer that 487 (RFC 3261 §9.2). A CANCEL without its INVITE was answered
    /// 481 here.
    Cancel {
        /// What to answer the CANCEL by.
        id: ServerId,
        /// The INVITE it is about.
        invite: ServerId,
        /// The CANCEL.
        message: Message,
        /// The flow it came on.
        flow: Flow,
    },
    /// An ACK to a 2xx (RFC 3261 §13.2.2.4), or a stray one. Has no answer. ACKs to other responses are used up
    /// here.
    Ack {
        /// The ACK.
        message: Message,
        /// The flow it came on.
        flow: Flow,
    },
    /// A response to our request: every provisional one, the final one, and for INVITE every 2xx, retransmitted
    /// ones included (each wants its ACK).
    Response {
        /// Whose.
        id: ClientId,
        /// The response.
        message: Message,
        /// The flow it came on.
        flow: Flow,
    },
    /// No final response came (Timer B, Timer F, or 64·T1 after CANCEL): treat as 408. The transaction is gone.
    TimedOut {
        /// Whose.
        id: ClientId,
    },
    /// The request could not be delivered: treat as 503. The transaction is gone.
    Unreachable {
        /// Whose.
        id: ClientId,
    },
    /// Our 3xx–6xx to an INVITE was never acknowledged (Timer H). The transaction is gone.
    NoAck {
        /// Whose.
        id: ServerId,
    },
}

/// The transactions of one owner: a leg, which is in two or three at a time.
///
/// After every call that takes `now`, drain [`poll`](Self::poll), then arm a timer for
/// [`next_timeout`](Self::next_timeout) and call [`timeout`](Self::timeout) when it falls due. An empty table
/// holds no memory. They stand in a row that is searched from its beginning: for a handful, whose names are sixteen
/// bytes each, no map is faster, and `capacity` keeps it short whatever a peer does.
pub struct Transactions {
    timers: Timers,
    capacity: usize,
    entries: Vec<Entry>,
    serial: u32,
    out: VecDeque<Output>,
}

struct Entry {
    slot: Slot,
    key: Key,
    machine: Machine,
    /// Where its messages go.
    to: Destination,
    /// Where a response goes when the stream it should go on is gone.
    other_way: Option<Box<Destination>>,
}

enum Machine {
    InviteClient(InviteClient),
    Client(Client),
    InviteServer(InviteServer),
    Server(Server),
}

impl Machine {
    fn next_timeout(&self) -> Option<Instant> {
        match self {
            Machine::InviteClient(m) => m.next_timeout(),
            Machine::Client(m) => m.next_timeout(),
            Machine::InviteServer(m) => m.next_timeout(),
            Machine::Server(m) => m.next_timeout(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Machine::InviteClient(m) => m.is_over(),
            Machine::Client(m) => m.is_over(),
            Machine::InviteServer(m) => m.is_over(),
            Machine::Server(m) => m.is_over(),
        }
    }

    fn is_pending(&self) -> bool {
        match self {
            Machine::InviteClient(m) => m.is_pending(),
            Machine::Client(m) => m.is_pending(),
            Machine::InviteServer(m) => m.is_pending(),
            Machine::Server(m) => m.is_pending(),
        }
    }
}

impl Transactions {
    /// An empty table for at most `capacity` transactions.
    pub fn new(timers: Timers, capacity: usize) -> Self {
        Self { timers: timers.sane(), capacity, entries: Vec::new(), serial: 0, out: VecDeque::new() }
    }

    /// Sends a request of ours in a transaction of its own; not for ACK. `reliable` says that it goes over a
    /// stream, so that it is not retransmitted.
    ///
    /// A CANCEL also starts the 64·T1 its INVITE has left (RFC 3261 §9.1), and is sent even when the table is
    /// full. It must not be sent before the INVITE's first provisional response: that wait is the caller's.
    pub fn request(
        &mut self,
        now: Instant,
        request: Message,
        to: Destination,
        reliable: bool,
    ) -> Result<ClientId, Refused> {
        let key = Key::of_own(&request);
        let cancels = match request.method() {
            Method::Cancel => self.place(&Key::invite_of_own(&request)),
            _ => None,
        };
        if let Some(Entry { machine: Machine::InviteClient(invite), .. }) =
            cancels.and_then(|index| self.entries.get_mut(index))
        {
            invite.cancelled(now, &self.timers);
        }
        if cancels.is_none() && !self.has_room() {
            return Err(Refused::Full);
        }
        if self.contains(&key) {
            return Err(Refused::BranchInUse);
        }
        let (machine, step) = if let Method::Invite = request.method() {
            let (machine, step) = InviteClient::new(now, request.raw().clone(), reliable, &self.timers);
            (Machine::InviteClient(machine), step)
        } else {
            let (machine, step) = Client::new(now, request.raw().clone(), reliable, &self.timers);
            (Machine::Client(machine), step)
        };
        let slot = self.insert(key, machine, to, None);
        self.apply(self.entries.len() - 1, step, None);
        Ok(ClientId(slot))
    }

    /// The same for a request other than CANCEL, by what the owner wrote into it: no need to read it, though it must be
    /// possible.
    pub(crate) fn request_as(
        &mut self,
        now: Instant,
        (branch, method): (&str, &Method),
        request: Bytes,
        to: Destination,
        reliable: bool,
    ) -> Result<ClientId, Refused> {
        let key = Key::of_branch(branch, method);
        if !self.has_room() {
            return Err(Refused::Full);
        }
        if self.contains(&key) {
            return Err(Refused::BranchInUse);
        }
        let (machine, step) = if let Method::Invite = method {
            let (machine, step) = InviteClient::new(now, request, reliable, &self.timers);
            (Machine::InviteClient(machine), step)
        } else {
            let (machine, step) = Client::new(now, request, reliable, &self.timers);
            (Machine::Client(machine), step)
        };
        let slot = self.insert(key, machine, to, None);
        self.apply(self.entries.len() - 1, step, None);
        Ok(ClientId(slot))
    }

    /// Takes any message that belongs to this owner. Retransmissions are answered here; responses to nothing we
    /// asked are dropped.
    pub fn receive(&mut self, now: Instant, message: Message, flow: Flow) {
        if message.is_request() {
            self.receive_request(now, message, flow);
        } else {
            self.receive_response(now, message, flow);
        }
    }

    fn receive_response(&mut self, now: Instant, message: Message, flow: Flow) {
        let Some(index) = self.place(&Key::of_response(&message)) else { return };
        let Some(entry) = self.entries.get_mut(index) else { return };
        let step = match &mut entry.machine {
            Machine::InviteClient(m) => m.receive(now, &message, &self.timers),
            Machine::Client(m) => m.receive(now, message.status().unwrap_or(0), &self.timers),
            Machine::InviteServer(_) | Machine::Server(_) => return,
        };
        self.apply(index, step, Some((message, flow)));
    }

    fn receive_request(&mut self, now: Instant, message: Message, flow: Flow) {
        let key = Key::of_request(&message, flow.remote);
        let is_ack = matches!(message.method(), Method::Ack);
        if let Some(index) = self.place(&key) {
            let Some(entry) = self.entries.get_mut(index) else { return };
            let step = match &mut entry.machine {
                Machine::InviteServer(m) if is_ack => m.acknowledged(now, &self.timers),
                Machine::InviteServer(m) => m.retransmitted(),
                Machine::Server(m) => m.retransmitted(),
                Machine::InviteClient(_) | Machine::Client(_) => return,
            };
            return self.apply(index, step, Some((message, flow)));
        }
        if is_ack {
            return self.out.push_back(Output::Ack { message, flow });
        }
        let reply = Destination::Flow(reply_flow(&message, flow));
        let is_cancel = matches!(message.method(), Method::Cancel);
        let invite = match is_cancel {
            true => self.place(&Key::invite_of(&message, flow.remote)),
            false => None,
        };
        let invite = invite.and_then(|index| self.entries.get(index)).map(|entry| entry.slot);
        if invite.is_none() && !self.has_room() {
            let response = Builder::response(&message, &flow, 503, "Service Unavailable")
                .to_tag(&key.tag())
                .header("Retry-After", 5)
                .finish();
            return self.out.push_back(Output::Send { bytes: response, to: reply, by: None });
        }
        let reliable = flow.transport.is_reliable();
        let other = other_way(&message, flow).map(Box::new);
        let machine = match message.method() {
            Method::Invite => Machine::InviteServer(InviteServer::new(now, message.clone(), flow)),
            _ => Machine::Server(Server::new(now, reliable, &self.timers)),
        };
        let tag = (is_cancel && invite.is_none()).then(|| key.tag());
        let id = ServerId(self.insert(key, machine, reply, other));
        self.out.push_back(match (is_cancel, invite) {
            (false, _) => Output::Request { id, message, flow },
            (true, Some(invite)) => Output::Cancel { id, invite: ServerId(invite), message, flow },
            (true, None) => {
                let response = Builder::response(&message, &flow, 481, "Call/Transaction Does Not Exist")
                    .to_tag(tag.as_deref().unwrap_or(""))
                    .finish();
                return self.respond(now, id, response, 481);
            }
        });
    }

    /// Answers a request. Ignored when its transaction is gone or has its final response already; for INVITE a
    /// 2xx may be sent again and again until its ACK comes (RFC 3261 §13.3.1.4).
    pub fn respond(&mut self, now: Instant, id: ServerId, response: Bytes, status: u16) {
        let Some(index) = self.index(id.0) else { return };
        let timers = &self.timers;
        let Some(entry) = self.entries.get_mut(index) else { return };
        let step = match &mut entry.machine {
            Machine::InviteServer(m) => m.respond(now, response, status, timers),
            Machine::Server(m) => m.respond(now, response, status, timers),
            Machine::InviteClient(_) | Machine::Client(_) => return,
        };
        self.apply(index, step, None);
    }

    /// Answers a request once and forgets it, as a stateless server does (RFC 3261 §8.2.7): for challenges and
    /// refusals, so that a flood leaves nothing behind and one request never draws more than one answer.
    /// A retransmission is a new request then; the ACK to it comes up as [`Output::Ack`].
    pub fn respond_stateless(&mut self, id: ServerId, response: Bytes) {
        let Some(index) = self.index(id.0) else { return };
        let to = self.entries.remove(index).to;
        self.out.push_back(Output::Send { bytes: response, to, by: None });
    }

    /// The net could not deliver what `by` sent.
    pub fn transport_failed(&mut self, by: Id) {
        let (Id::Client(ClientId(slot)) | Id::Server(ServerId(slot))) = by;
        let Some(index) = self.index(slot) else { return };
        let Some(entry) = self.entries.get_mut(index) else { return };
        if let Some(other) = entry.other_way.take() {
            entry.to = *other;
            let last = match &entry.machine {
                Machine::InviteServer(m) => m.last_response(),
                Machine::Server(m) => m.answer().cloned(),
                _ => None,
            };
            return self.apply(index, Step { send: last, tell: None }, None);
        }
        let step = match &mut entry.machine {
            Machine::InviteClient(m) => m.transport_failed(),
            Machine::Client(m) => m.transport_failed(),
            Machine::InviteServer(m) => m.transport_failed(),
            Machine::Server(m) => m.transport_failed(),
        };
        self.apply(index, step, None);
    }

    /// The net sent the request over a stream although it was begun as unreliable (RFC 3261 §18.1.1, too large
    /// for UDP): it is not retransmitted any more.
    pub fn now_reliable(&mut self, id: ClientId) {
        let Some(entry) = self.index(id.0).and_then(|index| self.entries.get_mut(index)) else { return };
        match &mut entry.machine {
            Machine::InviteClient(m) => m.now_reliable(),
            Machine::Client(m) => m.now_reliable(),
            Machine::InviteServer(_) | Machine::Server(_) => {}
        }
    }

    /// Runs every timer due at `now`.
    pub fn timeout(&mut self, now: Instant) {
        while let Some((index, at)) = self.soonest(|_| true)
            && at <= now
            && let Some(entry) = self.entries.get_mut(index)
        {
            let step = match &mut entry.machine {
                Machine::InviteClient(m) => m.timeout(now),
                Machine::Client(m) => m.timeout(now, &self.timers),
                Machine::InviteServer(m) => m.timeout(now, &self.timers),
                Machine::Server(m) => m.timeout(now),
            };
            self.apply(index, step, None);
        }
    }

    /// When [`timeout`](Self::timeout) is due; none when nothing is waited for.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.soonest(|_| true).map(|(_, at)| at)
    }

    /// What is to be done next, in order; call until it says none.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Takes out what is to be sent; what is to be told stays for [`poll`](Self::poll), which must follow.
    pub(crate) fn poll_sends(&mut self, mut send: impl FnMut(Bytes, Destination, Option<Id>)) {
        for _ in 0..self.out.len() {
            match self.out.pop_front() {
                Some(Output::Send { bytes, to, by }) => send(bytes, to, by),
                Some(told) => self.out.push_back(told),
                None => {}
            }
        }
    }

    /// How many transactions there are, those waiting for their last timer included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a message with this key belongs to a transaction of this table.
    pub fn contains(&self, key: &Key) -> bool {
        self.place(key).is_some()
    }

    /// Whether the transaction still waits for its final response (the peer's, or ours).
    pub fn is_pending(&self, id: Id) -> bool {
        let (Id::Client(ClientId(slot)) | Id::Server(ServerId(slot))) = id;
        self.index(slot)
            .and_then(|index| self.entries.get(index))
            .is_some_and(|entry| entry.machine.is_pending())
    }

    /// Whether it holds more memory than it needs.
    pub(crate) fn is_roomy(&self) -> bool {
        self.entries.len() < self.entries.capacity() || (self.out.is_empty() && self.out.capacity() > 0)
    }

    /// Gives back the memory that only busy times need.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        if self.out.is_empty() {
            self.out = VecDeque::new();
        }
    }

    //------------ What is left at the end --------------------------------------------------------------------

    /// Whether nothing goes out any more but as an answer to what comes again.
    pub fn is_settled(&self) -> bool {
        self.out.is_empty()
            && self.entries.iter().all(|entry| match &entry.machine {
                Machine::InviteServer(m) => m.is_settled(),
                other => !other.is_pending(),
            })
    }

    /// What the transactions of a settled table need of it, and until when the last of them does. Left out: the
    /// INVITE `first`, which goes by its own name, accepted INVITEs of ours, whose ACKs the owner has, and answered
    /// requests of ours: one more answer to those means nothing.
    pub(crate) fn remains(&self, first: Option<ServerId>, kept: &mut Vec<Kept>) -> Option<Instant> {
        for entry in &self.entries {
            let key = entry.key;
            let is_first = first == Some(ServerId(entry.slot));
            match &entry.machine {
                Machine::InviteClient(m) => {
                    kept.extend(m.ack().map(|ack| Kept::refused(key, ack, entry.to.clone())));
                }
                Machine::Client(_) => {}
                Machine::InviteServer(_) if is_first => {}
                Machine::InviteServer(_) => kept.push(Kept::absorbed(key)),
                Machine::Server(m) => kept.extend(m.answer().map(|answer| Kept::answered(key, answer))),
            }
        }
        self.entries.iter().filter_map(|entry| entry.machine.next_timeout()).max()
    }

    /// The name of a transaction.
    pub(crate) fn key(&self, id: Id) -> Option<Key> {
        let (Id::Client(ClientId(slot)) | Id::Server(ServerId(slot))) = id;
        Some(self.entries.get(self.index(slot)?)?.key)
    }

    //------------ Inside -----------------------------------------------------------------------------------

    fn insert(
        &mut self,
        key: Key,
        machine: Machine,
        to: Destination,
        other_way: Option<Box<Destination>>,
    ) -> Slot {
        self.serial = self.serial.wrapping_add(1);
        let slot = Slot(self.serial);
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.entries.len().max(2));
        }
        self.entries.push(Entry { slot, key, machine, to, other_way });
        slot
    }

    /// Whether one more may come in. A full table gives up the non-INVITE transaction that is finished and would be
    /// the next to go, or else such an INVITE that was accepted: under load the time a retransmission is recognised
    /// shrinks before anybody is refused, and above all a BYE.
    fn has_room(&mut self) -> bool {
        if self.len() < self.capacity {
            return true;
        }
        let finished = |machine: &Machine| match machine {
            Machine::Client(m) => m.is_finished(),
            Machine::Server(m) => m.is_finished(),
            Machine::InviteClient(_) | Machine::InviteServer(_) => false,
        };
        let accepted = |machine: &Machine| match machine {
            Machine::InviteClient(m) => m.is_accepted(),
            Machine::InviteServer(m) => m.is_accepted(),
            Machine::Client(_) | Machine::Server(_) => false,
        };
        match self.soonest(finished).or_else(|| self.soonest(accepted)) {
            Some((index, _)) => {
                self.entries.remove(index);
                self.len() < self.capacity
            }
            None => false,
        }
    }

    /// The place of the transaction with this name.
    fn place(&self, key: &Key) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == *key)
    }

    fn index(&self, slot: Slot) -> Option<usize> {
        self.entries.iter().position(|entry| entry.slot == slot)
    }

    /// The place and the time of the next timer among transactions of a kind.
    fn soonest(&self, of: impl Fn(&Machine) -> bool) -> Option<(usize, Instant)> {
        let timed = self.entries.iter().enumerate().filter(|(_, entry)| of(&entry.machine));
        timed
            .filter_map(|(index, entry)| Some((index, entry.machine.next_timeout()?)))
            .min_by_key(|(_, at)| *at)
    }

    /// Turns a machine's step into outputs, `message` being what it received, and removes the machine that is over.
    fn apply(&mut self, index: usize, step: Step, message: Option<(Message, Flow)>) {
        let Some(entry) = self.entries.get(index) else { return };
        let by = match &entry.machine {
            Machine::InviteClient(_) | Machine::Client(_) => Id::Client(ClientId(entry.slot)),
            Machine::InviteServer(_) | Machine::Server(_) => Id::Server(ServerId(entry.slot)),
        };
        if let Some(bytes) = step.send {
            self.out.push_back(Output::Send { bytes, to: entry.to.clone(), by: Some(by) });
        }
        let told = match (step.tell, by, message) {
            (Some(Tell::Message), Id::Client(id), Some((message, flow))) => {
                Some(Output::Response { id, message, flow })
            }
            (Some(Tell::Message), Id::Server(_), Some((message, flow))) => {
                Some(Output::Ack { message, flow })
            }
            (Some(Tell::TimedOut), Id::Client(id), _) => Some(Output::TimedOut { id }),
            (Some(Tell::Unreachable), Id::Client(id), _) => Some(Output::Unreachable { id }),
            (Some(Tell::NoAck), Id::Server(id), _) => Some(Output::NoAck { id }),
            _ => None,
        };
        let over = entry.machine.is_over();
        self.out.extend(told);
        if over {
            self.entries.remove(index);
        }
    }
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transactions")
            .field("len", &self.len())
            .field("next_timeout", &self.next_timeout())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_small() {
        // Beside it: the message it may have to repeat.
        assert!(size_of::<Entry>() <= 240, "{} bytes", size_of::<Entry>());
    }
}
