//! Port pairs: RTP on an even port, RTCP on the next.
//!
//! Ports are drawn at random, bind-checked, and given back when the [`Lease`] drops. A freed pair rests before it is
//! drawn again, so late packets of an ended call do not reach a new one; when nothing else is left the pair that
//! rested longest is taken. The pair of an ended call stays open at first and may be lent to another one, see `shelf`.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use socket2::{Domain, Socket, Type};

use super::latch::Former;
use super::shelf::{self, CHANCES, Heard, Kept, QUIET, Shelf};
use super::sys;

/// How many busy pairs are skipped before [`OpenError::Busy`] is returned.
const TRIES: usize = 64;

/// The range of `rtp-start-port` and `rtp-end-port`, both included.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl PortRange {
    /// Both ends included.
    pub fn new(first: u16, last: u16) -> PortRange {
        PortRange { first, last }
    }

    /// How many pairs it has.
    pub fn pairs(&self) -> usize {
        self.even_ports().count()
    }

    fn even_ports(&self) -> impl Iterator<Item = u16> + use<> {
        let first = u32::from(self.first.max(2)).next_multiple_of(2);
        let last = u32::from(self.last);
        (first..).step_by(2).take_while(move |p| *p < last).filter_map(|p| u16::try_from(p).ok())
    }

    pub(super) fn has(&self, even: u16) -> bool {
        even >= self.first && even < self.last
    }
}

impl Default for PortRange {
    /// FreeSWITCH's: 16384–32768.
    fn default() -> PortRange {
        PortRange::new(16384, 32768)
    }
}

