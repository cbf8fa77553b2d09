//! `bridge`: calls somebody and joins the two.
//!
//! FreeSWITCH's `audio_bridge_function` and `switch_channel_handle_cause`: after a bridge the dialplan goes on
//! unless `hangup_after_bridge`; after a failure it goes on for `continue_on_fail`, or for the few causes that
//! always let it.

use super::bound::{Bridge, Parted};
use super::call::Call;
use super::{camp, handed};
use crate::channel::variables::is_true;
use crate::channel::{
    Cause, Dialled, Happening, Leg, Mailbox, News, Outside, Role, Route, Shown, Successor, Token, Variables,
    ask_for_place,
};
use crate::dial::{self, Failure, Winner, note_failure, originate};
use crate::dialplan::{Expanded, guarded};
use crate::sip::Replaces;
use std::time::Duration;
use tracing::{info, warn};

/// A dial string.
pub async fn run(call: &mut Call, data: &Expanded) {
    if call.leg.partner().is_some() {
        let name = call.leg.name();
        return warn!("{} {name}: bridge in the middle of a call is left out: att_xfer it is", call.leg.uuid);
    }
    if call.leg.variables.is_true("campon") {
        return Box::pin(camp::run(call, data.guarded())).await;
    }
    // In a box of its own, which a call that is up no longer has.
    let calling = Box::pin(originate(&mut call.leg, data.guarded()));
    match calling.await {
        Ok(winner) => joined(call, winner, By::Us).await,
        Err(failure) => failed(call, &failure),
    }
}

/// Calls somebody at another switch who gives the leg the place of another call there (RFC 3891).
pub(super) async fn outside(call: &mut Call, outside: &Outside) {
    let Outside { profile, uri, replaces, referred_by } = outside;
    let mut own = format!("sip_h_Replaces={}", guarded(replaces));
    if let Some(by) = referred_by {
        own += &format!(",sip_h_Referred-By={}", guarded(by));
    }
    let text = format!("[{own}]sofia/{profile}/{}", guarded(uri));
    run(call, &Expanded::part(&text)).await;
}

/// Bridges the leg with the first to answer of those that another leg has called and left to this one.
pub(super) async fn adopt(call: &mut Call, dialled: Vec<Dialled>) {
    let waiting = Box::pin(dial::adopt(&mut call.leg, dialled));
    match waiting.await {
        Ok(winner) => joined(call, winner, By::Another).await,
        Err(failure) => failed(call, &failure),
    }
}

/// Who has called the leg that won.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum By {
    /// This one.
    Us,
    /// A leg that left it to this one: it knows nothing of our far end's description.
    Another,
}

