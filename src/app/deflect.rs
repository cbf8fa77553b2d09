//! `deflect`: an answered caller is asked to call elsewhere by REFER, an unanswered one gets 302.

use super::call::Call;
use super::redirect;
use crate::channel::{Happening, Leg};
use crate::dialplan::Expanded;
use std::time::Duration;
use tracing::warn;

/// How long the phone has to hang up after it has taken the REFER.
const PATIENCE: Duration = Duration::from_secs(30);

/// `sip:uri`.
pub async fn run(call: &mut Call, data: &Expanded) {
    if !call.leg.is_answered() {
        redirect::run(&mut call.leg, data);
        return;
    }
    let target = data.text.trim().trim_matches(['<', '>']);
    let uri = if target.contains(':') { target.to_owned() } else { format!("sip:{target}") };
    if let Err(error) = call.leg.refer(&uri) {
        warn!("{} {}: deflect to {uri}: {error}", call.leg.uuid, call.leg.name());
        return;
    }
    let deadline = Leg::now() + PATIENCE;
    loop {
        match call.next_until(Some(deadline)).await {
            Happening::Over | Happening::Deadline => return,
            _ => {}
        }
    }
}
