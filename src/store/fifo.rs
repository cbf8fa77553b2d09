//! Queues: callers who wait, consumers who serve them, members who are called for them (FreeSWITCH's mod_fifo.c).
//!
//! Each has a value that drops with its leg, however that ends: a caller its [`Ticket`], a consumer its [`Post`], who takes a
//! caller a [`Claim`]. A claimed caller keeps the place in the queue until the two have met; when they do not, the caller
//! waits as before, and is served before others. So no caller is lost, and none is served twice.
//!
//! | file | what |
//! | --- | --- |
//! | `fifo.rs` | the queues, callers and consumers |
//! | `fifo/members.rs` | members: who may be called for whom, and when |

use super::Full;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tracing::error;

mod members;

pub use members::{Called, Engaged, Engagement, Member, Terms};

/// Queues there may be; one that is empty and not configured is none.
const QUEUES: usize = 10_000;
/// Callers that may wait in all queues.
const WAITING: usize = 50_000;
/// Priorities: 0 is served first.
pub const PRIORITIES: u8 = 10;

/// Every queue.
#[derive(Debug, Default)]
pub struct Fifos {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queues: HashMap<Box<str>, Queue>,
    waiting: usize,
    last: u64,
}

#[derive(Debug, Default)]
struct Queue {
    importance: u32,
    /// It is in the configuration, and stays though nobody is in it.
    configured: bool,
    /// In the order they are served: by priority, then by when they came.
    waiting: Vec<Waiting>,
    consumers: Vec<Consumer>,
    members: Vec<Member>,
    terms: Terms,
    /// Since when it has not been empty.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    priority: u8,
    caller: Caller,
    /// Somebody is about to talk to the caller.
    claimed: bool,
    /// Members are being called for the caller.
    calling: bool,
    shared: Arc<Shared>,
}

/// What a caller and those who serve it both know.
#[derive(Debug, Default)]
struct Shared {
    bell: Notify,
    served_by: Mutex<Option<Arc<str>>>,
}

#[derive(Debug)]
struct Consumer {
    number: u64,
    uuid: Arc<str>,
    idle: bool,
    bell: Arc<Notify>,
}

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The leg.
    pub uuid: Arc<str>,
    /// Since when it waits.
    pub since: Instant,
    /// It is served before others.
    pub vip: bool,
    /// What it needs a consumer for (`fifo_skill`).
    pub skill: Option<Arc<str>>,
}

/// Which of several queues is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The one that has not been empty for longest.
    #[default]
    WaitingLonger,
    /// The one with most callers.
    MorePeople,
}

/// Whom a consumer would serve.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Which queue.
    pub strategy: Strategy,
    /// This caller before others (`fifo_bridge_uuid`).
    pub uuid: Option<Arc<str>>,
    /// Nobody but that one (`fifo_bridge_uuid_required`).
    pub only: bool,
    /// One who needs this before others (`fifo_target_skill`).
    pub skill: Option<Arc<str>>,
    /// The order of priorities, where it is not 0 to 9 (`fifo_pop_order`).
    pub order: Vec<u8>,
}

/// Who is in a queue (`fifo list`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Callers who wait, with their priorities, in the order they will be served.
    pub callers: Vec<(u8, Caller)>,
    /// Consumers, and whether they are free.
    pub consumers: Vec<(Arc<str>, bool)>,
    /// Members.
    pub members: Vec<Member>,
}

/// How many there are in a queue (`fifo count`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Consumers.
    pub consumers: usize,
    /// Callers who wait.
    pub callers: usize,
    /// Members.
    pub members: usize,
    /// Callers for whom members are being called.
    pub calling: usize,
    /// Consumers who talk to nobody.
    pub idle: usize,
    /// See [`Fifos::importance`].
    pub importance: u32,
}

impl Fifos {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a caller into a queue.
    ///
    /// # Errors
    /// There are too many callers, or too many queues.
    pub fn push(
        self: &Arc<Self>,
        name: &str,
        importance: u32,
        priority: u8,
        caller: Caller,
    ) -> Result<Ticket, Full> {
        let mut inner = self.inner();
        if inner.waiting >= WAITING {
            error!("{WAITING} callers wait already: no more in {name}");
            return Err(Full);
        }
        inner.last += 1;
        let number = inner.last;
        let queue = inner.queue(name, importance)?;
        let shared = Arc::<Shared>::default();
        queue.since.get_or_insert(caller.since);
        let waiting = Waiting { number, priority, caller, claimed: false, calling: false, shared };
        let shared = waiting.shared.clone();
        let at = queue.waiting.partition_point(|other| other.priority <= priority);
        queue.waiting.insert(at, waiting);
        let position = queue.waiting.iter().filter(|other| other.priority == priority).count();
        queue.wake();
        inner.waiting += 1;
        Ok(Ticket { fifos: self.clone(), name: name.into(), number, shared, position })
    }

