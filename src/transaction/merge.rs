//! Merged requests: the same request reaching us twice by different ways (RFC 3261 §8.2.2.2).

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Key;
use crate::sip::Message;

/// What copies of one request have in common, whichever way they came: From tag, Call-ID, CSeq.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub struct MergeKey(Box<str>);

impl MergeKey {
    /// None for a request inside a dialog (it has a To tag), an ACK or a CANCEL: those cannot be merged.
    pub fn of(request: &Message) -> Option<MergeKey> {
        use crate::sip::Method::{Ack, Cancel};
        if request.to_tag().is_some() || matches!(request.method(), Ack | Cancel) {
            return None;
        }
        let cseq = request.cseq();
        let tag = request.from_tag().unwrap_or("");
        let text = format!("{tag}\n{}\n{}\n{}", request.call_id(), cseq.number, cseq.method.as_str());
        Some(MergeKey(text.into()))
    }
}

/// Remembers the requests of the last while, so that a second copy can be answered 482 (Loop Detected).
///
/// Bounded: when full, the oldest is forgotten. Kept as keyed hashes, 40 bytes a request.
#[derive(Debug)]
pub struct MergeGuard {
    seen: HashMap<u64, u64>,
    order: VecDeque<(Instant, u64)>,
    capacity: usize,
    lifetime: Duration,
    hash: RandomState,
}

impl MergeGuard {
    /// Remembers up to `capacity` requests for `lifetime` (64·T1 covers any copy still under way).
    pub fn new(capacity: usize, lifetime: Duration) -> Self {
        let capacity = capacity.max(1);
        Self { seen: HashMap::new(), order: VecDeque::new(), capacity, lifetime, hash: RandomState::new() }
    }

    /// Whether `request` is a copy, by another way, of one seen before: answer it 482. Remembers it otherwise.
    /// A retransmission (same transaction) is not a copy.
    pub fn is_merged(&mut self, now: Instant, request: &Message, source: SocketAddr) -> bool {
        self.forget_old(now);
        let Some(merge) = MergeKey::of(request) else { return false };
        let name = self.hash.hash_one(&merge);
        let transaction = self.hash.hash_one(Key::of_request(request, source));
        if let Some(first) = self.seen.get(&name) {
            return *first != transaction;
        }
        if self.order.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(name, transaction);
        self.order.push_back((now + self.lifetime, name));
        false
    }

    /// Whether `request` is a copy, by another way, of one remembered. Remembers nothing: for requests of
    /// strangers, who have yet to log in.
    pub fn is_known_by_another_way(&mut self, now: Instant, request: &Message, source: SocketAddr) -> bool {
        self.forget_old(now);
        let Some(merge) = MergeKey::of(request) else { return false };
        let first = self.seen.get(&self.hash.hash_one(&merge));
        first.is_some_and(|first| *first != self.hash.hash_one(Key::of_request(request, source)))
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((until, name)) = self.order.front()
            && *until <= now
        {
            self.seen.remove(name);
            self.order.pop_front();
        }
    }

    /// How many requests are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
