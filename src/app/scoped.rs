//! `%[a=1,b=2]data`: variables for one execution of an application (switch_core_session.c).

use crate::channel::Leg;
use crate::dialplan::{Expanded, plain, separate};
use std::borrow::Cow;

/// Variables an execution may bring.
const MOST: usize = 1024;

/// What the leg had under the names of an execution's variables.
pub struct Before(Vec<Held>);

struct Held {
    name: String,
    /// What the variable is for this execution.
    now: String,
    before: Option<(String, bool)>,
}

/// Takes the brackets off the data and sets what is in them; `None` when there are none.
pub fn begin(leg: &mut Leg, data: &Expanded) -> Option<(Expanded, Before)> {
    let rest = data.guarded().strip_prefix('%')?;
    let mut separator = ',';
    let inside = rest.strip_prefix('[').or_else(|| {
        let mut characters = rest.chars();
        separator = characters.next()?;
        characters.as_str().strip_prefix('[')
    })?;
    let (list, behind) = inside.split_once(']')?;
    let mut held = Vec::new();
    for item in separate(list, separator, MOST) {
        let Some((name, value)) = item.split_once('=') else { continue };
        let (name, value) = (plain(name.trim()), plain(value));
        let wire = matches!(value, Cow::Owned(_));
        let before = leg.variables.get_marked(&name).map(|(text, wire)| (text.to_owned(), wire));
        put(leg, &name, &value, wire);
        held.push(Held { name: name.into_owned(), now: value.into_owned(), before });
    }
    Some((Expanded::part(behind), Before(held)))
}

/// Gives the leg back what it had, but for what the application has set itself.
pub fn end(leg: &mut Leg, Before(held): Before) {
    for Held { name, now, before } in held.into_iter().rev() {
        if leg.variables.get(&name).unwrap_or("") != now {
            continue;
        }
        match before {
            Some((text, wire)) => put(leg, &name, &text, wire),
            None => leg.variables.unset(&name),
        }
    }
}

fn put(leg: &mut Leg, name: &str, value: &str, wire: bool) {
    match wire {
        true => leg.variables.set_wire(name, value),
        false => leg.variables.set(name, value),
    }
}
