//! `bridge`: calls somebody and joins the two.
//!
//! FreeSWITCH's `audio_bridge_function` and `switch_channel_handle_cause`: after a bridge the dialplan goes on
//! unless `hangup_after_bridge`; after a failure it goes on for `continue_on_fail`, or for the few causes that
//! always let it.

use super::call::Call;
use crate::channel::variables::is_true;
use crate::channel::{Cause, Happening, Leg, Mailbox, News, Route, Shown, Successor, Token, ask_for_place};
use crate::dial::{Failure, Winner, note_failure, originate};
use crate::dialplan::Expanded;
use crate::sip::Replaces;
use std::time::Duration;
use tracing::{info, warn};

/// A dial string.
pub async fn run(call: &mut Call, data: &Expanded) {
    // In a box of its own, which a call that is up no longer has.
    let calling = Box::pin(originate(&mut call.leg, data.guarded()));
    match calling.await {
        Ok(winner) => joined(call, winner).await,
        Err(failure) => failed(call, &failure),
    }
}

/// Joins the legs and waits until one ends.
async fn joined(call: &mut Call, winner: Winner) {
    let leg = &mut call.leg;
    let mut answered = winner.answered;
    let described = match answered {
        true => leg.answer(Some(&winner.view)),
        false => leg.pre_answer(Some(&winner.view)),
    };
    leg.join(winner.mailbox.clone(), winner.uuid.clone(), winner.view.clone());
    if described.is_err() || leg.is_leaving() {
        leg.part(leg.cause().unwrap_or(Cause::INCOMPATIBLE_DESTINATION));
        return;
    }
    leg.variables.set("bridge_channel", &winner.number);
    let ended = until_parted(&mut call.leg, winner.mailbox.token, &mut answered).await;
    match ended {
        None => {}
        Some(ended) if answered => after(call, ended.cause),
        Some(ended) => {
            let failure = Failure { cause: ended.cause, sip: ended.sip, redirects: ended.redirects };
            note_failure(&mut call.leg, &failure);
            failed(call, &failure);
        }
    }
}

/// Waits until the bridge with `partner` is over, and answers the caller when the partner does. `None` when the leg itself
/// is over or sent elsewhere.
async fn until_parted(leg: &mut Leg, partner: Token, answered: &mut bool) -> Option<Parted> {
    loop {
        match leg.next().await {
            // the losers of the race tell their end too
            Happening::News(from, _) if from != partner => {}
            Happening::News(_, News::Answered(view)) => {
                *answered = true;
                leg.answer(Some(&view)).ok()?;
            }
            Happening::News(_, News::Ended(ended)) => {
                let (sip, redirects) = (ended.sip.clone(), ended.redirects.clone());
                return Some(Parted { cause: ended.cause, sip, redirects });
            }
            Happening::News(_, News::Left(cause)) => {
                return Some(Parted { cause, sip: None, redirects: Vec::new() });
            }
            Happening::Over => return None,
            _ => {}
        }
    }
}

/// How the partner went.
struct Parted {
    cause: Cause,
    sip: Option<(u16, String)>,
    redirects: Vec<String>,
}

/// How long two legs may take to meet.
const MEETING: Duration = Duration::from_secs(5);

/// Joins the leg with another, whatever that one is doing (`switch_ivr_uuid_bridge`), and stays until they part.
pub(super) async fn meet(call: &mut Call, peer: &Mailbox) {
    match meeting(&mut call.leg, peer).await {
        Ok(()) => stay(call).await,
        Err(why) if !call.leg.is_leaving() => {
            warn!("{} {}: cannot be joined with the other leg: {why}", call.leg.uuid, call.leg.name());
            call.leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
        }
        Err(_) => {}
    }
}

async fn meeting(leg: &mut Leg, peer: &Mailbox) -> Result<(), &'static str> {
    let view = look(leg, peer).await?.view.ok_or("it has no media yet")?;
    leg.answer(Some(&view)).map_err(|_| "this leg cannot be answered with its codecs")?;
    if !leg.meet(peer) {
        return Err("it is gone, or this leg has no media");
    }
    let deadline = Some(Leg::now() + MEETING);
    loop {
        match leg.next_until(deadline).await {
            Happening::Joined(with) if with == peer.token => return Ok(()),
            Happening::Deadline => return Err("it does not come"),
            Happening::Over => return Err("this leg is over"),
            _ => {}
        }
    }
}