/// Why no port pair could be opened. All of them are a 503 to the caller.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Every pair of the range is in use.
    #[error("all {pairs} RTP port pairs of {first}-{last} are in use on {ip}", first = range.first, last = range.last)]
    Exhausted {
        /// The local address.
        ip: IpAddr,
        /// The configured range.
        range: PortRange,
        /// How many pairs it has.
        pairs: usize,
    },
    /// Other programs hold the ports that were tried.
    #[error("{tried} RTP port pairs tried on {ip}, all held by other programs")]
    Busy {
        /// The local address.
        ip: IpAddr,
        /// How many were tried.
        tried: usize,
    },
    /// Not a matter of ports: no such local address, or no more file descriptors.
    #[error("cannot open an RTP socket on {ip}: {source}")]
    Socket {
        /// The local address.
        ip: IpAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Even ports, a bit for each.
struct PortSet {
    bits: Box<[u64; 512]>,
    len: usize,
}

impl PortSet {
    fn new() -> PortSet {
        PortSet { bits: Box::new([0; 512]), len: 0 }
    }

    fn at(port: u16) -> (usize, u64) {
        (usize::from(port >> 7), 1 << (port >> 1 & 63))
    }

    fn contains(&self, port: u16) -> bool {
        let (word, bit) = PortSet::at(port);
        self.bits.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Whether it is new.
    fn insert(&mut self, port: u16) -> bool {
        self.set(port, true)
    }

    /// Whether it was there.
    fn remove(&mut self, port: u16) -> bool {
        self.set(port, false)
    }

    fn set(&mut self, port: u16, on: bool) -> bool {
        let (word, bit) = PortSet::at(port);
        let Some(word) = self.bits.get_mut(word).filter(|w| (**w & bit != 0) != on) else { return false };
        *word ^= bit;
        self.len = if on { self.len + 1 } else { self.len - 1 };
        true
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// The pairs of one local address.
struct Pool {
    free: Vec<u16>,
    resting: VecDeque<(Instant, u16)>,
    /// In a call, or open between two.
    used: PortSet,
    shelf: Shelf,
}

impl Pool {
    fn new(range: PortRange) -> Pool {
        let free = range.even_ports().collect();
        Pool { free, resting: VecDeque::new(), used: PortSet::new(), shelf: Shelf::default() }
    }

    fn take(&mut self, now: Instant, rng: &mut impl Rng) -> Option<u16> {
        while let Some((until, port)) = self.resting.front().copied() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            self.free.push(port);
        }
        let port = if self.free.is_empty() {
            self.resting.pop_front().map(|(_, port)| port)?
        } else {
            let at = rng.random_range(0..self.free.len());
            self.free.swap_remove(at)
        };
        self.used.insert(port);
        Some(port)
    }

    /// No pair is free that rested long enough.
    fn is_scarce(&self, now: Instant) -> bool {
        self.free.is_empty() && self.resting.front().is_none_or(|(until, _)| *until > now)
    }

    fn give(&mut self, now: Instant, rest: Duration, range: PortRange, port: u16) {
        if self.used.remove(port) && range.has(port) {
            // Kept in order of time; rests differ only when the setting changed in between.
            self.resting.push_back((now + rest, port));
        }
    }

    fn set_range(&mut self, range: PortRange) {
        self.resting.retain(|(_, port)| range.has(*port));
        let mut resting = PortSet::new();
        for (_, port) in &self.resting {
            resting.insert(*port);
        }
        let taken = |port: u16| resting.contains(port) || self.used.contains(port);
        self.free = range.even_ports().filter(|p| !taken(*p)).collect();
    }
}

struct State {
    range: PortRange,
    /// One pool per local address, made when it is first asked for; only configured addresses get here.
    pools: HashMap<IpAddr, Pool>,
    /// No pair stays open any more.
    closed: bool,
}

impl State {
    /// The part of each address in the pairs that may stay open.
    fn room(&self, all: usize) -> usize {
        all / self.pools.len().max(1)
    }
}

/// The port pairs of every local address.
pub struct Ports {
    state: Mutex<State>,
    rest: Duration,
    /// Descriptors that may be open.
    descriptors: u64,
    /// Pairs that may stay open between two calls.
    room: usize,
}

impl Ports {
    /// Pairs from `range`; a freed one rests for `rest`, and at most `kept` of them stay open meanwhile.
    pub fn new(range: PortRange, rest: Duration, kept: usize) -> Arc<Ports> {
        let state = Mutex::new(State { range, pools: HashMap::new(), closed: false });
        let descriptors = sys::fd_limit().unwrap_or(1024);
        Arc::new(Ports { state, rest, descriptors, room: shelf::room(kept, descriptors) })
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new range; pairs in use stay until they are dropped.
    pub fn set_range(&self, range: PortRange) {
        self.with(|s| {
            s.range = range;
            s.pools.values_mut().for_each(|p| p.set_range(range));
        });
        self.clear(Some(range));
    }

    /// Pairs in use now, on all addresses.
    pub fn in_use(&self) -> usize {
        self.with(|s| s.pools.values().map(|p| p.used.len() - p.shelf.len()).sum())
    }

    /// Reserves a pair by number alone.
    pub fn lease(self: &Arc<Ports>, ip: IpAddr) -> Result<Lease, OpenError> {
        self.with(|s| {
            let range = s.range;
            let pool = s.pools.entry(ip).or_insert_with(|| Pool::new(range));
            match pool.take(Instant::now(), &mut rand::rng()) {
                Some(port) => Ok(Lease { ports: self.clone(), ip, port }),
                None => Err(OpenError::Exhausted { ip, range, pairs: range.pairs() }),
            }
        })
    }

    /// Opens a pair: one that stayed open when there are many of those or nothing else, else reserves, binds both, skips
    /// pairs that other programs hold. Both sockets do not block.
    pub fn open(self: &Arc<Ports>, ip: IpAddr) -> Result<Pair, OpenError> {
        match self.lend(ip) {
            Some(pair) => Ok(pair),
            None => self.bind(ip).or_else(|e| self.last(ip, &e).ok_or(e)),
        }
    }

    fn bind(self: &Arc<Ports>, ip: IpAddr) -> Result<Pair, OpenError> {
        let mut busy = Vec::new(); // kept until the end so that none is drawn twice
        while busy.len() < TRIES {
            let lease = match self.lease(ip) {
                Ok(lease) => lease,
                Err(e) if busy.is_empty() => return Err(e),
                Err(_) => break,
            };
            let bind = |port| -> io::Result<UdpSocket> {
                let at = SocketAddr::new(ip, port);
                let socket = Socket::new(Domain::for_address(at), Type::DGRAM.nonblocking(), None)?;
                socket.bind(&at.into())?;
                Ok(socket.into())
            };
            match bind(lease.port).and_then(|rtp| Ok((rtp, bind(lease.port + 1)?))) {
                Ok((rtp, rtcp)) => return Ok(Pair { rtp, rtcp, former: None, lease }),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => busy.push(lease),
                // No descriptors left: those of a pair between two calls will do.
                Err(e) if sys::is_descriptor_shortage(&e) && self.close_one() => {}
                Err(source) => return Err(OpenError::Socket { ip, source }),
            }
        }
        Err(OpenError::Busy { ip, tried: busy.len() })
    }

    //------------ Pairs that stay open --------------------------------------

    /// Of the pairs that stayed open the one that was silent longest, if they are many or nothing else has rested.
    fn lend(&self, ip: IpAddr) -> Option<Pair> {
        let now = Instant::now();
        for _ in 0..CHANCES {
            let kept = self.with(|s| {
                let room = s.room(self.room);
                let pool = s.pools.get_mut(&ip)?;
                let many = (pool.shelf.len() > room / 2).then_some(QUIET);
                let quiet = if pool.is_scarce(now) { Some(Duration::ZERO) } else { many };
                pool.shelf.draw(now, quiet?)
            })?;
            match kept.listen(now, self.rest) {
                Heard::Nothing(pair) => return Some(pair),
                Heard::Somebody(kept) => self.shelve(ip, kept),
                Heard::Again => {}
            }
        }
        None
    }

    /// The last resort where no port is free: a pair that stayed open, even if somebody is heard on it.
    fn last(&self, ip: IpAddr, why: &OpenError) -> Option<Pair> {
        let no_port = !matches!(why, OpenError::Socket { .. });
        Some(self.with(|s| s.pools.get_mut(&ip).filter(|_| no_port)?.shelf.oldest())?.at_any_rate())
    }

    fn shelve(&self, ip: IpAddr, kept: Kept) {
        let mut left = Some(kept);
        self.with(|s| {
            let (range, open, room) = (s.range, !s.closed, s.room(self.room));
            if let Some(pool) = s.pools.get_mut(&ip).filter(|p| open && p.shelf.len() < room) {
                let stays = left.take_if(|k| k.may_stay(range, self.descriptors));
                stays.into_iter().for_each(|kept| pool.shelf.put(kept));
            }
        });
        // What did not fit closes here, outside the lock.
        drop(left);
    }

    /// Closes pairs that nobody needed for as long as a closed one rests; true when some are still open.
    pub(super) fn tidy(&self, now: Instant) -> bool {
        let mut gone = Vec::new();
        let left: usize = self.with(|s| {
            s.pools.values_mut().for_each(|p| p.shelf.outdated(now, self.rest, &mut gone));
            s.pools.values().map(|p| p.shelf.len()).sum()
        });
        drop(gone);
        left > 0
    }

    /// Closes the pairs between two calls that are not of this range (all of them, without one); true when there were.
    fn clear(&self, range: Option<PortRange>) -> bool {
        let gone: Vec<_> = self.with(|s| s.pools.values_mut().map(|p| p.shelf.beyond(range)).collect());
        gone.iter().any(|gone| !gone.is_empty())
    }

    /// Closes one that stayed open; false when there is none.
    fn close_one(&self) -> bool {
        let longest = |s: &mut State| s.pools.values_mut().max_by_key(|p| p.shelf.len())?.shelf.oldest();
        self.with(longest).is_some()
    }

    /// From now on a pair closes with its call.
    pub(super) fn close(&self) {
        self.with(|s| s.closed = true);
        self.clear(None);
    }
}

/// A reserved pair; dropping it gives it back.
pub struct Lease {
    ports: Arc<Ports>,
    ip: IpAddr,
    port: u16,
}

impl Lease {
    /// The even port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (rest, ip, port) = (self.ports.rest, self.ip, self.port);
        self.ports.with(|s| {
            let range = s.range;
            if let Some(pool) = s.pools.get_mut(&ip) {
                pool.give(Instant::now(), rest, range, port);
            }
        });
    }
}

/// Two bound sockets and the reservation of their ports. The sockets close before the pair is given back.
pub struct Pair {
    /// Even port.
    pub rtp: UdpSocket,
    /// The next one.
    pub rtcp: UdpSocket,
    /// Who was heard on it in the call before, if that was a short while ago.
    pub(super) former: Option<Former>,
    /// Dropped last.
    pub lease: Lease,
}

impl Pair {
    /// Lets the pair of an ended call, in which `former` was heard, stay open for another one, or closes it when there
    /// is no room. Neither socket may be connected.
    pub(super) fn keep(self, now: Instant, former: Option<Former>) {
        let (ports, ip) = (self.lease.ports.clone(), self.lease.ip);
        ports.shelve(ip, Kept::new(now, self, former));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    const LO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn ranges_hold_whole_pairs() {
        for (first, last, pairs) in [
            (16384, 32768, 8192),
            (20000, 20001, 1),
            (20000, 20000, 0),
            (20001, 20003, 1),
            (20001, 20002, 0),
            (65534, 65535, 1),
            (65535, 65535, 0),
            (0, 3, 1),
            (30000, 20000, 0),
        ] {
            assert_eq!(PortRange::new(first, last).pairs(), pairs, "{first}-{last}");
        }
    }

    #[test]
    fn a_freed_pair_rests_unless_nothing_else_is_left() {
        let range = PortRange::new(20000, 20005);
        let (mut pool, mut rng, t0) = (Pool::new(range), SmallRng::seed_from_u64(1), Instant::now());
        let rest = Duration::from_secs(10);
        let first = pool.take(t0, &mut rng).unwrap();
        pool.give(t0, rest, range, first);
        let second = pool.take(t0, &mut rng).unwrap();
        let third = pool.take(t0, &mut rng).unwrap();
        assert!(second != first && third != first);
        assert_eq!(pool.take(t0, &mut rng), Some(first), "scarce");
        assert_eq!(pool.take(t0, &mut rng), None);
        pool.give(t0, rest, range, second);
        assert_eq!(pool.take(t0 + rest, &mut rng), Some(second));
    }

    #[test]
    fn exhaustion_is_said_and_recovers() {
        let ports = Ports::new(PortRange::new(20000, 20039), Duration::from_secs(10), 0);
        let all: Vec<_> = std::iter::from_fn(|| ports.lease(LO).ok()).collect();
        assert_eq!(all.len(), 20);
        let text = ports.lease(LO).err().unwrap().to_string();
        assert_eq!(text, "all 20 RTP port pairs of 20000-20039 are in use on 127.0.0.1");
        assert_eq!(ports.in_use(), 20);
        ports.set_range(PortRange::new(21000, 21003));
        let more: Vec<_> = std::iter::from_fn(|| ports.lease(LO).ok()).collect();
        assert_eq!(more.iter().map(Lease::port).filter(|p| *p >= 21000).count(), 2);
        drop((all, more));
        assert_eq!(ports.in_use(), 0);
        let held: Vec<_> = (0..2).filter_map(|_| ports.lease(LO).ok()).collect();
        assert!(held.len() == 2 && held.iter().all(|l| l.port() >= 21000), "the old range did not come back");
        assert!(ports.lease(LO).is_err());
    }

    #[test]
    fn busy_ports_are_skipped_and_a_foreign_address_is_an_error_at_once() {
        let taken = UdpSocket::bind((LO, 0)).unwrap();
        let even = taken.local_addr().unwrap().port() & !1;
        let ports = Ports::new(PortRange::new(even, even + 1), Duration::ZERO, 0);
        match ports.open(LO) {
            Err(OpenError::Busy { tried: 1, .. }) => {}
            other => panic!("{:?}", other.err()),
        }
        assert_eq!(ports.in_use(), 0);
        let foreign = "192.0.2.1".parse().unwrap();
        assert!(matches!(ports.open(foreign), Err(OpenError::Socket { .. })));
        assert_eq!(ports.in_use(), 0);
    }

    proptest! {
        #[test]
        fn no_pair_twice_and_all_come_back(steps in proptest::collection::vec(any::<(bool, u8)>(), 1..300), seed: u64) {
            let range = PortRange::new(20000, 20031);
            let (mut pool, mut rng, t0) = (Pool::new(range), SmallRng::seed_from_u64(seed), Instant::now());
            let mut held: Vec<u16> = Vec::new();
            for (i, (take, which)) in steps.into_iter().enumerate() {
                let now = t0 + Duration::from_millis(100 * i as u64);
                if take {
                    match pool.take(now, &mut rng) {
                        Some(p) => {
                            prop_assert!(p % 2 == 0 && range.has(p) && !held.contains(&p));
                            held.push(p);
                        }
                        None => prop_assert_eq!(held.len(), 16),
                    }
                } else if !held.is_empty() {
                    let p = held.swap_remove(usize::from(which) % held.len());
                    pool.give(now, Duration::from_secs(1), range, p);
                }
                prop_assert_eq!(pool.free.len() + pool.resting.len() + pool.used.len(), 16);
            }
            for p in held {
                pool.give(t0, Duration::ZERO, range, p);
            }
            prop_assert_eq!(pool.free.len() + pool.resting.len(), 16);
        }
    }
}
