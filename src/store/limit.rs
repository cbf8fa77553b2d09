//! The counters of `limit`: how many legs use a resource, and how often it was asked for lately (FreeSWITCH's
//! switch_limit.c with the backends of mod_hash.c and mod_db.c).
//!
//! A leg has a [`Held`]: what it counts for. It gives everything back when it is dropped, however the leg ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{debug, error, info};

/// Resources that may be counted at a time.
const RESOURCES: usize = 100_000;
/// What one leg may count for.
const PER_LEG: usize = 256;

/// Which of FreeSWITCH's two ways of counting is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// A leg counts once for a resource; knows rates.
    Hash,
    /// A leg counts each time it asks; knows no rates.
    Db,
}

impl Backend {
    /// The backend called `name`.
    pub fn named(name: &str) -> Option<Backend> {
        match name {
            "hash" => Some(Backend::Hash),
            "db" => Some(Backend::Db),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Hash => "hash",
            Backend::Db => "db",
        }
    }
}

/// How much of a resource is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Legs that use it now.
    pub total: u32,
    /// How often it was asked for within the interval.
    pub rate: u32,
}

/// What a leg asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// How it is counted.
    pub backend: Backend,
    /// The first part of the resource's name.
    pub realm: &'a str,
    /// The second.
    pub id: &'a str,
    /// How much there may be; `None` only counts.
    pub max: Option<u32>,
    /// With an interval `max` is how often it may be asked for within it.
    pub interval: Option<Duration>,
}

/// There is no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is the limit")]
pub struct Exceeded(pub Usage);

/// Every resource that is counted.
#[derive(Debug, Default)]
pub struct Limits {
    resources: Mutex<Resources>,
}

type Resources = HashMap<(Backend, Box<str>), Resource>;

#[derive(Debug, Default)]
struct Resource {
    usage: Usage,
    /// When the interval began, and how long it is.
    since: Option<Instant>,
    interval: Duration,
}

impl Resource {
    fn is_idle(&self, now: Instant) -> bool {
        let over = |since| now.duration_since(since) >= self.interval;
        self.usage.total == 0 && self.since.is_none_or(over)
    }
}

impl Limits {
    fn resources(&self) -> MutexGuard<'_, Resources> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of a resource is in use.
    pub fn usage(&self, backend: Backend, realm: &str, id: &str) -> Usage {
        self.resources().get(&(backend, name(realm, id))).map_or_else(Usage::default, |r| r.usage)
    }

    /// Begins the interval of a resource anew.
    pub fn reset_interval(&self, realm: &str, id: &str, now: Instant) {
        if let Some(resource) = self.resources().get_mut(&(Backend::Hash, name(realm, id))) {
            resource.usage.rate = 0;
            resource.since = Some(now);
        }
    }

    /// Forgets who uses what, for the backend that can (`db`).
    pub fn reset(&self, backend: Backend) -> bool {
        if backend == Backend::Db {
            self.resources().retain(|(of, _), _| *of != Backend::Db);
        }
        backend == Backend::Db
    }

    /// How many uses there are in all, by one backend.
    pub fn uses(&self, backend: Backend) -> u64 {
        self.resources()
            .iter()
            .filter(|((of, _), _)| *of == backend)
            .map(|(_, r)| u64::from(r.usage.total))
            .sum()
    }

