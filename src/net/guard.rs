//! The flood guard: how much one source may ask, and what happens to one that guesses passwords.
//!
//! All sources share what a profile takes in a second. So that one of them cannot use it up:
//!
//! * a source that asks for more than its share, an eighth of the rate, is let in only while half of what a second holds is
//!   left: it has what the others leave. A single busy peer still has the whole rate.
//! * a source that is known (it gave right credentials lately, a list or a gateway vouches for it) has a quarter more that
//!   no stranger can use up: over UDP sources are made up without number, each of which keeps to its share.
//!
//! `now` is an argument. The maps are fed by strangers, so each holds two generations of at most half its
//! capacity: a source that is seen moves to the young one; when that is full it becomes the old one, and the old
//! one is forgotten. Nothing is ever walked through.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One source's own share of the rate is one in so many.
const SHARE: u32 = 8;
/// What must be left of a second's worth for who is beyond its share.
const LEFT: f64 = 0.5;
/// Those who are known have one in so many of the rate for themselves.
const RESERVE: u32 = 4;

/// Settings of a [`FloodGuard`].
#[derive(Clone, Debug)]
pub struct GuardConf {
    /// Requests per second of one source; 0 is without limit of its own.
    pub requests_per_source: u32,
    /// Requests per second of all sources together (`max-recv-requests-per-second`); 0 is without limit.
    pub requests_total: u32,
    /// Failed authentications within `failure_window` that get a source banned; 0 bans nobody.
    pub failures: u32,
    /// How long a failure is remembered.
    pub failure_window: Duration,
    /// How long a ban lasts.
    pub ban: Duration,
    /// Sources remembered at once.
    pub sources: usize,
}

impl Default for GuardConf {
    fn default() -> Self {
        Self {
            requests_per_source: 0,
            requests_total: 1000,
            failures: 50,
            failure_window: Duration::from_secs(60),
            ban: Duration::from_secs(300),
            sources: 100_000,
        }
    }
}

/// Counts requests and failures per source address (an IPv6 /64 is one source). Shared by the sockets of a
/// profile.
pub struct FloodGuard {
    conf: GuardConf,
    /// `conf.requests_total`, which follows a reload.
    total: AtomicU32,
    inner: Mutex<Inner>,
}

struct Inner {
    total: Option<Bucket>,
    /// For those who are known, when the other is used up.
    reserve: Option<Bucket>,
    requests: Generations<Bucket>,
    shares: Generations<Bucket>,
    known: Generations<()>,
    failures: Generations<Failures>,
    banned: Generations<Instant>,
    dropped: u64,
}

#[derive(Clone)]
struct Failures {
    count: u32,
    since: Instant,
}

impl FloodGuard {
    /// A guard that has seen nobody.
    pub fn new(conf: GuardConf) -> Self {
        let inner = Inner {
            total: None,
            reserve: None,
            requests: Generations::new(conf.sources),
            shares: Generations::new(conf.sources),
            known: Generations::new(conf.sources),
            failures: Generations::new(conf.sources),
            banned: Generations::new(conf.sources),
            dropped: 0,
        };
        Self { total: conf.requests_total.into(), conf, inner: Mutex::new(inner) }
    }

    /// From now on all sources together may ask so much in a second; 0 is without limit.
    pub fn set_total(&self, per_second: u32) {
        if self.total.swap(per_second, Ordering::Relaxed) != per_second {
            let mut inner = self.lock();
            (inner.total, inner.reserve) = (None, None);
        }
    }

    /// Whether a request from `source` may come in now. Each call counts as one request. A source may spend one
    /// second's worth at once.
    pub fn allow(&self, now: Instant, source: IpAddr) -> bool {
        self.count(now, source, self.total.load(Ordering::Relaxed), true)
    }

    /// The same for a request that belongs to a call already let in (ACK, BYE, CANCEL, PRACK, UPDATE): it counts
    /// for its source, but the load of others does not keep it out, nor does a ban.
    pub fn allow_inside(&self, now: Instant, source: IpAddr) -> bool {
        self.count(now, source, 0, false)
    }

    fn count(&self, now: Instant, source: IpAddr, total: u32, outside: bool) -> bool {
        let per_source = self.conf.requests_per_source;
        if total == 0 && per_source == 0 && !outside {
            return true;
        }
        let mut inner = self.lock();
        let inner = &mut *inner;
        let source = source_key(source);
        let allowed = !(outside && inner.is_banned(now, source))
            && (per_source == 0
                || inner.requests.entry(source, || Bucket::full(now, per_source)).take(now, per_source, 0.0))
            && (total == 0 || inner.fair(now, source, total));
        if !allowed {
            inner.dropped += 1;
        }
        allowed
    }

