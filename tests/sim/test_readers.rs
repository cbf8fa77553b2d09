//! Programs that read our text, by what they look for, unmodified: Prometheus exporters, OpenSIPS, drachtio-fsmrf.

use std::time::Duration;

use fancy_regex::Regex;
use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use tandem::api;
use tandem::event::{EventName, Format};

use crate::net::Weather;
use crate::office::{Office, run, switch_address, tree_at};
use crate::script::Script;
use crate::test_sofia::GATEWAYS;

/// florentchauveau/freeswitch_exporter and mroject/freeswitch_exporter, collector.go.
const STATUS: &str = r"(\d+) session\(s\) since startup\s+(\d+) session\(s\) - peak (\d+), last 5min (\d+)\s+(\d+) session\(s\) per Sec out of max (\d+), peak (\d+), last 5min (\d+)\s+(\d+) session\(s\) max\s+min idle cpu (\d+\.\d+)\/(\d+\.\d+)";

/// Looks while 1001 talks with 1004, in an office with two gateways.
fn while_talking(look: impl AsyncFn(&Office)) {
    run(async {
        let tree = tree_at(switch_address(), "", GATEWAYS);
        let mut office = Office::open_as(5, Weather::fine(), tree).await;
        office.plan(Script::exactly(10, "1004", Duration::ZERO, Duration::from_secs(60), vec![], vec![]));
        let looks = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            look(&office).await;
        };
        tokio::join!(office.play(), looks);
        office.close().await;
    });
}

async fn say(office: &Office, line: &str) -> String {
    api::run(&office.switch.desk(), line).await
}

/// Every element with text, as `outer/inner=text`; every attribute as `element@name=value`. Fails on what is no XML.
fn leaves(text: &str) -> Vec<String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut path, mut found) = (Vec::<String>::new(), Vec::new());
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {text}")) {
            Xml::Start(start) => {
                path.push(String::from_utf8(start.name().as_ref().to_vec()).unwrap());
                for attribute in start.attributes().flatten() {
                    let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
                    let value = String::from_utf8_lossy(&attribute.value).into_owned();
                    found.push(format!("{}@{name}={value}", path.join("/")));
                }
            }
            Xml::End(_) => _ = path.pop(),
            Xml::Text(text) if !text.trim_ascii().is_empty() => {
                found.push(format!("{}={}", path.join("/"), text.unescape().unwrap()));
            }
            Xml::Eof => break,
            _ => {}
        }
    }
    assert!(path.is_empty(), "{path:?} is never closed in {text}");
    found
}

#[test]
fn exporters_find_their_numbers() {
    while_talking(async |office| {
        let status = say(office, "status").await;
        let pattern = Regex::new(STATUS).unwrap();
        assert_eq!(pattern.find_iter(&status).count(), 1, "{status}");
        let found = pattern.captures(&status).unwrap().unwrap();
        let number = |n: usize| found.get(n).unwrap().as_str().parse::<f64>().unwrap();
        assert!((1..=11).all(|n| number(n) >= 0.0));
        assert_eq!((number(1), number(2), number(3), number(9)), (2.0, 2.0, 2.0, 1_000_000.0), "{status}");
        // row_count is a number, whatever else there is.
        for (line, count) in [
            ("show calls count as json", 1),
            ("show channels count as json", 2),
            ("show bridged_calls as json", 1),
            ("show detailed_calls as json", 1),
            ("show detailed_bridged_calls as json", 1),
            ("show registrations as json", 21),
            ("show channels as json", 2),
        ] {
            let said: serde_json::Value = serde_json::from_str(&say(office, line).await).unwrap();
            assert_eq!(said["row_count"], count, "{line}");
            for row in said["rows"].as_array().unwrap() {
                assert!(row.as_object().unwrap().values().all(serde_json::Value::is_string), "{line}");
            }
        }
        let channels: serde_json::Value =
            serde_json::from_str(&say(office, "show channels as json").await).unwrap();
        let age = channels["rows"][0]["created_epoch"].as_str().unwrap().parse::<i64>().unwrap();
        assert!(age > 1_700_000_000, "seconds since 1970: {age}");
        // One line feed is cut off, and no more; the other is taken as it is.
        assert!(say(office, "uptime s").await.strip_suffix('\n').unwrap().parse::<f64>().is_ok());
        assert!(say(office, "strepoch").await.parse::<i64>().is_ok());
    });
}

