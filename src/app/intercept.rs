//! `intercept`: takes a call that another leg has, or that still rings (`switch_ivr_intercept_session`).

use super::bridge::{look, meet};
use super::call::Call;
use crate::channel::Mailbox;
use crate::dialplan::Expanded;
use tracing::info;

/// `[-bleg] UUID`: the leg itself, or the one it is bridged with. When there is no such call the dialplan goes on.
pub async fn run(call: &mut Call, data: &Expanded) {
    let mut words = data.text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let (uuid, other) = match first {
        "-bleg" => (words.next().unwrap_or_default(), true),
        uuid => (uuid, false),
    };
    match find(call, uuid, other).await {
        Ok(peer) => meet(call, &peer).await,
        Err(why) => info!("{} {}: intercept {uuid}: {why}", call.leg.uuid, call.leg.name()),
    }
}

async fn find(call: &mut Call, uuid: &str, other: bool) -> Result<Mailbox, &'static str> {
    let leg = &mut call.leg;
    let mut peer = leg.exchange.legs.by_uuid(uuid).ok_or("there is no such call")?;
    let mut shown = look(leg, &peer).await?;
    if other {
        peer = shown.partner.ok_or("it is not bridged")?;
        shown = look(leg, &peer).await?;
    }
    if leg.variables.is_true("intercept_unbridged_only") && shown.partner.is_some() {
        return Err("it is bridged, and intercept_unbridged_only is set");
    }
    if leg.variables.is_true("intercept_unanswered_only") && shown.answered {
        return Err("it is answered, and intercept_unanswered_only is set");
    }
    Ok(peer)
}
