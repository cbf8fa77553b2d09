//! `cdr_csv.conf` and `json_cdr.conf`: where call detail records go and what stands in them
//! (`mod_cdr_csv.c`, `mod_json_cdr.c`).

use std::path::{Path, PathBuf};

use super::element::{Element, configuration};
use super::globals::Globals;
use super::modules::ModulesConf;
use super::position::Position;
use super::problem::Problem;
use super::suggest::nearest;
use super::value::Value;

/// Both kinds of records; each is written when `modules.conf` loads its module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdrConf {
    /// `mod_cdr_csv`.
    pub csv: Option<CsvConf>,
    /// `mod_json_cdr`.
    pub json: Option<JsonConf>,
}

/// `cdr_csv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvConf {
    /// The folder `cdr-csv` inside `log-base`.
    pub folder: PathBuf,
    /// `legs` has an `a`: legs that no other leg dialled.
    pub a_legs: bool,
    /// `legs` has a `b`: legs that dialled nobody.
    pub b_legs: bool,
    /// `rotate-on-hup`: SIGHUP renames the files; else it only opens them anew.
    pub rotate: bool,
    /// `master-file-only`: no file per accountcode.
    pub master_only: bool,
    /// `debug`: every record's variables go into the log.
    pub debug: bool,
    /// `default-template`.
    pub default_template: String,
    /// `<template name="…">`, each without a line break at its end.
    pub templates: Vec<(String, String)>,
}

/// `json_cdr.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonConf {
    /// `log-dir`; `json_cdr` in the log folder when empty, nothing without the parameter.
    pub folder: Option<PathBuf>,
    /// `log-b-leg`: also legs that another leg dialled.
    pub b_legs: bool,
    /// `prefix-a-leg`: the others' files begin with `a_`.
    pub prefix_a: bool,
    /// `rotate`: a new folder, named by the time, at start and at each SIGHUP.
    pub rotate: bool,
    /// `encode-values`: values are URL-encoded.
    pub encode_values: bool,
}

/// What mod_cdr_csv has without a configuration.
const DEFAULT_TEMPLATE: &str = "\"${caller_id_name}\",\"${caller_id_number}\",\"${destination_number}\",\"${context}\",\
    \"${start_stamp}\",\"${answer_stamp}\",\"${end_stamp}\",\"${duration}\",\"${billsec}\",\"${hangup_cause}\",\"${uuid}\",\
    \"${bleg_uuid}\", \"${accountcode}\"";

const CSV_PARAMETERS: &[&str] =
    &["debug", "legs", "log-base", "rotate-on-hup", "default-template", "master-file-only"];

const JSON_PARAMETERS: &[&str] =
    &["log-b-leg", "prefix-a-leg", "encode-values", "log-dir", "rotate", "url", "err-log-dir"];

/// How mod_json_cdr posts records; that is not done here.
const POSTING: &[&str] = &[
    "auth-scheme",
    "cred",
    "delay",
    "disable-100-continue",
    "enable-cacert-check",
    "enable-ssl-verifyhost",
    "encode",
    "err-log-dir",
    "log-errors-to-disk",
    "log-http-and-disk",
    "queue-capacity",
    "retries",
    "ssl-cacert-file",
    "ssl-cert-path",
    "ssl-key-password",
    "ssl-key-path",
    "ssl-version",
    "timeout",
];

impl CdrConf {
    /// Reads both out of the tree, as far as their modules are loaded.
    pub fn read(
        root: &Element,
        modules: &ModulesConf,
        globals: &Globals,
        problems: &mut Vec<Problem>,
    ) -> CdrConf {
        let log = globals.get("log_dir").map_or_else(|| PathBuf::from("log"), |dir| PathBuf::from(&*dir));
        CdrConf {
            csv: modules.loads("mod_cdr_csv").then(|| CsvConf::read(root, &log, problems)),
            json: modules.loaded_at("mod_json_cdr").map(|at| JsonConf::read(root, at, &log, problems)),
        }
    }
}

