//! `sleep`: waits; the leg goes on serving its far end.

use super::call::Call;
use crate::channel::{Happening, Leg};
use crate::dialplan::Expanded;
use std::time::Duration;
use tracing::warn;

/// Milliseconds.
pub async fn run(call: &mut Call, data: &Expanded) {
    let data = data.text.as_str();
    let Ok(ms) = data.trim().parse::<u64>() else {
        warn!("{} {}: sleep {data}: expected milliseconds", call.leg.uuid, call.leg.name());
        return;
    };
    let deadline = Leg::now() + Duration::from_millis(ms.min(24 * 3_600_000));
    loop {
        match call.next_until(Some(deadline)).await {
            Happening::Deadline | Happening::Break | Happening::Over => return,
            _ => {}
        }
    }
}
