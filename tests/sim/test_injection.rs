//! Line breaks, separators and `${…}` in every argument of every command: made from the golden texts, which leave no command
//! out. Nothing runs that was not asked for; an event, an answer of one line and a message stay one.

use std::time::Duration;

use tandem::api;
use tandem::event::Format;

use crate::golden::{Row, rows};
use crate::net::Weather;
use crate::office::{self, Office};
use crate::record::Call;
use crate::script::{Act, Acts, Script, When, ms};
use crate::test_golden::all_rows;

const AGENT: usize = 40; // 1004
const OTHER: usize = 60; // 1006
const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// What is put behind an argument, and in its place.
const EVIL: &[&str] = &[
    "\r\nX-Evil: 1",
    "\nX-Evil: 1\n\n",
    "\rX-Evil: 1",
    "%0aX-Evil: 1",
    "%0d%0aX-Evil:%201",
    "\r\n\r\nINVITE sip:x SIP/2.0\r\nX-Evil: 1\r\n\r\n",
    "\0X-Evil: 1",
    "|global_setvar|owned=1",
    "${global_setvar(owned=1)}",
    "$${global_setvar(owned=1)}",
    ";;global_setvar owned=1",
    "\nglobal_setvar owned=1",
    "'\"`global_setvar owned=1`",
    ",global_setvar:owned=1",
];

/// Commands that expand what they are given, or run it: who types `${…}` there asks for it.
const EXPANDS: &[&str] = &[
    "bgapi",
    "eval",
    "expand",
    "json",
    "originate",
    "sched_api",
    "sched_broadcast",
    "sched_transfer",
    "uuid_broadcast",
    "uuid_dual_transfer",
    "uuid_transfer",
    "xml_wrap",
];

/// Commands that answer with what they were given, or with what was kept, as it is.
const ECHOES: &[&str] = &[
    "bgapi",
    "coalesce",
    "cond",
    "db",
    "echo",
    "eval",
    "expand",
    "global_getvar",
    "group",
    "hash",
    "hash_dump",
    "json",
    "regex",
    "replace",
    "say_string",
    "sql_escape",
    "quote_shell_arg",
    "strftime",
    "strftime_tz",
    "substr",
    "tolower",
    "toupper",
    "url_decode",
    "uuid_dump",
    "uuid_getvar",
    "xml_wrap",
    "user_data",
    "log",
];

/// Lines that end what the next one needs, or wait for nothing.
fn is_harmless(row: &Row) -> bool {
    !matches!(
        row.name(),
        "hupall" | "msleep" | "time_test" | "system" | "bg_system" | "spawn" | "spawn_stream" | "bg_spawn"
    ) && !row.line.starts_with("fsctl")
        && !row.line.starts_with("shutdown")
        && !row.line.starts_with("sofia profile")
}

/// `line` with `evil` behind its nth word, and with `evil` in its place; the command's own name stays.
fn broken(line: &str, evil: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut all = vec![format!("{line} {evil}")];
    for at in 1..words.len() {
        let mut behind: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut instead = behind.clone();
        behind[at].push_str(evil);
        evil.clone_into(&mut instead[at]);
        all.extend([behind.join(" "), instead.join(" ")]);
    }
    all
}

async fn say(office: &Office, line: &str) -> String {
    api::run(&office.switch.desk(), line).await
}

/// Two legs that are answered; those of them that have ended meanwhile are called again.
async fn legs(office: &Office) {
    for (uuid, user) in [(A, 1004), (B, 1006)] {
        if say(office, &format!("uuid_exists {uuid}")).await == "true" {
            continue;
        }
        tokio::time::sleep(ms(300)).await;
        let line =
            format!("originate {{sip_h_X-Call=0,origination_uuid={uuid}}}user/{user}@office.test &park()");
        assert_eq!(say(office, &line).await, format!("+OK {uuid}\n"));
    }
}

