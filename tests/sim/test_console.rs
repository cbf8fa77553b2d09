//! What people do at the console: completion, aliases, modules, JSON; and what exporters read.

use crate::golden;
use crate::net::Weather;
use crate::office::{self, Office};

/// Runs the lines of a file of `tests/golden`, as typed at the console when `console`, and compares what they say.
fn say(console: bool, file: &str) {
    office::run(async {
        let office = Office::open(9, Weather::fine(), "").await;
        let desk = office.switch.desk();
        let host = office.switch.exchange.events.host.hostname.clone();
        let mut said = Vec::new();
        for row in golden::rows(file) {
            let row = row.named(&[("HOST", &host)]);
            let answer = match console {
                true => tandem::api::run_console(&desk, &row.line).await,
                false => tandem::api::run(&desk, &row.line).await,
            };
            said.push((row, answer));
        }
        golden::compare(&said);
        office.close().await;
    });
}

#[test]
fn lines_are_completed_as_fs_cli_reads_it() {
    say(false, include_str!("../golden/lines_are_completed.txt"));
}

#[test]
fn an_alias_stands_for_a_command_at_the_console() {
    say(true, include_str!("../golden/aliases.txt"));
    say(false, "> alias add e status\n+OK\n> e\n-ERR e Command not found!\n");
    office::run(async {
        let office = Office::open(9, Weather::fine(), "").await;
        let desk = office.switch.desk();
        for line in ["alias add a b", "alias add b a"] {
            assert_eq!(tandem::api::run_console(&desk, line).await, "+OK\n");
        }
        let said = tandem::api::run_console(&desk, "a").await;
        assert!(said.ends_with("-ERR Too much recursion!\n") && said.len() < 10_000, "{said}");
        office.close().await;
    });
}

#[test]
fn what_cannot_be_done_says_so() {
    say(false, include_str!("../golden/what_cannot_be_done.txt"));
}

/// The patterns of florentchauveau/freeswitch_exporter, and the answers it reads numbers from.
#[test]
fn an_exporter_finds_its_numbers() {
    office::run(async {
        let office = Office::open(9, Weather::fine(), "").await;
        let desk = office.switch.desk();
        let status = tandem::api::run(&desk, "status").await;
        for pattern in [
            r"(\d+) session\(s\) since startup",
            r"(\d+) session\(s\) - peak (\d+), last 5min (\d+)",
            r"(\d+) session\(s\) per Sec out of max (\d+), peak (\d+), last 5min (\d+)",
            r"(\d+) session\(s\) max",
            r"min idle cpu (\d+\.\d+)/(\d+\.\d+)",
        ] {
            let lines: Vec<&str> = status.lines().collect();
            let pattern = fancy_regex::Regex::new(&format!("^{pattern} ?$")).unwrap();
            assert!(lines.iter().any(|line| pattern.is_match(line).unwrap()), "{pattern} in {status}");
        }
        let calls = tandem::api::run(&desk, "show calls count as json").await;
        let calls: serde_json::Value = serde_json::from_str(&calls).unwrap();
        assert_eq!(calls["row_count"], 0);
        assert!(tandem::api::run(&desk, "uptime s").await.trim().parse::<u64>().is_ok());
        assert!(tandem::api::run(&desk, "strepoch").await.trim().parse::<u64>().is_ok());
        // mroject/freeswitch_exporter
        for subject in
            ["detailed_calls", "bridged_calls", "detailed_bridged_calls", "registrations", "channels"]
        {
            let said = tandem::api::run(&desk, &format!("show {subject} as json")).await;
            assert!(
                serde_json::from_str::<serde_json::Value>(&said).unwrap()["row_count"].is_u64(),
                "{subject}"
            );
        }
        for subject in ["registrations", "endpoint", "codec"] {
            let said = tandem::api::run(&desk, &format!("show {subject} as xml")).await;
            assert!(said.starts_with("<result row_count=\""), "{said}");
        }
        // OpenSIPS reads these three of a HEARTBEAT, as text.
        let beat = tandem::api::heartbeat(&office.switch.exchange);
        for name in ["Session-Count", "Max-Sessions", "Idle-CPU"] {
            let value = beat.iter().find(|(n, _)| n == name).map(|(_, value)| value.parse::<f64>());
            assert!(matches!(value, Some(Ok(_))), "{name}");
        }
        office.close().await;
    });
}
