//! What is to be done later: the table of tasks (FreeSWITCH's switch_scheduler.c).
//!
//! The table is data: [`add`](Schedule::add), [`take_due`](Schedule::take_due) and [`next_timeout`](Schedule::next_timeout) are
//! given the time. One task of the switch serves it: it does what is due, tells what happened ([`Notice`]), and sleeps until
//! the next is due or [`changed`](Schedule::changed) wakes it.
//!
//! Tasks of a leg go with it ([`forget_leg`](Schedule::forget_leg)); there the scheduler keeps them and finds nobody when they
//! are due.

use super::Full;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::{debug, error};

/// Tasks there may be.
const TASKS: usize = 100_000;
/// Tasks of one group (a leg's are those of its uuid).
const PER_GROUP: usize = 1_000;
/// Things told of tasks that wait to be taken; beyond it the oldest are lost.
const NOTICES: usize = 10_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// End a leg, or the one it is bridged with.
    Hangup {
        /// Which.
        uuid: Box<str>,
        /// The number of the cause.
        cause: u16,
        /// The other one.
        bleg: bool,
    },
    /// Send a leg to an extension.
    Transfer {
        /// Which.
        uuid: Box<str>,
        /// The number.
        destination: Box<str>,
        /// The dialplan; the leg's own without it.
        dialplan: Option<Box<str>>,
        /// The context; the leg's own without it.
        context: Option<Box<str>>,
        /// There is text from the wire in it.
        wire: bool,
    },
    /// Run an application on a leg, on the one it is bridged with, or on both.
    Broadcast {
        /// Which.
        uuid: Box<str>,
        /// `application[!cause]::arguments`, or a file; guarded.
        what: Box<str>,
        /// On the leg.
        aleg: bool,
        /// On the other.
        bleg: bool,
    },
    /// Run an API command.
    Command(Box<str>),
}

impl Errand {
    /// FreeSWITCH's name for it.
    pub fn description(&self) -> &'static str {
        match self {
            Errand::Hangup { .. } => "switch_ivr_schedule_hangup",
            Errand::Transfer { .. } => "switch_ivr_schedule_transfer",
            Errand::Broadcast { .. } => "switch_ivr_schedule_broadcast",
            Errand::Command(_) => "sched_api_function",
        }
    }

    /// The leg it is for, unless it is for nobody's.
    fn leg(&self) -> Option<&str> {
        match self {
            Errand::Hangup { uuid, .. } | Errand::Transfer { uuid, .. } | Errand::Broadcast { uuid, .. } => {
                Some(uuid)
            }
            Errand::Command(_) => None,
        }
    }
}

/// A task, as it is told and listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: u32,
    /// The group it can be called off by.
    pub group: Box<str>,
    /// When it is due.
    pub due: Instant,
    /// It is due again so long after it was done.
    pub every: Option<Duration>,
    /// What is to be done.
    pub errand: Errand,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It was added.
    Added(Task),
    /// It was done and is due again.
    Again(Task),
    /// It is gone: done, or called off.
    Gone(Task),
}

/// When a task is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// So long from now.
    pub after: Duration,
    /// And again, so long after each time.
    pub every: Option<Duration>,
}

impl When {
    /// `+seconds`, or seconds since 1970; `@seconds` and a moment long past mean every so many seconds. `epoch` is now.
    /// `None` for what is no number.
    pub fn read(text: &str, epoch: u64) -> Option<When> {
        if let Some(seconds) = text.strip_prefix('+') {
            return Some(When { after: Duration::from_secs(seconds.parse().ok()?), every: None });
        }
        let moment: u64 = text.strip_prefix('@').unwrap_or(text).parse().ok()?;
        Some(match moment.checked_sub(epoch) {
            Some(seconds) => When { after: Duration::from_secs(seconds), every: None },
            None => {
                let every = Duration::from_secs(moment.max(1));
                When { after: every, every: Some(every) }
            }
        })
    }
}

