//! Members of a queue: who is called when callers wait and no consumer is free.

use super::{Fifos, Inner, Queue, Ticket};
use crate::config::fifo::FifoConf;
use crate::store::Full;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Members one queue may have: as many as a dial string may have legs.
const MEMBERS: usize = 128;

/// Somebody who is called when callers wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What names it in events: `fifo_outbound_uuid` of the dial string, else its MD5.
    pub id: Arc<str>,
    /// The dial string.
    pub url: Arc<str>,
    /// Calls it may have at a time.
    pub simo: u32,
    /// How long it is rung.
    pub timeout: Duration,
    /// How long it is left alone after a call.
    pub lag: Duration,
    /// Until when it is one.
    pub expires: Option<Instant>,
    /// It is in the configuration.
    pub configured: bool,
    /// Calls it has.
    pub used: u32,
    /// It is being called, so often.
    pub ringing: u32,
    /// Not before then.
    pub next: Option<Instant>,
    /// Calls it has had, and calls it did not take since the last.
    pub calls: u32,
    /// See `calls`.
    pub failures: u32,
}

impl Member {
    /// One that has not been called yet.
    pub fn new(id: &str, url: &str, simo: u32, timeout: Duration, lag: Duration) -> Member {
        Member {
            id: id.into(),
            url: url.into(),
            simo,
            timeout,
            lag,
            expires: None,
            configured: false,
            used: 0,
            ringing: 0,
            next: None,
            calls: 0,
            failures: 0,
        }
    }

    fn is_free(&self) -> bool {
        self.used + self.ringing < self.simo
    }
}

/// How the members of a queue are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// So many at a time; 0: all.
    pub at_once: usize,
    /// How much longer than its own a member is left alone that did not answer.
    pub retry: Duration,
    /// What stands before the caller's name, or instead of it.
    pub name: Option<Arc<str>>,
}

/// Whether members may be called for a caller.
#[derive(Debug)]
pub enum Engaged {
    /// These, now.
    Now(Engagement),
    /// Nobody now; at that time there may be one, or something changes before.
    Later(Option<Instant>),
}

/// A member that is being called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// See [`Member::id`].
    pub id: Arc<str>,
    /// The dial string.
    pub url: Arc<str>,
    /// How long it is rung.
    pub timeout: Duration,
}

impl Fifos {
    /// The members that may be called for a caller now: it is the first for whom nobody is called yet, and no consumer is
    /// free.
    pub fn engage(self: &Arc<Self>, ticket: &Ticket, now: Instant) -> Engaged {
        let mut inner = self.inner();
        let Some(queue) = inner.queues.get_mut(&ticket.name) else { return Engaged::Later(None) };
        queue.members.retain(|member| member.expires.is_none_or(|at| at > now));
        let first = queue.waiting.iter_mut().find(|w| !w.claimed && !w.calling);
        let Some(first) = first.filter(|first| first.number == ticket.number) else {
            return Engaged::Later(None);
        };
        if queue.consumers.iter().any(|consumer| consumer.idle) {
            return Engaged::Later(None);
        }
        let ready = |member: &&mut Member| member.is_free() && member.next.is_none_or(|at| at <= now);
        let mut free: Vec<&mut Member> = queue.members.iter_mut().filter(ready).collect();
        free.sort_by_key(|member| (member.next, member.failures, member.calls));
        let most = if queue.terms.at_once == 0 { MEMBERS } else { queue.terms.at_once };
        let called: Vec<Called> = free
            .into_iter()
            .take(most)
            .map(|member| {
                member.ringing += 1;
                Called { id: member.id.clone(), url: member.url.clone(), timeout: member.timeout }
            })
            .collect();
        if called.is_empty() {
            let soon =
                queue.members.iter().filter(|member| member.is_free()).filter_map(|member| member.next);
            return Engaged::Later(soon.min());
        }
        first.calling = true;
        let (fifos, name, terms) = (self.clone(), ticket.name.clone(), queue.terms.clone());
        Engaged::Now(Engagement { fifos, name, number: ticket.number, called, terms, talks: None })
    }

    /// Makes somebody a member of a queue, in place of one with the same id.
    ///
    /// # Errors
    /// The queue has too many, or there are too many queues.
    pub fn add_member(&self, name: &str, member: Member) -> Result<(), Full> {
        let mut inner = self.inner();
        let queue = inner.queue(name, 0)?;
        let added = queue.add(member);
        queue.wake_next();
        inner.tidy(name);
        added
    }

    /// Ends the membership; false when there was none.
    pub fn remove_member(&self, name: &str, id: &str) -> bool {
        let mut inner = self.inner();
        let Some(queue) = inner.queues.get_mut(name) else { return false };
        let before = queue.members.len();
        queue.members.retain(|member| *member.id != *id);
        let removed = queue.members.len() < before;
        inner.tidy(name);
        removed
    }

