//! The table itself: contacts by address-of-record, by connection and by expiry.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use slab::Slab;
use smallvec::SmallVec;

use super::binding::{Aor, Binding};
use super::expiry::{Due, Millis, Queue};
use super::policy::Policy;
use super::register::{Asker, Change, Fate, Gone, Plan, Refusal, Registered};
use super::request::{Request, Wanted};
use crate::sip::Flow;

/// How much the table may hold. Beyond it new contacts are refused; those there are can always be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Contacts of one address-of-record.
    pub per_aor: usize,
    /// Contacts in all.
    pub total: usize,
}

impl Default for Bounds {
    /// 50 of one user, a million in all.
    fn default() -> Self {
        Bounds { per_aor: 50, total: 1 << 20 }
    }
}

/// Who is where. Shared by all profiles; safe to use from many threads.
pub struct Registrar {
    shards: Box<[Shard]>,
    hasher: RandomState,
    bounds: Bounds,
    began: Instant,
}

struct Shard {
    state: Mutex<State>,
    /// The number of contacts in `state`, readable without its lock.
    len: AtomicUsize,
}

#[derive(Default)]
struct State {
    slots: Slab<Slot>,
    aors: HashMap<Aor, SmallVec<[u32; 2]>>,
    connections: HashMap<u64, SmallVec<[u32; 2]>>,
    queue: Queue,
}

struct Slot {
    binding: Arc<Binding>,
    due: Due,
}

const SHARDS: usize = 32;

impl Registrar {
    /// An empty table. `now` is where its clock begins; later calls must not come with an earlier time.
    pub fn new(now: Instant, bounds: Bounds) -> Self {
        let shards =
            (0..SHARDS).map(|_| Shard { state: Mutex::default(), len: AtomicUsize::new(0) }).collect();
        Registrar { shards, hasher: RandomState::new(), bounds, began: now }
    }

    /// Carries out a REGISTER that came on `flow` for `user@domain`, or a query of it. Either all of it happens or, with
    /// a [`Refusal`], nothing.
    pub fn register(
        &self,
        now: Instant,
        request: &Request,
        flow: Flow,
        (user, domain): (&str, &str),
        policy: &Policy,
    ) -> Result<Registered, Refusal> {
        let aor = Aor::new(user, domain);
        let shard = self.shard(&aor);
        let mut state = shard.lock();
        let mut present: Vec<(u32, Arc<Binding>)> = Vec::new();
        let mut over: SmallVec<[u32; 2]> = SmallVec::new();
        for slot in state.of_profile(&aor, &policy.profile) {
            match state.binding(slot) {
                Some(binding) if binding.gone_at() > now => present.push((slot, binding.clone())),
                _ => over.push(slot),
            }
        }
        let asker = Asker { now, user, domain, flow, policy };
        let bindings: Vec<Arc<Binding>> = present.iter().map(|(_, b)| b.clone()).collect();
        let plan = Plan::make(&asker, request, &bindings)?;
        self.check_room(&plan, &state, &aor)?;
        let mut changes = Vec::new();
        for slot in over {
            changes.extend(state.remove(slot).map(|b| Change::Gone(b, Gone::Expired)));
        }
        let first = bindings.is_empty() && !plan.added.is_empty();
        let granted = plan.granted;
        self.carry_out(&mut state, &aor, plan, present, &mut changes);
        let contacts = state.echo(&aor, &policy.profile, now);
        state.tidy();
        shard.publish(&state);
        let outbound = policy.outbound
            && matches!(&request.wanted, Wanted::Contacts(wishes)
                if wishes.iter().any(|w| w.instance.is_some() && w.reg_id.is_some()));
        Ok(Registered { contacts, path: request.path.clone(), granted, first, outbound, changes })
    }

    /// Where a user can be reached now, at whichever profile: the best first (by q), of equals the one registered
    /// earliest.
    pub fn lookup(&self, now: Instant, user: &str, domain: &str) -> Vec<Arc<Binding>> {
        let aor = Aor::new(user, domain);
        let state = self.shard(&aor).lock();
        let slots = state.aors.get(&aor).map(|slots| slots.as_slice()).unwrap_or_default();
        let mut found: Vec<Arc<Binding>> = slots
            .iter()
            .filter_map(|slot| state.binding(*slot))
            .filter(|b| b.gone_at() > now)
            .cloned()
            .collect();
        drop(state);
        found.sort_by(|a, b| b.q.cmp(&a.q).then(a.since.cmp(&b.since)));
        found
    }

