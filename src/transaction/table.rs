//! All transactions of one owner, by key, with one table of deadlines.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use slab::Slab;

use super::reply::{other_way, reply_flow};
use super::{Client, InviteClient, InviteServer, Kept, Key, KeyMap, Server, Step, Tell, Timers};
use crate::sip::{Builder, Destination, Flow, Message, Method};

/// A place in the table, and which of its successive tenants is meant.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
struct Slot {
    index: u32,
    serial: u32,
}

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

/// The transactions of one owner: a leg, or a profile for requests outside dialogs.
///
/// After every call that takes `now`, drain [`poll`](Self::poll), then arm a timer for
/// [`next_timeout`](Self::next_timeout) and call [`timeout`](Self::timeout) when it falls due. An empty table
/// holds no memory; each operation costs a look-up and at most one move in an ordered set of deadlines, whatever
/// the number of transactions.
pub struct Transactions {
    timers: Timers,
    capacity: usize,
    entries: Slab<Entry>,
    by_key: KeyMap<u32>,
    deadlines: BTreeSet<(Instant, u32)>,
    serial: u32,
    out: VecDeque<Output>,
}

struct Entry {
    serial: u32,
    key: Key,
    machine: Machine,
    /// Where its messages go.
    to: Destination,
    /// Where a response goes when the stream it should go on is gone.
    other_way: Option<Box<Destination>>,
    /// Its entry in the set of deadlines.
    armed: Option<Instant>,
}

enum Machine {
    InviteClient(InviteClient),
    Client(Client),
    InviteServer(InviteServer),
    Server(Server),
}

