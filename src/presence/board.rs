//! Calls and watchers by user.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Call, Said};

/// How many may watch. A watcher costs some kilobytes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In all.
    pub total: usize,
    /// One user.
    pub per_user: usize,
    /// From one address.
    pub per_source: usize,
}

impl Default for Bounds {
    /// 20,000 in all, 1,000 of one user, 5,000 from one address (an office behind NAT).
    fn default() -> Self {
        Bounds { total: 20_000, per_user: 1_000, per_source: 5_000 }
    }
}

/// Why nobody more may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// [`Bounds::total`].
    Total(usize),
    /// [`Bounds::per_user`].
    User(usize),
    /// [`Bounds::per_source`].
    Source(usize),
    /// Something is said of so many already.
    Said(usize),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Full::Total(most) => write!(f, "there are {most} subscriptions already"),
            Full::User(most) => write!(f, "this user has {most} watchers already"),
            Full::Source(most) => write!(f, "there are {most} subscriptions from this address already"),
            Full::Said(most) => write!(f, "something is said of {most} others already"),
        }
    }
}

/// Of how many something may be said, and how many accounts' messages may be known.
const MOST_SAID: usize = 100_000;

/// How many watchers are woken before others have their turn.
const AT_ONCE: usize = 64;

/// The name of a user here: `user@domain` in lower case.
pub fn address(user: &str, domain: &str) -> Arc<str> {
    format!("{user}@{domain}").to_ascii_lowercase().into()
}

/// Who has which calls, and who watches whom.
#[derive(Default)]
pub struct Board {
    on: AtomicBool,
    /// Something was said of somebody once.
    has_said: AtomicBool,
    /// What is done about presence is told in the log (`sofia global debug presence`).
    pub debug: AtomicBool,
    table: Mutex<Table>,
    /// Rings when somebody is due.
    bell: Notify,
    bounds: Bounds,
}

/// All of it. A number names a place or a watch; none is used twice.
#[derive(Default)]
struct Table {
    users: HashMap<Arc<str>, User>,
    watching: HashMap<u64, (Arc<str>, IpAddr)>,
    sources: HashMap<IpAddr, HashSet<u64>>,
    /// What somebody has said of users and places.
    said: HashMap<Arc<str>, Arc<Said>>,
    /// What is known of the messages of accounts, as the lines of a message summary.
    messages: HashMap<Arc<str>, Arc<str>>,
    /// Users whose watchers are to be woken.
    due: Vec<Arc<str>>,
    numbers: u64,
}

#[derive(Default)]
struct User {
    calls: Vec<(u64, Arc<Call>)>,
    watchers: Vec<(u64, Arc<Notify>)>,
    is_due: bool,
}

impl Table {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Takes a user out nobody watches and who has no call.
    fn tidy(&mut self, address: &str) {
        if self.users.get(address).is_some_and(|user| user.calls.is_empty() && user.watchers.is_empty()) {
            self.users.remove(address);
        }
        // Busy times leave no room behind.
        if self.users.len() * 4 < self.users.capacity() && self.users.capacity() > 64 {
            self.users.shrink_to(self.users.len() * 2);
        }
    }
}

