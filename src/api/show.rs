//! `show`: what there is, as a table (mod_commands.c).
//!
//! `show SUBJECT [count] [as json|xml|csv|delim SIGN]`. A subject is a row of [`SUBJECTS`]: its name, and who makes the table.

use super::command::{Command, usage, waits};
use super::desk::{Desk, Work};
use super::rows::{As, Rows};
use super::{channel_rows, help, interface_rows, status, stored_rows};

pub(super) const COMMANDS: &[Command] = &[waits(
    "show",
    "codec|endpoint|application|api|dialplan|file|timer|calls [count]|channels [count|like <match string>]|calls|\
     detailed_calls|bridged_calls|detailed_bridged_calls|registrations [count]|aliases|complete|chat|\
     management|modules|nat_map|say|interfaces|interface_types|tasks|limits|status [as json|xml|csv|delim <sign>]",
    "Show various reports",
    |desk, text| Box::pin(show(desk, text)),
)];

/// What can be shown. `arguments` are the words behind the subject, those from `as` on left out.
type Subject = for<'a> fn(&'a Desk, arguments: &'a [&'a str]) -> Work<'a, Result<Rows, String>>;

/// Those that are meant by their whole name alone.
const SUBJECTS: &[(&str, Subject)] = &[
    ("aliases", |desk, _| Box::pin(async { Ok(stored_rows::aliases(desk)) })),
    ("api", |_, words| Box::pin(async { Ok(interface_rows::described("api", words.first().copied())) })),
    ("application", |_, words| {
        Box::pin(async { Ok(interface_rows::described("application", words.first().copied())) })
    }),
    ("bridged_calls", |desk, _| Box::pin(channel_rows::calls(desk, true))),
    ("calls", |desk, _| Box::pin(channel_rows::calls(desk, false))),
    ("channels", |desk, words| Box::pin(channel_rows::channels(desk, words))),
    ("complete", |desk, _| Box::pin(async { Ok(stored_rows::completions(desk)) })),
    ("detailed_bridged_calls", |desk, _| Box::pin(channel_rows::detailed_calls(desk, true))),
    ("detailed_calls", |desk, _| Box::pin(channel_rows::detailed_calls(desk, false))),
    ("interface_types", |_, _| Box::pin(async { Ok(interface_rows::types()) })),
    ("interfaces", |_, _| Box::pin(async { Ok(interface_rows::all()) })),
    ("nat_map", |_, _| Box::pin(async { Ok(stored_rows::nat_map()) })),
    ("registrations", |desk, _| Box::pin(async { Ok(stored_rows::registrations(desk)) })),
    ("tasks", |desk, _| Box::pin(async { Ok(stored_rows::tasks(desk)) })),
];

/// Kinds of interfaces, found by how the word begins.
const KINDS: &[&str] =
    &["chat", "codec", "dialplan", "endpoint", "file", "limit", "management", "say", "timer"];

async fn show(desk: &Desk, text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let Some((subject, words)) = words.split_first() else { return usage("show") };
    let subject = subject.to_ascii_lowercase();
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("as")).unwrap_or(words.len());
    let (arguments, form) = words.split_at(at);
    if subject.starts_with("status") {
        return status::status(&desk.exchange);
    }
    if subject.starts_with("help") {
        return help::lines(arguments.first().copied());
    }
    let form = match As::read(form.get(1..).unwrap_or_default()) {
        Ok(form) => form,
        Err(said) => return said,
    };
    let made = match SUBJECTS.iter().find(|(name, _)| *name == subject) {
        Some((_, make)) => make(desk, arguments).await,
        None if subject.starts_with("module") => Ok(interface_rows::modules(arguments.first().copied())),
        None => match KINDS.iter().find(|kind| subject.starts_with(**kind)) {
            Some(kind) => Ok(interface_rows::of_kind(kind)),
            None => return usage("show"),
        },
    };
    let counted = matches!(&*subject, "calls" | "channels" | "registrations")
        && arguments.first().is_some_and(|word| word.eq_ignore_ascii_case("count"));
    match made {
        Ok(rows) if counted => form.count(rows.rows.len()),
        Ok(rows) => rows.print(&form),
        Err(said) => said,
    }
}
