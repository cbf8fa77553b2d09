//! `bind_digit_action`, `clear_digit_action`, `digit_action_set_realm`: sequences of digits that do something (mod_dptools.c).

use crate::channel::{DigitAction, Leg, Sequence, Target, Way};
use crate::dialplan::{Expanded, plain, separate};
use crate::dialplan::{Pattern, substitute};
use std::borrow::Cow;
use std::sync::Arc;
use tracing::{info, warn};

/// `realm,digits|~regex[~~replacement],string[,value][,whose digits][,on which leg]`. The string is `exec:application`
/// (`exec[P]:` before all others), `api:command`, or the name of a header of the event that tells of it; the legs are
/// `self`, `peer` or `both`.
pub fn bind(leg: &mut Leg, data: &Expanded) {
    let items = separate(data.fields(), ',', 6);
    let usage = "bind_digit_action <realm>,<digits|~regex>,<string>[,<value>][,<dtmf target leg>][,<event target leg>]";
    let [realm, digits, string, rest @ ..] = items.as_slice() else {
        return warn!("{} {}: bind_digit_action({}): {usage}", leg.uuid, leg.name(), data.text);
    };
    if realm.is_empty() || digits.is_empty() || string.is_empty() {
        return warn!("{} {}: bind_digit_action({}): {usage}", leg.uuid, leg.name(), data.text);
    }
    let item = |n: usize| rest.get(n).map_or("", String::as_str);
    let (of, on) = (Target::read(item(1)), Target::read(item(2)));
    let (way, name, priority) = action(string);
    let sequence = match sequence(&plain(digits)) {
        Ok(sequence) => sequence,
        Err(why) => {
            return warn!("{} {}: bind_digit_action: {}: {why}", leg.uuid, leg.name(), plain(digits));
        }
    };
    let action = DigitAction { way, name: plain(name).into_owned(), value: item(0).to_owned(), on };
    let sides: &[Target] = match of {
        Target::Both => &[Target::Peer, Target::Own],
        Target::Peer => &[Target::Peer],
        Target::Own => &[Target::Own],
    };
    for side in sides {
        let binding = (&*plain(realm), &*plain(digits), sequence.clone());
        if !leg.bind_sequence(*side, binding, priority, action.clone()) {
            warn!(
                "{} {}: bind_digit_action: {digits} is too long, or there are too many",
                leg.uuid,
                leg.name()
            );
        }
    }
}

/// `exec:application`, `exec[flags]:application`, `api:command`, or an event's header; whether it comes before others.
fn action(string: &str) -> (Way, &str, bool) {
    let begins = |prefix: &str| string.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix));
    if begins("api:") {
        return (Way::Api, string.get(4..).unwrap_or(""), false);
    }
    let rest = string.get(4..).filter(|_| begins("exec")).unwrap_or("");
    if let Some(application) = rest.strip_prefix(':') {
        return (Way::Execute, application, false);
    }
    match rest.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((flags, application)) => (Way::Execute, application, flags.contains('P')),
        None => (Way::Event, string, false),
    }
}

fn sequence(written: &str) -> Result<Sequence, String> {
    let digits = written.strip_prefix('=').unwrap_or(written);
    let Some(expression) = digits.strip_prefix('~') else {
        return Ok(Sequence::Exactly(digits.to_owned()));
    };
    let (expression, replacement) = match expression.split_once("~~") {
        Some((expression, replacement)) => (expression, Some(replacement.to_owned())),
        None => (expression, None),
    };
    let pattern = Pattern::compile_at_hunt(expression).map_err(|error| error.to_string())?;
    Ok(Sequence::Matching(Arc::new(move |digits| match &replacement {
        None => pattern.is_match(digits).unwrap_or(false).then(String::new),
        Some(replacement) => {
            let groups = pattern.all_captures(digits).ok().flatten()?;
            Some(substitute(replacement, &groups, Cow::Borrowed))
        }
    })))
}

/// The realm and the target of `realm[,target]`.
fn place(data: &Expanded) -> (&str, Target) {
    let (realm, target) = data.text.split_once(',').unwrap_or((&data.text, ""));
    (realm, Target::read(target))
}

/// `realm|all[,target]`.
pub fn clear(leg: &mut Leg, data: &Expanded) {
    if data.text.is_empty() {
        return warn!("{} {}: clear_digit_action <realm>|all[,target]", leg.uuid, leg.name());
    }
    let (realm, target) = place(data);
    let which = Some(realm).filter(|realm| !realm.is_empty() && !realm.eq_ignore_ascii_case("all"));
    let sides: &[Target] = if target == Target::Both { &[Target::Peer, Target::Own] } else { &[target] };
    for side in sides {
        if !leg.clear_sequences(*side, which) {
            info!("{} {}: clear_digit_action: there is no realm {realm}", leg.uuid, leg.name());
        }
    }
}

/// `realm[,target]`.
pub fn set_realm(leg: &mut Leg, data: &Expanded) {
    let (realm, target) = place(data);
    if realm.is_empty() {
        return warn!("{} {}: digit_action_set_realm <realm>[,<target>]", leg.uuid, leg.name());
    }
    if !leg.set_digit_realm(target, realm) {
        warn!("{} {}: digit_action_set_realm: there is no realm {realm}", leg.uuid, leg.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sequence_does() {
        for (string, way, name, priority) in [
            ("exec:execute_extension", Way::Execute, "execute_extension", false),
            ("EXEC[iP]:transfer", Way::Execute, "transfer", true),
            ("exec[i]:set", Way::Execute, "set", false),
            ("api:uuid_exists", Way::Api, "uuid_exists", false),
            ("exec", Way::Event, "exec", false),
            ("pressed", Way::Event, "pressed", false),
            ("exé", Way::Event, "exé", false),
        ] {
            assert_eq!(action(string), (way, name, priority), "{string}");
        }
    }

    #[test]
    fn sequences_and_expressions() {
        let fits = |written: &str, digits: &str| match sequence(written) {
            Ok(Sequence::Matching(fits)) => fits(digits),
            Ok(Sequence::Exactly(exactly)) => (exactly == digits).then_some(exactly),
            Err(_) => None,
        };
        for (written, digits, made) in [
            ("12", "12", Some("12")),
            ("=12", "12", Some("12")),
            ("~^\\d{3}$", "123", Some("")),
            ("~^\\d{3}$", "12", None),
            ("=~^9(\\d+)#$~~$1", "9123#", Some("123")),
        ] {
            assert_eq!(fits(written, digits).as_deref(), made, "{written} {digits}");
        }
        assert!(sequence("~(").is_err());
    }
}