/// What is to be done later.
#[derive(Debug, Default)]
pub struct Schedule {
    held: Mutex<Tasks>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Tasks {
    last: u32,
    tasks: HashMap<u32, Task>,
    due: BTreeSet<(Instant, u32)>,
    groups: HashMap<Box<str>, Vec<u32>>,
    notices: VecDeque<Notice>,
}

/// The longest a task may be ahead: clocks end somewhere.
const FURTHEST: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Schedule {
    fn held(&self) -> MutexGuard<'_, Tasks> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a task; its number.
    ///
    /// # Errors
    /// There is no room for another, in all or in its group.
    pub fn add(&self, now: Instant, when: When, group: &str, errand: Errand) -> Result<u32, Full> {
        let mut held = self.held();
        let in_group = held.groups.get(group).map_or(0, Vec::len);
        if held.tasks.len() >= TASKS || in_group >= PER_GROUP {
            error!("{} tasks are scheduled already, {in_group} of {group}: no more", held.tasks.len());
            return Err(Full);
        }
        let id = held.number();
        let due = now + when.after.min(FURTHEST);
        let every = when.every.map(|every| every.clamp(Duration::from_secs(1), FURTHEST));
        let task = Task { id, group: group.into(), due, every, errand };
        debug!("added task {id} {} ({group}) to run in {:?}", task.errand.description(), when.after);
        held.due.insert((due, id));
        held.groups.entry(group.into()).or_default().push(id);
        held.tell(Notice::Added(task.clone()));
        held.tasks.insert(id, task);
        drop(held);
        self.bell.notify_one();
        Ok(id)
    }

    /// Calls one task off; false when there is none by that number.
    pub fn cancel(&self, id: u32) -> bool {
        let gone = self.held().remove(id);
        self.bell.notify_one();
        gone
    }

    /// Calls every task of a group off; how many there were.
    pub fn cancel_group(&self, group: &str) -> usize {
        let mut held = self.held();
        let ids = held.groups.get(group).cloned().unwrap_or_default();
        let count = ids.into_iter().filter(|id| held.remove(*id)).count();
        drop(held);
        self.bell.notify_one();
        count
    }

    /// A leg is over: what was to be done with it is not.
    pub fn forget_leg(&self, uuid: &str) {
        let mut held = self.held();
        let Some(ids) = held.groups.get(uuid) else { return };
        let of_leg = |id: &u32| held.tasks.get(id).is_some_and(|task| task.errand.leg() == Some(uuid));
        let ids: Vec<u32> = ids.iter().copied().filter(of_leg).collect();
        ids.into_iter().for_each(|id| {
            held.remove(id);
        });
        drop(held);
        self.bell.notify_one();
    }

    /// When the next task is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.held().due.first().map(|(due, _)| *due)
    }

    /// Takes a task that is due; one that repeats is due again later.
    pub fn take_due(&self, now: Instant) -> Option<Errand> {
        let mut held = self.held();
        let (due, id) = held.due.first().copied().filter(|(due, _)| *due <= now)?;
        let late = now.saturating_duration_since(due).as_secs();
        let task = held.tasks.get_mut(&id)?;
        if late > 1 {
            tracing::warn!("task {id} {} is late by {late} s", task.errand.description());
        }
        let errand = task.errand.clone();
        match task.every {
            Some(every) => {
                task.due = now + every;
                let again = task.clone();
                held.due.remove(&(due, id));
                held.due.insert((again.due, id));
                held.tell(Notice::Again(again));
            }
            None => {
                held.remove(id);
            }
        }
        Some(errand)
    }

    /// What has happened to tasks since the last time, in order.
    pub fn take_notices(&self) -> VecDeque<Notice> {
        std::mem::take(&mut self.held().notices)
    }

    /// Waits until something has happened to a task.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Every task, the next one first.
    pub fn tasks(&self) -> Vec<Task> {
        let held = self.held();
        held.due.iter().filter_map(|(_, id)| held.tasks.get(id).cloned()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held().tasks.len()
    }

    /// True when nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tasks {
    /// A number that no task has.
    fn number(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            if !self.tasks.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    fn remove(&mut self, id: u32) -> bool {
        let Some(task) = self.tasks.remove(&id) else { return false };
        self.due.remove(&(task.due, id));
        if let Some(group) = self.groups.get_mut(&task.group) {
            group.retain(|other| *other != id);
            if group.is_empty() {
                self.groups.remove(&task.group);
            }
        }
        self.tell(Notice::Gone(task));
        true
    }

    fn tell(&mut self, notice: Notice) {
        if self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}

#[cfg(test)]
mod tests;