fn play(wanted: impl Fn(&Row) -> bool) {
    office::run(async {
        let office = Office::open(0, Weather::fine(), "").await;
        let acts: Acts = vec![(When::Begun(ms(10)), Act::Answer)];
        let script =
            Script::among(0, "", Duration::ZERO, Acts::new(), vec![(AGENT, acts.clone()), (OTHER, acts)]);
        office.book.lock().unwrap().push(Call::new(script));
        office.net.lay_trap("X-Evil");
        let mut ear = office.switch.exchange.events.listen();
        let (mut lines, mut wrong) = (0, Vec::new());
        for mut row in all_rows().into_iter().filter(|row| wanted(row)) {
            // Every call of this world says whose it is.
            row.line = row.line.replace("originate user/", "originate {sip_h_X-Call=0}user/");
            // What is kept on disk is kept apart from what other tests keep.
            row.line = row.line.replace("sales", "broken").replace("/realm", "/broken");
            let row =
                row.named(&[("AAA", A), ("BBB", B), ("NOBODY", "dddddddd-0000-4000-8000-000000000009")]);
            for evil in EVIL {
                for line in broken(&row.line, evil) {
                    legs(&office).await;
                    lines += 1;
                    let said = say(&office, &line).await;
                    let name = row.name();
                    let splits = said.split(['\r', '\n']).skip(1).any(|line| line.starts_with("X-Evil"));
                    if splits && !ECHOES.contains(&name) {
                        wrong.push(format!("{line:?}: the answer is split: {said:?}"));
                    }
                    if EXPANDS.contains(&name) {
                        // What was put off for long is called off; what a leg was sent to do may still be under way.
                        if let Some(id) = said.strip_prefix("+OK Added: ") {
                            say(&office, &format!("unsched_api {id}")).await;
                        }
                        tokio::time::sleep(ms(3_000)).await;
                    } else if !say(&office, "global_getvar owned").await.is_empty() {
                        wrong.push(format!("{line:?}: it ran what it was given"));
                    }
                    say(&office, "global_setvar owned=").await;
                    for message in office.net.trapped() {
                        wrong.push(format!("{line:?}: a message of it: {message}"));
                    }
                    while let Ok(event) = ear.try_recv() {
                        let plain = event.text(Format::Plain);
                        let head = plain.split("\n\n").next().unwrap_or("");
                        if head.split(['\r', '\n']).any(|l| l.starts_with("X-Evil") || !l.contains(": ")) {
                            wrong.push(format!("{line:?}: an event of it: {plain}"));
                        }
                        let json = serde_json::from_str::<serde_json::Value>(&event.text(Format::Json));
                        if json.is_err() {
                            wrong.push(format!("{line:?}: an event that is no JSON"));
                        }
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {lines} lines\n{}", wrong.len(), wrong.join("\n"));
        assert!(lines > 500, "{lines}");
        for line in ["sched_del group", "complete del *", "alias del *", "fsctl resume", "hupall"] {
            say(&office, line).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        office.close().await;
    });
}

#[test]
fn in_commands_on_channels() {
    play(|row| is_harmless(row) && (row.name().starts_with("uuid_") || row.name() == "break"));
}

#[test]
fn in_commands_on_the_switch() {
    play(|row| {
        is_harmless(row) && !row.name().starts_with("uuid_") && row.name() != "show" && row.name() != "break"
    });
}

#[test]
fn in_tables() {
    play(|row| {
        row.line.starts_with("show channels") || row.line.starts_with("show api") || row.line == "show status"
    });
}

#[test]
fn in_what_ends_or_changes_the_switch() {
    play(|row| !is_harmless(row) && row.name() != "msleep");
}

#[test]
fn a_line_is_broken_at_every_word() {
    assert_eq!(broken("a b c", "!"), ["a b c !", "a b! c", "a ! c", "a b c!", "a b !"]);
    assert!(!rows("> a\nb\n").is_empty());
}
