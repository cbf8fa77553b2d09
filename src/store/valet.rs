//! Lots and their slots, where calls are parked (FreeSWITCH's mod_valet_parking.c).
//!
//! A leg that is parked has a [`Space`]; it gives its slot back when that drops, however the leg ends. Who comes for it
//! [`take`](Lots::take)s it: until the two have met nobody else can, and when they do not meet it is there as before.

use super::Full;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::error;

/// Calls that may be parked at a time.
const PARKED: usize = 50_000;
/// How long a slot is kept for a call that is on its way.
const KEPT: Duration = Duration::from_secs(5);

/// Every lot that has a call.
#[derive(Debug, Default)]
pub struct Lots {
    lots: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lots: HashMap<Box<str>, BTreeMap<Box<str>, Slot>>,
    count: usize,
    last: u64,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    uuid: Arc<str>,
    since: Instant,
    /// It is kept for a call that is on its way and knows the uuid.
    kept: Option<Instant>,
    /// Somebody is about to talk to the call.
    taken: bool,
}

/// Slots by name, and the legs in them.
pub type Slots = Vec<(String, Arc<str>)>;

/// What is in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nobody,
    /// This leg.
    Parked(Arc<str>),
    /// A leg that somebody is about to talk to.
    Taken,
    /// It is kept for who knows this word.
    Kept(Arc<str>),
}

impl Lots {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.lots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in a slot.
    pub fn look(&self, lot: &str, slot: &str, now: Instant) -> Found {
        let mut inner = self.inner();
        let Some(held) = inner.lots.get(lot).and_then(|lot| lot.get(slot)) else { return Found::Nobody };
        match held.kept {
            Some(until) if until <= now => {
                let number = held.number;
                inner.remove(lot, slot, number);
                Found::Nobody
            }
            Some(_) => Found::Kept(held.uuid.clone()),
            None if held.taken => Found::Taken,
            None => Found::Parked(held.uuid.clone()),
        }
    }

    /// Parks a leg in a slot; who was there has it no more.
    ///
    /// # Errors
    /// There are too many parked calls.
    pub fn park(
        self: &Arc<Self>,
        lot: &str,
        slot: &str,
        uuid: &Arc<str>,
        now: Instant,
    ) -> Result<Space, Full> {
        let number = self.inner().put(lot, slot, uuid, now, None)?;
        Ok(Space { lots: self.clone(), lot: lot.into(), slot: slot.into(), number })
    }

    /// Parks a leg in the first free slot from `least` to `most` (0: without end).
    ///
    /// # Errors
    /// There is none, or there are too many parked calls.
    pub fn park_next(
        self: &Arc<Self>,
        lot: &str,
        (least, most): (u32, u32),
        uuid: &Arc<str>,
        now: Instant,
    ) -> Result<Space, Full> {
        let mut inner = self.inner();
        let slot = inner.free(lot, least, most, now).ok_or(Full)?;
        let number = inner.put(lot, &slot, uuid, now, None)?;
        Ok(Space { lots: self.clone(), lot: lot.into(), slot: slot.into(), number })
    }

    /// Keeps the first free slot for some seconds for a call that is on its way and will know `ticket`; which.
    ///
    /// # Errors
    /// As with [`park_next`](Self::park_next).
    pub fn keep_next(
        &self,
        lot: &str,
        (least, most): (u32, u32),
        ticket: &Arc<str>,
        now: Instant,
    ) -> Result<String, Full> {
        let mut inner = self.inner();
        let slot = inner.free(lot, least, most, now).ok_or(Full)?;
        inner.put(lot, &slot, ticket, now, Some(now + KEPT))?;
        Ok(slot)
    }

    /// The slot from `least` to `most` (0: without end) whose call has waited longest.
    pub fn longest(&self, lot: &str, (least, most): (u32, u32)) -> Option<String> {
        let inner = self.inner();
        let slots = inner.lots.get(lot)?.iter();
        let within = |slot: &str| {
            slot.parse::<u32>().is_ok_and(|number| number >= least && (most == 0 || number <= most))
        };
        let waiting = slots.filter(|(slot, held)| held.kept.is_none() && !held.taken && within(slot));
        waiting.min_by_key(|(_, held)| (held.since, held.number)).map(|(slot, _)| slot.to_string())
    }

