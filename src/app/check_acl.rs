//! `check_acl`: a call from an address that is not on a list is hung up.

use crate::channel::{Cause, Leg};
use crate::dialplan::{Expanded, Scope};
use tracing::{info, warn};

/// `address list [cause]`; the cause is CALL_REJECTED unless said.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let words: Vec<&str> = data.text.split_whitespace().collect();
    let [address, list, rest @ ..] = words.as_slice() else {
        warn!("{} {}: check_acl({}): write an address and a list", leg.uuid, leg.name(), data.text);
        return;
    };
    let answer = leg.call("acl", &format!("{address} {list}"), data.wire);
    if answer.is_some_and(|answer| answer.text == "true") {
        return;
    }
    let cause = match rest.first() {
        Some(cause) => Cause::parse(cause).unwrap_or(Cause::NORMAL_CLEARING),
        None => Cause::CALL_REJECTED,
    };
    info!("{} {}: {address} is not on list {list}", leg.uuid, leg.name());
    leg.hangup(cause);
}
