//! `valet_park`: a call waits in a slot of a lot until somebody dials the slot (mod_valet_parking.c). It waits in silence:
//! music and announcements are not provided yet.

use super::bridge::{meeting, stay};
use super::call::Call;
use super::lamp;
use super::missing;
use crate::channel::{Cause, Course, Happening, Leg, Letter, Order, Role, Route};
use crate::dialplan::{Expanded, plain, separate};
use crate::event::EventName;
use crate::presence::State;
use crate::store::valet::{Found, Space};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long a call waits that has somewhere else to go.
const USUAL: u64 = 60;
/// How long at most: clocks end somewhere.
const LONGEST: u64 = 365 * 86_400;
const EVENT: EventName = EventName::Custom("valet_parking::info");

/// `lot slot`, or `lot auto in|out least most`. `lot ask …` reads the slot after a prompt, which is not provided yet.
pub async fn run(call: &mut Call, data: &Expanded) {
    let words: Vec<String> =
        separate(data.guarded(), ' ', 6).iter().map(|word| plain(word).into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, leg) = ("valet_park", &mut call.leg);
    match words.as_slice() {
        [_, ask, ..] if ask.eq_ignore_ascii_case("ask") => {
            warn!(
                "{} {}: {name}({}): asking for a slot needs a prompt, which is not provided yet; {}",
                leg.uuid,
                leg.name(),
                data.text,
                missing::end_of(leg)
            );
            leg.hangup(Cause::SERVICE_NOT_IMPLEMENTED);
        }
        [lot, auto, way, least, most, ..] if auto.eq_ignore_ascii_case("auto") => {
            let number = |text: &str| text.parse::<u32>().unwrap_or(0);
            let range = (number(least), number(most));
            match way.to_ascii_lowercase().as_str() {
                "in" => park_somewhere(call, lot, range).await,
                "out" => fetch_longest(call, lot, range).await,
                _ => usage(leg, data),
            }
        }
        [_, auto, ..] if auto.eq_ignore_ascii_case("auto") => usage(leg, data),
        [lot, slot, ..] => at(call, lot, slot).await,
        _ => usage(leg, data),
    }
}

fn usage(leg: &Leg, data: &Expanded) {
    warn!("{} {}: valet_park({}): <lot> <slot>|auto in|out <least> <most>", leg.uuid, leg.name(), data.text);
}

/// The slot's call, or the slot itself when it is free.
async fn at(call: &mut Call, lot: &str, slot: &str) {
    let leg = &mut call.leg;
    match leg.exchange.stores.lots.look(lot, slot, Leg::now()) {
        Found::Nobody => park(call, lot, slot).await,
        Found::Parked(uuid) if uuid == leg.uuid => park(call, lot, slot).await,
        Found::Parked(_) => fetch(call, lot, slot).await,
        Found::Taken => {
            info!("{} {}: somebody else talks to the call in {slot} of {lot}", leg.uuid, leg.name());
            leg.hangup(Cause::USER_BUSY);
        }
        Found::Kept(ticket) if leg.variables.get("valet_ticket") == Some(&*ticket) => {
            leg.variables.unset("valet_ticket");
            park(call, lot, slot).await;
        }
        Found::Kept(_) => {
            info!("{} {}: {slot} of {lot} is kept for another call", leg.uuid, leg.name());
            leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
        }
    }
}

//------------ In -----------------------------------------------------------------------------------------------

async fn park(call: &mut Call, lot: &str, slot: &str) {
    let leg = &call.leg;
    match leg.exchange.stores.lots.park(lot, slot, &leg.uuid, Leg::now()) {
        Ok(space) => wait(call, lot, space).await,
        Err(full) => warn!("{} {}: not parked in {slot} of {lot}: {full}", leg.uuid, leg.name()),
    }
}

/// The first free slot: for the leg, or for the one it is bridged with, which is sent there.
async fn park_somewhere(call: &mut Call, lot: &str, range: (u32, u32)) {
    let leg = &mut call.leg;
    let lots = leg.exchange.stores.lots.clone();
    let Some(partner) = leg.partner().cloned() else {
        match lots.park_next(lot, range, &leg.uuid, Leg::now()) {
            Ok(space) => wait(call, lot, space).await,
            Err(_) => warn!("{} {}: {lot} lot is full", leg.uuid, leg.name()),
        }
        return;
    };
    // The name of the lot becomes a part of a list of applications.
    if lot.contains([',', '\'', '\\', '$', ' ']) {
        return warn!("{} {}: a lot called {lot} cannot take another leg", leg.uuid, leg.name());
    }
    let Ok(slot) = lots.keep_next(lot, range, &leg.uuid, Leg::now()) else {
        return warn!("{} {}: {lot} lot is full", leg.uuid, leg.name());
    };
    let destination = format!("set:valet_ticket={},valet_park:{lot} {slot}", leg.uuid);
    let route = Route { dialplan: Some("inline".to_owned()), ..Route::to(destination) };
    info!("{} {}: the other leg is parked in {slot} of {lot}", leg.uuid, leg.name());
    if partner.post(Letter::Order(Order::Go { course: Course::Extension(route), variables: Vec::new() })) {
        leg.hangup(Cause::NORMAL_CLEARING);
    }
}

