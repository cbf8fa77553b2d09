//! `show`: what there is, as a table (mod_commands.c).
//!
//! `show SUBJECT [as json|xml|csv|delim SIGN]`. A subject is a row of [`SUBJECTS`]: its name, and who makes the table.

use super::command::{self, Command, usage, waits};
use super::desk::{Desk, Work};
use super::rows::{As, Rows};
use crate::app;
use crate::config::modules;

pub(super) const COMMANDS: &[Command] = &[waits(
    "show",
    "api|application|modules [as json|xml|csv|delim <sign>]",
    "tell what there is, as a table",
    |desk, text| Box::pin(show(desk, text)),
)];

/// What can be shown. `arguments` are the words behind the subject, those from `as` on left out.
type Subject = for<'a> fn(&'a Desk, arguments: &'a [&'a str]) -> Work<'a, Result<Rows, String>>;

const SUBJECTS: &[(&str, Subject)] = &[
    ("api", |_, _| Box::pin(async { Ok(api()) })),
    ("application", |_, _| Box::pin(async { Ok(application()) })),
    ("modules", |_, arguments| Box::pin(async move { Ok(loaded(arguments)) })),
];

async fn show(desk: &Desk, text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let Some((subject, words)) = words.split_first() else { return usage("show") };
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("as")).unwrap_or(words.len());
    let (arguments, form) = words.split_at(at);
    let Some((_, make)) = SUBJECTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(subject)) else {
        return usage("show");
    };
    let form = match As::read(form.get(1..).unwrap_or_default()) {
        Ok(form) => form,
        Err(said) => return said,
    };
    match make(desk, arguments).await {
        Ok(rows) => rows.print(&form),
        Err(said) => said,
    }
}

const INTERFACE: &[&str] = &["name", "description", "syntax", "ikey"];

/// `show api`.
fn api() -> Rows {
    let row = |(name, usage, about): (&str, &str, &str)| {
        vec![name.to_owned(), about.to_owned(), usage.to_owned(), "mod_commands".to_owned()]
    };
    Rows { columns: INTERFACE, rows: command::listed().into_iter().map(row).collect() }
}

/// `show application`.
fn application() -> Rows {
    let mut names = app::names();
    names.sort_unstable();
    let row = |name: &str| vec![name.to_owned(), String::new(), String::new(), "mod_dptools".to_owned()];
    Rows { columns: INTERFACE, rows: names.into_iter().map(row).collect() }
}

/// `show modules [NAME]`: the modules of FreeSWITCH whose work is done here.
fn loaded(arguments: &[&str]) -> Rows {
    let wanted = |name: &&str| arguments.first().is_none_or(|only| only.eq_ignore_ascii_case(name));
    let row = |name: &str| {
        vec![
            "generic".to_owned(),
            name.trim_start_matches("mod_").to_owned(),
            name.to_owned(),
            "built in".to_owned(),
        ]
    };
    Rows {
        columns: &["type", "name", "ikey", "filename"],
        rows: modules::provided().filter(wanted).map(row).collect(),
    }
}
