//! `set`: a variable of the leg. The value is expanded once more, as FreeSWITCH does.

use crate::channel::Leg;
use crate::dialplan::{Expanded, expand_marked};
use tracing::warn;

/// `name=value` (or `name,value`); an empty value takes the variable away.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let Some((name, value)) = data.text.split_once(['=', ',']) else {
        if data.text.trim().is_empty() {
            warn!("{} {}: set without name=value", leg.uuid, leg.name());
        } else {
            leg.variables.unset(data.text.trim());
        }
        return;
    };
    put(leg, name.trim(), value.trim(), data.wire);
}

/// Sets a variable to a value that is expanded first, unless there is text from the wire in it; `_undef_` and nothing
/// take it away.
pub(super) fn put(leg: &mut Leg, name: &str, value: &str, wire: bool) {
    let value = if wire { Expanded::new(value, wire) } else { expand_marked(value, leg) };
    let text = value.text.trim();
    if text.is_empty() || text == "_undef_" {
        leg.variables.unset(name);
    } else if value.wire {
        leg.variables.set_wire(name, text);
    } else {
        leg.variables.set(name, text);
    }
}