    /// Takes the queues of a configuration; members that were added otherwise stay, and so do callers and consumers.
    pub fn configure(&self, conf: &FifoConf) {
        let mut inner = self.inner();
        for queue in inner.queues.values_mut() {
            queue.configured = false;
            queue.terms = Terms::default();
        }
        for fifo in &conf.fifos {
            let Ok(queue) = inner.queue(&fifo.name, fifo.importance) else { continue };
            queue.configured = true;
            queue.importance = fifo.importance;
            queue.terms = Terms {
                at_once: fifo.per_cycle,
                retry: fifo.retry_delay,
                name: fifo.outbound_name.as_deref().map(Arc::from),
            };
            let named: Vec<&str> = fifo.members.iter().map(|member| &*member.id).collect();
            queue.members.retain(|member| !member.configured || named.contains(&&*member.id));
            for member in &fifo.members {
                let made = Member::new(&member.id, &member.url, member.simo, member.timeout, member.lag);
                let _ = queue.add(Member { configured: true, ..made }); // its bound is told when it is read
            }
            queue.wake_next();
        }
        for queue in inner.queues.values_mut().filter(|queue| !queue.configured) {
            queue.members.retain(|member| !member.configured);
        }
        let names: Vec<Box<str>> = inner.queues.keys().cloned().collect();
        names.iter().for_each(|name| inner.tidy(name));
    }
}

impl Queue {
    /// What the one before with that id was doing goes on.
    fn add(&mut self, member: Member) -> Result<(), Full> {
        if let Some(held) = self.members.iter_mut().find(|held| held.id == member.id) {
            let Member { used, ringing, next, calls, failures, .. } = *held;
            *held = Member { used, ringing, next, calls, failures, ..member };
            return Ok(());
        }
        if self.members.len() >= MEMBERS {
            tracing::error!("the queue has {MEMBERS} members already: not {}", member.url);
            return Err(Full);
        }
        self.members.push(member);
        Ok(())
    }
}

impl Inner {
    fn member(&mut self, name: &str, id: &str) -> Option<&mut Member> {
        self.queues.get_mut(name)?.members.iter_mut().find(|member| *member.id == *id)
    }
}

/// Members that are being called for a caller; when it drops they are free again.
#[derive(Debug)]
pub struct Engagement {
    fifos: Arc<Fifos>,
    name: Box<str>,
    number: u64,
    /// Who is called.
    pub called: Vec<Called>,
    /// How they are called.
    pub terms: Terms,
    /// Who talks to the caller, since it answered.
    talks: Option<Arc<str>>,
}

impl Engagement {
    /// Nobody has answered: those who were rung are left alone for a while.
    pub fn failed(self, now: Instant) {
        let mut inner = self.fifos.inner();
        for called in &self.called {
            if let Some(member) = inner.member(&self.name, &called.id) {
                member.failures = member.failures.saturating_add(1);
                member.next = Some(now + self.terms.retry + member.lag + Duration::from_secs(1));
            }
        }
    }

    /// This one has answered and talks to the caller; the others are free again.
    pub fn answered(&mut self, at: usize) {
        let Some(winner) = self.called.get(at).map(|called| called.id.clone()) else { return };
        let mut inner = self.fifos.inner();
        for called in self.called.drain(..) {
            if let Some(member) = inner.member(&self.name, &called.id) {
                member.ringing = member.ringing.saturating_sub(1);
                if called.id == winner {
                    member.used += 1;
                    member.failures = 0;
                }
            }
        }
        self.talks = Some(winner);
        if let Some(queue) = inner.queues.get(&self.name) {
            queue.wake_next();
        }
    }

    /// The call with who answered is over.
    pub fn over(self, now: Instant) {
        let mut inner = self.fifos.inner();
        if let Some(member) = self.talks.as_ref().and_then(|id| inner.member(&self.name, id)) {
            member.calls = member.calls.saturating_add(1);
            member.next = Some(now + member.lag + Duration::from_secs(1));
        }
    }
}

impl Drop for Engagement {
    fn drop(&mut self) {
        let mut inner = self.fifos.inner();
        for called in &self.called {
            if let Some(member) = inner.member(&self.name, &called.id) {
                member.ringing = member.ringing.saturating_sub(1);
            }
        }
        if let Some(member) = self.talks.as_ref().and_then(|id| inner.member(&self.name, id)) {
            member.used = member.used.saturating_sub(1);
        }
        if let Some(queue) = inner.queues.get_mut(&self.name) {
            if let Some(waiting) = queue.waiting.iter_mut().find(|w| w.number == self.number) {
                waiting.calling = false;
            }
            queue.wake_next();
        }
    }
}
