//! `redirect`: sends the caller elsewhere by 302, or 300 when there are several places.

use crate::channel::{Cause, Leg};
use crate::dialplan::{Expanded, plain};
use crate::sip::Uri;
use tracing::warn;

/// `uri[,uri…]`; an unanswered call only.
pub fn run(leg: &mut Leg, data: &Expanded) {
    // A comma a caller dialled adds no place: only those of the dialplan separate.
    let data = data.guarded();
    if leg.is_answered() {
        warn!("{} {}: redirect after answer; use deflect", leg.uuid, leg.name());
        return;
    }
    let mut contacts = Vec::new();
    for target in data.split(',').map(|t| t.trim().trim_matches(['<', '>'])).filter(|t| !t.is_empty()) {
        let target = plain(target);
        let text = if target.contains(':') { target.into_owned() } else { format!("sip:{target}") };
        match text.parse::<Uri>() {
            Ok(uri) => contacts.push(format!("<{uri}>")),
            Err(error) => warn!("{} {}: redirect: {text}: {error}", leg.uuid, leg.name()),
        }
    }
    if contacts.is_empty() {
        leg.hangup(Cause::INVALID_URL);
        return;
    }
    let status = if contacts.len() > 1 { 300 } else { 302 };
    leg.respond(
        status,
        None,
        &[("Contact".to_owned(), contacts.join(", "))],
        Cause::REDIRECTION_TO_NEW_DESTINATION,
    );
}
