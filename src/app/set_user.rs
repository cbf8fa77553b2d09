//! `set_user`: the leg gets the variables of a user of the directory, as if that user had called.

use crate::channel::Leg;
use crate::dialplan::{Expanded, plain};
use tracing::warn;

/// `user@domain [prefix]`: with a prefix each variable's name begins with it.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let (address, prefix) = data.guarded().split_once(' ').unwrap_or((data.guarded(), ""));
    let (address, prefix) = (plain(address), plain(prefix));
    let Some((name, domain)) = address.split_once('@') else {
        warn!("{} {}: set_user({}): No user@domain specified", leg.uuid, leg.name(), data.text);
        return;
    };
    let Some(user) = leg.exchange.directory.user(name, domain) else {
        warn!("{} {}: set_user: can't find user [{name}@{domain}]", leg.uuid, leg.name());
        return;
    };
    let named = |variable: &str| format!("{prefix}{variable}");
    if let Some(alias) = &user.number_alias {
        leg.variables.set(named("number_alias"), alias);
    }
    for (variable, value) in user.variables() {
        leg.variables.set(named(variable), value);
    }
    leg.variables.set_wire(named("user_name"), name);
    leg.variables.set_wire(named("domain_name"), domain);
}