/// Waits in the slot until somebody comes, the caller goes, or time is up.
async fn wait(call: &mut Call, lot: &str, space: Space) {
    let leg = &mut call.leg;
    let slot = space.slot().to_owned();
    info!("{} {}: parked in {slot} of {lot}", leg.uuid, leg.name());
    leg.variables.set_wire("valet_lot_extension", &slot);
    tell(leg, lot, &slot, "hold");
    let domain = lot.split_once('@').map(|(_, domain)| format!("{slot}@{domain}"));
    let lamps = [
        lamp::show(leg, "park", domain.as_deref().unwrap_or(&slot), State::Confirmed),
        lamp::show(leg, "park", lot, State::Confirmed),
    ];
    let orbit = orbit(leg);
    let timeout = leg.variables.get("valet_parking_timeout").and_then(|text| text.trim().parse::<u64>().ok());
    let usual = orbit.as_ref().map(|_| USUAL);
    let limit = timeout.filter(|seconds| *seconds > 0).or(usual);
    let limit = limit.map(|seconds| Duration::from_secs(seconds.min(LONGEST)));
    let deadline = limit.map(|limit| Leg::now() + limit);
    let exit_key = leg.variables.get("valet_parking_orbit_exit_key").and_then(|key| key.chars().next());
    let goes = loop {
        match call.next_until(deadline).await {
            Happening::Over => break false,
            Happening::Deadline => break true,
            Happening::Digit { digit, .. } if Some(digit) == exit_key => break true,
            Happening::Digit { digit: '#', .. } => break false,
            _ => {}
        }
    };
    let leg = &mut call.leg;
    drop((space, lamps));
    if let Some(by) = leg.partner_uuid().cloned() {
        leg.fire(EVENT, || {
            let mut headers = headers(lot, &slot, "bridge");
            headers.push(("Bridge-To-UUID".into(), by.to_string()));
            headers
        });
    }
    tell(leg, lot, &slot, "exit");
    if goes && let Some(Orbit { exten, dialplan, context }) = orbit {
        call.transfer(&exten, dialplan.as_deref(), context.as_deref());
    }
}

/// Where a call goes that nobody comes for.
struct Orbit {
    exten: Arc<str>,
    dialplan: Option<Arc<str>>,
    context: Option<Arc<str>>,
}

fn orbit(leg: &Leg) -> Option<Orbit> {
    let word = |what: &str| leg.variables.get(&format!("valet_parking_orbit_{what}")).map(Arc::<str>::from);
    let exten = word("exten")?;
    let dialplan = word("dialplan");
    let inline = dialplan.as_ref().is_some_and(|name| name.trim().eq_ignore_ascii_case("inline"));
    if inline && leg.variables.is_wire("valet_parking_orbit_exten") {
        warn!("{} {}: a list of applications with text from the wire in it is not run", leg.uuid, leg.name());
        return None;
    }
    Some(Orbit { exten, dialplan, context: word("context") })
}

//------------ Out ----------------------------------------------------------------------------------------------

async fn fetch_longest(call: &mut Call, lot: &str, range: (u32, u32)) {
    match call.leg.exchange.stores.lots.longest(lot, range) {
        Some(slot) => fetch(call, lot, &slot).await,
        None => warn!("{} {}: {lot} lot is empty", call.leg.uuid, call.leg.name()),
    }
}

/// Talks to the call in a slot. When that has just gone, the slot is free: this call is parked there.
async fn fetch(call: &mut Call, lot: &str, slot: &str) {
    let leg = &mut call.leg;
    let lots = leg.exchange.stores.lots.clone();
    let Some(taken) = lots.take(lot, slot) else {
        info!("{} {}: somebody else talks to the call in {slot} of {lot}", leg.uuid, leg.name());
        return leg.hangup(Cause::USER_BUSY);
    };
    let met = match leg.exchange.legs.by_uuid(&taken.uuid) {
        Some(peer) => meeting(leg, &peer, Role::Called).await,
        None => Err("it is gone"),
    };
    match met {
        Ok(()) => {
            taken.met();
            stay(call).await;
        }
        Err(_) if leg.is_leaving() => {}
        Err(why) => {
            drop(taken);
            if lots.look(lot, slot, Leg::now()) == Found::Nobody {
                return park(call, lot, slot).await;
            }
            warn!("{} {}: cannot talk to the call in {slot} of {lot}: {why}", leg.uuid, leg.name());
            leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
        }
    }
}

//------------ Events -------------------------------------------------------------------------------------------

fn tell(leg: &Leg, lot: &str, slot: &str, action: &str) {
    leg.fire(EVENT, || headers(lot, slot, action));
}

fn headers(lot: &str, slot: &str, action: &str) -> crate::event::Headers {
    vec![
        ("Valet-Lot-Name".into(), lot.to_owned()),
        ("Valet-Extension".into(), slot.to_owned()),
        ("Action".into(), action.to_owned()),
    ]
}