    /// Takes the call in a slot to talk to it; `None` when somebody else does, or there is none.
    pub fn take(self: &Arc<Self>, lot: &str, slot: &str) -> Option<Taken> {
        let mut inner = self.inner();
        let held = inner.lots.get_mut(lot)?.get_mut(slot)?;
        if held.taken || held.kept.is_some() {
            return None;
        }
        held.taken = true;
        let (number, uuid) = (held.number, held.uuid.clone());
        drop(inner);
        Some(Taken { lots: self.clone(), lot: lot.into(), slot: slot.into(), number, uuid })
    }

    /// Every lot with its slots and the legs in them, by name (`valet_info`).
    pub fn entries(&self) -> Vec<(String, Slots)> {
        let inner = self.inner();
        let mut all: Vec<_> = inner
            .lots
            .iter()
            .map(|(lot, slots)| {
                let parked = slots.iter().filter(|(_, held)| held.kept.is_none());
                (lot.to_string(), parked.map(|(slot, held)| (slot.to_string(), held.uuid.clone())).collect())
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// How many slots are not free.
    pub fn len(&self) -> usize {
        self.inner().count
    }

    /// True when nobody is parked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn put(
        &mut self,
        lot: &str,
        slot: &str,
        uuid: &Arc<str>,
        now: Instant,
        kept: Option<Instant>,
    ) -> Result<u64, Full> {
        if self.count >= PARKED {
            error!("{PARKED} calls are parked already: none in {slot} of {lot}");
            return Err(Full);
        }
        self.last += 1;
        let held = Slot { number: self.last, uuid: uuid.clone(), since: now, kept, taken: false };
        if self.lots.entry(lot.into()).or_default().insert(slot.into(), held).is_none() {
            self.count += 1;
        }
        Ok(self.last)
    }

    /// The first slot nobody has; those kept for too long are given up.
    fn free(&mut self, lot: &str, least: u32, most: u32, now: Instant) -> Option<String> {
        let most = if most == 0 { u32::MAX } else { most };
        let Some(slots) = self.lots.get_mut(lot) else {
            return (least.max(1) <= most).then(|| least.max(1).to_string());
        };
        let before = slots.len();
        slots.retain(|_, held| held.kept.is_none_or(|until| until > now));
        self.count -= before - slots.len();
        // One more than there are taken is enough to find a free one.
        (least.max(1)..=most).map(|n| n.to_string()).find(|slot| !slots.contains_key(slot.as_str()))
    }

    fn remove(&mut self, lot: &str, slot: &str, number: u64) {
        let Some(slots) = self.lots.get_mut(lot) else { return };
        if slots.get(slot).is_some_and(|held| held.number == number) {
            slots.remove(slot);
            self.count -= 1;
            if slots.is_empty() {
                self.lots.remove(lot);
            }
        }
    }
}

/// A leg's place in a slot, until it drops.
#[derive(Debug)]
pub struct Space {
    lots: Arc<Lots>,
    lot: Box<str>,
    slot: Box<str>,
    number: u64,
}

impl Space {
    /// Which slot.
    pub fn slot(&self) -> &str {
        &self.slot
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.lots.inner().remove(&self.lot, &self.slot, self.number);
    }
}

/// A parked call somebody is about to talk to; it is in its slot as before when this drops.
#[derive(Debug)]
pub struct Taken {
    lots: Arc<Lots>,
    lot: Box<str>,
    slot: Box<str>,
    number: u64,
    /// The leg.
    pub uuid: Arc<str>,
}

impl Taken {
    /// The two have met: the slot is free.
    pub fn met(self) {
        self.lots.inner().remove(&self.lot, &self.slot, self.number);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut inner = self.lots.inner();
        let held = inner.lots.get_mut(&self.lot).and_then(|slots| slots.get_mut(&self.slot));
        if let Some(held) = held.filter(|held| held.number == self.number) {
            held.taken = false;
        }
    }
}

#[cfg(test)]
mod tests;