impl Transactions {
    /// An empty table for at most `capacity` transactions.
    pub fn new(timers: Timers, capacity: usize) -> Self {
        Self {
            timers: timers.sane(),
            capacity,
            entries: Slab::new(),
            by_key: KeyMap::default(),
            deadlines: BTreeSet::new(),
            serial: 0,
            out: VecDeque::new(),
        }
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
            Method::Cancel => self.by_key.get(&Key::invite_of_own(&request)).copied(),
            _ => None,
        };
        if let Some(index) = cancels {
            if let Some(Entry { machine: Machine::InviteClient(invite), .. }) =
                self.entries.get_mut(index as usize)
            {
                invite.cancelled(now, &self.timers);
            }
            self.rearm(index);
        }
        if cancels.is_none() && !self.has_room() {
            return Err(Refused::Full);
        }
        if self.by_key.contains_key(&key) {
            return Err(Refused::BranchInUse);
        }
        let (machine, step) = if let Method::Invite = request.method() {
            let (machine, step) = InviteClient::new(now, request, reliable, &self.timers);
            (Machine::InviteClient(machine), step)
        } else {
            let (machine, step) = Client::new(now, request.raw().clone(), reliable, &self.timers);
            (Machine::Client(machine), step)
        };
        let slot = self.insert(key, machine, to, None);
        self.apply(slot.index, step, None);
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
        let Some(&index) = self.by_key.get(&Key::of_response(&message)) else { return };
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
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
        if let Some(&index) = self.by_key.get(&key) {
            let Some(entry) = self.entries.get_mut(index as usize) else { return };
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
            true => self.by_key.get(&Key::invite_of(&message, flow.remote)).copied(),
            false => None,
        };
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
        let slot = self.insert(key, machine, reply, other);
        self.rearm(slot.index);
        let id = ServerId(slot);
        let invite = invite.and_then(|i| self.slot(i));
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
        let Some(entry) = self.entry(id.0) else { return };
        let timers = entry.1;
        let step = match &mut entry.0.machine {
            Machine::InviteServer(m) => m.respond(now, response, status, timers),
            Machine::Server(m) => m.respond(now, response, status, timers),
            Machine::InviteClient(_) | Machine::Client(_) => return,
        };
        self.apply(id.0.index, step, None);
    }

    /// Answers a request once and forgets it, as a stateless server does (RFC 3261 §8.2.7): for challenges and
    /// refusals, so that a flood leaves nothing behind and one request never draws more than one answer.
    /// A retransmission is a new request then; the ACK to it comes up as [`Output::Ack`].
    pub fn respond_stateless(&mut self, id: ServerId, response: Bytes) {
        let Some(entry) = self.entry(id.0) else { return };
        let to = entry.0.to.clone();
        self.remove(id.0.index);
        self.out.push_back(Output::Send { bytes: response, to, by: None });
    }

    /// The net could not deliver what `by` sent.
    pub fn transport_failed(&mut self, by: Id) {
        let (Id::Client(ClientId(slot)) | Id::Server(ServerId(slot))) = by;
        let Some((entry, _)) = self.entry(slot) else { return };
        if let Some(other) = entry.other_way.take() {
            entry.to = *other;
            let last = match &entry.machine {
                Machine::InviteServer(m) => m.last_response(),
                _ => None,
            };
            return self.apply(slot.index, Step { send: last, tell: None }, None);
        }
        let step = match &mut entry.machine {
            Machine::InviteClient(m) => m.transport_failed(),
            Machine::Client(m) => m.transport_failed(),
            Machine::InviteServer(m) => m.transport_failed(),
            Machine::Server(m) => m.transport_failed(),
        };
        self.apply(slot.index, step, None);
    }

    /// The net sent the request over a stream although it was begun as unreliable (RFC 3261 §18.1.1, too large
    /// for UDP): it is not retransmitted any more.
    pub fn now_reliable(&mut self, id: ClientId) {
        let Some((entry, _)) = self.entry(id.0) else { return };
        match &mut entry.machine {
            Machine::InviteClient(m) => m.now_reliable(),
            Machine::Client(m) => m.now_reliable(),
            Machine::InviteServer(_) | Machine::Server(_) => {}
        }
        self.rearm(id.0.index);
    }

    /// Runs every timer due at `now`.
    pub fn timeout(&mut self, now: Instant) {
        while let Some(&(at, index)) = self.deadlines.first() {
            if at > now {
                break;
            }
            let Some(entry) = self.entries.get_mut(index as usize) else {
                self.deadlines.remove(&(at, index));
                continue;
            };
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
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What is to be done next, in order; call until it says none.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
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
        self.by_key.contains_key(key)
    }

    /// Whether the transaction still waits for its final response (the peer's, or ours).
    pub fn is_pending(&self, id: Id) -> bool {
        let (Id::Client(ClientId(slot)) | Id::Server(ServerId(slot))) = id;
        match self.entries.get(slot.index as usize) {
            Some(entry) if entry.serial == slot.serial => match &entry.machine {
                Machine::InviteClient(m) => m.is_pending(),
                Machine::Client(m) => m.is_pending(),
                Machine::InviteServer(m) => m.is_pending(),
                Machine::Server(m) => m.is_pending(),
            },
            _ => false,
        }
    }

    //------------ What is left at the end --------------------------------------------------------------------

    /// Whether nothing goes out any more but as an answer to what comes again.
    pub fn is_settled(&self) -> bool {
        self.out.is_empty()
            && self.entries.iter().all(|(_, entry)| match &entry.machine {
                Machine::InviteClient(m) => !m.is_pending(),
                Machine::Client(m) => !m.is_pending(),
                Machine::InviteServer(m) => m.is_settled(),
                Machine::Server(m) => !m.is_pending(),
            })
    }

    /// What the transactions of a settled table need of it, and until when the last of them does. Left out: the
    /// INVITE `first`, which goes by its own name, accepted INVITEs of ours, whose ACKs the owner has, and answered
    /// requests of ours: one more answer to those means nothing.
    pub(crate) fn remains(&self, first: Option<ServerId>, kept: &mut Vec<Kept>) -> Option<Instant> {
        for (index, entry) in &self.entries {
            let key = entry.key;
            let is_first = first
                .is_some_and(|ServerId(slot)| slot == Slot { index: index as u32, serial: entry.serial });
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
        self.entries.iter().filter_map(|(_, entry)| entry.armed).max()
    }

    /// The name of a transaction.
    pub(crate) fn key(&self, id: Id) -> Option<Key> {
        let (Id::Client(ClientId(slot)) | Id::Server(ServerId(slot))) = id;
        let entry = self.entries.get(slot.index as usize)?;
        (entry.serial == slot.serial).then_some(entry.key)
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
        let serial = self.serial;
        let entry = Entry { serial, key, machine, to, other_way, armed: None };
        let index = self.entries.insert(entry) as u32;
        self.by_key.insert(key, index);
        Slot { index, serial }
    }

    /// Whether one more may come in. A full table gives up the non-INVITE transaction that is finished and would be
    /// the next to go, if that is among the first few deadlines: under load the time a retransmission is
    /// recognised shrinks before anybody is refused.
    fn has_room(&mut self) -> bool {
        if self.len() < self.capacity {
            return true;
        }
        let finished = |entry: &Entry| match &entry.machine {
            Machine::Client(m) => m.is_finished(),
            Machine::Server(m) => m.is_finished(),
            Machine::InviteClient(_) | Machine::InviteServer(_) => false,
        };
        let mut soonest = self.deadlines.iter().take(16).map(|(_, index)| *index);
        match soonest.find(|index| self.entries.get(*index as usize).is_some_and(finished)) {
            Some(index) => {
                self.remove(index);
                self.len() < self.capacity
            }
            None => false,
        }
    }

    fn slot(&self, index: u32) -> Option<Slot> {
        self.entries.get(index as usize).map(|entry| Slot { index, serial: entry.serial })
    }

    fn entry(&mut self, slot: Slot) -> Option<(&mut Entry, &Timers)> {
        let entry = self.entries.get_mut(slot.index as usize)?;
        (entry.serial == slot.serial).then_some((entry, &self.timers))
    }

    /// Turns a machine's step into outputs, `message` being what it received, and moves or removes the entry.
    fn apply(&mut self, index: u32, step: Step, message: Option<(Message, Flow)>) {
        let Some(entry) = self.entries.get(index as usize) else { return };
        let slot = Slot { index, serial: entry.serial };
        let by = match &entry.machine {
            Machine::InviteClient(_) | Machine::Client(_) => Id::Client(ClientId(slot)),
            Machine::InviteServer(_) | Machine::Server(_) => Id::Server(ServerId(slot)),
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
        self.out.extend(told);
        self.rearm(index);
    }

    /// Makes the set of deadlines agree with the machine; removes the machine when it is over.
    fn rearm(&mut self, index: u32) {
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let (next, over) = match &entry.machine {
            Machine::InviteClient(m) => (m.next_timeout(), m.is_over()),
            Machine::Client(m) => (m.next_timeout(), m.is_over()),
            Machine::InviteServer(m) => (m.next_timeout(), m.is_over()),
            Machine::Server(m) => (m.next_timeout(), m.is_over()),
        };
        if over {
            return self.remove(index);
        }
        if entry.armed == next {
            return;
        }
        if let Some(at) = entry.armed {
            self.deadlines.remove(&(at, index));
        }
        entry.armed = next;
        if let Some(at) = next {
            self.deadlines.insert((at, index));
        }
    }

    fn remove(&mut self, index: u32) {
        let Some(entry) = self.entries.try_remove(index as usize) else { return };
        if let Some(at) = entry.armed {
            self.deadlines.remove(&(at, index));
        }
        self.by_key.remove(&entry.key);
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
        // Beside it: its key's text, its two places in the map and the set, and the message it may have to repeat.
        assert!(size_of::<Entry>() <= 320, "{} bytes", size_of::<Entry>());
    }
}