/// Asks the leg whose dialog `replaces` names for its place; then this one has its course, or is refused.
pub(super) async fn take_place(leg: &mut Leg, replaces: &Replaces) {
    let by = Successor::Leg(leg.mailbox().clone());
    let asked = ask_for_place(replaces, &leg.exchange.legs, by, leg.mailbox());
    let asked = asked.is_some_and(|(other, letter)| other.token != leg.token() && other.post(letter));
    let deadline = Some(Leg::now() + MEETING);
    let status = loop {
        if !asked {
            break 481;
        }
        match leg.next_until(deadline).await {
            Happening::News(_, News::Replaced(status)) if status >= 300 => break status,
            Happening::Deadline => break 500,
            Happening::Over => return,
            _ => {}
        }
    };
    info!("{} {}: INVITE with Replaces {replaces}: refused with {status}", leg.uuid, leg.name());
    leg.respond(status, None, &[], Cause::from_sip(status));
}

/// Asks another leg how it stands.
pub(super) async fn look(leg: &mut Leg, peer: &Mailbox) -> Result<Shown, &'static str> {
    if peer.token == leg.token() || !leg.ask(peer) {
        return Err("it is gone");
    }
    let deadline = Some(Leg::now() + MEETING);
    loop {
        match leg.next_until(deadline).await {
            Happening::News(from, News::Shown(shown)) if from == peer.token => return Ok(*shown),
            Happening::Deadline => return Err("it does not answer"),
            Happening::Over => return Err("this leg is over"),
            _ => {}
        }
    }
}

/// Stays in the bridge the leg is in.
pub(super) async fn stay(call: &mut Call) {
    let Some(partner) = call.leg.partner().map(|partner| partner.token) else { return };
    if let Some(parted) = until_parted(&mut call.leg, partner, &mut true).await {
        after(call, parted.cause);
    }
}

/// The called side has hung up.
fn after(call: &mut Call, cause: Cause) {
    let leg = &mut call.leg;
    leg.variables.set("bridge_hangup_cause", cause.name());
    leg.variables.set("last_bridge_hangup_cause", cause.name());
    leg.variables.set("hangup_cause", cause.name());
    if let Some(target) = leg.variables.get("transfer_after_bridge").map(Route::after_bridge) {
        leg.variables.unset("transfer_after_bridge");
        call.transfer(&target.destination, target.dialplan.as_deref(), target.context.as_deref());
    } else if leg.variables.is_true("park_after_bridge") {
        call.transfer("park", Some("inline"), None);
    } else if leg.variables.is_true("hangup_after_bridge") {
        leg.hangup(cause);
    }
}

/// Nobody answered: does the dialplan go on?
fn failed(call: &mut Call, failure: &Failure) {
    let leg = &mut call.leg;
    if leg.is_leaving() {
        return;
    }
    let cause = failure.cause;
    leg.variables.set("hangup_cause", cause.name());
    info!("{} {}: bridge failed, cause {}", leg.uuid, leg.name(), cause.name());
    if let Some(target) = failure.redirects.first().filter(|_| leg.agent.conf.manual_redirect) {
        leg.variables.set_wire("sip_redirected_to", target);
        let user = target.parse::<crate::sip::Uri>().ok().and_then(|u| u.user().map(|u| u.into_owned()));
        call.transfer(user.as_deref().unwrap_or("service"), None, Some("redirected"));
        return;
    }
    let goes_on = match (leg.variables.get("continue_on_fail"), leg.variables.get("failure_causes")) {
        (Some(list), _) => is_true(list) || listed(list, cause),
        (None, Some(list)) => !listed(list, cause),
        (None, None) => {
            matches!(cause, Cause::NO_ANSWER | Cause::NO_USER_RESPONSE | Cause::ORIGINATOR_CANCEL)
        }
    };
    if !goes_on || cause == Cause::ATTENDED_TRANSFER {
        leg.hangup(cause);
    }
}

/// True when a comma list of cause names or numbers has this one.
fn listed(list: &str, cause: Cause) -> bool {
    list.split(',').map(str::trim).any(|item| Cause::parse(item) == Some(cause))
}
