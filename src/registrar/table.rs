//! The table itself: contacts by address-of-record, by connection and by expiry.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use slab::Slab;
use smallvec::SmallVec;

use super::binding::Binding;
use super::expiry::{Due, Millis, Queue};
use super::policy::Policy;
use super::refusals::Refusals;
use super::register::{Asker, Change, Fate, Gone, Plan, Refusal, Registered};
use super::request::{Request, Wanted};
use crate::config::Lately;
use crate::sip::Flow;
use crate::transaction::Hashed;

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
    /// Some phone is told of the messages of another account than its own (`mwi-account`).
    has_other_accounts: AtomicBool,
    /// Some phone is pinged.
    has_pinged: AtomicBool,
    /// What was refused before it came to this table.
    pub refusals: Refusals,
}

struct Shard {
    state: Mutex<State>,
    /// The number of contacts in `state`, readable without its lock.
    len: AtomicUsize,
}

struct State {
    slots: Slab<Slot>,
    /// By the names of their addresses-of-record.
    aors: HashMap<Name, SmallVec<[u32; 2]>, BuildHasherDefault<Hashed>>,
    connections: HashMap<u64, SmallVec<[u32; 2]>>,
    queue: Queue,
    /// Domains and User-Agents, which a million bindings have in common.
    texts: Lately,
}

struct Slot {
    aor: Name,
    binding: Arc<Binding>,
    due: Due,
}

/// An address-of-record, `user@domain` compared without case as the directory does, as a hash under a key of this table. Two that
/// share one are told apart by what their bindings say; who does not know the key cannot make them.
type Name = u64;

const SHARDS: usize = 32;

impl Registrar {
    /// An empty table. `now` is where its clock begins; later calls must not come with an earlier time.
    pub fn new(now: Instant, bounds: Bounds) -> Self {
        let shards =
            (0..SHARDS).map(|_| Shard { state: Mutex::default(), len: AtomicUsize::new(0) }).collect();
        Registrar {
            shards,
            hasher: RandomState::new(),
            bounds,
            began: now,
            has_other_accounts: AtomicBool::new(false),
            has_pinged: AtomicBool::new(false),
            refusals: Refusals::default(),
        }
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
        if policy.account.as_ref().is_some_and(|account| account.messages.is_some()) {
            self.has_other_accounts.store(true, Ordering::Relaxed);
        }
        if policy.pinged {
            self.has_pinged.store(true, Ordering::Relaxed);
        }
        let aor = self.name(user, domain);
        let shard = self.shard(aor);
        let mut state = shard.lock();
        let mut slots: SmallVec<[u32; 2]> = SmallVec::new();
        let mut present: SmallVec<[Arc<Binding>; 2]> = SmallVec::new();
        let mut over: SmallVec<[u32; 2]> = SmallVec::new();
        for (slot, binding) in state.bindings(aor, user, domain) {
            if binding.profile != policy.profile {
                continue;
            }
            if binding.gone_at() > now {
                slots.push(slot);
                present.push(binding.clone());
            } else {
                over.push(slot);
            }
        }
        let (domain, user_agent) = (state.texts.share(domain), state.texts.share(&request.user_agent));
        let asker = Asker { now, user, domain, user_agent, flow, policy };
        let plan = Plan::make(&asker, request, &present)?;
        self.check_room(&plan, state.bindings(aor, user, &asker.domain).count())?;
        let mut changes = Vec::new();
        for slot in over {
            changes.extend(state.remove(slot).map(|b| Change::Gone(b, Gone::Expired)));
        }
        let first = present.is_empty() && !plan.added.is_empty();
        drop(present);
        let granted = plan.granted;
        self.carry_out(&mut state, aor, plan, &slots, &mut changes);
        let contacts = state
            .bindings(aor, user, &asker.domain)
            .filter(|(_, binding)| binding.profile == policy.profile)
            .filter_map(|(_, binding)| echo(binding, now))
            .collect();
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
        let aor = self.name(user, domain);
        let state = self.shard(aor).lock();
        let here = state.bindings(aor, user, domain).map(|(_, binding)| binding);
        let mut found: Vec<Arc<Binding>> = here.filter(|b| b.gone_at() > now).cloned().collect();
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

    /// The contacts that are told of the messages of an account, at whichever profile.
    pub fn for_messages(&self, now: Instant, user: &str, domain: &str) -> Vec<Arc<Binding>> {
        let is = |binding: &Binding| {
            let (of_user, of_domain) = binding.messages_of();
            of_user.eq_ignore_ascii_case(user) && of_domain.eq_ignore_ascii_case(domain)
        };
        if self.has_other_accounts.load(Ordering::Relaxed) {
            return self.list(|binding| binding.gone_at() > now && is(binding));
        }
        self.lookup(now, user, domain)
    }

    /// Of the contacts that are pinged, those that `wanted` picks.
    pub fn pinged(&self, wanted: impl Fn(&Binding) -> bool) -> Vec<Arc<Binding>> {
        match self.has_pinged.load(Ordering::Relaxed) {
            true => self.list(|binding| binding.reach.is_some() && wanted(binding)),
            false => Vec::new(),
        }
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

    /// Profiles are called otherwise from now on: what `named` answers for a name takes its place.
    pub fn rename_profiles(&self, named: impl Fn(&str) -> Option<Arc<str>>) {
        for shard in &self.shards {
            let mut state = shard.lock();
            for (_, slot) in &mut state.slots {
                if let Some(name) = named(&slot.binding.profile) {
                    Arc::make_mut(&mut slot.binding).profile = name;
                }
            }
        }
    }

    /// The number of contacts.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len.load(Ordering::Relaxed)).sum()
    }

    /// True when nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn name(&self, user: &str, domain: &str) -> Name {
        let mut hasher = self.hasher.build_hasher();
        for part in [user, domain] {
            // In lower case, a word at a time.
            for eight in part.as_bytes().chunks(8) {
                let mut word = [0; 8];
                for (low, byte) in word.iter_mut().zip(eight) {
                    *low = byte.to_ascii_lowercase();
                }
                hasher.write_u64(u64::from_le_bytes(word));
            }
            hasher.write_usize(part.len());
        }
        hasher.finish()
    }

