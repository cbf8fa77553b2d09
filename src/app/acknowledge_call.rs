//! `acknowledge_call`, `wait_for_answer`: what a caller is told before an answer, and the answer itself.

use super::call::Call;
use crate::channel::{Happening, Leg};
use crate::dialplan::Expanded;
use tracing::debug;

/// The caller gets 100 without that: by itself, 200 ms after the INVITE, if nothing else was sent by then (RFC 3261 §17.2.1).
pub fn run(leg: &mut Leg, _: &Expanded) {
    debug!("{} {}: acknowledge_call: 100 Trying goes out by itself", leg.uuid, leg.name());
}

/// Until the far end has answered, or has been answered.
pub async fn wait(call: &mut Call, _: &Expanded) {
    while !call.leg.is_answered() && !matches!(call.next().await, Happening::Over) {}
}
