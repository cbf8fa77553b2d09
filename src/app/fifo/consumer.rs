//! `fifo … out`: a consumer takes the callers of one or several queues, one after the other.

use super::super::bound::Bridge;
use super::super::bridge::meeting;
use super::super::call::Call;
use super::caller::begin;
use super::{stands, tell};
use crate::channel::{Cause, Happening, Leg, Role, Token};
use crate::store::fifo::{Claim, Strategy, Wish};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long a consumer has after a call, when `fifo_consumer_wrapup_time` does not say.
const WRAPUP: Duration = Duration::from_millis(5000);
/// How long a consumer waits before it tries again with a caller it could not be joined with.
const PAUSE: Duration = Duration::from_secs(1);
/// How many callers a consumer that does not wait tries that cannot be joined with it.
const TRIES: u32 = 10;

pub(super) async fn run(call: &mut Call, names: &[(String, u32)], waits: bool) {
    let leg = &mut call.leg;
    let Some(wish) = wish(leg) else {
        return warn!("{} {}: fifo: invalid strategy (waiting_longer, more_ppl)", leg.uuid, leg.name());
    };
    let fifos = leg.exchange.stores.fifos.clone();
    let served_by: Arc<str> =
        leg.variables.get("fifo_consumer_id").map_or_else(|| leg.uuid.clone(), Arc::from);
    let mut post = None;
    if waits {
        if leg.answer(None).is_err() {
            return;
        }
        match fifos.attend(names, &leg.uuid) {
            Ok(there) => post = Some(there),
            Err(full) => return warn!("{} {}: does not wait for callers: {full}", leg.uuid, leg.name()),
        }
    }
    let all = names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
    tell(leg, &all, "consumer_start", Vec::new);
    stands(leg, "WAITING");
    let mut failures = 0;
    while !call.leg.is_leaving() && failures < TRIES {
        let Some(claim) = fifos.claim(names, &wish, &served_by) else {
            let Some(post) = &post else {
                info!("{} {}: nobody waits in {all}", call.leg.uuid, call.leg.name());
                break;
            };
            let happening = tokio::select! {
                happening = call.leg.next() => happening,
                () = post.changed() => continue,
            };
            if matches!(happening, Happening::Execute) {
                call.next_until(Some(Leg::now())).await;
            }
            continue;
        };
        if let Some(post) = &post {
            post.set_idle(false);
        }
        let served = serve(call, claim).await;
        let Some(post) = post.as_ref().filter(|_| !call.leg.is_leaving()) else {
            failures += 1;
            match served {
                true => break,
                false => continue, // the caller had just gone; the next
            }
        };
        if served {
            wrap_up(call, &all).await;
        }
        if call.leg.is_leaving() {
            break;
        }
        stands(&mut call.leg, "WAITING");
        tell(&call.leg, &all, "consumer_reentrance", Vec::new);
        post.set_idle(true);
    }
    drop(post);
    tell(&call.leg, &all, "consumer_stop", Vec::new);
}

/// Talks to a caller; false when that was not possible.
async fn serve(call: &mut Call, claim: Claim) -> bool {
    let leg = &mut call.leg;
    let (name, uuid) = (claim.name.clone(), claim.caller.uuid.clone());
    let of_caller = || vec![("FIFO-Caller-UUID".into(), uuid.to_string())];
    let Some(peer) = leg.exchange.legs.by_uuid(&uuid) else {
        claim.done();
        return false;
    };
    tell(leg, &name, "caller_pop", of_caller);
    tell(leg, &name, "consumer_pop", of_caller);
    match meeting(leg, &peer, Role::Calls).await {
        Ok(()) => claim.done(),
        Err(why) if leg.is_leaving() => {
            warn!(
                "{} {}: {uuid} waits in {name} again, before others: the consumer is gone ({why})",
                leg.uuid,
                leg.name()
            );
            return true;
        }
        Err(why) => {
            info!("{} {}: not joined with {uuid} of {name}: {why}", leg.uuid, leg.name());
            drop(claim);
            pause(leg, PAUSE).await;
            return false;
        }
    }
    begin(leg, "consumer", &uuid);
    tell(leg, &name, "channel-consumer-start", || vec![("FIFO-Type".into(), "onhook".to_owned())]);
    tell(leg, &name, "bridge-consumer-start", of_caller);
    let begun = Leg::now();
    talk(call, peer.token).await;
    let leg = &mut call.leg;
    let talked = Leg::now().duration_since(begun);
    leg.variables.print("fifo_bridge_seconds", talked.as_secs());
    tell(leg, &name, "channel-consumer-stop", || {
        vec![
            ("FIFO-Type".into(), "onhook".to_owned()),
            ("FIFO-Consumer-Talk-Time-ms".into(), talked.as_millis().to_string()),
            ("FIFO-Consumer-Talk-Time-s".into(), talked.as_secs().to_string()),
        ]
    });
    tell(leg, &name, "bridge-consumer-stop", of_caller);
    true
}

