//! `sched_hangup`, `sched_transfer`, `sched_broadcast`, `sched_cancel`: what is to be done with the leg later.

use super::{missing, table};
use crate::channel::{Cause, Leg};
use crate::dialplan::{Expanded, plain, separate};
use crate::store::schedule::{Errand, When};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{info, warn};

/// `[+]seconds [cause] [bleg]`: ends the leg, or the one it is bridged with. `+0` does so at once.
pub fn hangup(leg: &mut Leg, data: &Expanded) {
    let words = words(data, 3);
    let Some(when) = moment(leg, "sched_hangup", data, words.first()) else { return };
    let cause = words.get(1).map_or(Cause::ALLOTTED_TIMEOUT, |cause| Cause::parse_or_clearing(&plain(cause)));
    let bleg = words.get(2).is_some_and(|word| word.eq_ignore_ascii_case("bleg"));
    if when.after.is_zero() && !bleg {
        return leg.hangup(cause);
    }
    let uuid = leg.uuid.as_ref().into();
    add(leg, when, Errand::Hangup { uuid, cause: cause.number(), bleg });
}

/// `[+]seconds extension [dialplan] [context]`.
pub fn transfer(leg: &mut Leg, data: &Expanded) {
    let words = words(data, 4);
    let Some(when) = moment(leg, "sched_transfer", data, words.first()) else { return };
    let word = |n: usize| words.get(n).map(|word| Box::<str>::from(&*plain(word)));
    let Some(destination) = word(1) else {
        return warn!("{} {}: sched_transfer({}): no extension", leg.uuid, leg.name(), data.text);
    };
    let (uuid, wire) = (leg.uuid.as_ref().into(), data.wire);
    let errand = Errand::Transfer { uuid, destination, dialplan: word(2), context: word(3), wire };
    note(leg, when, errand);
}

/// `[+]seconds application[!cause]::arguments [aleg|bleg|both]`. A file to be played is refused.
pub fn broadcast(leg: &mut Leg, data: &Expanded) {
    let words = words(data, 3);
    let Some(when) = moment(leg, "sched_broadcast", data, words.first()) else { return };
    let Some(what) = words.get(1) else {
        return warn!("{} {}: sched_broadcast({}): nothing to run", leg.uuid, leg.name(), data.text);
    };
    if let Err(why) = is_possible(what) {
        return warn!("{} {}: sched_broadcast({}): {why}; left out", leg.uuid, leg.name(), data.text);
    }
    let side = words.get(2).map_or("aleg", |word| word.as_str());
    let (aleg, bleg) = match side {
        "both" => (true, true),
        "bleg" => (false, true),
        "aleg" => (true, false),
        _ => {
            return warn!(
                "{} {}: sched_broadcast: neither aleg, bleg nor both: {side}",
                leg.uuid,
                leg.name()
            );
        }
    };
    let (uuid, what) = (leg.uuid.as_ref().into(), what.as_str().into());
    note(leg, when, Errand::Broadcast { uuid, what, aleg, bleg });
}

/// `[group|number]`: calls off one task, all of a group, or without anything all of this leg.
pub fn cancel(leg: &mut Leg, data: &Expanded) {
    let schedule = &leg.exchange.stores.schedule;
    let group = match data.text.trim() {
        "" => &*leg.uuid,
        group => group,
    };
    let count = match group.parse::<u32>() {
        Ok(id) => usize::from(schedule.cancel(id)),
        Err(_) => schedule.cancel_group(group),
    };
    info!("{} {}: sched_cancel {group}: {count} called off", leg.uuid, leg.name());
}

/// Whether something can be broadcast: an application there is, not a file.
///
/// # Errors
/// Why it cannot.
pub fn is_possible(what: &str) -> Result<(), String> {
    let Some((name, _)) = what.split_once("::") else {
        return Err(format!("playing {} is not provided yet", plain(what)));
    };
    let name = name.split('!').next().unwrap_or(name);
    match table::find(name) {
        Some(_) => Ok(()),
        None if missing::is_known(name) => Err(format!("{name} is not provided yet")),
        None => Err(format!("invalid application {name}")),
    }
}

/// Seconds since 1970.
pub(super) fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn words(data: &Expanded, most: usize) -> Vec<String> {
    separate(data.guarded(), ' ', most)
}

fn moment(leg: &Leg, name: &str, data: &Expanded, word: Option<&String>) -> Option<When> {
    let when = word.and_then(|word| When::read(&plain(word), epoch()));
    if when.is_none() {
        warn!("{} {}: {name}({}): no time; write +seconds", leg.uuid, leg.name(), data.text);
    }
    when
}

fn add(leg: &mut Leg, when: When, errand: Errand) -> Option<u32> {
    let added = leg.exchange.stores.schedule.add(Leg::now(), when, &leg.uuid, errand);
    added.map_err(|full| warn!("{} {}: not scheduled: {full}", leg.uuid, leg.name())).ok()
}

/// Adds it, and notes its number.
fn note(leg: &mut Leg, when: When, errand: Errand) {
    if let Some(id) = add(leg, when, errand) {
        leg.variables.print("last_sched_id", id);
    }
}