impl Board {
    /// An empty board.
    pub fn new(bounds: Bounds) -> Board {
        Board { bounds, ..Board::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere leaves it whole: no code that can panic runs under the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether legs are to show their calls: somebody has watched somebody.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Turns the board on. True when it was off: then the legs there are must be asked to show themselves, those that come
    /// later do.
    pub fn turn_on(&self) -> bool {
        !self.on.swap(true, Ordering::AcqRel)
    }

    /// How many watch.
    pub fn watches(&self) -> usize {
        self.lock().watching.len()
    }

    /// How many users are known here, being watched or in a call.
    pub fn users(&self) -> usize {
        self.lock().users.len()
    }

    /// The calls of a user, in the order they came.
    pub fn calls(&self, address: &str) -> Vec<Arc<Call>> {
        let table = self.lock();
        let calls = table.users.get(address).map(|user| user.calls.as_slice()).unwrap_or_default();
        calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// A place for one call of a user, empty until it is shown.
    pub fn place(self: &Arc<Self>, address: Arc<str>) -> Place {
        Place { board: self.clone(), address, number: self.lock().number() }
    }

    /// Begins to watch a user. It ends when the watch drops.
    pub fn watch(self: &Arc<Self>, address: Arc<str>, source: IpAddr) -> Result<Watch, Full> {
        let Bounds { total, per_user, per_source } = self.bounds;
        let mut table = self.lock();
        if table.watching.len() >= total {
            return Err(Full::Total(total));
        }
        if table.users.get(&address).is_some_and(|user| user.watchers.len() >= per_user) {
            return Err(Full::User(per_user));
        }
        if table.sources.get(&source).is_some_and(|held| held.len() >= per_source) {
            return Err(Full::Source(per_source));
        }
        let (number, bell) = (table.number(), Arc::<Notify>::default());
        table.watching.insert(number, (address.clone(), source));
        table.sources.entry(source).or_default().insert(number);
        table.users.entry(address.clone()).or_default().watchers.push((number, bell.clone()));
        Ok(Watch { board: self.clone(), address, number, bell })
    }

    /// A user's registration has changed, which is known elsewhere. What was said of it before holds no longer.
    pub fn touch(&self, user: &str, domain: &str) {
        if self.is_on() || self.has_said.load(Ordering::Acquire) {
            let (mut table, address) = (self.lock(), address(user, domain));
            table.said.remove(&address);
            self.mark(&mut table, &address);
        }
    }

    /// Somebody says what there is to know of a user or a place, until the next one does; `None`: nothing any more.
    pub fn say(&self, address: &Arc<str>, said: Option<Said>) -> Result<(), Full> {
        let mut table = self.lock();
        self.has_said.fetch_or(said.is_some(), Ordering::AcqRel);
        note(&mut table.said, address, said.map(Arc::new))?;
        self.mark(&mut table, address);
        Ok(())
    }

    /// What was last said of a user or a place.
    pub fn said(&self, address: &str) -> Option<Arc<Said>> {
        self.lock().said.get(address).cloned()
    }

    /// Somebody says which messages wait for an account: the lines of a message summary (RFC 3842).
    pub fn set_messages(&self, account: &Arc<str>, lines: Arc<str>) -> Result<(), Full> {
        let mut table = self.lock();
        note(&mut table.messages, account, Some(lines))?;
        self.mark(&mut table, account);
        Ok(())
    }

    /// Which messages wait for an account, as far as anybody has said.
    pub fn messages(&self, account: &str) -> Option<Arc<str>> {
        self.lock().messages.get(account).cloned()
    }

    /// Anything may have changed.
    pub fn touch_all(&self) {
        let mut table = self.lock();
        let all: Vec<Arc<str>> = table.users.keys().cloned().collect();
        all.iter().for_each(|address| self.mark(&mut table, address));
    }

    /// Notes that a user's watchers are to be woken, which is all the work that is done where something changes.
    fn mark(&self, table: &mut Table, address: &str) {
        let Some((name, user)) = table.users.get_key_value(address) else { return };
        if user.watchers.is_empty() || user.is_due {
            return;
        }
        let name = name.clone();
        if let Some(user) = table.users.get_mut(&name) {
            user.is_due = true;
        }
        table.due.push(name);
        self.bell.notify_one();
    }

    /// Wakes the watchers of whoever is due, a few at a time; never ends. One task runs it.
    pub async fn serve(&self) {
        loop {
            self.bell.notified().await;
            let due = std::mem::take(&mut self.lock().due);
            for address in due {
                let bells: Vec<Arc<Notify>> = match self.lock().users.get_mut(&address) {
                    Some(user) => {
                        user.is_due = false;
                        user.watchers.iter().map(|(_, bell)| bell.clone()).collect()
                    }
                    None => continue,
                };
                for some in bells.chunks(AT_ONCE) {
                    some.iter().for_each(|bell| bell.notify_one());
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Sets or takes out one of [`MOST_SAID`].
fn note<T>(into: &mut HashMap<Arc<str>, T>, address: &Arc<str>, value: Option<T>) -> Result<(), Full> {
    match value {
        Some(_) if into.len() >= MOST_SAID && !into.contains_key(address) => {
            return Err(Full::Said(MOST_SAID));
        }
        Some(value) => into.insert(address.clone(), value),
        None => into.remove(address),
    };
    Ok(())
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("watches", &self.watches()).field("users", &self.users()).finish()
    }
}

/// The place of one call; what is shown there goes when it drops.
pub struct Place {
    board: Arc<Board>,
    address: Arc<str>,
    number: u64,
}

impl Place {
    /// Whose call it is.
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Shows the call as it is now.
    pub fn show(&self, call: Arc<Call>) {
        let mut table = self.board.lock();
        let calls = &mut table.users.entry(self.address.clone()).or_default().calls;
        match calls.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, shown)) if *shown == call => return,
            Some((_, shown)) => *shown = call,
            None => calls.push((self.number, call)),
        }
        self.board.mark(&mut table, &self.address);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.board.lock();
        if let Some(user) = table.users.get_mut(&self.address) {
            user.calls.retain(|(number, _)| *number != self.number);
        }
        self.board.mark(&mut table, &self.address);
        table.tidy(&self.address);
    }
}

/// Somebody watches a user.
pub struct Watch {
    board: Arc<Board>,
    address: Arc<str>,
    number: u64,
    bell: Arc<Notify>,
}

impl Watch {
    /// Whom.
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Waits until something may have changed since the last time.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut table = self.board.lock();
        if let Some(user) = table.users.get_mut(&self.address) {
            user.watchers.retain(|(number, _)| *number != self.number);
        }
        if let Some((_, source)) = table.watching.remove(&self.number)
            && let Some(held) = table.sources.get_mut(&source)
        {
            held.remove(&self.number);
            if held.is_empty() {
                table.sources.remove(&source);
            }
        }
        table.tidy(&self.address);
    }
}

#[cfg(test)]
mod tests;
