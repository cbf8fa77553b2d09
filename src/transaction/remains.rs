//! What is left of a leg that has nothing more to say by itself: "if this comes again, answer that, or nothing".
//!
//! RFC 3261 keeps a transaction for up to 64·T1 after its last message (Timers D, I, J, K, L, M), so that what the
//! network repeats is recognised. A leg whose owner is done and which waits for nothing else needs no task, no
//! session and no message for that: each of its transactions shrinks to a [`Key`] and, if a repetition is answered
//! at all, the very bytes of the answer. A dead leg so costs some 600 bytes instead of a living one's many thousand.
//!
//! [`Remains`] is what one leg leaves; [`Graveyard`] holds those of all. Time is an argument, nothing runs by itself.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::key::{Hashed, KeyMap};
use super::{Key, Timers};
use crate::sip::{Destination, Message, Method};

/// How many steps the longest lifetime is cut into: so much later than it might, at most, does a leg go.
const STEPS: u32 = 32;
/// What a leg costs beside the bytes it may have to send again.
const OVERHEAD: usize = 256;
/// How much of one leg is kept before a late fork of its call is no longer served.
const FORKS: usize = 32;

/// What one leg leaves behind.
#[derive(Debug)]
pub struct Remains {
    /// The INVITE that began it, when the peer sent that: a copy of it must not begin another call.
    pub invite: Option<Key>,
    /// What may come again.
    pub kept: Vec<Kept>,
    /// When the last of it may be forgotten.
    pub until: Instant,
}

/// One thing that may come again.
#[derive(Debug)]
pub struct Kept {
    key: Key,
    then: Then,
}

#[derive(Debug)]
enum Then {
    /// Say nothing.
    Nothing,
    /// Say this, to where the request came from.
    Answer(Box<[u8]>),
    /// Say this, to where it went the first time.
    Ack(Box<Again>),
    /// The dialog itself: a BYE that crossed ours is right too, if its CSeq is higher than this one, the peer's last.
    Dialog(Option<u32>),
    /// Our first INVITE, which was accepted: another fork may accept it too.
    Accepted,
}

/// A message of ours and where it goes.
#[derive(Clone, Debug)]
pub struct Again {
    /// The message.
    pub bytes: Box<[u8]>,
    /// Its destination.
    pub to: Destination,
}

impl Kept {
    /// A request that was answered, and whose repetitions say nothing new.
    pub fn absorbed(key: Key) -> Kept {
        Kept { key, then: Then::Nothing }
    }

    /// A request, and the answer its repetitions get.
    pub fn answered(key: Key, answer: &Bytes) -> Kept {
        Kept { key, then: Then::Answer(answer[..].into()) }
    }

    /// Our INVITE, refused, and the ACK each repetition of the refusal gets.
    pub fn refused(key: Key, ack: &Bytes, to: Destination) -> Kept {
        Kept { key, then: Then::Ack(Box::new(Again { bytes: ack[..].into(), to })) }
    }

    /// Our INVITE, accepted by the peer with this tag, and the ACK each repetition of the 2xx gets.
    pub fn accepted(invite: Key, tag: Option<&str>, ack: &Bytes, to: Destination) -> Kept {
        Kept::refused(invite.of_fork(tag), ack, to)
    }

    /// Our first INVITE, accepted: 2xx with other tags than those kept come from other forks.
    pub fn forking(invite: Key) -> Kept {
        Kept { key: invite, then: Then::Accepted }
    }

    /// A dialog, and the CSeq of the peer's last request in it.
    pub fn dialog(call_id: &str, local_tag: &str, remote_tag: Option<&str>, last: Option<u32>) -> Kept {
        Kept { key: Key::of_dialog(call_id, local_tag, remote_tag), then: Then::Dialog(last) }
    }

    fn weight(&self) -> usize {
        match &self.then {
            Then::Answer(bytes) => bytes.len(),
            Then::Ack(again) => again.bytes.len() + size_of::<Again>(),
            Then::Nothing | Then::Dialog(_) | Then::Accepted => 0,
        }
    }
}