    /// Every resource of the `hash` backend, by name.
    pub fn entries(&self) -> Vec<(String, Usage, Duration)> {
        let resources = self.resources();
        let of_hash = resources.iter().filter(|((backend, _), _)| *backend == Backend::Hash);
        let mut all: Vec<_> = of_hash.map(|((_, name), r)| (name.to_string(), r.usage, r.interval)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn take(&self, ask: &Ask<'_>, counts: bool, now: Instant) -> Result<Usage, Exceeded> {
        let key = (ask.backend, name(ask.realm, ask.id));
        let mut resources = self.resources();
        if resources.len() >= RESOURCES && !resources.contains_key(&key) {
            resources.retain(|_, r| !r.is_idle(now));
            if resources.len() >= RESOURCES {
                error!("limit counts {RESOURCES} resources already: {} counts as exceeded", key.1);
                return Err(Exceeded(Usage::default()));
            }
        }
        let named = key.1.clone();
        let resource = resources.entry(key).or_default();
        let rated = ask.interval.filter(|_| ask.backend == Backend::Hash);
        if let Some(interval) = rated {
            resource.interval = interval;
            if resource.since.is_none_or(|since| now.duration_since(since) >= interval) {
                resource.usage.rate = 1;
                resource.since = Some(now);
            } else {
                resource.usage.rate = resource.usage.rate.saturating_add(1);
                if ask.max.is_some_and(|max| resource.usage.rate > max) {
                    info!(
                        "limit: {named} is asked for more than {:?} times in {interval:?}",
                        ask.max.unwrap_or(0)
                    );
                    return Err(Exceeded(resource.usage));
                }
            }
        } else if ask.max.is_some_and(|max| resource.usage.total + u32::from(counts) > max) {
            info!("limit: {named} is used {} times already", resource.usage.total);
            return Err(Exceeded(resource.usage));
        }
        resource.usage.total += u32::from(counts);
        debug!("limit: {named} is used {} times", resource.usage.total);
        Ok(resource.usage)
    }

    fn give_back(&self, backend: Backend, name: &str) {
        let mut resources = self.resources();
        let key = (backend, Box::from(name));
        if let Some(resource) = resources.get_mut(&key) {
            resource.usage.total = resource.usage.total.saturating_sub(1);
            debug!("limit: {name} is used {} times", resource.usage.total);
            if resource.usage == Usage::default() {
                resources.remove(&key);
            }
        }
    }
}

fn name(realm: &str, id: &str) -> Box<str> {
    [realm, "_", id].concat().into()
}

/// What one leg counts for.
#[derive(Debug)]
pub struct Held {
    limits: Arc<Limits>,
    names: Vec<(Backend, Box<str>)>,
}

impl Held {
    /// Nothing yet.
    pub fn new(limits: Arc<Limits>) -> Held {
        Held { limits, names: Vec::new() }
    }

    /// Counts for one more resource, if there is still some of it.
    pub fn take(&mut self, ask: &Ask<'_>, now: Instant) -> Result<Usage, Exceeded> {
        let entry = (ask.backend, name(ask.realm, ask.id));
        let counts = ask.backend == Backend::Db || !self.names.contains(&entry);
        if counts && self.names.len() >= PER_LEG {
            error!("a leg counts for {PER_LEG} resources already: {} counts as exceeded", entry.1);
            return Err(Exceeded(Usage::default()));
        }
        let usage = self.limits.take(ask, counts, now)?;
        if counts {
            self.names.push(entry);
        }
        Ok(usage)
    }

    /// Gives back one resource.
    pub fn release(&mut self, backend: Backend, realm: &str, id: &str) {
        let released = (backend, name(realm, id));
        let limits = &self.limits;
        self.names.retain(|held| {
            if *held == released {
                limits.give_back(backend, &released.1);
            }
            *held != released
        });
    }

    /// Gives back all that is counted so.
    pub fn release_every(&mut self, backend: Backend) {
        let limits = &self.limits;
        self.names.retain(|(held, name)| {
            if *held == backend {
                limits.give_back(backend, name);
            }
            *held != backend
        });
    }

    /// Gives everything back.
    pub fn release_all(&mut self) {
        for (backend, name) in self.names.drain(..) {
            self.limits.give_back(backend, &name);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(backend: Backend, max: Option<u32>) -> Ask<'static> {
        Ask { backend, realm: "out", id: "carrier", max, interval: None }
    }

    #[test]
    fn a_leg_counts_once_and_gives_back_when_it_is_gone() {
        let limits = Arc::new(Limits::default());
        let (mut a, mut b) = (Held::new(limits.clone()), Held::new(limits.clone()));
        let now = Instant::now();
        let one = ask(Backend::Hash, Some(1));
        assert_eq!(a.take(&one, now).unwrap().total, 1);
        assert_eq!(a.take(&one, now).unwrap().total, 1, "its own use does not count twice");
        assert!(b.take(&one, now).is_err());
        assert_eq!(limits.usage(Backend::Hash, "out", "carrier").total, 1);
        drop(a);
        assert_eq!(b.take(&one, now).unwrap().total, 1);
        b.release(Backend::Hash, "out", "carrier");
        assert!(limits.entries().is_empty(), "nothing is left of it");
        assert!(b.take(&ask(Backend::Hash, Some(0)), now).is_err(), "none at all");
    }

    #[test]
    fn the_other_backend_counts_each_time() {
        let limits = Arc::new(Limits::default());
        let mut leg = Held::new(limits.clone());
        let now = Instant::now();
        assert_eq!(leg.take(&ask(Backend::Db, None), now).unwrap().total, 1);
        assert_eq!(leg.take(&ask(Backend::Db, Some(2)), now).unwrap().total, 2);
        assert!(leg.take(&ask(Backend::Db, Some(2)), now).is_err());
        assert_eq!(limits.uses(Backend::Db), 2);
        leg.release(Backend::Db, "out", "carrier");
        assert_eq!(limits.uses(Backend::Db), 0);
        assert!(limits.reset(Backend::Db) && !limits.reset(Backend::Hash));
    }

    #[test]
    fn a_rate_is_of_an_interval() {
        let limits = Arc::new(Limits::default());
        let mut leg = Held::new(limits.clone());
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let twice = Ask { interval: Some(5 * second), ..ask(Backend::Hash, Some(2)) };
        assert_eq!(leg.take(&twice, start).unwrap().rate, 1);
        assert_eq!(leg.take(&twice, start + second).unwrap().rate, 2);
        assert_eq!(leg.take(&twice, start + 2 * second).unwrap_err().0.rate, 3);
        assert_eq!(leg.take(&twice, start + 5 * second).unwrap().rate, 1);
        limits.reset_interval("out", "carrier", start + 6 * second);
        assert_eq!(limits.usage(Backend::Hash, "out", "carrier").rate, 0);
        drop(leg);
        assert_eq!(limits.entries().len(), 0);
    }

    #[test]
    fn the_number_of_resources_is_bounded() {
        let limits = Arc::new(Limits::default());
        let now = Instant::now();
        let mut legs = Vec::new();
        for n in 0..RESOURCES / PER_LEG + 2 {
            let mut leg = Held::new(limits.clone());
            for m in 0..PER_LEG {
                let _ = leg.take(&Ask { id: &format!("{n}-{m}"), ..ask(Backend::Hash, None) }, now);
            }
            assert!(leg.take(&ask(Backend::Hash, None), now).is_err(), "of one leg too");
            legs.push(leg);
        }
        assert_eq!(limits.entries().len(), RESOURCES);
        legs.clear();
        assert!(limits.entries().is_empty());
    }
}
