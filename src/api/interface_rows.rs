//! What is there by name, as `show` tells it: commands, applications, codecs, endpoints, dialplans … (FreeSWITCH's table
//! `interfaces`). Each says which of FreeSWITCH's modules it belongs to.

use std::collections::BTreeMap;

use super::application_rows::application;
use super::command;
use super::rows::Rows;
use crate::app;
use crate::config::modules;

/// One thing that is there.
struct Interface {
    kind: &'static str,
    name: &'static str,
    about: &'static str,
    syntax: &'static str,
    module: &'static str,
}

/// What is neither a command nor an application: kind, name, module.
const FIXED: &[(&str, &str, &str)] = &[
    ("codec", "G.711 alaw", "CORE_PCM_MODULE"),
    ("codec", "G.711 ulaw", "CORE_PCM_MODULE"),
    ("codec", "PROXY PASS-THROUGH", "CORE_PCM_MODULE"),
    ("dialplan", "XML", "mod_dialplan_xml"),
    ("dialplan", "inline", "mod_dptools"),
    ("endpoint", "error", "mod_dptools"),
    ("endpoint", "group", "mod_dptools"),
    ("endpoint", "loopback", "mod_loopback"),
    ("endpoint", "null", "mod_loopback"),
    ("endpoint", "pickup", "mod_dptools"),
    ("endpoint", "sofia", "mod_sofia"),
    ("endpoint", "user", "mod_dptools"),
    ("limit", "db", "mod_db"),
    ("limit", "hash", "mod_hash"),
    ("say", "en", "mod_say_en"),
];

/// The module of FreeSWITCH that has this command.
pub(super) fn module_of_api(name: &str) -> &'static str {
    const OWNERS: &[(&str, &str)] = &[
        ("sofia", "mod_sofia"),
        ("hash", "mod_hash"),
        ("db", "mod_db"),
        ("group", "mod_db"),
        ("valet_info", "mod_valet_parking"),
        ("expr", "mod_expr"),
        ("limit_hash", "mod_hash"),
    ];
    let own = |(begins, _): &&(&str, &str)| match *begins {
        "db" | "group" => name == *begins,
        begins => name.starts_with(begins),
    };
    OWNERS.iter().find(own).map_or("mod_commands", |(_, module)| module)
}

/// Everything, by kind and name.
fn interfaces() -> Vec<Interface> {
    let fixed =
        FIXED.iter().map(|(kind, name, module)| Interface { kind, name, about: "", syntax: "", module });
    let apis = command::listed().into_iter().map(|(name, syntax, about)| Interface {
        kind: "api",
        name,
        about,
        syntax,
        module: module_of_api(name),
    });
    let applications = app::names().into_iter().filter_map(application).map(|application| Interface {
        kind: "application",
        name: application.name,
        about: application.about,
        syntax: application.syntax,
        module: application.module,
    });
    let mut all: Vec<Interface> = fixed.chain(apis).chain(applications).collect();
    all.sort_by_key(|interface| (interface.kind, interface.name));
    all
}

/// `show api [NAME]`, `show application [NAME]`: with description and syntax.
pub(super) fn described(kind: &str, only: Option<&str>) -> Rows {
    let wanted = |i: &Interface| i.kind == kind && only.is_none_or(|only| only.eq_ignore_ascii_case(i.name));
    let row = |i: Interface| [i.name, i.about, i.syntax, i.module].map(str::to_owned).to_vec();
    Rows {
        columns: &["name", "description", "syntax", "ikey"],
        rows: interfaces().into_iter().filter(wanted).map(row).collect(),
    }
}

/// `show codec`, `show endpoint` …
pub(super) fn of_kind(kind: &str) -> Rows {
    listed(|interface| interface.kind == kind)
}

/// `show interfaces`.
pub(super) fn all() -> Rows {
    listed(|_| true)
}

fn listed(wanted: impl Fn(&Interface) -> bool) -> Rows {
    let row = |i: Interface| [i.kind, i.name, i.module].map(str::to_owned).to_vec();
    Rows {
        columns: &["type", "name", "ikey"],
        rows: interfaces().into_iter().filter(wanted).map(row).collect(),
    }
}

/// `show interface_types`: how many there are of each kind.
pub(super) fn types() -> Rows {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    interfaces().iter().for_each(|interface| *counts.entry(interface.kind).or_default() += 1);
    let row = |(kind, count): (&str, usize)| vec![kind.to_owned(), count.to_string()];
    Rows { columns: &["type", "total"], rows: counts.into_iter().map(row).collect() }
}

/// `show modules [NAME]`: what there is and the modules of FreeSWITCH whose work is done here, one row for each.
pub(super) fn modules(only: Option<&str>) -> Rows {
    let generic = modules::provided().map(|module| ("generic", module.trim_start_matches("mod_"), module));
    let mut all: Vec<_> = interfaces().iter().map(|i| (i.kind, i.name, i.module)).chain(generic).collect();
    all.retain(|(.., module)| only.is_none_or(|only| only.eq_ignore_ascii_case(module)));
    all.sort_unstable();
    let row = |(kind, name, module): (&str, &str, &str)| {
        vec![kind.to_owned(), name.to_owned(), module.to_owned(), "built in".to_owned()]
    };
    Rows { columns: &["type", "name", "ikey", "filename"], rows: all.into_iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rows::As;

    #[test]
    fn kinds_are_told_apart() {
        let dialplans = of_kind("dialplan").print(&As::default());
        assert_eq!(
            dialplans,
            "type,name,ikey\ndialplan,XML,mod_dialplan_xml\ndialplan,inline,mod_dptools\n\n2 total.\n"
        );
        assert_eq!(of_kind("file").print(&As::default()), "\n0 total.\n");
        let one = described("api", Some("create_uuid")).print(&As::default());
        assert_eq!(one, "name,description,syntax,ikey\ncreate_uuid,make a uuid,,mod_commands\n\n1 total.\n");
        let one = described("application", Some("HANGUP")).print(&As::default());
        assert_eq!(
            one,
            "name,description,syntax,ikey\nhangup,end the call,[<cause>],mod_dptools\n\n1 total.\n"
        );
        let db = modules(Some("mod_db"));
        let names: Vec<_> = db.rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
        assert_eq!(
            names,
            ["api db", "api group", "application db", "application group", "generic db", "limit db"]
        );
        let totals: usize = types().rows.iter().map(|row| row[1].parse::<usize>().unwrap()).sum();
        assert_eq!(totals, all().rows.len());
    }
}
