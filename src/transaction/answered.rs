//! Requests outside dialogs that were answered at once, and how: what is left of their transactions until Timer J.
//!
//! A request whose answer is known as soon as it is read needs no machine and no timer of its own. All that RFC 3261
//! §17.2.2 wants of its Completed state is that a copy of the request gets the same answer again, and is not done
//! twice. So there is a log of answers: each is written once, in a few bytes (the caller says which; what an answer repeats of
//! its request is in the copy too), and is forgotten together with those of its time.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Hashed;
use crate::sip::{Message, Name};

/// What all copies of one request have in common, and no other request, under a keyed hash: nobody who does not know the key
/// can make two that are alike.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Mark(u64);

/// The log. Shared by all who read from a profile's sockets; bounded: when it is full, the oldest answers are forgotten, and
/// copies of their requests are new requests then.
pub struct Answered {
    shards: Box<[Mutex<Shard>]>,
    hash: RandomState,
    life: Duration,
    /// Bytes each shard may hold.
    room: usize,
}

#[derive(Default)]
struct Shard {
    places: HashMap<u64, Place, BuildHasherDefault<Hashed>>,
    /// Oldest first.
    pages: VecDeque<Page>,
    /// The number of the first page; they are numbered through.
    first: u32,
    /// Bytes in all pages.
    held: usize,
}

/// Where an answer stands.
#[derive(Copy, Clone)]
struct Place {
    page: u32,
    at: u32,
}

/// Answers of one time. Each record: its mark, the length of its text, its text.
struct Page {
    began: Instant,
    text: Vec<u8>,
}

const SHARDS: usize = 16;
/// A page is full at this size …
const PAGE: usize = 16 * 1024;
/// … or when this part of an answer's life has passed since its first: all of it is forgotten at once, so none is kept longer
/// than that beyond its time.
const SPANS: u32 = 32;
const HEAD: usize = 12;

impl Answered {
    /// An empty log, which keeps each answer for `life` (64·T1) and takes about `room` bytes at most.
    pub fn new(life: Duration, room: usize) -> Self {
        Answered {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hash: RandomState::new(),
            life,
            room: room / SHARDS,
        }
    }

    /// The mark of a request that came from `source`.
    pub fn mark(&self, request: &Message, source: SocketAddr) -> Mark {
        let mut hasher = self.hash.build_hasher();
        source.hash(&mut hasher);
        let cseq = request.cseq();
        cseq.number.hash(&mut hasher);
        // As they stand: a copy is the same to the letter.
        let from = request.header(Name::From);
        for text in [request.via().as_str(), request.call_id(), from.unwrap_or(""), cseq.method.as_str()] {
            text.hash(&mut hasher);
        }
        request.uri().map(|uri| uri.as_str()).hash(&mut hasher);
        Mark(hasher.finish())
    }

    /// What was kept of the answer to the request of this mark.
    pub fn find(&self, now: Instant, mark: Mark) -> Option<Vec<u8>> {
        let mut shard = self.shard(mark)?;
        shard.forget_old(now, self.life);
        let place = shard.places.get(&mark.0)?;
        let page = shard.pages.get(place.page.wrapping_sub(shard.first) as usize)?;
        let (_, text, _) = record(page.text.get(place.at as usize..)?)?;
        Some(text.to_vec())
    }

    /// Keeps the answer to a request. The first one stands.
    pub fn keep(&self, now: Instant, mark: Mark, text: &[u8]) {
        let Some(mut shard) = self.shard(mark) else { return };
        shard.forget_old(now, self.life);
        if text.len() + HEAD > self.room || shard.places.contains_key(&mark.0) {
            return;
        }
        while shard.held + text.len() + HEAD > self.room && shard.forget_oldest() {}
        shard.write(now, self.life / SPANS, mark, text);
    }

    /// Forgets what is older than its life. [`find`](Self::find) and [`keep`](Self::keep) do so too, but a log that nobody asks
    /// would hold what it has.
    pub fn forget_old(&self, now: Instant) {
        for shard in &self.shards {
            lock(shard).forget_old(now, self.life);
        }
    }

