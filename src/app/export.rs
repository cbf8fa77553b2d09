//! `export`: a variable of the leg that legs it calls get too.

use super::set;
use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::warn;

/// `[nolocal:]name=value`; with `nolocal:` only the called legs get it.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let (nolocal, rest) =
        match data.text.strip_prefix("nolocal:").or_else(|| data.text.strip_prefix("_nolocal_")) {
            Some(rest) => (true, rest),
            None => (false, data.text.as_str()),
        };
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
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
    let listed = leg.variables.get("export_vars").unwrap_or("").to_owned();
    if !listed.split(',').any(|known| known.eq_ignore_ascii_case(name)) {
        let list = if listed.is_empty() { name.to_owned() } else { format!("{listed},{name}") };
        leg.variables.set("export_vars", list);
    }
}
