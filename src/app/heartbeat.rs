//! `sched_heartbeat`, `enable_heartbeat`: an event every so often while the leg lives (SESSION_HEARTBEAT).

use crate::channel::Leg;
use crate::dialplan::Expanded;
use std::time::Duration;
use tracing::warn;

/// How often, when `enable_heartbeat` does not say.
const USUAL: u64 = 60;

/// `seconds`; 0 ends it.
pub fn scheduled(leg: &mut Leg, data: &Expanded) {
    beat(leg, data, "sched_heartbeat", 0);
}

/// `[seconds]`. There it counts packets, so that a leg that hears nothing is silent; here it goes by the clock.
pub fn enabled(leg: &mut Leg, data: &Expanded) {
    beat(leg, data, "enable_heartbeat", USUAL);
}

fn beat(leg: &mut Leg, data: &Expanded, name: &str, zero: u64) {
    let text = data.text.trim();
    match if text.is_empty() { Ok(0) } else { text.parse::<u32>() } {
        Ok(0) => leg.beat(Duration::from_secs(zero)),
        Ok(seconds) => leg.beat(Duration::from_secs(seconds.into())),
        Err(_) => warn!("{} {}: {name}({text}): expected seconds", leg.uuid, leg.name()),
    }
}
