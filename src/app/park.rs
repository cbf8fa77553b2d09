//! `park`: the call waits for somebody to take it.

use super::call::Call;
use crate::channel::{Cause, Happening, Leg};
use crate::dialplan::Expanded;
use crate::event::EventName;
use std::time::Duration;

/// The longest wait: clocks end somewhere.
const LONGEST: u64 = 365 * 86_400;

/// No data; the variable `park_timeout` (`seconds[:cause]`) bounds the wait.
pub async fn run(call: &mut Call, _data: &Expanded) {
    let limit = call.leg.variables.get("park_timeout").and_then(|text| {
        let (seconds, cause) = text.split_once(':').unwrap_or((text, ""));
        let seconds = seconds.trim().parse::<u64>().ok()?.min(LONGEST);
        Some((Duration::from_secs(seconds), Cause::parse_or_clearing(cause)))
    });
    if call.leg.need_media().is_err() {
        return;
    }
    call.leg.fire(EventName::ChannelPark, Vec::new);
    let deadline = limit.map(|(wait, _)| Leg::now() + wait);
    loop {
        match call.next_until(deadline).await {
            Happening::Over => break,
            Happening::Deadline => {
                call.leg.hangup(limit.map_or(Cause::NORMAL_CLEARING, |(_, cause)| cause));
                break;
            }
            _ => {}
        }
    }
    call.leg.fire(EventName::ChannelUnpark, Vec::new);
}