    /// The same for one profile.
    pub fn lookup_at(&self, now: Instant, profile: &str, user: &str, domain: &str) -> Vec<Arc<Binding>> {
        let mut found = self.lookup(now, user, domain);
        found.retain(|b| &*b.profile == profile);
        found
    }

    /// When to call [`expire`](Self::expire). May be earlier than needed, never later.
    pub fn next_timeout(&self) -> Option<Instant> {
        let next = self.shards.iter().filter_map(|shard| shard.lock().queue.next()).min()?;
        Some(self.began + Duration::from_millis(next))
    }

    /// Drops and hands back every contact whose time is over.
    pub fn expire(&self, now: Instant) -> Vec<Arc<Binding>> {
        // Rounded down, as the times contacts are due at are rounded up: never early, at most a millisecond late.
        let millis = now.saturating_duration_since(self.began).as_millis() as Millis;
        let mut gone = Vec::new();
        for shard in &self.shards {
            let mut state = shard.lock();
            while let Some(slot) = state.pop_due(millis) {
                gone.extend(state.remove(slot));
            }
            state.tidy();
            shard.publish(&state);
        }
        gone
    }

    /// Drops and hands back every contact that came over a connection that is now closed.
    pub fn connection_closed(&self, connection: u64) -> Vec<Arc<Binding>> {
        let mut gone = Vec::new();
        if connection == 0 {
            return gone;
        }
        for shard in &self.shards {
            let mut state = shard.lock();
            for slot in state.connections.get(&connection).cloned().unwrap_or_default() {
                gone.extend(state.remove(slot));
            }
            state.tidy();
            shard.publish(&state);
        }
        gone
    }

    /// Drops and hands back every contact that `wanted` picks: for `flush_inbound_reg` and for a profile that stops.
    pub fn flush(&self, wanted: impl Fn(&Binding) -> bool) -> Vec<Arc<Binding>> {
        let mut gone = Vec::new();
        for shard in &self.shards {
            let mut state = shard.lock();
            let slots: Vec<u32> =
                state.slots.iter().filter(|(_, s)| wanted(&s.binding)).map(|(at, _)| at as u32).collect();
            for slot in slots {
                gone.extend(state.remove(slot));
            }
            state.tidy();
            shard.publish(&state);
        }
        gone
    }

    /// Hands back every contact that `wanted` picks, in no order.
    pub fn list(&self, wanted: impl Fn(&Binding) -> bool) -> Vec<Arc<Binding>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let state = shard.lock();
            found.extend(state.slots.iter().map(|(_, s)| &s.binding).filter(|b| wanted(b)).cloned());
        }
        found
    }

    /// The number of contacts.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len.load(Ordering::Relaxed)).sum()
    }

    /// True when nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, aor: &Aor) -> &Shard {
        let at = self.hasher.hash_one(aor) as usize % SHARDS;
        // There are SHARDS of them, so `at` is always there.
        &self.shards[at]
    }

    fn check_room(&self, plan: &Plan, state: &State, aor: &Aor) -> Result<(), Refusal> {
        if plan.added.is_empty() {
            return Ok(());
        }
        let present = state.aors.get(aor).map_or(0, |slots| slots.len());
        let here = present + plan.count() - plan.fates.len();
        if here > self.bounds.per_aor {
            return Err(Refusal::new(403, "Forbidden"));
        }
        let growth = plan.count().saturating_sub(plan.fates.len());
        if growth > 0 && self.len() + growth > self.bounds.total {
            return Err(Refusal::full());
        }
        Ok(())
    }

    fn carry_out(
        &self,
        state: &mut State,
        aor: &Aor,
        plan: Plan,
        present: Vec<(u32, Arc<Binding>)>,
        changes: &mut Vec<Change>,
    ) {
        for ((slot, _), fate) in present.into_iter().zip(plan.fates) {
            match fate {
                Fate::Kept => {}
                Fate::Gone(why) => changes.extend(state.remove(slot).map(|b| Change::Gone(b, why))),
                Fate::Refreshed(binding) => {
                    let binding = Arc::new(*binding);
                    state.replace(slot, binding.clone(), self.due_at(&binding));
                    changes.push(Change::Refreshed(binding));
                }
            }
        }
        for binding in plan.added {
            let binding = Arc::new(binding);
            state.insert(aor.clone(), binding.clone(), self.due_at(&binding));
            changes.push(Change::Added(binding));
        }
    }

    fn due_at(&self, binding: &Binding) -> Millis {
        let nanos = binding.gone_at().saturating_duration_since(self.began).as_nanos();
        Millis::try_from(nanos.div_ceil(1_000_000)).unwrap_or(Millis::MAX)
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the table whole: nothing is done by halves between the calls below.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn publish(&self, state: &State) {
        self.len.store(state.slots.len(), Ordering::Relaxed);
    }
}

