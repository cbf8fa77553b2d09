//! `capture`: what a regular expression finds in a text, as an array.

use crate::channel::{Leg, array};
use crate::dialplan::{Expanded, Pattern, plain, separate};
use tracing::warn;

/// `name|text|expression`: the whole match first, then each group.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let words = separate(data.guarded(), '|', 3);
    let [name, text, expression] = words.as_slice() else {
        return warn!("{} {}: capture({}): <name>|<text>|<expression>", leg.uuid, leg.name(), data.text);
    };
    let (name, text, expression) = (plain(name), plain(text), plain(expression));
    let found = Pattern::compile_at_hunt(&expression).map(|pattern| pattern.all_captures(&text));
    match found {
        Ok(Ok(Some(groups))) => {
            for group in &groups {
                let list = array::push(leg.variables.get(&name), group.as_deref().unwrap_or_default());
                leg.variables.set_wire(&name, list);
            }
        }
        Ok(Ok(None)) => {}
        Ok(Err(limit)) => warn!("{} {}: capture /{expression}/: {limit}", leg.uuid, leg.name()),
        Err(bad) => warn!("{} {}: capture /{expression}/: {bad}", leg.uuid, leg.name()),
    }
}
