//! The legs of a profile that are gone, as far as their peers may still repeat something: what is answered in their
//! place, for 64·T1 at most. See [`crate::transaction::Graveyard`].

use super::legs::Token;
use crate::sip::Message;
use crate::transaction::{Graveyard, Kept, Key, Remains, Repeated, Timers};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Cut into parts, so that two cores seldom want the same lock.
const PARTS: usize = 16;
/// Bytes kept at most. At some 600 a leg this is what 7,000 calls a second leave in 32 s.
const MOST: usize = 256 << 20;

/// The remains of a profile's legs.
#[derive(Debug)]
pub struct Departed {
    parts: Vec<Mutex<Graveyard>>,
}

impl Departed {
    /// None yet.
    pub fn new(timers: &Timers) -> Self {
        let part = || Mutex::new(Graveyard::new(timers, MOST / PARTS));
        Self { parts: (0..PARTS).map(|_| part()).collect() }
    }

    /// Takes what a leg leaves.
    pub fn keep(&self, now: Instant, token: Token, remains: Remains) {
        let Remains { invite, kept, until } = remains;
        self.part(token.0).keep(now, token.0, kept, until);
        if let Some(invite) = invite {
            self.part(invite.number()).keep_invite(now, invite, token.0, until);
        }
    }

    /// One thing more that may come again for a leg.
    pub fn add(&self, token: Token, one: Kept) {
        self.part(token.0).add(token.0, one);
    }

    /// What to do with a response to a request of that leg.
    pub fn response(&self, token: Token, response: &Message) -> Option<Repeated> {
        self.part(token.0).response(token.0, response)
    }

    /// What to do with a request to that leg.
    pub fn request(&self, token: Token, request: &Message, source: SocketAddr) -> Option<Repeated> {
        self.part(token.0).request(token.0, request, source)
    }

    /// The leg that this INVITE began.
    pub fn invite(&self, invite: &Key) -> Option<Token> {
        self.part(invite.number()).invite(invite).map(Token)
    }

    /// How many legs are remembered.
    pub fn len(&self) -> usize {
        self.all().map(|part| part.len()).sum()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.all().all(|part| part.is_empty())
    }

    /// Forgets those whose time is over. To be called now and then.
    pub fn forget(&self, now: Instant) {
        self.all().for_each(|mut part| part.forget(now));
    }

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Graveyard>> {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn part(&self, number: u64) -> MutexGuard<'_, Graveyard> {
        // Neither the lowest bits nor the seven topmost, by which the map within the part tells its places apart.
        let index = (number >> 32) as usize % PARTS;
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