    /// A source gave wrong credentials. True when this one gets it banned (say so in the log, once).
    pub fn failed_auth(&self, now: Instant, source: IpAddr) -> bool {
        if self.conf.failures == 0 {
            return false;
        }
        let source = source_key(source);
        let mut inner = self.lock();
        let failures = inner.failures.entry(source, || Failures { count: 0, since: now });
        if now.saturating_duration_since(failures.since) > self.conf.failure_window {
            *failures = Failures { count: 0, since: now };
        }
        failures.count += 1;
        if failures.count < self.conf.failures {
            return false;
        }
        inner.failures.remove(&source);
        inner.known.remove(&source);
        inner.banned.insert(source, now + self.conf.ban);
        true
    }

    /// A source gave right credentials: its failures are forgotten, and it is known.
    pub fn good_auth(&self, source: IpAddr) {
        let source = source_key(source);
        let mut inner = self.lock();
        if self.conf.failures > 0 {
            inner.failures.remove(&source);
        }
        inner.known.entry(source, || ());
    }

    /// An access list or a gateway vouches for this source.
    pub fn vouched(&self, source: IpAddr) {
        self.lock().known.entry(source_key(source), || ());
    }

    /// Whether nothing of this source is listened to.
    pub fn is_banned(&self, now: Instant, source: IpAddr) -> bool {
        self.lock().is_banned(now, source_key(source))
    }

    /// Lifts the ban of a source.
    pub fn pardon(&self, source: IpAddr) {
        self.lock().banned.remove(&source_key(source));
    }

    /// Requests refused since the start.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes one request out of what all share, as far as this source may.
    fn fair(&mut self, now: Instant, source: IpAddr, total: u32) -> bool {
        let share = total.div_ceil(SHARE);
        let modest = self.shares.entry(source, || Bucket::full(now, share)).take(now, share, 0.0);
        let common = self.total.get_or_insert_with(|| Bucket::full(now, total));
        if !modest {
            return common.take(now, total, LEFT);
        }
        let reserve = total.div_ceil(RESERVE);
        common.take(now, total, 0.0)
            || (self.known.get(&source).is_some()
                && self.reserve.get_or_insert_with(|| Bucket::full(now, reserve)).take(now, reserve, 0.0))
    }

    fn is_banned(&mut self, now: Instant, source: IpAddr) -> bool {
        match self.banned.get(&source) {
            Some(until) if *until > now => true,
            Some(_) => {
                self.banned.remove(&source);
                false
            }
            None => false,
        }
    }
}

impl fmt::Debug for FloodGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FloodGuard").field("conf", &self.conf).finish_non_exhaustive()
    }
}

/// A token bucket that holds one second's worth.
#[derive(Clone)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(now: Instant, rate: u32) -> Self {
        Self { tokens: f64::from(rate), at: now }
    }

    /// Takes one token, if more than this part of all stay.
    fn take(&mut self, now: Instant, rate: u32, left: f64) -> bool {
        let rate = f64::from(rate);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * rate).min(rate);
        let enough = self.tokens >= 1.0 + rate * left;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// A map that forgets what was longest not used.
struct Generations<T> {
    young: HashMap<IpAddr, T>,
    old: HashMap<IpAddr, T>,
    half: usize,
}

impl<T> Generations<T> {
    fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    fn entry(&mut self, source: IpAddr, new: impl FnOnce() -> T) -> &mut T {
        let kept = if self.young.contains_key(&source) { None } else { self.old.remove(&source) };
        self.make_room(source);
        self.young.entry(source).or_insert_with(|| kept.unwrap_or_else(new))
    }

    fn insert(&mut self, source: IpAddr, value: T) {
        self.make_room(source);
        self.young.insert(source, value);
    }

