//! `set`: a variable of the leg. The value is expanded once more, as FreeSWITCH does.

use crate::channel::Leg;
use crate::dialplan::expand_marked;
use tracing::warn;

/// `name=value` (or `name,value`); an empty value takes the variable away.
pub fn run(leg: &mut Leg, data: &str) {
    let Some((name, value)) = data.split_once(['=', ',']) else {
        if data.trim().is_empty() {
            warn!("{} {}: set without name=value", leg.uuid, leg.name());
        } else {
            leg.variables.unset(data.trim());
        }
        return;
    };
    put(leg, name.trim(), value.trim());
}

/// Sets a variable to a value that is expanded first; `_undef_` and nothing take it away.
pub(super) fn put(leg: &mut Leg, name: &str, value: &str) {
    let value = expand_marked(value, leg);
    let text = value.text.trim();
    if text.is_empty() || text == "_undef_" {
        leg.variables.unset(name);
    } else if value.wire {
        leg.variables.set_wire(name.to_owned(), text);
    } else {
        leg.variables.set(name.to_owned(), text);
    }
}
