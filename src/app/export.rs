//! `export` and `bridge_export`: a variable of the leg that legs it calls, or is bridged with, get too.

use super::set;
use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::warn;

/// `[nolocal:]name=value`; with `nolocal:` only the called legs get it.
pub fn run(leg: &mut Leg, data: &Expanded) {
    share(leg, data, "export_vars");
}

/// The same for the leg it is bridged with.
pub fn bridge(leg: &mut Leg, data: &Expanded) {
    share(leg, data, "bridge_export_vars");
}

fn share(leg: &mut Leg, data: &Expanded, listed_in: &str) {
    let (nolocal, rest) =
        match data.text.strip_prefix("nolocal:").or_else(|| data.text.strip_prefix("_nolocal_")) {
            Some(rest) => (true, rest),
            None => (false, data.text.as_str()),
        };
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value)),
        None => (rest.trim(), None),
    };
    if name.is_empty() {
        warn!("{} {}: export without name=value", leg.uuid, leg.name());
        return;
    }
    if let Some(value) = value {
        let local = if nolocal { format!("_nolocal_{name}") } else { name.to_owned() };
        set::put(leg, &local, value, data.wire);
    }
    let listed = leg.variables.get(listed_in).unwrap_or("").to_owned();
    if !listed.split(',').any(|known| known.eq_ignore_ascii_case(name)) {
        let list = if listed.is_empty() { name.to_owned() } else { format!("{listed},{name}") };
        leg.variables.set(listed_in, list);
    }
}
