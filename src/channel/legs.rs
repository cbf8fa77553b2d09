//! Where a leg's letters go: token, uuid and INVITE transaction, each to a mailbox.
//!
//! A leg's token is a random number that stands in every identifier the leg gives to a peer: its dialog tag
//! and its branches. A response or an in-dialog request therefore names its leg itself, and one look-up brings
//! it there; only the initial INVITE (its retransmissions, CANCEL, and the ACK to a refusal) needs an entry of
//! its own, made before the leg runs.
//!
//! Entries go when their [`Entry`] drops, however the leg ends. Counts are lengths, never kept by hand.

use super::mailbox::{Letters, Mailbox, mailbox};
use crate::transaction::{Hashed, Key};
use rand::Rng;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number by which a leg's own identifiers name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Token(pub u64);

impl Token {
    /// The token at the head of a tag or, after the magic cookie, of a branch that we made.
    pub fn read(text: &str) -> Option<Token> {
        let digits = text.get(..16)?;
        if !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        u64::from_str_radix(digits, 16).ok().map(Token)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A uuid nobody can guess (RFC 9562, version 4), without a system call.
pub fn new_uuid() -> Arc<str> {
    let uuid = uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid();
    Arc::from(&*uuid.hyphenated().encode_lower(&mut [0; uuid::fmt::Hyphenated::LENGTH]))
}

/// One map cut into parts, so that two cores seldom want the same lock.
struct Shards<K, V, S = RandomState> {
    hasher: S,
    parts: [Mutex<HashMap<K, V, S>>; PARTS],
}

const PARTS: usize = 32;

impl<K: Hash + Eq, V, S: BuildHasher + Clone + Default> Shards<K, V, S> {
    fn new() -> Self {
        let hasher = S::default();
        let part = |_| Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self { parts: std::array::from_fn(part), hasher }
    }

    fn part<Q: Hash + ?Sized>(&self, key: &Q) -> MutexGuard<'_, HashMap<K, V, S>> {
        // Bits of the middle: a map goes by the lowest and the highest.
        let index = (self.hasher.hash_one(key) >> 32) as usize % PARTS;
        // A poisoned part is still a whole map: no code that can panic runs under the lock.
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|p| p.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Every leg that lives.
pub struct Legs {
    /// A token is a number nobody else could choose: it is its own hash, as the keys of INVITEs are.
    tokens: Shards<Token, Mailbox, BuildHasherDefault<Hashed>>,
    uuids: Shards<Arc<str>, Token>,
    invites: Shards<Key, Token, BuildHasherDefault<Hashed>>,
    /// Every leg in a call has a share of this: asking how many they are costs no lock.
    in_call: Arc<()>,
}

impl Default for Legs {
    fn default() -> Self {
        Self { tokens: Shards::new(), uuids: Shards::new(), invites: Shards::new(), in_call: Arc::new(()) }
    }
}

impl Legs {
    /// Makes an entry and its mailbox. `None` when the uuid or the token is taken.
    pub fn enter(self: &Arc<Self>, token: Token, uuid: Arc<str>) -> Option<(Entry, Letters)> {
        let (mailbox, letters) = mailbox(token);
        {
            let mut uuids = self.uuids.part(&*uuid);
            if uuids.contains_key(&uuid) {
                return None;
            }
            let mut tokens = self.tokens.part(&token);
            if tokens.contains_key(&token) {
                return None;
            }
            tokens.insert(token, mailbox.clone());
            uuids.insert(uuid.clone(), token);
        }
        let uuid = Some((uuid, self.in_call.clone()));
        Some((Entry { legs: self.clone(), mailbox, uuid, invite: None }, letters))
    }

    /// The leg whose token stands in an identifier.
    pub fn by_token(&self, token: Token) -> Option<Mailbox> {
        self.tokens.part(&token).get(&token).cloned()
    }

    /// The leg called `uuid`.
    pub fn by_uuid(&self, uuid: &str) -> Option<Mailbox> {
        let token = self.uuids.part(uuid).get(uuid).copied()?;
        self.by_token(token)
    }

    /// The leg whose INVITE transaction has this key.
    pub fn by_invite(&self, key: &Key) -> Option<Mailbox> {
        let token = self.invites.part(key).get(key).copied()?;
        self.by_token(token)
    }

    /// How many legs are in a call (channels, as `show channels` counts them).
    pub fn len(&self) -> usize {
        Arc::strong_count(&self.in_call) - 1
    }

    /// True when no leg is in a call.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many legs still hold anything, those included that only wait for their transactions' timers.
    pub fn lingering(&self) -> usize {
        self.tokens.len()
    }

    /// The uuid of every leg in a call.
    pub fn uuids(&self) -> Vec<Arc<str>> {
        let held = |p: &Mutex<HashMap<Arc<str>, Token>>| -> Vec<Arc<str>> {
            p.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
        };
        self.uuids.parts.iter().flat_map(held).collect()
    }

    /// Every leg in a call.
    pub fn mailboxes(&self) -> Vec<Mailbox> {
        let held = |p: &Mutex<HashMap<Arc<str>, Token>>| -> Vec<Token> {
            p.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
        };
        self.uuids.parts.iter().flat_map(held).filter_map(|t| self.by_token(t)).collect()
    }
}

impl fmt::Debug for Legs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Legs").field("legs", &self.len()).field("lingering", &self.lingering()).finish()
    }
}

/// A leg's place in the table; dropping it takes every trace of the leg out.
pub struct Entry {
    legs: Arc<Legs>,
    mailbox: Mailbox,
    uuid: Option<(Arc<str>, Arc<()>)>,
    invite: Option<Key>,
}

impl Entry {
    /// The leg's own mailbox, to be given to others.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The leg's token.
    pub fn token(&self) -> Token {
        self.mailbox.token
    }

