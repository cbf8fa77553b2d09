//! `set_global`: a global variable.

use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::warn;

/// `name=value`; nothing takes it away. A value from the wire is refused: globals are expanded wherever they are named.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let (name, value) = data.text.split_once('=').unwrap_or((&data.text, ""));
    match name {
        "" => warn!("{} {}: set_global: No variable name specified", leg.uuid, leg.name()),
        _ if data.wire && value.contains('$') => {
            warn!("{} {}: set_global({}): a `$` from the wire is refused", leg.uuid, leg.name(), data.text);
        }
        name => leg.exchange.globals.set(name, value),
    }
}
