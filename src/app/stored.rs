//! `hash`, `db`, `group`: what a call leaves for others. What they do is what the API functions of these names do; an
//! application has no use for the answer.

use crate::channel::Leg;
use crate::dialplan::{Expanded, Scope};
use tracing::warn;

/// `insert|insert_ifempty|delete|delete_ifmatch/realm/key[/value]`, kept in memory.
pub fn hash(leg: &mut Leg, data: &Expanded) {
    keep(leg, "hash", data);
}

/// `insert|delete/realm/key[/value]`, kept over a restart.
pub fn db(leg: &mut Leg, data: &Expanded) {
    keep(leg, "db", data);
}

/// `insert|delete:group:dial string`, kept over a restart.
pub fn group(leg: &mut Leg, data: &Expanded) {
    keep(leg, "group", data);
}

/// What came from the wire is marked by its separators being moved away, and is stored so.
fn keep(leg: &Leg, store: &str, data: &Expanded) {
    let answer = leg.call(store, data.fields(), false).map(|answer| answer.text).unwrap_or_default();
    let harmless = ["-ERR key already exists", "-ERR Not found", "-ERR Doesn't match"];
    let failed = answer.starts_with("-ERR") || answer.starts_with('!');
    if failed && !harmless.iter().any(|harmless| answer.starts_with(harmless)) {
        warn!("{} {}: {store}({}): {}", leg.uuid, leg.name(), data.text, answer.trim_end());
    }
}
