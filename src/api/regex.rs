//! `regex TEXT|PATTERN[|SUBSTITUTION[|n|b]]`.

use std::borrow::Cow;

use super::text::parts;
use super::world::World;
use crate::dialplan::{Pattern, substitute};

/// Whether the pattern matches, or with a substitution the text made of `%1` (or `$1`); without a match the text
/// itself, or nothing (`n`), or `false` (`b`).
pub fn regex(_: &dyn World, text: &str) -> String {
    let items = parts(text, 4);
    let [subject, pattern, rest @ ..] = items.as_slice() else { return "-ERR".to_owned() };
    let groups = match Pattern::compile_at_hunt(pattern) {
        Ok(compiled) => compiled.all_captures(subject).unwrap_or_else(|limit| {
            tracing::warn!("regex {subject} =~ /{pattern}/: {limit}; it counts as failed");
            None
        }),
        Err(bad) => {
            tracing::error!("regex: /{pattern}/ is no regular expression: {bad}");
            None
        }
    };
    let [substitution, flags @ ..] = rest else { return groups.is_some().to_string() };
    match groups {
        Some(groups) => substitute(&substitution.replace('%', "$"), &groups, Cow::Borrowed),
        None => match flags.first() {
            Some(flags) if flags.contains('n') => String::new(),
            Some(flags) if flags.contains('b') => "false".to_owned(),
            _ => subject.clone(),
        },
    }
}
