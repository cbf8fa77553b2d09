//! Messages that wait for a name to be looked up, and where they go once it is known.
//!
//! Bounded: so many names looked up at once, so many messages waiting for one, so many answers kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::dns::{Place, Wanted};
use super::report::Parcel;

/// Names looked up at once.
const LOOK_UPS: usize = 32;
/// Messages that may wait for one name.
const WAITING: usize = 256;
/// Answers kept.
const KEPT: usize = 1024;

pub(super) enum Asked {
    /// The name's places; empty when it is known to have none.
    Known(Parcel, Arc<[Place]>),
    /// Nobody asks for this name yet: do so, then call [`Resolver::answered`].
    Ask,
    /// Somebody asks already.
    Joined,
    /// Too much is going on.
    Full(Parcel),
}

#[derive(Default)]
pub(super) struct Resolver(Mutex<HashMap<Wanted, Entry>>);

enum Entry {
    Known { places: Arc<[Place]>, until: Instant },
    Asking(Vec<Parcel>),
}

impl Resolver {
    pub fn ask(&self, wanted: &Wanted, waiting: Parcel) -> Asked {
        let mut names = self.lock();
        match names.get_mut(wanted) {
            Some(Entry::Known { places, until }) if *until > Instant::now() => {
                return Asked::Known(waiting, places.clone());
            }
            Some(Entry::Asking(others)) if others.len() < WAITING => {
                others.push(waiting);
                return Asked::Joined;
            }
            Some(Entry::Asking(_)) => return Asked::Full(waiting),
            Some(Entry::Known { .. }) | None => {}
        }
        if names.values().filter(|entry| matches!(entry, Entry::Asking(_))).count() >= LOOK_UPS {
            return Asked::Full(waiting);
        }
        names.insert(wanted.clone(), Entry::Asking(vec![waiting]));
        Asked::Ask
    }

    /// Keeps the answer and gives back what waited for it.
    pub fn answered(&self, wanted: &Wanted, places: Arc<[Place]>, until: Instant) -> Vec<Parcel> {
        let now = Instant::now();
        let mut names = self.lock();
        if names.len() >= KEPT {
            names.retain(|_, entry| match entry {
                Entry::Known { until, .. } => *until > now,
                Entry::Asking(_) => true,
            });
        }
        let entry = if names.len() < KEPT {
            names.insert(wanted.clone(), Entry::Known { places, until })
        } else {
            names.remove(wanted)
        };
        match entry {
            Some(Entry::Asking(waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Wanted, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
