//! `bind_meta_app`, `unbind_meta_app`: a key behind the meta key runs an application (`dtmf_bind_function`).

use crate::channel::{Leg, MetaApp, Where, key_index};
use crate::dialplan::{Expanded, plain, separate};
use tracing::{error, info, warn};

/// `key [a|b|ab] [a|b|o|s|i|1] application[::argument]`: whose far end presses the key, which leg runs the application,
/// and `1` for once. The variable `bind_meta_key` is the key to press before, `*` without it. (`i` makes no difference:
/// what is bound always runs on the leg's own task.)
pub fn bind(leg: &mut Leg, data: &Expanded) {
    let words = separate(data.fields(), ' ', 4);
    let [key, listen, respond, app] = words.as_slice() else {
        let usage = "bind_meta_app <key> [a|b|ab] [a|b|o|s|i|1] <app>";
        return error!("{} {}: bind_meta_app({}): {usage}", leg.uuid, leg.name(), data.text);
    };
    let set = leg.variables.get("bind_meta_key").and_then(|text| text.chars().next());
    let meta = match set {
        Some(c) if c.is_ascii_digit() || matches!(c.to_ascii_uppercase(), '*' | '#' | 'A'..='D') => {
            c.to_ascii_uppercase()
        }
        Some(c) => {
            warn!("{} {}: bind_meta_key={c} is no key, * it is", leg.uuid, leg.name());
            '*'
        }
        None => '*',
    };
    let index = key_index(&plain(key));
    if !matches!(meta, '*' | '#') && key_index(meta.encode_utf8(&mut [0; 4])) == index {
        return error!("{} {}: bind_meta_app: key {key} is the meta key", leg.uuid, leg.name());
    }
    let has = |c| respond.contains(c);
    let runs = match (has('a'), has('b')) {
        (true, true) => {
            error!("{} {}: bind_meta_app {respond}: one leg runs it, a it is", leg.uuid, leg.name());
            Where::Here
        }
        (true, false) => Where::Here,
        (false, true) => Where::There,
        // Of `o` and `s` the first wins there, whichever is written first.
        (false, false) if has('o') => Where::Opposite,
        (false, false) if has('s') => Where::Presser,
        (false, false) => Where::Here,
    };
    let (own, other) = (listen.contains('a'), listen.contains('b'));
    if app.is_empty() || !(own || other) {
        return warn!("{} {}: bind_meta_app({}): nothing to bind", leg.uuid, leg.name(), data.text);
    }
    let bound = MetaApp { text: app.clone(), runs, once: has('1') };
    match leg.bind_meta(meta, index, own, other, bound) {
        true => info!("{} {}: {meta}{} is bound to {}", leg.uuid, leg.name(), plain(key), plain(app)),
        false => error!("{} {}: bind_meta_app: there is no key {}", leg.uuid, leg.name(), plain(key)),
    }
}

/// `[key]`; without one, or with 0, all of them.
pub fn unbind(leg: &mut Leg, data: &Expanded) {
    match key_index(&data.text) {
        0 => leg.unbind_meta(None),
        index @ 1..=9 => leg.unbind_meta(Some(index)),
        index => error!("{} {}: unbind_meta_app: there is no key {index}", leg.uuid, leg.name()),
    }
}

/// No data: digits are passed on to nobody.
pub fn block(leg: &mut Leg, _data: &Expanded) {
    leg.block_digits(true);
}

/// No data: digits are passed on again.
pub fn unblock(leg: &mut Leg, _data: &Expanded) {
    leg.block_digits(false);
}
