//! `bridge`: calls somebody and joins the two.
//!
//! FreeSWITCH's `audio_bridge_function` and `switch_channel_handle_cause`: after a bridge the dialplan goes on
//! unless `hangup_after_bridge`; after a failure it goes on for `continue_on_fail`, or for the few causes that
//! always let it.

use super::call::Call;
use crate::channel::variables::is_true;
use crate::channel::{Cause, Ended, Happening, News};
use crate::dial::{Failure, Winner, note_failure, originate};
use crate::dialplan::Expanded;
use std::sync::Arc;
use tracing::info;

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
    if described.is_err() || leg.is_over() {
        leg.part(leg.cause().unwrap_or(Cause::INCOMPATIBLE_DESTINATION));
        return;
    }
    leg.variables.set("bridge_channel", &winner.number);
    let ended = loop {
        match call.leg.next().await {
            // the losers of the race tell their end too
            Happening::News(from, _) if from != winner.mailbox.token => {}
            Happening::News(_, News::Answered(view)) => {
                answered = true;
                if call.leg.answer(Some(&view)).is_err() {
                    return;
                }
            }
            Happening::News(_, News::Ended(ended)) => break ended,
            Happening::Over => return,
            _ => {}
        }
    };
    if answered {
        after(call, &ended);
    } else {
        let failure =
            Failure { cause: ended.cause, sip: ended.sip.clone(), redirects: ended.redirects.clone() };
        note_failure(&mut call.leg, &failure);
        failed(call, &failure);
    }
}

/// The called side has hung up.
fn after(call: &mut Call, ended: &Arc<Ended>) {
    let leg = &mut call.leg;
    leg.variables.set("bridge_hangup_cause", ended.cause.name());
    leg.variables.set("last_bridge_hangup_cause", ended.cause.name());
    leg.variables.set("hangup_cause", ended.cause.name());
    if let Some(target) = leg.variables.get("transfer_after_bridge").map(str::to_owned) {
        let mut parts = target.split(':');
        let destination = parts.next().unwrap_or("service").to_owned();
        let (dialplan, context) = (parts.next().map(str::to_owned), parts.next().map(str::to_owned));
        leg.variables.unset("transfer_after_bridge");
        call.transfer(&destination, dialplan.as_deref(), context.as_deref());
    } else if leg.variables.is_true("hangup_after_bridge") {
        leg.hangup(ended.cause);
    }
}

/// Nobody answered: does the dialplan go on?
fn failed(call: &mut Call, failure: &Failure) {
    let leg = &mut call.leg;
    if leg.is_over() {
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