impl State {
    fn binding(&self, slot: u32) -> Option<&Arc<Binding>> {
        self.slots.get(slot as usize).map(|s| &s.binding)
    }

    fn of_profile(&self, aor: &Aor, profile: &str) -> SmallVec<[u32; 2]> {
        let slots = self.aors.get(aor).map(|slots| slots.as_slice()).unwrap_or_default();
        let here = |slot: &u32| self.binding(*slot).is_some_and(|b| &*b.profile == profile);
        slots.iter().copied().filter(here).collect()
    }

    fn echo(&self, aor: &Aor, profile: &str, now: Instant) -> Vec<String> {
        let mut contacts = Vec::new();
        for slot in self.of_profile(aor, profile) {
            if let Some(binding) = self.binding(slot) {
                let remaining = binding.remaining(now);
                if remaining > 0 {
                    contacts.push(format!("{};expires={remaining}", binding.contact()));
                }
            }
        }
        contacts
    }

    fn insert(&mut self, aor: Aor, binding: Arc<Binding>, at: Millis) {
        let entry = self.slots.vacant_entry();
        let slot = entry.key() as u32;
        let due = self.queue.add(slot, at);
        self.connect(slot, &binding);
        // `connect` does not touch the slots, so the key is still the one that comes next.
        self.slots.insert(Slot { binding, due });
        self.aors.entry(aor).or_default().push(slot);
    }

    fn replace(&mut self, slot: u32, binding: Arc<Binding>, at: Millis) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        entry.due = self.queue.change(slot, entry.due, at);
        let old = std::mem::replace(&mut entry.binding, binding.clone());
        if old.flow.connection != binding.flow.connection {
            self.disconnect(slot, &old);
            self.connect(slot, &binding);
        }
    }

    fn remove(&mut self, slot: u32) -> Option<Arc<Binding>> {
        let binding = self.slots.try_remove(slot as usize)?.binding;
        self.disconnect(slot, &binding);
        let aor = Aor::new(&binding.user, &binding.domain);
        if let Some(slots) = self.aors.get_mut(&aor) {
            slots.retain(|s| *s != slot);
            if slots.is_empty() {
                self.aors.remove(&aor);
            }
        }
        Some(binding)
    }

    fn connect(&mut self, slot: u32, binding: &Binding) {
        if binding.flow.connection != 0 {
            self.connections.entry(binding.flow.connection).or_default().push(slot);
        }
    }

    fn disconnect(&mut self, slot: u32, binding: &Binding) {
        if let Some(slots) = self.connections.get_mut(&binding.flow.connection) {
            slots.retain(|s| *s != slot);
            if slots.is_empty() {
                self.connections.remove(&binding.flow.connection);
            }
        }
    }

    fn pop_due(&mut self, now: Millis) -> Option<u32> {
        let slots = std::cell::RefCell::new(&mut self.slots);
        self.queue.pop(
            now,
            |slot| slots.borrow().get(slot as usize).map(|s| s.due),
            |slot, due| {
                if let Some(entry) = slots.borrow_mut().get_mut(slot as usize) {
                    entry.due = due;
                }
            },
        )
    }

    /// Gives back room once most of it is empty.
    fn tidy(&mut self) {
        self.queue.tidy(self.slots.len(), self.slots.iter().map(|(at, s)| (at as u32, s.due)));
        if self.slots.is_empty() && self.slots.capacity() > 1024 {
            *self = State::default();
        }
    }
}

#[cfg(test)]
mod tests;
