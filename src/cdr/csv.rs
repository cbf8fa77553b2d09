//! `mod_cdr_csv`: a template expanded per leg, into `Master.csv` and a file per accountcode.
//!
//! A quotation mark in a value is doubled and a line break, as every other control character, becomes a blank, so that what
//! a caller calls himself cannot begin a field or a record of its own, nor do anything to the terminal of who looks at it.
//! (FreeSWITCH writes them as they are.)

use super::files::Files;
use super::has_dialled;
use crate::channel::Leg;
use crate::config::cdr::CsvConf;
use crate::dialplan::{Scope, Value, expand};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::{info, warn};

/// The longest name of an account's file.
const LONGEST_NAME: usize = 128;

/// The records as `cdr_csv.conf` wants them.
#[derive(Clone)]
pub(super) struct Csv {
    conf: CsvConf,
    master: Arc<Path>,
}

impl Csv {
    pub(super) fn new(conf: CsvConf) -> Csv {
        Csv { master: conf.folder.join("Master.csv").into(), conf }
    }

    /// `rotate-on-hup`.
    pub(super) fn rotates(&self) -> bool {
        self.conf.rotate
    }

    pub(super) fn wants(&self, leg: &Leg) -> bool {
        match (self.conf.a_legs, self.conf.b_legs) {
            (true, true) => true,
            (true, false) => !leg.is_b_leg(),
            (false, _) => self.conf.b_legs && !has_dialled(leg),
        }
    }

    pub(super) fn record(&self, leg: &Leg, files: &Files) {
        if self.conf.debug {
            info!("{} CHANNEL_DATA: {:?}", leg.uuid, leg.variables.sorted());
        }
        let row = Row(leg);
        let general = self.conf.template(&self.conf.default_template).unwrap_or_default();
        let line = |template: &str| expand(template, &row) + "\n";
        let account = leg.variables.get("accountcode");
        if let Some(account) = account.filter(|_| !self.conf.master_only) {
            let own = self.conf.template(account).unwrap_or(general);
            match is_file_name(account) {
                true => {
                    files.append(self.folder(leg).join([account, ".csv"].concat()).into(), line(own));
                }
                false => warn!("{}: accountcode {account:?} is no name for a file", leg.uuid),
            }
        }
        let master = match self.folder(leg) {
            Cow::Borrowed(_) => self.master.clone(),
            Cow::Owned(folder) => folder.join("Master.csv").into(),
        };
        files.append(master, line(general));
    }

    /// The folder of the configuration, or the leg's own: never one that came from the wire.
    fn folder(&self, leg: &Leg) -> Cow<'_, Path> {
        match leg.variables.get_marked("cdr_csv_base") {
            Some((folder, false)) => Cow::Owned(PathBuf::from(folder)),
            Some((_, true)) => {
                warn!("{}: cdr_csv_base comes from the caller and is not used", leg.uuid);
                Cow::Borrowed(&self.conf.folder)
            }
            None => Cow::Borrowed(&self.conf.folder),
        }
    }
}

/// Whether `name` may be the name of a file in the folder, and in no other.
fn is_file_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

/// A leg whose values are fields of a row.
struct Row<'a>(&'a Leg);

impl Scope for Row<'_> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        // The caller profile of the leg that was called is not kept; its uuid is.
        let name = if name.eq_ignore_ascii_case("bleg_uuid") { "bridge_uuid" } else { name };
        self.0.variable(name).map(field)
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        self.0.profile_field(name).map(field)
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.global(name)
    }

    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        self.0.call(function, arguments, wire).map(|value| field(value).into_owned())
    }
}

/// The value as it may stand between quotation marks.
fn field(value: Value<'_>) -> Value<'_> {
    let special = |c: char| c == '"' || c.is_control();
    if !value.text.contains(special) {
        return value;
    }
    let text = value.text.replace('"', "\"\"").replace(char::is_control, " ");
    Value { text: text.into(), wire: value.wire }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_within_its_field_and_its_line() {
        let value = field(Value::wire("Eve\",\"0\"\r\nMallory"));
        assert_eq!(value.text, "Eve\"\",\"\"0\"\"  Mallory");
        assert!(value.wire);
        assert_eq!(field(Value::ours("plain")).text, "plain");
        let value = field(Value::wire("a\0b\u{1b}[2Jc\u{b}d\u{c}e\tf\u{7f}g\u{9b}h é"));
        assert_eq!(value.text, "a b [2Jc d e f g h é");
    }

    #[test]
    fn an_account_names_a_file_of_the_folder_only() {
        for name in ["1000", "acme-02", "Ä", "a.b"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "a\nb", ".hidden", &"x".repeat(129)] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