#[test]
fn an_exporter_reads_our_xml() {
    while_talking(async |office| {
        let gateways = leaves(&say(office, "sofia xmlstatus gateway").await);
        for told in [
            "name=joe",
            "profile=external",
            "scheme=Digest",
            "proxy=sip:192.0.2.200",
            "context=public",
            "status=UP",
            "name=jane",
            "status=DOWN",
        ] {
            assert!(gateways.contains(&format!("gateways/gateway/{told}")), "{told} in {gateways:?}");
        }
        for number in [
            "expires",
            "freq",
            "ping",
            "pingfreq",
            "pingmin",
            "pingcount",
            "pingmax",
            "pinging",
            "uptime-usec",
            "calls-in",
            "calls-out",
            "failed-calls-in",
            "failed-calls-out",
        ] {
            let begin = format!("gateways/gateway/{number}=");
            let told: Vec<_> = gateways.iter().filter_map(|leaf| leaf.strip_prefix(&begin)).collect();
            assert!(told.len() == 2 && told.iter().all(|n| n.parse::<i64>().is_ok()), "{number}: {told:?}");
        }
        for (line, told) in [
            ("show endpoint as xml", "result/row/name=sofia"),
            ("show endpoint as xml", "result/row/ikey=mod_sofia"),
            ("show codec as xml", "result/row/name=G.711 ulaw"),
            ("show registrations as xml", "result/row/reg_user=1001"),
            ("show registrations as xml", "result@row_count=21"),
            ("show channels as xml", "result/row/dest=1004"),
            ("xml_locate configuration configuration name switch.conf", "configuration@name=switch.conf"),
            ("sofia xmlstatus", "profiles/profile/state=RUNNING (2)"),
            ("sofia xmlstatus", "profiles/gateway/state=NOREG"),
            (
                "sofia xmlstatus profile internal reg",
                "profile/registrations/registration/user=1001@office.test",
            ),
        ] {
            let found = leaves(&say(office, line).await);
            assert!(found.iter().any(|leaf| leaf == told), "{line}: {told} in {found:?}");
        }
        // Whoever asks for what is not there hears so, and goes on.
        assert_eq!(say(office, "module_exists mod_sofia").await, "true");
        assert_eq!(say(office, "verto xmlstatus").await, "-ERR verto Command not found!\n");
        assert!(say(office, "memory").await.starts_with("-ERR memory is not provided"));
    });
}

/// drachtio-fsmrf, mediaserver.js: where a profile listens.
#[test]
fn a_media_server_client_finds_our_address() {
    while_talking(async |office| {
        let status = say(office, "sofia status").await;
        for (profile, address) in [("internal", "192.0.2.1:5060"), ("external", "192.0.2.1:5080")] {
            let pattern =
                format!(r"(?m)^\s*{profile}\s.*sip:mod_sofia@((?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}:\d+)");
            let found = Regex::new(&pattern).unwrap().captures(&status).unwrap();
            assert_eq!(found.unwrap().get(1).unwrap().as_str(), address, "{status}");
        }
    });
}

/// OpenSIPS reads three values of a HEARTBEAT in JSON as text, and asks nobody whether they are.
#[test]
fn opensips_reads_our_heartbeat() {
    while_talking(async |office| {
        let exchange = &office.switch.exchange;
        let mut ear = exchange.events.listen();
        exchange.events.fire(EventName::Heartbeat, || api::heartbeat(exchange));
        let beat = ear.try_recv().unwrap().text(Format::Json);
        let beat: serde_json::Value = serde_json::from_str(&beat).unwrap();
        assert!(beat.as_object().unwrap().values().all(serde_json::Value::is_string), "{beat}");
        assert_eq!((&beat["Event-Name"], &beat["Session-Count"]), (&"HEARTBEAT".into(), &"2".into()));
        for name in ["Session-Count", "Max-Sessions", "Idle-CPU"] {
            assert!(beat[name].as_str().unwrap().parse::<f64>().is_ok(), "{name}: {beat}");
        }
    });
}
