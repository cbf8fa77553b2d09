//! `deflect`: an answered caller is asked to call elsewhere by REFER, an unanswered one gets 302.

use super::call::Call;
use super::redirect;
use crate::channel::{Cause, Happening, Leg};
use crate::dialplan::Expanded;
use std::time::Duration;
use tracing::{info, warn};

/// How long the phone has to tell what came of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// `sip:uri`, or a number of this switch. The leg is hung up with what the phone tells, or with `no reply` (the variable
/// `sip_refer_reply`), unless `sip_refer_continue_after_reply`: then the dialplan goes on at once.
pub async fn run(call: &mut Call, data: &Expanded) {
    let leg = &mut call.leg;
    let target = data.text.trim().trim_matches(['<', '>']);
    if !leg.is_answered() {
        let number = !target.is_empty() && !target.contains([':', '@', ',']);
        return match number {
            true => redirect::to(leg, &[format!("sip:{target}@{}", leg.agent.host())]),
            false => redirect::run(leg, data),
        };
    }
    let uri = match target.split_once(':') {
        Some((scheme, _)) if ["sip", "sips", "tel"].iter().any(|s| s.eq_ignore_ascii_case(scheme)) => {
            target.to_owned()
        }
        _ if target.contains('@') => format!("sip:{target}"),
        _ => format!("sip:{target}@{}", leg.agent.host()),
    };
    if let Err(error) = leg.refer(&uri) {
        return warn!("{} {}: deflect to {uri}: {error}", leg.uuid, leg.name());
    }
    info!("{} {}: asked to call {uri}", leg.uuid, leg.name());
    if leg.variables.is_true("sip_refer_continue_after_reply") {
        return;
    }
    let deadline = Some(Leg::now() + PATIENCE);
    loop {
        match call.next_until(deadline).await {
            Happening::Over => return,
            Happening::Referred(_) => break,
            Happening::Deadline => {
                call.leg.variables.set("sip_refer_reply", "no reply");
                break;
            }
            _ => {}
        }
    }
    call.leg.hangup(Cause::BLIND_TRANSFER);
}
