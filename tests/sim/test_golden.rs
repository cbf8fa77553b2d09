//! What each command says, to the letter: every row of `tests/golden` is played, and no command is without one.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tandem::api;

use crate::golden::{Row, compare, rows};
use crate::net::Weather;
use crate::office::{self, Office, switch_address, tree_at};
use crate::script::Script;

/// Every file, and the test that plays it.
const FILES: &[(&str, &str)] = &[
    ("a_caller_who_waits", "here"),
    ("aliases", "test_console"),
    ("channels", "test_commands"),
    ("daemon", "daemon::test_golden"),
    ("functions", "here"),
    ("gateways", "test_sofia"),
    ("in_the_background", "test_commands"),
    ("lines_are_completed", "test_console"),
    ("show", "here"),
    ("sofia", "here"),
    ("switch", "here"),
    ("the_switch_as_a_whole", "test_commands"),
    ("unprovided", "here"),
    ("what_cannot_be_done", "test_console"),
    ("what_is_put_off", "test_commands"),
    ("what_runs_in_the_middle_of_a_call", "test_commands"),
    ("what_the_far_end_is_told", "test_commands"),
    ("where_channels_are_sent", "test_commands"),
];

/// Plays rows in an office, one after the other.
async fn play(office: &Office, text: &str) {
    let desk = office.switch.desk();
    let host = office.switch.exchange.events.host.hostname.clone();
    let names = [("NOBODY", "dddddddd-0000-4000-8000-000000000009"), ("HOST", &*host)];
    let mut said = Vec::new();
    for row in rows(text) {
        let row = row.named(&names);
        let answer = api::run(&desk, &row.line).await;
        said.push((row, answer));
    }
    compare(&said);
}

fn in_an_office(text: &'static str) {
    office::run(async {
        let office = Office::open(9, Weather::fine(), "").await;
        play(&office, text).await;
        office.close().await;
    });
}

#[test]
fn functions() {
    in_an_office(include_str!("../golden/functions.txt"));
}

#[test]
fn the_switch() {
    in_an_office(include_str!("../golden/switch.txt"));
}

#[test]
fn what_is_not_provided() {
    in_an_office(include_str!("../golden/unprovided.txt"));
}

#[test]
fn tables_of_a_call() {
    office::run(async {
        let mut office = Office::open(3, Weather::fine(), "").await;
        // 1001 calls 1004.
        office.plan(Script::exactly(10, "1004", Duration::ZERO, Duration::from_secs(30), vec![], vec![]));
        let looks = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            play(&office, include_str!("../golden/show.txt")).await;
        };
        tokio::join!(office.play(), looks);
        office.close().await;
    });
}

#[test]
fn profiles_and_gateways() {
    office::run(async {
        let tree = tree_at(switch_address(), "", crate::test_sofia::GATEWAYS);
        let office = Office::open_as(5, Weather::fine(), tree).await;
        play(&office, include_str!("../golden/sofia.txt")).await;
        office.close().await;
    });
}

/// A caller who is not answered is sent elsewhere.
#[test]
fn a_caller_who_waits() {
    office::run(async {
        let park = r#"<extension name="parks"><condition field="destination_number" expression="^8000$">
            <action application="park"/></condition></extension>"#;
        let mut office = Office::open(3, Weather::fine(), park).await;
        office.plan(Script::among(10, "8000", Duration::ZERO, vec![], vec![]));
        let looks = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let caller = office.switch.exchange.legs.uuids().first().expect("a caller").to_string();
            play(&office, &include_str!("../golden/a_caller_who_waits.txt").replace("AAA", &caller)).await;
        };
        tokio::join!(office.play(), looks);
        office.close().await;
    });
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub fn all_rows() -> Vec<Row> {
    let read = |name: &str| std::fs::read_to_string(folder().join(name).with_extension("txt")).unwrap();
    FILES.iter().flat_map(|(name, _)| rows(&read(name))).collect()
}

#[test]
fn every_file_is_played() {
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".txt")?.to_owned()))
        .collect();
    assert_eq!(there, FILES.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>());
}

/// Whatever there is is built in, and no router is asked for anything.
const NEVER_GOOD: [&str; 3] = ["load", "unload", "nat_map"];

/// Every command has a row without arguments, and one in which it does what it is for; or says that it is not provided.
#[test]
fn no_command_is_without_its_text() {
    let rows = all_rows();
    let good =
        |row: &&Row| !["-ERR", "-USAGE", "USAGE", "!err!"].iter().any(|bad| row.answer.starts_with(bad));
    let mut missing = Vec::new();
    for (name, ..) in api::listed() {
        let own: Vec<&Row> = rows.iter().filter(|row| row.name() == name).collect();
        let bare = own.iter().find(|row| row.line == name);
        let refused = bare.is_some_and(|row| row.answer.contains("is not provided: "));
        if bare.is_none() {
            missing.push(format!("> {name}"));
        }
        if !refused && !NEVER_GOOD.contains(&name) && !own.iter().any(good) {
            missing.push(format!("> {name} with arguments that are good"));
        }
    }
    assert!(missing.is_empty(), "{} rows are missing\n{}", missing.len(), missing.join("\n"));
}

/// Every table that `show` has, in all its forms; every word of `fsctl`.
#[test]
fn no_table_and_no_word_is_without_its_text() {
    let lines: BTreeSet<String> = all_rows().into_iter().map(|row| row.line).collect();
    let listed = api::listed();
    let usage =
        |wanted: &str| listed.iter().find(|(name, ..)| *name == wanted).map(|(_, usage, _)| *usage).unwrap();
    let words = |text: &'static str| -> Vec<&'static str> {
        text.split(['|', '[', ']', ' ', '<', '>'])
            .filter(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect()
    };
    for subject in words(usage("show")) {
        // What stands in the usage beside the tables.
        if ["count", "like", "match", "string", "json", "xml", "csv", "delim", "sign", "status"]
            .contains(&subject)
        {
            continue;
        }
        for form in ["", " as json", " as xml", " as delim |"] {
            let line = format!("show {subject}{form}");
            assert!(lines.contains(&line), "{line}");
        }
    }
    for word in words(usage("fsctl")) {
        const ARGUMENTS: &[&str] = &[
            "inbound", "outbound", "cancel", "elegant", "asap", "now", "restart", "num", "level", "enable",
            "disable", "off",
        ];
        let said =
            |line: &String| line == &format!("fsctl {word}") || line.starts_with(&format!("fsctl {word} "));
        assert!(ARGUMENTS.contains(&word) || lines.iter().any(said), "fsctl {word}");
    }
}
