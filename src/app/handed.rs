//! Variables that go from one leg to the other: `transfer_vars`, and the list `import` once the called side has answered.

use crate::channel::{Leg, Letter, Mailbox, Order, Visit};
use crate::dialplan::Expanded;
use tracing::warn;

/// Names one list may have, as there.
const MOST: usize = 64;

/// `transfer_vars`: `name`, `~prefix`, or nothing for all: what this leg has, the one it is bridged with gets.
pub fn give(leg: &mut Leg, data: &Expanded) {
    let text = data.text.trim();
    let given: Vec<(String, String)> = match text.strip_prefix('~') {
        Some(prefix) => owned(leg.variables.with_prefix(prefix)),
        None if text.is_empty() => owned(leg.variables.sorted()),
        None => {
            leg.variables.get(text).map(|value| (text.to_owned(), value.to_owned())).into_iter().collect()
        }
    };
    let order = Letter::Order(Order::Set(given.into()));
    if !leg.partner().is_some_and(|partner| partner.post(order)) {
        warn!("{} {}: transfer_vars: there is no other leg", leg.uuid, leg.name());
    }
}

fn owned(variables: Vec<(&str, &str)>) -> Vec<(String, String)> {
    // What says which leg it is stays with that leg.
    let own = ["uuid", "call_uuid", "direction", "channel_name", "sip_call_id", "signal_bond", "bridge_uuid"];
    let given = variables.into_iter().filter(|(name, _)| !own.contains(name));
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Asks the called leg for what the variable `import` lists; `import_prefix` stands before each name. They come as text
/// from the wire.
pub(super) fn import(leg: &Leg, called: &Mailbox) {
    let Some(list) = leg.variables.get("import") else { return };
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty()).take(MOST);
    let names: Vec<String> = names.map(str::to_owned).collect();
    let prefix = leg.variables.get("import_prefix").unwrap_or_default().to_owned();
    let to = leg.mailbox().clone();
    let work = move |called: &mut Leg| {
        let value = |name: &String| Some((format!("{prefix}{name}"), called.variables.get(name)?.to_owned()));
        let found: Vec<(String, String)> = names.iter().filter_map(value).collect();
        to.post(Letter::Order(Order::Set(found.into())));
    };
    called.post(Letter::Visit(Visit::new(work)));
}
