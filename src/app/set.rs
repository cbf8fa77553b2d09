//! `set`, `multiset`, `push`, `unshift`: variables of the leg. The value is expanded once more, as FreeSWITCH does
//! (mod_dptools.c, `base_set`).

use crate::channel::{Leg, array};
use crate::dialplan::{Expanded, expand_marked, plain, separate};
use std::borrow::Cow;
use tracing::warn;

/// What is done with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It is the variable's, or with a name like `name[2]` an element's.
    Set,
    /// It goes behind the elements of a list.
    Push,
    /// It goes before them.
    Unshift,
}

/// `name=value` (or `name,value`); an empty value takes the variable away.
pub fn run(leg: &mut Leg, data: &Expanded) {
    one(leg, &data.text, data.wire, How::Set);
}

/// `name=value`: the value is put behind what is there.
pub fn push(leg: &mut Leg, data: &Expanded) {
    one(leg, &data.text, data.wire, How::Push);
}

/// `name=value`: the value is put before what is there.
pub fn unshift(leg: &mut Leg, data: &Expanded) {
    one(leg, &data.text, data.wire, How::Unshift);
}

/// `a=1 b=2`, or `^^;a=1;b=2` with another separator. A separator that came from the wire separates nothing.
pub fn multiset(leg: &mut Leg, data: &Expanded) {
    for item in words(data) {
        let text = plain(&item);
        one(leg, &text, matches!(text, Cow::Owned(_)), How::Set);
    }
}

/// `a b`, or `^^;a;b`: takes several variables away.
pub fn multiunset(leg: &mut Leg, data: &Expanded) {
    for item in words(data) {
        leg.variables.unset(&plain(&item));
    }
}

fn words(data: &Expanded) -> Vec<String> {
    const MOST: usize = 256;
    separate(data.guarded(), ' ', MOST)
}

fn one(leg: &mut Leg, text: &str, wire: bool, how: How) {
    let Some((name, value)) = text.split_once('=').or_else(|| text.split_once(',')) else {
        if text.trim().is_empty() {
            warn!("{} {}: set without name=value", leg.uuid, leg.name());
        } else {
            leg.variables.unset(text.trim());
        }
        return;
    };
    let name = name.trim();
    match how {
        How::Set => put(leg, name, value, wire),
        How::Push => extend(leg, name, value, wire, array::push),
        How::Unshift => extend(leg, name, value, wire, array::unshift),
    }
}

/// The value expanded, unless there is text from the wire in it; nothing for `_undef_`.
fn meant(leg: &Leg, value: &str, wire: bool) -> Expanded {
    let value = if wire { Expanded::new(value, wire) } else { expand_marked(value, leg) };
    if value.text == "_undef_" { Expanded::default() } else { value }
}

/// Sets a variable to a value that is expanded first; `_undef_` and nothing take it away.
pub(super) fn put(leg: &mut Leg, name: &str, value: &str, wire: bool) {
    let value = meant(leg, value, wire);
    leg.variables.assign(name, &value.text, value.wire);
}

fn extend(leg: &mut Leg, name: &str, value: &str, wire: bool, by: fn(Option<&str>, &str) -> String) {
    let value = meant(leg, value, wire);
    if value.text.is_empty() {
        leg.variables.unset(name);
        return;
    }
    let held = leg.variables.get_marked(name);
    let wire = value.wire || held.is_some_and(|(_, wire)| wire);
    let list = by(held.map(|(text, _)| text), &value.text);
    match wire {
        true => leg.variables.set_wire(name, list),
        false => leg.variables.set(name, list),
    }
}