/// What to do with a message for a leg that is dead.
#[derive(Debug)]
pub enum Repeated {
    /// Nothing: a repetition which is absorbed, or an ACK.
    Absorbed,
    /// Answer the request with these bytes.
    Answer(Bytes),
    /// Answer the BYE 200: it crossed ours.
    Bye,
    /// Answer the BYE 500: it is out of order (RFC 3261 §12.2.2).
    OutOfOrder,
    /// Answer the request 481: the dialog is over.
    Over,
    /// Send this.
    Ack(Again),
    /// A late 2xx of another fork: it wants its ACK, and a BYE (RFC 3261 §13.2.2.4).
    Fork,
}

/// The remains of many legs, by token and by INVITE.
///
/// Bounded by the bytes it may hold; when full, those that would go next are forgotten first: under a load beyond
/// what it was made for, the time a repetition is recognised shrinks. Times are kept in steps of a thirty-second part of
/// 64·T1, so that many are forgotten at once: call [`forget`](Self::forget) now and then.
#[derive(Debug)]
pub struct Graveyard {
    legs: HashMap<u64, Box<[Kept]>, BuildHasherDefault<Hashed>>,
    /// INVITEs of peers, each with the token of its leg.
    invites: KeyMap<u64>,
    /// What is forgotten at each step.
    steps: BTreeMap<u64, Step>,
    birth: Option<Instant>,
    step: Duration,
    weight: usize,
    capacity: usize,
}

#[derive(Default, Debug)]
struct Step {
    legs: VecDeque<u64>,
    invites: VecDeque<Key>,
}

impl Graveyard {
    /// Holds up to `capacity` bytes.
    pub fn new(timers: &Timers, capacity: usize) -> Self {
        let step = (timers.sane().t1x64 / STEPS).max(Duration::from_millis(1));
        Graveyard {
            legs: HashMap::default(),
            invites: KeyMap::default(),
            steps: BTreeMap::new(),
            birth: None,
            step,
            weight: 0,
            capacity,
        }
    }

    /// Takes the remains of the leg with this token.
    pub fn keep(&mut self, now: Instant, token: u64, kept: Vec<Kept>, until: Instant) {
        if until <= now || kept.is_empty() {
            return;
        }
        self.forget(now);
        self.weight += weight(&kept);
        if let Some(before) = self.legs.insert(token, kept.into_boxed_slice()) {
            self.weight -= weight(&before);
        } else {
            self.step_at(now, until).legs.push_back(token);
        }
        self.make_room();
    }

    /// Takes the INVITE that began a leg.
    pub fn keep_invite(&mut self, now: Instant, invite: Key, token: u64, until: Instant) {
        if until <= now {
            return;
        }
        self.forget(now);
        if self.invites.insert(invite, token).is_none() {
            self.weight += OVERHEAD / 4;
            self.step_at(now, until).invites.push_back(invite);
        }
        self.make_room();
    }

    //------------ What comes again --------------------------------------------------------------------------

    /// A response to a request of the leg with this token.
    pub fn response(&self, token: u64, response: &Message) -> Option<Repeated> {
        let kept = self.legs.get(&token)?;
        let status = response.status().unwrap_or(0);
        if status < 200 || !matches!(response.cseq().method, Method::Invite) {
            return None; // nothing depends on it any more
        }
        let invite = Key::of_response(response);
        let key = if status < 300 { invite.of_fork(response.to_tag()) } else { invite };
        for one in kept {
            match &one.then {
                Then::Ack(again) if one.key == key => return Some(Repeated::Ack(Again::clone(again))),
                _ => {}
            }
        }
        let forking = kept.iter().any(|k| matches!(k.then, Then::Accepted) && k.key == invite);
        if !forking || status >= 300 {
            return None;
        }
        // A far end that answers from ever new forks is not served for ever.
        Some(if kept.len() < FORKS { Repeated::Fork } else { Repeated::Absorbed })
    }

