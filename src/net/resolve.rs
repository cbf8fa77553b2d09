//! Names to addresses by the system resolver (RFC 3263 §4.2 without NAPTR and SRV, which come with gateways).
//!
//! Bounded: so many names looked up at once, so many messages waiting for one name, so many answers kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::report::Parcel;
use crate::sip::Transport;

/// Names looked up at once.
const LOOK_UPS: usize = 32;
/// Messages that may wait for one name.
const WAITING: usize = 256;
/// Answers kept.
const KEPT: usize = 1024;
/// The system resolver does not tell the record's own lifetime.
const GOOD_FOR: Duration = Duration::from_secs(30);
const BAD_FOR: Duration = Duration::from_secs(5);
/// A look-up that takes longer has failed.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// A message that waits for an address.
pub(super) struct Waiting {
    pub parcel: Parcel,
    pub transport: Option<Transport>,
    pub port: Option<u16>,
}

pub(super) enum Asked {
    /// The name's addresses; empty when it is known to have none.
    Known(Waiting, Arc<[IpAddr]>),
    /// Nobody asks for this name yet: do so, then call [`Resolver::answered`].
    Ask,
    /// Somebody asks already.
    Joined,
    /// Too much is going on.
    Full(Waiting),
}

#[derive(Default)]
pub(super) struct Resolver(Mutex<HashMap<String, Entry>>);

enum Entry {
    Known { addresses: Arc<[IpAddr]>, until: Instant },
    Asking(Vec<Waiting>),
}

impl Resolver {
    pub fn ask(&self, host: &str, waiting: Waiting) -> Asked {
        let mut names = self.lock();
        match names.get_mut(host) {
            Some(Entry::Known { addresses, until }) if *until > Instant::now() => {
                return Asked::Known(waiting, addresses.clone());
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
        names.insert(host.to_owned(), Entry::Asking(vec![waiting]));
        Asked::Ask
    }

    /// Keeps the answer and gives back what waited for it.
    pub fn answered(&self, host: &str, addresses: Arc<[IpAddr]>) -> Vec<Waiting> {
        let now = Instant::now();
        let until = now + if addresses.is_empty() { BAD_FOR } else { GOOD_FOR };
        let mut names = self.lock();
        if names.len() >= KEPT {
            names.retain(|_, entry| match entry {
                Entry::Known { until, .. } => *until > now,
                Entry::Asking(_) => true,
            });
        }
        let entry = if names.len() < KEPT {
            names.insert(host.to_owned(), Entry::Known { addresses, until })
        } else {
            names.remove(host)
        };
        match entry {
            Some(Entry::Asking(waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