    fn shard(&self, aor: Name) -> &Shard {
        // Neither the lowest nor the highest bits: those are the map's.
        let at = (aor >> 32) as usize % SHARDS;
        // There are SHARDS of them, so `at` is always there.
        &self.shards[at]
    }

    /// `present` is how many contacts the address-of-record has, at whichever profile.
    fn check_room(&self, plan: &Plan, present: usize) -> Result<(), Refusal> {
        if plan.added.is_empty() {
            return Ok(());
        }
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
        aor: Name,
        plan: Plan,
        present: &[u32],
        changes: &mut Vec<Change>,
    ) {
        for (slot, fate) in present.iter().copied().zip(plan.fates) {
            match fate {
                Fate::Kept => {}
                Fate::Gone(why) => changes.extend(state.remove(slot).map(|b| Change::Gone(b, why))),
                Fate::Refreshed(binding) => {
                    state.replace(slot, binding.clone(), self.due_at(&binding));
                    changes.push(Change::Refreshed(binding));
                }
            }
        }
        for binding in plan.added {
            state.insert(aor, binding.clone(), self.due_at(&binding));
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

    /// The contacts of an address-of-record, in the order they came.
    fn bindings(&self, aor: Name, user: &str, domain: &str) -> impl Iterator<Item = (u32, &Arc<Binding>)> {
        let slots = self.aors.get(&aor).map(|slots| slots.as_slice()).unwrap_or_default();
        slots.iter().filter_map(|slot| Some((*slot, self.binding(*slot)?))).filter(move |(_, binding)| {
            binding.user.eq_ignore_ascii_case(user) && binding.domain.eq_ignore_ascii_case(domain)
        })
    }

    fn insert(&mut self, aor: Name, binding: Arc<Binding>, at: Millis) {
        let entry = self.slots.vacant_entry();
        let slot = entry.key() as u32;
        let due = self.queue.add(slot, at);
        self.connect(slot, &binding);
        // `connect` does not touch the slots, so the key is still the one that comes next.
        self.slots.insert(Slot { aor, binding, due });
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
        let Slot { aor, binding, .. } = self.slots.try_remove(slot as usize)?;
        self.disconnect(slot, &binding);
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

impl Default for State {
    fn default() -> Self {
        State {
            slots: Slab::new(),
            aors: HashMap::default(),
            connections: HashMap::new(),
            queue: Queue::default(),
            texts: Lately::new(64),
        }
    }
}

/// The value of a Contact header of the 200; none for a contact whose time is over but for the margin.
fn echo(binding: &Binding, now: Instant) -> Option<String> {
    let remaining = binding.remaining(now);
    (remaining > 0).then(|| format!("{};expires={remaining}", binding.contact()))
}

#[cfg(test)]
mod tests;
