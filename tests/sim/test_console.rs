//! What people do at the console: completion, aliases, modules, JSON; and what exporters read.

use crate::net::Weather;
use crate::office::{self, Office};

/// Runs command lines one after another, as typed at the console when `console`, and compares what they say.
fn say(console: bool, lines: &[(&str, &str)]) {
    office::run(async {
        let office = Office::open(9, Weather::fine(), "").await;
        let desk = office.switch.desk();
        let host = office.switch.exchange.events.host.hostname.clone();
        for (line, expected) in lines {
            let said = match console {
                true => tandem::api::run_console(&desk, line).await,
                false => tandem::api::run(&desk, line).await,
            };
            assert_eq!(said, expected.replace("HOST", &host), "{line}");
        }
        office.close().await;
    });
}

#[test]
fn lines_are_completed_as_fs_cli_reads_it() {
    say(
        false,
        &[
            ("console_complete versio", "\n\n[             version]\t\n\nwrite=6:version "),
            ("console_complete c=9;version short", "\n\n[               short]\t\n\nwrite=1:short "),
            ("console_complete c=8;version ", "\n\n[               short]\t\n\nwrite=0:short "),
            ("console_complete show ch", "\n\n[            channels]\t\n\nwrite=2:channels "),
            (
                "console_complete c=30;sofia profile internal gwlist ",
                "\n\n[                down]\t[                  up]\t\n\n",
            ),
            ("console_complete c=28;sofia profile nobody gwlist ", "\n\n\n\n"),
            ("console_complete no_such", "\n\n\n\n"),
            ("complete add lights _any_ on", "+OK\n"),
            ("console_complete c=15;lights kitchen ", "\n\n[                  on]\t\n\nwrite=0:on "),
            ("console_complete ligh", "\n\n[              lights]\t\n\nwrite=4:lights "),
            (
                "show complete",
                "sticky,a1,a2,a3,a4,a5,a6,a7,a8,a9,a10,hostname\n0,lights,,on,,,,,,,,HOST\n\n1 total.\n",
            ),
            ("complete del lights", "+OK\n"),
            ("complete del", "-USAGE: add <word>|del [<word>|*]\n"),
            ("complete del *", "+OK\n"),
            (
                "console_complete_xml versio",
                "<?xml version=\"1.0\"?>\n<complete>\n  <match>version</match>\n  <write length=\"6\">version</write>\n</complete>\n",
            ),
        ],
    );
}

#[test]
fn an_alias_stands_for_a_command_at_the_console() {
    let usage = "-USAGE: [add|stickyadd] <alias> <command> | del [<alias>|*]\n";
    say(
        true,
        &[
            ("alias add ee 'echo a'", "+OK\n"),
            ("ee", "\nExpand Alias [ee]->[echo a]\n\na"),
            ("ee b", "\nExpand Alias [ee]->[echo a b]\n\na b"),
            ("echo 1;; echo 2", "12"),
            ("show aliases", "sticky,alias,command,hostname\n0,ee,echo a,HOST\n\n1 total.\n"),
            ("alias add x x", usage),
            ("alias add round 'around'", "+OK\n"),
            ("alias del ee", "+OK\n"),
            ("ee", "-ERR ee Command not found!\n"),
            ("alias del *", "+OK\n"),
            ("show aliases", "\n0 total.\n"),
            ("alias", usage),
        ],
    );
    say(false, &[("alias add e status", "+OK\n"), ("e", "-ERR e Command not found!\n")]);
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
    say(
        false,
        &[
            ("load mod_sofia", "-ERR [Module already loaded]\n"),
            ("load mod_verto", "-ERR [mod_verto is not provided]\n"),
            ("load", "-USAGE: <mod_name>\n"),
            ("unload mod_sofia", "-ERR [Module is not unloadable]\n"),
            ("unload -f mod_nothing", "-ERR [No such module!]\n"),
            ("unload", "-USAGE: [-f] <mod_name>\n"),
            ("reload mod_verto", "-ERR unloading module [No such module!]\n"),
            ("module_exists mod_sofia", "true"),
            ("module_exists mod_verto", "false"),
            (
                "nat_map status",
                "-ERR nat_map: no ports are opened at routers by UPnP or NAT-PMP; set ext-sip-ip and ext-rtp-ip\n",
            ),
            ("json", "-ERR No JSON supplied.\n"),
            ("json {", "-ERR Parse error.\n"),
            (
                "json {\"command\":\"fsapi\",\"data\":{\"cmd\":\"echo\",\"arg\":\"a \\\"b\\\"\"}}",
                "{\"command\":\"fsapi\",\"data\":{\"arg\":\"a \\\"b\\\"\",\"cmd\":\"echo\"},\"response\":{\"message\":\"a \\\"b\\\"\"},\"status\":\"success\"}\n",
            ),
            (
                "json {\"command\":\"nothing\",\"data\":{}}",
                "{\"command\":\"nothing\",\"data\":{},\"message\":\"Invalid request or non-existant command\",\"response\":null,\"status\":\"error\"}\n",
            ),
        ],
    );
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
