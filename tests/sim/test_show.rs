//! What commands tell of calls that are up, in FreeSWITCH's words.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::net::Weather;
use crate::office::{self, Office};
use crate::script::Script;

const CALLER: usize = 10; // 1001

/// Runs these command lines while 1001 talks with 1004, and answers what each said.
fn while_talking(lines: &[&str]) -> HashMap<String, String> {
    let mut said = HashMap::new();
    office::run(async {
        let mut office = Office::open(3, Weather::fine(), "").await;
        office.plan(Script::exactly(CALLER, "1004", Duration::ZERO, Duration::from_secs(30), vec![], vec![]));
        let desk = office.switch.desk();
        let ask = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            for line in lines {
                said.insert((*line).to_owned(), tandem::api::run(&desk, line).await);
            }
        };
        tokio::join!(office.play(), ask);
        office.close().await;
    });
    said
}

/// The rows of a table with `|` between the values, each by its columns.
fn rows(text: &str) -> Vec<HashMap<&str, &str>> {
    let (table, _) = text.split_once("\n\n").expect("rows and a count");
    let mut lines = table.lines().map(|line| line.split('|').collect::<Vec<_>>());
    let columns = lines.next().expect("columns");
    lines.map(|row| columns.iter().copied().zip(row).collect()).collect()
}

#[test]
fn a_call_is_shown_as_freeswitch_shows_it() {
    let said = while_talking(&[
        "show channels as delim |",
        "show channels as json",
        "show channels count",
        "show channels count as xml",
        "show channels like 1004 as delim |",
        "show channels like nobody",
        "show calls as delim |",
        "show calls count",
        "show bridged_calls as delim |",
        "show detailed_calls as delim |",
        "show detailed_bridged_calls as delim |",
        "show channels as yaml",
        "show registrations as delim |",
        "show registrations count",
    ]);
    let channels = rows(&said["show channels as delim |"]);
    assert!(said["show channels as delim |"].ends_with("\n\n2 total.\n"));
    let [a, b] = channels.as_slice() else { panic!("{channels:?}") };
    assert_eq!(a.len(), 38);
    for (column, expected_a, expected_b) in [
        ("direction", "inbound", "outbound"),
        ("state", "CS_EXECUTE", "CS_EXCHANGE_MEDIA"),
        ("cid_num", "1001", "1001"),
        ("dest", "1004", "1004"),
        ("application", "bridge", ""),
        ("application_data", "user/1004@office.test", ""),
        ("dialplan", "XML", "XML"),
        ("context", "default", "default"),
        ("read_codec", "PCMU", "PCMU"),
        ("write_rate", "8000", "8000"),
        ("read_bit_rate", "64000", "64000"),
        ("secure", "", ""),
        ("callstate", "ACTIVE", "ACTIVE"),
        ("initial_dest", "1004", "1004"),
    ] {
        assert_eq!((a[column], b[column]), (expected_a, expected_b), "{column}");
    }
    assert_eq!(a["name"], "sofia/internal/1001@office.test");
    assert_eq!((a["call_uuid"], b["call_uuid"]), (a["uuid"], a["uuid"]));
    assert!(a["created_epoch"].parse::<u64>().is_ok() && a["created"].len() == 19);

    let json: serde_json::Value = serde_json::from_str(&said["show channels as json"]).unwrap();
    assert_eq!(json["row_count"], 2);
    assert_eq!(json["rows"][0]["uuid"], a["uuid"]);
    assert!(json["rows"][0].as_object().unwrap().values().all(serde_json::Value::is_string));

    assert_eq!(said["show channels count"], "\n2 total.\n");
    assert_eq!(said["show channels count as xml"], "<result row_count=\"2\"></result>\n");
    assert!(said["show channels like 1004 as delim |"].contains("\n\n1 total.\n"));
    assert_eq!(said["show channels like nobody"], "\n0 total.\n");
    assert_eq!(said["show channels as yaml"], "-ERR Cannot find format yaml\n");

    for command in ["show calls as delim |", "show bridged_calls as delim |"] {
        let calls = rows(&said[command]);
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(call.len(), 41);
        assert_eq!((call["uuid"], call["b_uuid"]), (a["uuid"], b["uuid"]));
        assert_eq!((call["b_callstate"], call["b_dest"]), ("ACTIVE", "1004"));
        assert!(call["call_created_epoch"].parse::<u64>().is_ok());
    }
    assert_eq!(said["show calls count"], "\n1 total.\n");
    for command in ["show detailed_calls as delim |", "show detailed_bridged_calls as delim |"] {
        let calls = rows(&said[command]);
        assert_eq!((calls.len(), calls[0].len()), (1, 65));
        assert_eq!(calls[0]["b_read_codec"], "PCMU");
    }

    let registrations = rows(&said["show registrations as delim |"]);
    assert_eq!(said["show registrations count"], format!("\n{} total.\n", registrations.len()));
    let of_1001 = registrations.iter().find(|row| row["reg_user"] == "1001").unwrap();
    assert_eq!((of_1001["realm"], of_1001["network_proto"]), ("office.test", "udp"));
    assert!(of_1001["url"].starts_with("sofia/internal/sip:1001@"), "{}", of_1001["url"]);
}

