//! `att_xfer`: a leg of a call talks to a third, and then leaves the other to it (mod_dptools.c, `att_thread_run`).
//!
//! The other side waits meanwhile. When the third hangs up, or `attxfer_cancel_key` (`#`) is pressed, the two are
//! together again; when the leg hangs up, or presses `attxfer_hangup_key` (`*`), the other side has the third, also
//! while that still rings. `origination_cancel_key` gives up while it rings.

use super::bound::Parted;
use super::call::Call;
use crate::channel::{Cause, Happening, Leg, News};
use crate::dial::{Winner, originate};
use crate::dialplan::Expanded;
use tracing::{info, warn};

/// A dial string.
pub async fn run(call: &mut Call, data: &Expanded) {
    // The bridge is left alone meanwhile: it is not over when the other side goes.
    let bridge = call.bridge.take();
    call.leg.put_aside();
    let calling = Box::pin(originate(&mut call.leg, data.guarded()));
    let talked = match calling.await {
        Ok(winner) => {
            talk(&mut call.leg, winner).await;
            true
        }
        Err(failure) => {
            info!("{} {}: att_xfer to nobody: {}", call.leg.uuid, call.leg.name(), failure.cause.name());
            false
        }
    };
    call.bridge = bridge;
    if call.leg.is_leaving() {
        return;
    }
    let back = match &call.bridge {
        Some(_) => call.leg.take_back(),
        None => return,
    };
    if talked {
        let result = if back.is_ok() { "success" } else { "failure" };
        call.leg.variables.set("att_xfer_result", result);
    }
    if let (Err(cause), Some(bridge)) = (back, &mut call.bridge) {
        bridge.parted = Some(Box::new(Parted { cause, sip: None, redirects: Vec::new() }));
    }
}

/// Talks to the third until one of the two goes.
async fn talk(leg: &mut Leg, winner: Winner) {
    let key = |name: &str, usual| leg.variables.get(name).and_then(|k| k.chars().next()).unwrap_or(usual);
    let cancel = key("attxfer_cancel_key", '#');
    let hangup = key("attxfer_hangup_key", '*');
    let three = key("attxfer_conf_key", '0');
    let third = winner.mailbox.token;
    if leg.answer(Some(&winner.view)).is_err() {
        return;
    }
    leg.listen_for(Some([cancel, hangup, three].into_iter().collect()));
    leg.join(winner.mailbox.clone(), winner.uuid.clone(), winner.view.clone());
    loop {
        match leg.next().await {
            Happening::News(from, News::Ended(_) | News::Left(_)) if from == third => break,
            Happening::Digit { digit, .. } if digit == hangup => {
                info!("{} {}: leaves the other side to the third, by key {digit}", leg.uuid, leg.name());
                leg.hangup(Cause::NORMAL_CLEARING);
            }
            Happening::Digit { digit, .. } if digit == cancel => {
                info!("{} {}: goes back to the other side, by key {digit}", leg.uuid, leg.name());
                leg.part(Cause::NORMAL_CLEARING);
                break;
            }
            Happening::Digit { digit, .. } if digit == three => warn!(
                "{} {}: attxfer_conf_key {digit}: a call of three is not provided yet, as sound is not mixed",
                leg.uuid,
                leg.name()
            ),
            Happening::Over => return,
            _ => {}
        }
    }
    leg.listen_for(None);
}