/// Until one of the two goes. The consumer's exit key (`fifo_consumer_exit_key`, `*`) sends the caller away.
async fn talk(call: &mut Call, partner: Token) {
    let said = call.leg.variables.get("fifo_consumer_exit_key");
    let key = said.map_or(Some('*'), |key| key.chars().next());
    let outer = call.bridge.replace(Bridge { partner, answered: true, parted: None });
    let sent_away = loop {
        match call.next().await {
            Happening::Digit { digit, .. } if Some(digit) == key => break true,
            Happening::Over => break false,
            _ => {}
        }
    };
    let bridge = std::mem::replace(&mut call.bridge, outer);
    let cause = match bridge.and_then(|bridge| bridge.parted) {
        Some(parted) => parted.cause,
        None if sent_away => {
            call.leg.part(Cause::NORMAL_CLEARING);
            Cause::NORMAL_CLEARING
        }
        None => return,
    };
    for name in ["bridge_hangup_cause", "last_bridge_hangup_cause"] {
        call.leg.variables.set(name, cause.name());
    }
}

/// The time after a call in which a consumer takes no other (`fifo_consumer_wrapup_time`, ms); the key
/// `fifo_consumer_wrapup_key` ends it.
async fn wrap_up(call: &mut Call, all: &str) {
    let leg = &mut call.leg;
    let said = leg.variables.get("fifo_consumer_wrapup_time").map(|text| text.trim().parse().unwrap_or(0));
    let key = leg.variables.get("fifo_consumer_wrapup_key").and_then(|key| key.chars().next());
    let limit = said.map_or(WRAPUP, Duration::from_millis);
    if limit.is_zero() && key.is_none() {
        return;
    }
    leg.variables.set("fifo_status", "WRAPUP");
    tell(leg, all, "consumer_wrapup", Vec::new);
    let deadline = Leg::now() + limit;
    loop {
        match call.next_until(Some(deadline)).await {
            Happening::Deadline | Happening::Over => return,
            Happening::Digit { digit, .. } if Some(digit) == key => return,
            _ => {}
        }
    }
}

async fn pause(leg: &mut Leg, limit: Duration) {
    let deadline = Leg::now() + limit;
    while !matches!(leg.next_until(Some(deadline)).await, Happening::Deadline | Happening::Over) {}
}

/// What the consumer's variables say of whom it serves; `None` for a strategy there is not.
fn wish(leg: &Leg) -> Option<Wish> {
    let variables = &leg.variables;
    let strategy = match variables.get("fifo_strategy").map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "waiting_longer") => Strategy::WaitingLonger,
        Some("more_ppl") => Strategy::MorePeople,
        Some(_) => return None,
    };
    let order = variables.get("fifo_pop_order").unwrap_or_default();
    Some(Wish {
        strategy,
        uuid: variables.get("fifo_bridge_uuid").map(Arc::from),
        only: variables.is_true("fifo_bridge_uuid_required"),
        skill: variables.get("fifo_target_skill").map(Arc::from),
        order: order.split(',').filter_map(|p| p.trim().parse().ok()).take(9).collect(),
    })
}