impl CsvConf {
    fn read(root: &Element, log: &Path, problems: &mut Vec<Problem>) -> CsvConf {
        let mut conf = CsvConf {
            folder: log.join("cdr-csv"),
            a_legs: true,
            b_legs: false,
            rotate: false,
            master_only: false,
            debug: false,
            default_template: "default".to_owned(),
            templates: vec![("default".to_owned(), DEFAULT_TEMPLATE.to_owned())],
        };
        let Some(element) = configuration(root, "cdr_csv.conf") else { return conf };
        let settings = element.child("settings");
        for (_, _, param) in settings.into_iter().flat_map(Element::params) {
            conf.apply(param, problems);
        }
        for template in element.child("templates").into_iter().flat_map(|t| t.children_named("template")) {
            match template.attr("name") {
                Some(name) => {
                    conf.templates.retain(|(known, _)| known != name);
                    conf.templates.push((name.to_owned(), template.text.trim().to_owned()));
                }
                None => problems.push(
                    Problem::warning(&template.at, "<template> has no name, so nothing uses it")
                        .hint("write <template name=\"example\">"),
                ),
            }
        }
        if !conf.templates.iter().any(|(name, _)| *name == conf.default_template) {
            let at = settings.and_then(|s| s.find("param", "name", "default-template")).unwrap_or(element);
            let problem = Problem::warning(
                at.attr_at("value"),
                format!("cdr_csv.conf has no template {}, the built-in one is taken", conf.default_template),
            );
            problems.push(
                match nearest(&conf.default_template, conf.templates.iter().map(|(n, _)| n.as_str())) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem,
                },
            );
            conf.default_template = "default".to_owned();
        }
        conf
    }

    fn apply(&mut self, param: &Element, problems: &mut Vec<Problem>) {
        let mut value = Value::of(param, problems);
        match value.name.to_ascii_lowercase().as_str() {
            "debug" => value.flag(&mut self.debug),
            "legs" => {
                (self.a_legs, self.b_legs) = (value.text.contains('a'), value.text.contains('b'));
                if !self.a_legs && !self.b_legs {
                    value.doubt(format!("legs is `{}`: no leg is recorded", value.text), "write a, b or ab");
                }
            }
            "log-base" => self.folder = Path::new(value.text).join("cdr-csv"),
            "rotate-on-hup" => value.flag(&mut self.rotate),
            "default-template" => self.default_template = value.text.to_owned(),
            "master-file-only" => value.flag(&mut self.master_only),
            other => unknown("cdr_csv.conf", other, CSV_PARAMETERS, param, problems),
        }
    }

    /// The text of the template called `name`.
    pub fn template(&self, name: &str) -> Option<&str> {
        self.templates.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

impl JsonConf {
    fn read(root: &Element, loaded: &Position, log: &Path, problems: &mut Vec<Problem>) -> JsonConf {
        let mut conf =
            JsonConf { folder: None, b_legs: true, prefix_a: false, rotate: false, encode_values: true };
        let Some(element) = configuration(root, "json_cdr.conf") else {
            problems.push(
                Problem::warning(
                    loaded,
                    "mod_json_cdr is loaded, and there is no json_cdr.conf: no record is written",
                )
                .hint("add autoload_configs/json_cdr.conf.xml with a log-dir"),
            );
            return conf;
        };
        for (_, _, param) in element.child("settings").into_iter().flat_map(Element::params) {
            conf.apply(param, log, problems);
        }
        if conf.folder.is_none() {
            problems.push(
                Problem::warning(&element.at, "json_cdr.conf has no log-dir: no record is written")
                    .hint("write <param name=\"log-dir\" value=\"\"/> for json_cdr in the log folder"),
            );
        }
        conf
    }

    fn apply(&mut self, param: &Element, log: &Path, problems: &mut Vec<Problem>) {
        let mut value = Value::of(param, problems);
        match value.name.to_ascii_lowercase().as_str() {
            "log-b-leg" => value.flag(&mut self.b_legs),
            "prefix-a-leg" => value.flag(&mut self.prefix_a),
            "encode-values" => value.flag(&mut self.encode_values),
            "rotate" => value.flag(&mut self.rotate),
            "log-dir" => {
                let inside = if value.text.is_empty() { "json_cdr" } else { value.text };
                self.folder = Some(log.join(inside)); // an absolute path stays what it is
            }
            "url" if !value.text.is_empty() => {
                value.doubt("records are not posted to a url yet", "they are written to log-dir");
            }
            "url" => {}
            other if POSTING.contains(&other) => {}
            other => unknown("json_cdr.conf", other, JSON_PARAMETERS, param, problems),
        }
    }
}

fn unknown(file: &str, name: &str, known: &[&str], param: &Element, problems: &mut Vec<Problem>) {
    let problem = Problem::warning(param.attr_at("name"), format!("{file} has no parameter {name}"));
    problems.push(match nearest(name, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, parse};

    #[test]
    fn a_module_without_its_configuration_is_told_where_it_is_loaded() {
        let text = "<document><section name=\"configuration\"><configuration name=\"modules.conf\"><modules>\n\
                    <load module=\"mod_json_cdr\"/></modules></configuration></section></document>";
        let loaded = parse("x.xml", text, &Options::new("/nowhere"));
        let mut problems = Vec::new();
        let modules = ModulesConf::read(&loaded.root, &mut problems);
        CdrConf::read(&loaded.root, &modules, &loaded.globals, &mut problems);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            matches!(told.as_slice(), [one] if one.starts_with("x.xml:2:1: warning: mod_json_cdr is loaded, and there is no")),
            "{told:?}"
        );
    }
}