    fn make_room(&mut self, source: IpAddr) {
        if self.young.len() >= self.half && !self.young.contains_key(&source) {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn get(&self, source: &IpAddr) -> Option<&T> {
        self.young.get(source).or_else(|| self.old.get(source))
    }

    fn remove(&mut self, source: &IpAddr) {
        self.young.remove(source);
        self.old.remove(source);
    }
}

/// What is counted as one source: an IPv6 host has a whole /64 to send from.
pub fn source_key(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_rate_and_others_theirs() {
        let conf = GuardConf { requests_per_source: 10, requests_total: 0, ..GuardConf::default() };
        let guard = FloodGuard::new(conf);
        let t0 = Instant::now();
        let (a, b) = (ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!((0..100).filter(|_| guard.allow(t0, a)).count(), 10);
        assert!(guard.allow(t0, b));
        let later = t0 + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| guard.allow(later, a)).count(), 5);
        let much_later = t0 + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| guard.allow(much_later, a)).count(), 10);
        assert_eq!(guard.dropped(), 90 + 95 + 90);
    }

    #[test]
    fn all_sources_share_the_total() {
        let conf = GuardConf { requests_per_source: 0, requests_total: 50, ..GuardConf::default() };
        let guard = FloodGuard::new(conf);
        let t0 = Instant::now();
        let sources = (0..=255).map(|n| ip(&format!("192.0.2.{n}")));
        assert_eq!(sources.filter(|s| guard.allow(t0, *s)).count(), 50);
        assert!(guard.allow_inside(t0, ip("192.0.2.1")), "calls go on");
    }

    /// One source asks 3,000 times a second; the others, known or not, have what they need, and what they leave it gets.
    #[test]
    fn one_that_floods_has_what_the_others_leave() {
        let guard = FloodGuard::new(GuardConf::default()); // 1,000/s
        let t0 = Instant::now();
        let (flood, phone, stranger) = (ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"));
        guard.good_auth(phone);
        let (mut flooded, mut phones, mut strangers) = (0, 0, 0);
        for tick in 0..30_000_u64 {
            let now = t0 + Duration::from_secs(10) * u32::try_from(tick).unwrap() / 30_000;
            flooded += u32::from(guard.allow(now, flood));
            if tick % 60 == 0 {
                phones += u32::from(guard.allow(now, phone));
                strangers += u32::from(guard.allow(now, stranger));
            }
        }
        assert_eq!((phones, strangers), (500, 500), "fifty a second each, all served");
        assert!((9_000..=9_600).contains(&flooded), "the rest is the flood's: {flooded}");
    }

    #[test]
    fn one_alone_has_everything() {
        let guard = FloodGuard::new(GuardConf { requests_total: 100, ..GuardConf::default() });
        let t0 = Instant::now();
        let a = ip("192.0.2.1");
        let served = (0..10_000).filter(|n| guard.allow(t0 + Duration::from_millis(*n), a)).count();
        assert!((1_000..=1_110).contains(&served), "100/s for 10 s, and what the bucket held: {served}");
    }

    /// Sources that are made up are all strangers, and each is modest.
    #[test]
    fn strangers_without_number_do_not_keep_out_who_is_known() {
        let guard = FloodGuard::new(GuardConf { sources: 1000, ..GuardConf::default() });
        let t0 = Instant::now();
        let phone = ip("203.0.113.1");
        let mut served = 0;
        for tick in 0..50_000_u32 {
            let now = t0 + Duration::from_micros(100) * tick; // 10,000/s for 5 s
            guard.allow(now, IpAddr::V4(tick.into()));
            if tick % 100 == 0 {
                guard.good_auth(phone); // it logs in each time
                served += u32::from(guard.allow(now, phone));
            }
        }
        assert_eq!(served, 500, "a hundred a second, all served");
    }

    #[test]
    fn the_rate_follows_a_reload() {
        let guard = FloodGuard::new(GuardConf { requests_total: 8, ..GuardConf::default() });
        let (t0, a) = (Instant::now(), ip("192.0.2.1"));
        assert!((0..100).filter(|_| guard.allow(t0, a)).count() <= 8);
        guard.set_total(0);
        assert_eq!((0..100).filter(|_| guard.allow(t0, a)).count(), 100);
        guard.set_total(800);
        assert_eq!((0..1000).filter(|_| guard.allow(t0, a)).count(), 400);
    }

    #[test]
    fn guessing_is_banned_and_forgotten() {
        let guard = FloodGuard::new(GuardConf { failures: 3, ..GuardConf::default() });
        let t0 = Instant::now();
        let a = ip("2001:db8::1");
        assert!(!guard.failed_auth(t0, a));
        assert!(!guard.failed_auth(t0, a));
        guard.good_auth(a);
        assert!(!guard.failed_auth(t0, a));
        // A window later the earlier failure no longer counts.
        let t1 = t0 + Duration::from_secs(61);
        assert!(!guard.failed_auth(t1, a));
        assert!(!guard.failed_auth(t1, a));
        assert!(guard.failed_auth(t1, ip("2001:db8::2")), "the same /64");
        assert!(guard.is_banned(t1, a) && !guard.allow(t1, a));
        assert!(guard.allow_inside(t1, a), "the calls it has go on");
        assert!(!guard.is_banned(t1, ip("2001:db8:0:1::1")));
        let t2 = t1 + Duration::from_secs(301);
        assert!(!guard.is_banned(t2, a) && guard.allow(t2, a));
    }

    #[test]
    fn spoofed_sources_cannot_fill_the_memory() {
        let conf =
            GuardConf { requests_per_source: 1, requests_total: 0, sources: 1000, ..GuardConf::default() };
        let guard = FloodGuard::new(conf);
        let t0 = Instant::now();
        for n in 0..100_000_u32 {
            guard.allow(t0, IpAddr::V4(n.into()));
            guard.failed_auth(t0, IpAddr::V4(n.into()));
        }
        let inner = guard.lock();
        for size in [
            inner.requests.young.len() + inner.requests.old.len(),
            inner.failures.young.len() + inner.failures.old.len(),
            inner.shares.young.len() + inner.shares.old.len(),
        ] {
            assert!(size <= 1000, "{size}");
        }
    }
}
