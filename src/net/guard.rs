//! The flood guard: how much one source may ask, and what happens to one that guesses passwords.
//!
//! `now` is an argument. The maps are fed by strangers, so each holds two generations of at most half its
//! capacity: a source that is seen moves to the young one; when that is full it becomes the old one, and the old
//! one is forgotten. Nothing is ever walked through.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Settings of a [`FloodGuard`].
#[derive(Clone, Debug)]
pub struct GuardConf {
    /// Requests per second of one source; 0 is without limit.
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
    inner: Mutex<Inner>,
}

struct Inner {
    total: Option<Bucket>,
    requests: Generations<Bucket>,
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
            requests: Generations::new(conf.sources),
            failures: Generations::new(conf.sources),
            banned: Generations::new(conf.sources),
            dropped: 0,
        };
        Self { conf, inner: Mutex::new(inner) }
    }

    /// Whether a request from `source` may come in now. Each call counts as one request. A source may spend one
    /// second's worth at once.
    pub fn allow(&self, now: Instant, source: IpAddr) -> bool {
        self.count(now, source, self.conf.requests_total, true)
    }

    /// The same for a request that belongs to a call already let in (ACK, BYE, CANCEL, PRACK, UPDATE): it counts
    /// for its source, but the load of others does not keep it out, nor does a ban: over UDP anybody can bring one upon
    /// an address by wrong passwords in its name, and that must not cut off the calls it has.
    pub fn allow_inside(&self, now: Instant, source: IpAddr) -> bool {
        self.count(now, source, 0, false)
    }

    fn count(&self, now: Instant, source: IpAddr, total: u32, outside: bool) -> bool {
        let per_source = self.conf.requests_per_source;
        let mut inner = self.lock();
        let inner = &mut *inner;
        let source = source_key(source);
        let allowed = !(outside && inner.is_banned(now, source))
            && (per_source == 0
                || inner.requests.entry(source, || Bucket::full(now, per_source)).take(now, per_source))
            && (total == 0 || inner.total.get_or_insert_with(|| Bucket::full(now, total)).take(now, total));
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
        inner.banned.insert(source, now + self.conf.ban);
        true
    }

    /// A source gave right credentials: its failures are forgotten.
    pub fn good_auth(&self, source: IpAddr) {
        if self.conf.failures > 0 {
            self.lock().failures.remove(&source_key(source));
        }
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

    fn take(&mut self, now: Instant, rate: u32) -> bool {
        let rate = f64::from(rate);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * rate).min(rate);
        let enough = self.tokens >= 1.0;
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

/// An IPv6 host has a whole /64 to send from.
fn source_key(source: IpAddr) -> IpAddr {
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
        ] {
            assert!(size <= 1000, "{size}");
        }
    }
}