#[test]
fn one_who_wonders_is_told() {
    office::run(async {
        let mut office = Office::open(3, Weather::fine(), "").await;
        let desk = office.switch.desk();
        let say = async |line: &str| tandem::api::run(&desk, line).await;
        assert!(say("why last").await.starts_with("-ERR nothing is remembered"));
        office.plan(Script::exactly(CALLER, "1004", Duration::ZERO, Duration::from_secs(10), vec![], vec![]));
        office.play().await;
        let why = say("why last").await;
        let words: Vec<&str> = why.lines().collect();
        assert_eq!(words.iter().filter(|line| line.contains(" ended: ")).count(), 2, "both legs: {why}");
        for part in [
            "a leg of 1001 → 1004",
            "+0.000 s INVITE received",
            " s 200 sent",
            "INVITE sent",
            " s 200 received",
            " BYE ",
        ] {
            assert!(why.contains(part), "{part} in {why}");
        }
        let uuid = words[0].split(' ').next().unwrap();
        assert_eq!(say(&format!("why {uuid}")).await, why);
        assert_eq!(say("why").await, "-USAGE: <uuid>|last\n");

        let said = say("reg why 1001").await;
        assert!(
            said.starts_with("1001@office.test is in the directory (")
                && said.contains("\nregistered at internal: "),
            "{said}"
        );
        let said = say("reg why 1999@office.test").await;
        assert!(said.contains("\nnot registered now\n"), "{said}");
        let said = say("reg why nobody").await;
        assert!(said.contains("is not in the directory: its REGISTER is refused"), "{said}");
        let said = say("reg why 1001@elsewhere.test").await;
        assert!(said.contains("there is no domain elsewhere.test") && said.contains("office.test"), "{said}");
        assert_eq!(say("reg").await, "-USAGE: why <user>[@<domain>]\n");
        assert_eq!(say("stuck").await, "+OK nothing is stuck\n");
        assert!(say("generation").await.starts_with("-ERR "), "this one has no files");
        office.close().await;
    });
}

/// Every table of a thousand calls, in every form: all of them, each once, and in no time.
#[test]
fn a_thousand_calls_are_shown() {
    const CALLS: usize = 1000;
    office::run(async {
        let mut office = Office::open(3, Weather::fine(), "").await;
        for n in 0..CALLS {
            let at = Duration::from_millis(10 * n as u64);
            let talk = Duration::from_secs(60);
            office.plan(Script::exactly(CALLER, "1004", at, talk, vec![], vec![]));
        }
        let desk = office.switch.desk();
        let ask = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            let say = async |line: String| {
                let begun = std::time::Instant::now();
                let said = tandem::api::run(&desk, &line).await;
                let took = begun.elapsed();
                assert!(took < Duration::from_secs(5), "{line} took {took:?}");
                assert!(said.len() < 4_000_000, "{line}: {} bytes", said.len());
                said
            };
            for (table, count, columns) in [
                ("channels", 2 * CALLS, 38),
                ("calls", CALLS, 41),
                ("bridged_calls", CALLS, 41),
                ("detailed_calls", CALLS, 65),
                ("detailed_bridged_calls", CALLS, 65),
            ] {
                let said = say(format!("show {table} as delim |")).await;
                let found = rows(&said);
                let uuids: HashSet<&str> = found.iter().map(|row| row["uuid"]).collect();
                assert_eq!((found.len(), uuids.len()), (count, count), "{table}");
                assert!(found.iter().all(|row| row.len() == columns), "{table}");
                assert!(said.ends_with(&format!("\n\n{count} total.\n")), "{table}");
                if table != "channels" {
                    // The caller is on the left, and every leg stands in one call.
                    let legs = uuids.iter().copied().chain(found.iter().map(|row| row["b_uuid"]));
                    assert_eq!(legs.collect::<HashSet<_>>().len(), 2 * CALLS, "{table}");
                    assert!(
                        found.iter().all(|r| (r["direction"], r["b_direction"]) == ("inbound", "outbound"))
                    );
                }
                let json: serde_json::Value =
                    serde_json::from_str(&say(format!("show {table} as json")).await).unwrap();
                let told = json["rows"].as_array().unwrap();
                assert_eq!((&json["row_count"], told.len()), (&count.into(), count), "{table}");
                let same = told.iter().all(|row| uuids.contains(row["uuid"].as_str().unwrap()));
                assert!(same && told.iter().all(|row| row.as_object().unwrap().len() == columns), "{table}");
                let xml = say(format!("show {table} as xml")).await;
                assert!(xml.starts_with(&format!("<result row_count=\"{count}\">\n")), "{table}");
                assert_eq!(xml.matches("<uuid>").count(), count, "{table}");
                assert_eq!(xml.matches("<row row_id=").count(), count, "{table}");
            }
            assert_eq!(say("show channels count".into()).await, format!("\n{} total.\n", 2 * CALLS));
            assert_eq!(say("show calls count".into()).await, format!("\n{CALLS} total.\n"));
            let like = say("show channels like 1004@ as delim |".into()).await;
            assert!(rows(&like).iter().all(|row| row["direction"] == "outbound"));
            assert!(like.ends_with(&format!("\n\n{CALLS} total.\n")));
            let first = rows(&like)[0]["uuid"].to_owned();
            let one = say(format!("show channels like {first} as delim |")).await;
            assert_eq!(rows(&one).iter().map(|row| row["uuid"]).collect::<Vec<_>>(), [&*first]);
        };
        tokio::join!(office.play(), ask);
        assert_eq!(tandem::api::run(&desk, "show channels count").await, "\n0 total.\n");
        office.close().await;
    });
}