/// Joins the legs and waits until one ends.
pub(super) async fn joined(call: &mut Call, winner: Winner, by: By) {
    let leg = &mut call.leg;
    let was_up = leg.is_answered();
    leg.has_reached(&winner.number);
    let described = match winner.answered {
        true => leg.answer(Some(&winner.view)),
        false => leg.pre_answer(Some(&winner.view)),
    };
    leg.join(winner.mailbox.clone(), winner.uuid.clone(), winner.view.clone());
    if described.is_err() || leg.is_leaving() {
        leg.part(leg.cause().unwrap_or(Cause::INCOMPATIBLE_DESTINATION));
        return;
    }
    match by {
        By::Us if was_up => leg.tell_of(&winner.view),
        By::Us => {}
        By::Another => leg.lead_together(),
    }
    if winner.bypass_after || leg.variables.is_true("bypass_media_after_bridge") {
        leg.lead_after_bridge();
    }
    if winner.answered {
        leg.display_called();
        leg.both_up();
    }
    leg.variables.set("bridge_channel", &winner.number);
    handed::import(leg, &winner.mailbox);
    let (ended, answered) = until_parted(call, winner.mailbox.token, winner.answered).await;
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

/// Waits until the bridge with `partner` is over; how it went, and whether the partner has `answered` by now. `None` when
/// the leg itself is over or sent elsewhere.
async fn until_parted(call: &mut Call, partner: Token, answered: bool) -> (Option<Parted>, bool) {
    let outer = call.bridge.replace(Bridge { partner, answered, parted: None });
    while !matches!(call.next().await, Happening::Over) {}
    match std::mem::replace(&mut call.bridge, outer) {
        Some(bridge) => (bridge.parted.map(|parted| *parted), bridge.answered),
        None => (None, answered),
    }
}

/// Runs what keys have ordered on a leg that has been called, in its bridge, and stays there.
pub(super) async fn perform(call: &mut Call) {
    let Some(partner) = call.leg.partner().map(|partner| partner.token) else {
        return call.leg.left_alone(Cause::NORMAL_CLEARING);
    };
    if let (Some(parted), _) = until_parted(call, partner, true).await {
        call.leg.left_alone(parted.cause);
    }
}

/// How long two legs may take to meet.
const MEETING: Duration = Duration::from_secs(5);

/// Joins the leg with another, whatever that one is doing (`switch_ivr_uuid_bridge`), and stays until they part.
pub(super) async fn meet(call: &mut Call, peer: &Mailbox) {
    match meeting(&mut call.leg, peer, Role::Calls).await {
        Ok(()) => stay(call).await,
        Err(why) if !call.leg.is_leaving() => {
            warn!("{} {}: cannot be joined with the other leg: {why}", call.leg.uuid, call.leg.name());
            call.leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
        }
        Err(_) => {}
    }
}

/// Waits for a leg that is about to join with this one.
pub(super) async fn wait(leg: &mut Leg) {
    let deadline = Some(Leg::now() + MEETING);
    loop {
        match leg.next_until(deadline).await {
            Happening::Over => return,
            Happening::Deadline => return leg.hangup(Cause::NORMAL_TEMPORARY_FAILURE),
            _ => {}
        }
    }
}

/// Takes the place of the leg that has called this one, at the side of the one that was put aside for it.
pub(super) async fn succeed(call: &mut Call, peer: &Mailbox) {
    let met = meeting(&mut call.leg, peer, Role::Calls).await;
    call.leg.variables.set("att_xfer_result", if met.is_ok() { "success" } else { "failure" });
    match met {
        Ok(()) => stay(call).await,
        Err(why) => {
            warn!("{} {}: cannot be left to the other leg: {why}", call.leg.uuid, call.leg.name());
            call.leg.hangup(Cause::DESTINATION_OUT_OF_ORDER);
        }
    }
}

/// Joins the leg with another, and says why not. `role`: which of the two it is.
pub(super) async fn meeting(leg: &mut Leg, peer: &Mailbox, role: Role) -> Result<(), &'static str> {
    let view = look(leg, peer).await?.view.ok_or("it has no media yet")?;
    leg.answer(Some(&view)).map_err(|_| "this leg cannot be answered with its codecs")?;
    if !leg.meet(peer, role) {
        return Err("it is gone, or this leg has no media");
    }
    let deadline = Some(Leg::now() + MEETING);
    loop {
        match leg.next_until(deadline).await {
            Happening::Joined(with) if with == peer.token => {
                leg.lead_together();
                leg.both_up();
                return Ok(());
            }
            Happening::Deadline => return Err("it does not come"),
            Happening::Over => return Err("this leg is over"),
            _ => {}
        }
    }
}

/// Asks the leg whose dialog `replaces` names for its place; then this one has its course, or is refused.
pub(super) async fn take_place(leg: &mut Leg, replaces: &Replaces) {
    if !leg.is_trusted() {
        warn!("{} {}: INVITE with Replaces from a stranger refused", leg.uuid, leg.name());
        return leg.respond(403, None, &[], Cause::CALL_REJECTED);
    }
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
    if let (Some(parted), _) = until_parted(call, partner, true).await {
        after(call, parted.cause);
    }
}

/// The called side has hung up.
fn after(call: &mut Call, cause: Cause) {
    let leg = &mut call.leg;
    leg.variables.set("bridge_hangup_cause", cause.name());
    leg.variables.set("last_bridge_hangup_cause", cause.name());
    leg.variables.set("hangup_cause", cause.name());
    let hangup = leg.variables.get("hangup_after_bridge");
    let hangs_up = hangup.is_some_and(is_true);
    if hangup.is_some_and(|word| word.eq_ignore_ascii_case("explicit")) {
        leg.hangup(cause);
    } else if leg.variables.is_true("park_after_bridge") {
        call.transfer("park", Some("inline"), None);
    } else if let Some(target) = leg.variables.get("transfer_after_bridge").map(Route::after_bridge) {
        leg.variables.unset("transfer_after_bridge");
        call.transfer(&target.destination, target.dialplan.as_deref(), target.context.as_deref());
    } else if hangs_up {
        leg.hangup(cause);
    }
}

/// Nobody answered: does the dialplan go on?
pub(super) fn failed(call: &mut Call, failure: &Failure) {
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
    match Course::after_failure(&leg.variables, cause) {
        Course::GoOn => {}
        Course::Transfer { destination, dialplan, context } => {
            call.transfer(&destination, dialplan.as_deref(), context.as_deref());
        }
        Course::HangUp => {
            if !leg.gives_back(cause) {
                leg.hangup(cause);
            }
        }
    }
}