    /// A consumer begins to wait for callers of these queues.
    ///
    /// # Errors
    /// There are too many queues.
    pub fn attend(self: &Arc<Self>, names: &[(String, u32)], uuid: &Arc<str>) -> Result<Post, Full> {
        let mut inner = self.inner();
        inner.last += 1;
        let (number, bell) = (inner.last, Arc::<Notify>::default());
        let mut post = Post { fifos: self.clone(), names: Vec::new(), number, bell: bell.clone() };
        for (name, importance) in names {
            match inner.queue(name, *importance) {
                Ok(queue) => {
                    let (uuid, bell) = (uuid.clone(), bell.clone());
                    queue.consumers.push(Consumer { number, uuid, idle: true, bell });
                    post.names.push(name.as_str().into());
                }
                Err(full) => {
                    drop(inner);
                    drop(post);
                    return Err(full);
                }
            }
        }
        Ok(post)
    }

    /// Takes the caller that is next in one of these queues to talk to it; `served_by` is who does.
    pub fn claim(
        self: &Arc<Self>,
        names: &[(String, u32)],
        wish: &Wish,
        served_by: &Arc<str>,
    ) -> Option<Claim> {
        let mut inner = self.inner();
        let name = inner.choose(names, wish.strategy)?.to_owned();
        let queue = inner.queues.get_mut(name.as_str())?;
        let at = queue.next(wish)?;
        let waiting = queue.waiting.get_mut(at)?;
        waiting.claimed = true;
        *lock(&waiting.shared.served_by) = Some(served_by.clone());
        let (number, caller) = (waiting.number, waiting.caller.clone());
        Some(Claim { fifos: self.clone(), name: name.into(), number, caller })
    }

    /// Sets how important a queue is among several of a consumer; `None` when there is no such queue.
    pub fn importance(&self, name: &str, set: Option<u32>) -> Option<u32> {
        let mut inner = self.inner();
        let queue = inner.queues.get_mut(name)?;
        queue.importance = set.unwrap_or(queue.importance);
        Some(queue.importance)
    }

    /// Every queue there is, by name.
    pub fn counts(&self) -> Vec<(String, Count)> {
        let inner = self.inner();
        let mut all: Vec<_> = inner.queues.iter().map(|(name, q)| (name.to_string(), q.count())).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Who is in a queue; `None` when there is no such queue.
    pub fn list(&self, name: &str) -> Option<List> {
        let inner = self.inner();
        let queue = inner.queues.get(name)?;
        let callers = queue.waiting.iter().filter(|w| !w.claimed);
        let callers = callers.map(|w| (w.priority, w.caller.clone())).collect();
        let consumers = queue.consumers.iter().map(|c| (c.uuid.clone(), c.idle)).collect();
        Some(List { callers, consumers, members: queue.members.clone() })
    }

    /// How many callers wait, all queues together.
    pub fn waiting(&self) -> usize {
        self.inner().waiting
    }
}

impl Inner {
    /// The queue of that name, made if there is none.
    fn queue(&mut self, name: &str, importance: u32) -> Result<&mut Queue, Full> {
        if self.queues.len() >= QUEUES && !self.queues.contains_key(name) {
            error!("there are {QUEUES} queues already: no {name}");
            return Err(Full);
        }
        Ok(self.queues.entry(name.into()).or_insert_with(|| Queue { importance, ..Queue::default() }))
    }

    /// Takes a queue out that has nobody and is not configured.
    fn tidy(&mut self, name: &str) {
        let idle = |queue: &Queue| {
            queue.waiting.is_empty()
                && queue.consumers.is_empty()
                && queue.members.is_empty()
                && !queue.configured
        };
        if self.queues.get(name).is_some_and(idle) {
            self.queues.remove(name);
        }
    }

    /// The queue a consumer of several is to serve. One that comes later in the list counts only when it is more important.
    fn choose<'n>(&self, names: &'n [(String, u32)], strategy: Strategy) -> Option<&'n str> {
        let mut important = 0;
        let mut best: Option<(&'n str, Option<Instant>, usize)> = None;
        for (name, _) in names {
            let Some(queue) = self.queues.get(name.as_str()) else { continue };
            let waiting = queue.waiting.iter().filter(|w| !w.claimed).count();
            if waiting == 0 {
                continue;
            }
            let better = match (&best, strategy) {
                (None, _) => true,
                (Some((_, since, _)), Strategy::WaitingLonger) => queue.since < *since,
                (Some((_, _, most)), Strategy::MorePeople) => waiting > *most,
            };
            if (important == 0 || queue.importance > important) && better {
                best = Some((name, queue.since, waiting));
            }
            important = important.max(queue.importance);
        }
        best.map(|(name, ..)| name)
    }

    /// A caller is in the queue no more.
    fn leave(&mut self, name: &str, number: u64) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return false };
        let Some(at) = queue.waiting.iter().position(|w| w.number == number) else { return false };
        queue.waiting.remove(at);
        if queue.waiting.is_empty() {
            queue.since = None;
        }
        // Who is next may call members now.
        queue.wake_next();
        self.waiting -= 1;
        self.tidy(name);
        true
    }
}