    /// Enters the INVITE that made the leg; false when it is there already (a retransmission won the race).
    pub fn enter_invite(&mut self, key: Key) -> bool {
        {
            let mut invites = self.legs.invites.part(&key);
            if invites.contains_key(&key) {
                return false;
            }
            invites.insert(key, self.token());
        }
        self.invite = Some(key);
        true
    }

    /// False once [`leave_call`](Self::leave_call) was called.
    pub(super) fn is_in_call(&self) -> bool {
        self.uuid.is_some()
    }

    /// The call is over: the uuid is free again, while letters still find the leg until its timers have run.
    pub fn leave_call(&mut self) {
        if let Some((uuid, _in_call)) = self.uuid.take() {
            self.legs.uuids.part(&*uuid).remove(&uuid);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.leave_call();
        if let Some(key) = self.invite.take() {
            self.legs.invites.part(&key).remove(&key);
        }
        let token = self.token();
        self.legs.tokens.part(&token).remove(&token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_the_head_of_what_we_made() {
        let token = Token(0x0123_4567_89ab_cdef);
        assert_eq!(Token::read(&format!("{token}.7")), Some(token));
        assert_eq!(Token::read("0123"), None);
        assert_eq!(Token::read("g123456789abcdef"), None);
        assert_eq!(Token::read("+123456789abcdef"), None);
        assert_eq!(Token::read("ü23456789abcdef"), None);
    }

    #[test]
    fn an_entry_leaves_nothing_behind() {
        let legs = Arc::new(Legs::default());
        let (mut entry, _box) = legs.enter(Token(1), "u1".into()).expect("free");
        assert!(legs.enter(Token(2), "u1".into()).is_none(), "the uuid is taken");
        assert!(legs.enter(Token(1), "u2".into()).is_none(), "the token is taken");
        assert_eq!((legs.len(), legs.lingering()), (1, 1));
        assert!(legs.by_uuid("u1").is_some());
        entry.leave_call();
        assert!(legs.by_uuid("u1").is_none() && legs.by_token(Token(1)).is_some());
        drop(entry);
        assert_eq!((legs.len(), legs.lingering()), (0, 0));
    }
}