/// What a failed call leads to (`switch_channel_handle_cause`).
#[derive(Debug, Eq, PartialEq)]
enum Course {
    /// The next action.
    GoOn,
    /// Another extension (`transfer_on_fail`).
    Transfer { destination: String, dialplan: Option<String>, context: Option<String> },
    /// The caller gets the cause.
    HangUp,
}

impl Course {
    fn after_failure(variables: &Variables, cause: Cause) -> Course {
        if cause == Cause::ATTENDED_TRANSFER {
            return Course::HangUp;
        }
        let get = |name| variables.get(name);
        let goes_on = match (get("continue_on_fail"), get("failure_causes")) {
            (None, None) => {
                matches!(cause, Cause::NO_ANSWER | Cause::NO_USER_RESPONSE | Cause::ORIGINATOR_CANCEL)
            }
            (go_on, fatal) => {
                fatal.is_some_and(|list| !listed(list, cause))
                    || go_on.is_some_and(|list| is_true(list) || listed(list, cause))
            }
        };
        if goes_on {
            return Course::GoOn;
        }
        let mut words = get("transfer_on_fail").unwrap_or_default().split_whitespace();
        let Some(causes) = words.next() else { return Course::HangUp };
        if is_true(causes) {
            return Course::GoOn; // as there: `true` transfers nowhere
        }
        if !listed(causes, cause) {
            return Course::HangUp;
        }
        let destination = words.next().filter(|word| !word.eq_ignore_ascii_case("auto_cause"));
        Course::Transfer {
            destination: destination.unwrap_or(cause.name()).to_owned(),
            dialplan: words.next().map(str::to_owned),
            context: words.next().map(str::to_owned),
        }
    }
}

/// True when a comma list of cause names and numbers has this one.
fn listed(list: &str, cause: Cause) -> bool {
    let number = cause.number().to_string();
    list.split(',').map(str::trim).any(|item| item.eq_ignore_ascii_case(cause.name()) || item == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_call_leads_to() {
        let on = |destination: &str, dialplan: Option<&str>, context: Option<&str>| Course::Transfer {
            destination: destination.to_owned(),
            dialplan: dialplan.map(str::to_owned),
            context: context.map(str::to_owned),
        };
        for (assigned, cause, course) in [
            ("", Cause::NO_ANSWER, Course::GoOn),
            ("", Cause::NO_USER_RESPONSE, Course::GoOn),
            ("", Cause::ORIGINATOR_CANCEL, Course::GoOn),
            ("", Cause::USER_BUSY, Course::HangUp),
            ("", Cause::ALLOTTED_TIMEOUT, Course::HangUp),
            ("continue_on_fail=true", Cause::USER_BUSY, Course::GoOn),
            ("continue_on_fail=true", Cause::ATTENDED_TRANSFER, Course::HangUp),
            ("continue_on_fail=false", Cause::NO_ANSWER, Course::HangUp),
            ("continue_on_fail=user_busy,19", Cause::USER_BUSY, Course::GoOn),
            ("continue_on_fail=user_busy, 19", Cause::NO_ANSWER, Course::GoOn),
            ("continue_on_fail=17", Cause::CALL_REJECTED, Course::GoOn), // a number is as good as `true`
            ("continue_on_fail=USER_BUSY_X", Cause::USER_BUSY, Course::HangUp),
            ("failure_causes=USER_BUSY", Cause::USER_BUSY, Course::HangUp),
            ("failure_causes=USER_BUSY", Cause::CALL_REJECTED, Course::GoOn),
            ("failure_causes=17&continue_on_fail=17", Cause::USER_BUSY, Course::GoOn),
            ("transfer_on_fail=USER_BUSY busy", Cause::USER_BUSY, on("busy", None, None)),
            (
                "transfer_on_fail=17,21 busy XML public",
                Cause::CALL_REJECTED,
                on("busy", Some("XML"), Some("public")),
            ),
            (
                "transfer_on_fail=USER_BUSY auto_cause XML x",
                Cause::USER_BUSY,
                on("USER_BUSY", Some("XML"), Some("x")),
            ),
            ("transfer_on_fail=user_busy", Cause::USER_BUSY, on("USER_BUSY", None, None)),
            ("transfer_on_fail=USER_BUSY busy", Cause::CALL_REJECTED, Course::HangUp),
            ("transfer_on_fail=NO_ANSWER busy", Cause::NO_ANSWER, Course::GoOn),
            (
                "transfer_on_fail=NO_ANSWER late&continue_on_fail=false",
                Cause::NO_ANSWER,
                on("late", None, None),
            ),
        ] {
            let mut variables = Variables::default();
            assigned.split('&').filter_map(|a| a.split_once('=')).for_each(|(n, v)| variables.set(n, v));
            assert_eq!(Course::after_failure(&variables, cause), course, "{assigned} {cause}");
        }
    }
}
