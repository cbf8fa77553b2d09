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
    let targets = data.split(',').map(|t| t.trim().trim_matches(['<', '>'])).filter(|t| !t.is_empty());
    let uris = targets.map(plain).map(|target| match target.contains(':') {
        true => target.into_owned(),
        false => format!("sip:{target}"),
    });
    to(leg, &uris.collect::<Vec<_>>());
}

/// Sends an unanswered caller to these places.
pub(super) fn to(leg: &mut Leg, uris: &[String]) {
    let mut contacts = Vec::new();
    for text in uris {
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
