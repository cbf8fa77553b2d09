//! `pickup`: takes a call that rings under a key. A dial string says which do: `user/1000,pickup/KEY` rings a leg that never
//! answers, and while it does whoever runs `pickup` with that key talks to the caller, and nobody else rings any more.

use super::bridge::meet;
use super::call::Call;
use super::lamp;
use crate::channel::Happening;
use crate::dialplan::Expanded;
use crate::presence::State;
use std::sync::Arc;
use tracing::{info, warn};

/// `KEY`. When no call rings under it the dialplan goes on.
pub async fn run(call: &mut Call, data: &Expanded) {
    let key = data.text.trim();
    let leg = &call.leg;
    if key.is_empty() {
        return warn!("{} {}: pickup without a key", leg.uuid, leg.name());
    }
    loop {
        let Some(uuid) = call.leg.exchange.stores.pickups.take(key) else {
            return info!("{} {}: pickup: nobody rings under {key}", call.leg.uuid, call.leg.name());
        };
        if let Some(caller) = call.leg.exchange.legs.by_uuid(&uuid) {
            return meet(call, &caller).await;
        }
    }
}

/// The leg that `pickup/KEY` calls: it offers its caller to be picked up, and waits.
pub async fn wait(call: &mut Call, data: &Expanded) {
    let (key, leg) = (data.text.trim(), &call.leg);
    let Some(caller) = leg.variables.get("other_loopback_from_uuid").map(Arc::<str>::from) else {
        return warn!("{} {}: pickup_wait is for pickup/KEY alone", leg.uuid, leg.name());
    };
    let Ok(_offer) = leg.exchange.stores.pickups.offer(key, &caller) else { return };
    let _lamp = lamp::show(leg, "pickup", key, State::Early);
    while !matches!(call.next().await, Happening::Over) {}
}