    /// A request whose To tag is that of the leg with this token.
    pub fn request(&self, token: u64, request: &Message, source: SocketAddr) -> Option<Repeated> {
        let kept = self.legs.get(&token)?;
        if matches!(request.method(), Method::Ack) {
            return Some(Repeated::Absorbed);
        }
        let key = Key::of_request(request, source);
        match kept.iter().find(|k| k.key == key).map(|k| &k.then) {
            Some(Then::Answer(bytes)) => return Some(Repeated::Answer(Bytes::copy_from_slice(bytes))),
            Some(_) => return Some(Repeated::Absorbed),
            None => {}
        }
        let dialog = Key::of_dialog(request.call_id(), request.to_tag().unwrap_or(""), request.from_tag());
        let known = kept.iter().find(|k| k.key == dialog).map(|k| &k.then);
        Some(match (request.method(), known) {
            (Method::Bye, Some(Then::Dialog(last))) if *last >= Some(request.cseq().number) => {
                Repeated::OutOfOrder
            }
            (Method::Bye, Some(_)) => Repeated::Bye,
            _ => Repeated::Over,
        })
    }

    /// One thing more of a leg that has remains here.
    pub fn add(&mut self, token: u64, one: Kept) {
        if let Some(kept) = self.legs.get_mut(&token) {
            self.weight += one.weight();
            let mut all = std::mem::take(kept).into_vec();
            all.push(one);
            *kept = all.into_boxed_slice();
            self.make_room();
        }
    }

    /// The token of the leg this INVITE began.
    pub fn invite(&self, invite: &Key) -> Option<u64> {
        self.invites.get(invite).copied()
    }

    //------------ The end -----------------------------------------------------------------------------------

    /// Forgets what has had its time.
    pub fn forget(&mut self, now: Instant) {
        let Some(birth) = self.birth else { return };
        while let Some(entry) = self.steps.first_entry()
            && *entry.key() <= steps_of(now.saturating_duration_since(birth), self.step)
        {
            let step = entry.remove();
            for token in step.legs {
                self.drop_leg(token);
            }
            for invite in step.invites {
                self.drop_invite(&invite);
            }
        }
        if self.steps.is_empty() {
            // Back to nothing: the next one is the first again.
            *self = Graveyard {
                legs: HashMap::default(),
                invites: KeyMap::default(),
                steps: BTreeMap::new(),
                birth: None,
                weight: 0,
                ..*self
            };
        }
    }

    /// When [`forget`](Self::forget) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        let (first, _) = self.steps.first_key_value()?;
        let nanos = u64::try_from(self.step.as_nanos()).unwrap_or(u64::MAX).saturating_mul(*first);
        self.birth?.checked_add(Duration::from_nanos(nanos))
    }

    /// How many legs have remains here.
    pub fn len(&self) -> usize {
        self.legs.len().max(self.invites.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty() && self.invites.is_empty()
    }

    fn step_at(&mut self, now: Instant, until: Instant) -> &mut Step {
        let birth = *self.birth.get_or_insert(now);
        let number = steps_of(until.saturating_duration_since(birth), self.step) + 1;
        self.steps.entry(number).or_default()
    }

    fn make_room(&mut self) {
        while self.weight > self.capacity
            && let Some(mut entry) = self.steps.first_entry()
        {
            let step = entry.get_mut();
            match (step.legs.pop_front(), step.invites.pop_front()) {
                (None, None) => {
                    entry.remove();
                }
                (leg, invite) => {
                    if let Some(token) = leg {
                        self.drop_leg(token);
                    }
                    if let Some(invite) = invite {
                        self.drop_invite(&invite);
                    }
                }
            }
        }
    }

    fn drop_leg(&mut self, token: u64) {
        if let Some(kept) = self.legs.remove(&token) {
            self.weight -= weight(&kept);
        }
    }

    fn drop_invite(&mut self, invite: &Key) {
        if self.invites.remove(invite).is_some() {
            self.weight -= OVERHEAD / 4;
        }
    }
}

fn weight(kept: &[Kept]) -> usize {
    OVERHEAD + kept.iter().map(Kept::weight).sum::<usize>()
}

fn steps_of(time: Duration, step: Duration) -> u64 {
    u64::try_from(time.as_nanos() / step.as_nanos().max(1)).unwrap_or(u64::MAX)
}
