//! What came of an originate, in the caller's variables.

use super::originate::{Failure, Winner};
use crate::channel::{Cause, Leg, Variables, array};

/// The most text an array variable grows to: each further try adds to it.
const LONGEST: usize = 16 * 1024;

/// Before anything is tried.
pub(super) fn note_begin(leg: &mut Leg) {
    if leg.variables.get("preserve_originated_vars").is_some_and(|v| v.eq_ignore_ascii_case("false")) {
        leg.variables.unset("originated_legs");
        leg.variables.unset("originate_causes");
    }
    leg.variables.set("originate_disposition", "failure");
    leg.variables.set("DIALSTATUS", "INVALIDARGS");
}

/// A leg has been called.
pub(super) fn note_leg(leg: &mut Leg, uuid: &str, name: &str, number: &str) {
    push(&mut leg.variables, "originated_legs", &format!("{uuid};{name};{number}"));
}

/// A leg that was called has come to this; `None` for the winner.
pub(super) fn note_cause(leg: &mut Leg, uuid: &str, cause: Option<Cause>) {
    push(&mut leg.variables, "originate_causes", &format!("{uuid};{}", cause.unwrap_or(Cause::NONE).name()));
}

/// Somebody has answered, or sends early media.
pub(super) fn note_winner(leg: &mut Leg, winner: &Winner) {
    leg.variables.set("originate_disposition", "SUCCESS");
    leg.variables.set("DIALSTATUS", "SUCCESS");
    leg.variables.set("last_bridge_to", &winner.uuid);
    leg.variables.unset("last_bridge_proto_specific_hangup_cause");
}

/// Writes what became of a failed call into the caller's variables.
pub fn note_failure(leg: &mut Leg, failure: &Failure) {
    let name = failure.cause.name();
    leg.variables.set("originate_disposition", name);
    leg.variables.set("originate_failed_cause", name);
    leg.variables.set("bridge_hangup_cause", name);
    leg.variables.set("last_bridge_hangup_cause", name);
    leg.variables.set("DIALSTATUS", dial_status(failure.cause));
    match &failure.sip {
        Some((status, phrase)) => {
            leg.variables.print("last_bridge_proto_specific_hangup_cause", format_args!("sip:{status}"));
            leg.variables.print("sip_invite_failure_status", status);
            leg.variables.set_wire("sip_invite_failure_phrase", phrase);
        }
        None => leg.variables.unset("last_bridge_proto_specific_hangup_cause"),
    }
}

/// Asterisk's word for a cause, as FreeSWITCH has it in `DIALSTATUS`.
fn dial_status(cause: Cause) -> &'static str {
    match cause {
        Cause::USER_BUSY => "BUSY",
        Cause::NO_ANSWER => "NOANSWER",
        Cause::ORIGINATOR_CANCEL => "CANCEL",
        Cause::CALL_REJECTED => "DONTCALL",
        Cause::DESTINATION_OUT_OF_ORDER | Cause::INVALID_PROFILE => "INVALIDARGS",
        other => other.name(),
    }
}

/// Adds an element to a list, as long as that is not too long.
fn push(variables: &mut Variables, name: &str, element: &str) {
    let held = variables.get(name);
    if held.map_or(0, str::len) + element.len() <= LONGEST {
        let list = array::push(held, element);
        variables.set(name, list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_do_not_grow_without_end() {
        let mut variables = Variables::default();
        for _ in 0..10_000 {
            push(&mut variables, "legs", "0123456789");
        }
        let list = variables.get("legs").unwrap_or_default();
        assert!((LONGEST / 2..LONGEST + 16).contains(&list.len()), "{}", list.len());
    }

    #[test]
    fn dial_status_is_freeswitchs() {
        for (cause, status) in [
            (Cause::USER_BUSY, "BUSY"),
            (Cause::NO_ANSWER, "NOANSWER"),
            (Cause::NO_USER_RESPONSE, "NO_USER_RESPONSE"),
            (Cause::ORIGINATOR_CANCEL, "CANCEL"),
            (Cause::CALL_REJECTED, "DONTCALL"),
            (Cause::INVALID_PROFILE, "INVALIDARGS"),
            (Cause::INVALID_URL, "INVALID_URL"),
        ] {
            assert_eq!(dial_status(cause), status);
        }
    }
}
