//! `respond`: a final answer of the dialplan's choice to an unanswered call.

use crate::channel::{Cause, Leg};
use crate::dialplan::Expanded;
use tracing::warn;

/// `code [reason]`; with a 3xx the reason is the URI to go to.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let data = data.text.as_str();
    if leg.is_answered() {
        warn!("{} {}: respond after answer", leg.uuid, leg.name());
        return;
    }
    let (code, reason) = data.trim().split_once(' ').unwrap_or((data.trim(), ""));
    let status = code.parse::<u16>().ok().filter(|c| (300..700).contains(c));
    let Some(status) = status else {
        warn!(
            "{} {}: respond {code}: expected a final status from 300 to 699; answering 488",
            leg.uuid,
            leg.name()
        );
        leg.respond(488, None, &[], Cause::INCOMPATIBLE_DESTINATION);
        return;
    };
    if status < 400 {
        let contact = [("Contact".to_owned(), format!("<{}>", reason.trim().trim_matches(['<', '>'])))];
        leg.respond(status, None, &contact, Cause::REDIRECTION_TO_NEW_DESTINATION);
    } else {
        let reason = Some(reason.trim()).filter(|r| !r.is_empty());
        leg.respond(status, reason, &[], Cause::from_sip(status));
    }
}
