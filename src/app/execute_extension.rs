//! `execute_extension`: runs another extension in place, then goes on.

use super::call::{Call, EXTENSIONS, NESTING};
use crate::channel::Cause;
use crate::dialplan::{Expanded, plain};
use tracing::warn;

/// `exten [dialplan] [context]`.
pub async fn run(call: &mut Call, data: &Expanded) {
    let words: Vec<_> = data.guarded().split_whitespace().map(plain).collect();
    let mut words = words.iter().map(AsRef::<str>::as_ref);
    let Some(destination) = words.next() else {
        warn!("{} {}: execute_extension without an extension", call.leg.uuid, call.leg.name());
        return;
    };
    if call.nesting >= NESTING {
        warn!("{} {}: execute_extension nests deeper than {NESTING}", call.leg.uuid, call.leg.name());
        return;
    }
    call.extensions += 1;
    if call.extensions > EXTENSIONS {
        // Told once; what is left of the extensions above ends by itself.
        if call.extensions == EXTENSIONS + 1 {
            warn!(
                "{} {}: more than {EXTENSIONS} extensions executed, giving up",
                call.leg.uuid,
                call.leg.name()
            );
            call.leg.hangup(Cause::EXCHANGE_ROUTING_ERROR);
        }
        return;
    }
    let before = call.leg.caller.clone();
    call.leg.caller.destination_number = destination.into();
    if let Some(dialplan) = words.next() {
        call.leg.caller.dialplan = dialplan.into();
    }
    if let Some(context) = words.next() {
        call.leg.caller.context = context.into();
    }
    let actions = call.hunt();
    call.leg.caller = before;
    let Some(actions) = actions else {
        warn!("{} {}: execute_extension: no extension {destination}", call.leg.uuid, call.leg.name());
        return;
    };
    call.nesting += 1;
    for action in &actions {
        if call.is_cut_short() {
            break;
        }
        // A nested extension that transfers has replaced the queue: what is left of it here is dropped.
        let queued = call.transfers();
        call.execute(action).await;
        if call.transfers() != queued {
            break;
        }
    }
    call.nesting -= 1;
}