impl Queue {
    /// Who of the waiting is served next, by a consumer with this wish.
    fn next(&self, wish: &Wish) -> Option<usize> {
        let free = |w: &&Waiting| !w.claimed;
        let place = |found: &Waiting| self.waiting.iter().position(|w| w.number == found.number);
        let by = |test: &dyn Fn(&Waiting) -> bool| self.waiting.iter().filter(free).find(|w| test(w));
        if let Some(uuid) = &wish.uuid {
            let wished = by(&|w| w.caller.uuid == *uuid);
            if wished.is_some() || wish.only {
                return wished.and_then(place);
            }
        }
        let skilled = wish.skill.as_ref().and_then(|skill| by(&|w| w.caller.skill.as_ref() == Some(skill)));
        let found = skilled.or_else(|| by(&|w| w.caller.vip)).or_else(|| match wish.order.as_slice() {
            [] => by(&|_| true),
            // Priorities that are not named are served as 0, as there.
            order => order.iter().chain(&[0]).find_map(|priority| by(&|w| w.priority == *priority)),
        })?;
        place(found)
    }

    /// Wakes those who may serve a caller, and the caller for whom members may be called.
    fn wake(&self) {
        self.consumers.iter().filter(|c| c.idle).for_each(|consumer| consumer.bell.notify_one());
        self.wake_next();
    }

    fn wake_next(&self) {
        if let Some(next) = self.waiting.iter().find(|w| !w.claimed && !w.calling) {
            next.shared.bell.notify_one();
        }
    }

    fn count(&self) -> Count {
        Count {
            consumers: self.consumers.len(),
            callers: self.waiting.iter().filter(|w| !w.claimed).count(),
            members: self.members.len(),
            calling: self.waiting.iter().filter(|w| w.calling).count(),
            idle: self.consumers.iter().filter(|c| c.idle).count(),
            importance: self.importance,
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

//------------ A caller -----------------------------------------------------------------------------------------

/// A caller's place in a queue, until it drops.
#[derive(Debug)]
pub struct Ticket {
    fifos: Arc<Fifos>,
    name: Box<str>,
    number: u64,
    shared: Arc<Shared>,
    /// How many of the same priority there were with this one, when it came.
    pub position: usize,
}

impl Ticket {
    /// Waits until something has changed for this caller: members may be called for it.
    pub async fn changed(&self) {
        self.shared.bell.notified().await;
    }

    /// Who has taken this caller last.
    pub fn served_by(&self) -> Option<Arc<str>> {
        lock(&self.shared.served_by).clone()
    }

    /// Leaves the queue, for a member has answered; false when a consumer has taken this caller meanwhile.
    pub fn leave(&self) -> bool {
        let mut inner = self.fifos.inner();
        let queue = inner.queues.get(&self.name);
        let claimed = queue.and_then(|q| q.waiting.iter().find(|w| w.number == self.number));
        match claimed {
            Some(waiting) if !waiting.claimed => inner.leave(&self.name, self.number),
            _ => false,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.fifos.inner().leave(&self.name, self.number);
    }
}

//------------ A consumer ---------------------------------------------------------------------------------------

/// A consumer's place at its queues, until it drops.
#[derive(Debug)]
pub struct Post {
    fifos: Arc<Fifos>,
    names: Vec<Box<str>>,
    number: u64,
    bell: Arc<Notify>,
}

impl Post {
    /// Waits until there may be a caller.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Whether the consumer can take a caller; while one can, no members are called.
    pub fn set_idle(&self, idle: bool) {
        let mut inner = self.fifos.inner();
        for name in &self.names {
            let Some(queue) = inner.queues.get_mut(name) else { continue };
            if let Some(consumer) = queue.consumers.iter_mut().find(|c| c.number == self.number) {
                consumer.idle = idle;
            }
            if !idle {
                queue.wake_next();
            }
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let mut inner = self.fifos.inner();
        for name in &self.names {
            if let Some(queue) = inner.queues.get_mut(name) {
                queue.consumers.retain(|c| c.number != self.number);
                queue.wake();
            }
            inner.tidy(name);
        }
    }
}

/// A caller a consumer has taken, and is about to talk to. When this drops, the caller waits again, before others.
#[derive(Debug)]
pub struct Claim {
    fifos: Arc<Fifos>,
    /// The queue.
    pub name: Box<str>,
    number: u64,
    /// The caller.
    pub caller: Caller,
}

impl Claim {
    /// The two have met, or the caller is gone: it is in the queue no more.
    pub fn done(self) {
        self.fifos.inner().leave(&self.name, self.number);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.fifos.inner();
        let Some(queue) = inner.queues.get_mut(&self.name) else { return };
        if let Some(waiting) = queue.waiting.iter_mut().find(|w| w.number == self.number) {
            waiting.claimed = false;
            waiting.caller.vip = true;
            queue.wake();
        }
    }
}

#[cfg(test)]
mod tests;