    /// How many answers are kept.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).places.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, mark: Mark) -> Option<MutexGuard<'_, Shard>> {
        // Neither the lowest nor the highest bits: those are the map's.
        self.shards.get((mark.0 >> 32) as usize % SHARDS).map(lock)
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn write(&mut self, now: Instant, span: Duration, mark: Mark, text: &[u8]) {
        let fits = |page: &Page| page.text.len() + HEAD + text.len() <= PAGE && now < page.began + span;
        if !self.pages.back().is_some_and(fits) {
            self.pages.push_back(Page { began: now, text: Vec::new() });
        }
        let number = self.first.wrapping_add(self.pages.len() as u32 - 1);
        let (Some(page), Ok(length)) = (self.pages.back_mut(), u32::try_from(text.len())) else { return };
        self.places.insert(mark.0, Place { page: number, at: page.text.len() as u32 });
        page.text.extend_from_slice(&mark.0.to_le_bytes());
        page.text.extend_from_slice(&length.to_le_bytes());
        page.text.extend_from_slice(text);
        self.held += HEAD + text.len();
    }

    fn forget_old(&mut self, now: Instant, life: Duration) {
        // The last of a page came up to a span after its first.
        while self.pages.front().is_some_and(|page| page.began + life + life / SPANS <= now) {
            self.forget_oldest();
        }
    }

    /// False when there is nothing to forget.
    fn forget_oldest(&mut self) -> bool {
        let Some(page) = self.pages.pop_front() else { return false };
        self.first = self.first.wrapping_add(1);
        self.held -= page.text.len();
        let mut rest = page.text.as_slice();
        while let Some((mark, _, after)) = record(rest) {
            self.places.remove(&mark);
            rest = after;
        }
        // After a storm the room it took is given back.
        if self.places.capacity() > 1024 && self.places.len() < self.places.capacity() / 8 {
            self.places.shrink_to(self.places.len() * 2);
        }
        true
    }
}

/// The first record of `bytes`: its mark, its text, and what follows.
fn record(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (mark, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((u64::from_le_bytes(*mark), text, rest))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::sip::Limits;

    const LIFE: Duration = Duration::from_secs(32);

    fn request(branch: &str, cseq: u32) -> Message {
        let text = format!(
            "REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch={branch}\r\nFrom: <sip:u@a>;tag=1\r\n\
             To: <sip:u@a>\r\nCall-ID: c\r\nCSeq: {cseq} REGISTER\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_copy_gets_the_first_answer_until_its_time_is_over() {
        let log = Answered::new(LIFE, 1 << 20);
        let (now, from) = (Instant::now(), "192.0.2.1:5060".parse().unwrap());
        let mark = |branch, cseq| log.mark(&request(branch, cseq), from);
        let first = mark("z9hG4bK1", 1);
        assert_eq!(first, mark("z9hG4bK1", 1));
        let others = [
            mark("z9hG4bK2", 1),
            mark("z9hG4bK1", 2),
            log.mark(&request("z9hG4bK1", 1), "192.0.2.2:5060".parse().unwrap()),
        ];
        log.keep(now, first, b"one");
        log.keep(now, first, b"two");
        assert_eq!(log.find(now + LIFE, first).as_deref(), Some(&b"one"[..]));
        for other in others {
            assert_eq!(log.find(now, other), None);
        }
        assert_eq!(log.len(), 1);
        assert_eq!(log.find(now + LIFE + LIFE / SPANS, first), None);
        assert!(log.is_empty());
    }

    #[test]
    fn a_full_log_forgets_the_oldest_and_takes_no_more_room() {
        let log = Answered::new(LIFE, SHARDS * 4096);
        let now = Instant::now();
        let mark = |n: u64| Mark(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for n in 0..10_000 {
            log.keep(now + Duration::from_millis(n), mark(n), &[b'x'; 100]);
            assert_eq!(log.find(now + Duration::from_millis(n), mark(n)).map(|t| t.len()), Some(100));
        }
        let held: usize = log.shards.iter().map(|s| lock(s).held).sum();
        assert!(held <= SHARDS * 4096 && log.len() <= SHARDS * 4096 / 112, "{held} {}", log.len());
        assert_eq!(log.find(now + Duration::from_secs(10), mark(0)), None);
        log.keep(now + Duration::from_secs(10), mark(0), &[0; 5000]);
        assert_eq!(log.find(now + Duration::from_secs(10), mark(0)), None, "larger than all the room");
        log.forget_old(now + Duration::from_secs(60));
        assert!(log.is_empty() && log.shards.iter().all(|s| lock(s).held == 0));
    }
}
