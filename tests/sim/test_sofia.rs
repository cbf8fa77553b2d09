//! `sofia …`: what it tells to the letter, and what it does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::golden;
use crate::net::Weather;
use crate::office::{self, Office, switch_address, tree_at};
use crate::script::Script;

const CALLER: usize = 10; // 1001
const LINE: &str =
    "=================================================================================================";

pub const GATEWAYS: &str = r#"<gateway name="joe"><param name="username" value="joe"/><param name="proxy" value="192.0.2.200"/>
    <param name="register" value="false"/><variables><variable name="a" value="1" direction="inbound"/>
    <variable name="b" value="2" direction="outbound"/></variables></gateway>
    <gateway name="jane"><param name="username" value="jane"/><param name="password" value="secret"/>
    <param name="proxy" value="192.0.2.201:5070"/><param name="retry-seconds" value="30"/></gateway>"#;

/// Runs command lines in a switch with two gateways, and after them whatever else.
fn with_desk(work: impl AsyncFnOnce(&mut Office)) {
    office::run(async {
        let tree = tree_at(switch_address(), "", GATEWAYS);
        let mut office = Office::open_as(5, Weather::fine(), tree).await;
        work(&mut office).await;
        office.close().await;
    });
}

async fn say(office: &Office, line: &str) -> String {
    tandem::api::run(&office.switch.desk(), line).await
}

#[test]
fn the_summary_is_freeswitchs() {
    with_desk(async |office| {
        tokio::time::sleep(Duration::from_secs(40)).await;
        let said = say(office, "sofia status").await;
        let expected = format!(
            "                     Name\t   Type\t                                      Data\tState\n\
             {LINE}\n\
             \x20                external\tprofile\t              sip:mod_sofia@192.0.2.1:5080\tRUNNING (0)\n\
             \x20           external::joe\tgateway\t                       sip:joe@192.0.2.200\tNOREG\n"
        );
        assert_eq!(said.get(..expected.len()), Some(&*expected), "{said}");
        let jane = said.lines().find(|line| line.contains("external::jane")).unwrap();
        assert!(
            jane.starts_with(
                "           external::jane\tgateway\t                 sip:jane@192.0.2.201:5070\t"
            )
        );
        assert!(said.ends_with(&format!(
            "\x20                internal\tprofile\t              sip:mod_sofia@192.0.2.1:5060\tRUNNING (0)\n\
             \x20             office.test\t  alias\t                                  internal\tALIASED\n\
             {LINE}\n2 profiles 1 alias\n"
        )), "{said}");
        let said = say(office, "sofia status gateway").await;
        assert!(said.starts_with(&format!(
            "    Profile::Gateway-Name\t                        Data    \tState\tPing Time\tIB Calls(F/T)\tOB Calls(F/T)\n\
             {LINE}\n\
             \x20           external::joe\t             sip:joe@192.0.2.200\tNOREG\t  0.00\t0/0\t0/0\n"
        )), "{said}");
        assert!(said.ends_with(&format!(
            "{LINE}\n2 gateways: Inbound(Failed/Total): 0/0,Outbound(Failed/Total):0/0\n"
        )));
    });
}

#[test]
fn a_gateway_is_told_to_the_letter() {
    with_desk(async |office| {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let said = say(office, "sofia status gateway joe").await;
        let uptime = said.lines().find(|line| line.starts_with("Uptime")).unwrap().to_owned();
        let expected = format!(
            "{LINE}\nName    \tjoe\nProfile \texternal\nScheme  \tDigest\nRealm   \t192.0.2.200\nUsername\tjoe\n\
             Password\tno\nFrom    \t<sip:joe@192.0.2.200>\n\
             Contact \t<sip:gw+joe@192.0.2.1:5080;transport=udp;gw=joe>\nExten   \tjoe\nTo      \tsip:joe@192.0.2.200\n\
             Proxy   \tsip:192.0.2.200\nContext \tpublic\nExpires \t3600\nFreq    \t0\nPing    \t0\nPingFreq\t0\n\
             PingTime\t0.00\nPingState\t0/0/0\nState   \tNOREG\nStatus  \tUP\n{uptime}\nCallsIN \t0\nCallsOUT\t0\n\
             FailedCallsIN\t0\nFailedCallsOUT\t0\n{LINE}\n"
        );
        assert_eq!(said, expected);
        let seconds = uptime.strip_prefix("Uptime  \t").unwrap().strip_suffix('s').unwrap();
        assert!((2..=4).contains(&seconds.parse::<u64>().unwrap()), "{seconds}");
        assert_eq!(say(office, "sofia status gateway nobody").await, "Invalid Gateway!\n");
        let xml = say(office, "sofia xmlstatus gateway joe").await;
        assert!(xml.starts_with(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n  <gateway>\n    <name>joe</name>\n"
        ));
        for tag in [
            "<from>&lt;sip:joe@192.0.2.200&gt;</from>",
            "<pingmin>0</pingmin>",
            "<pinging>0</pinging>",
            "<state>NOREG</state>",
            "<status>UP</status>",
            "<failed-calls-out>0</failed-calls-out>",
        ] {
            assert!(xml.contains(tag), "{tag} in {xml}");
        }
        assert!(
            !xml.contains("secret") && !say(office, "sofia status gateway jane").await.contains("secret")
        );
        assert_eq!(say(office, "sofia_gateway_data joe ivar a").await, "1");
        assert_eq!(say(office, "sofia_gateway_data joe ivar b").await, "");
        assert_eq!(say(office, "sofia_gateway_data joe var b").await, "2");
        assert_eq!(say(office, "sofia_gateway_data").await, "-ERR Parameter missing\n");
    });
}

#[test]
fn a_profile_and_its_registrations_are_told() {
    with_desk(async |office| {
        office.plan(Script::exactly(CALLER, "1004", Duration::ZERO, Duration::from_secs(10), vec![], vec![]));
        office.play().await;
        let said = say(office, "sofia status profile internal").await;
        let expected = format!(
            "{LINE}\nName             \tinternal\nDomain Name      \tN/A\nAuto-NAT         \tfalse\n\
             DBName           \tsofia_reg_internal\nPres Hosts       \t\nDialplan         \tXML\nContext          \tpublic\n\
             Challenge Realm  \toffice.test\n"
        );
        assert_eq!(said.get(..expected.len()), Some(&*expected), "{said}");
        let count = office.switch.exchange.registrar.len();
        assert!(
            said.ends_with(&format!(
                "CALLS-IN         \t1\nFAILED-CALLS-IN  \t0\nCALLS-OUT        \t1\nFAILED-CALLS-OUT \t0\n\
             REGISTRATIONS    \t{count}\n"
            )),
            "{said}"
        );
        for line in [
            "SIP-IP           \t192.0.2.1\n",
            "URL              \tsip:mod_sofia@192.0.2.1:5060\n",
            "BIND-URL         \tsip:mod_sofia@192.0.2.1:5060;transport=udp,tcp\n",
            "CODECS IN        \tPCMU,PCMA\n",
            "TEL-EVENT        \t101\nDTMF-MODE        \trfc2833\nCNG              \t13\nSESSION-TO       \t120\n",
            "LATE-NEG         \ttrue\n",
        ] {
            assert!(said.contains(line), "{line:?} in {said}");
        }
        assert!(
            say(office, "sofia status profile office.test").await.contains("\nAlias Of         \tinternal\n")
        );
        assert_eq!(say(office, "sofia status profile nobody").await, "Invalid Profile!\n");

        let said = say(office, "sofia status profile internal user 1001@office.test").await;
        assert!(said.starts_with(&format!("\nRegistrations:\n{LINE}\nCall-ID:    \t")));
        for line in [
            "User:       \t1001@office.test\n",
            "\nPing-Status:\tReachable\nPing-Time:\t0.00\n",
            "(unknown) EXP(20",
        ] {
            assert!(said.contains(line), "{line:?} in {said}");
        }
        assert!(
            said.ends_with(&format!("MWI-Account:\t1001@office.test\n\nTotal items returned: 1\n{LINE}\n"))
        );
        for (asked, expected) in [
            ("internal/1001@office.test", "1"),
            ("1001@office.test", "1"),
            ("1001@internal", "1"),
            ("internal/1001", "1"),
            ("internal/1001@elsewhere.test", "0"),
            ("internal/nobody@office.test", "0"),
            ("external/1001@office.test", "0"),
            ("1001@no.such.profile", "-1"),
            ("1001", "-1"),
        ] {
            assert_eq!(say(office, &format!("sofia_count_reg {asked}")).await, expected, "{asked}");
        }
        assert_eq!(say(office, "sofia_count_reg @internal").await, count.to_string());
        for command in ["sofia_dig x", "uuid_media_3p off x"] {
            let said = say(office, command).await;
            let name = command.split(' ').next().unwrap();
            assert!(said.starts_with(&format!("-ERR {name} is not provided: ")), "{said}");
        }
        let all = say(office, "sofia status profile internal reg").await;
        assert!(all.ends_with(&format!("Total items returned: {count}\n{LINE}\n")));
        let xml = say(office, "sofia xmlstatus profile internal reg 1001@").await;
        assert_eq!(xml.matches("<registration>").count(), 1, "{xml}");
        let json: serde_json::Value = serde_json::from_str(&say(office, "sofia jsonstatus").await).unwrap();
        assert_eq!(json["profiles"]["internal"]["status"]["state"], "RUNNING");
        assert_eq!(json["profiles"]["external"]["gateways"]["joe"]["state"], "NOREG");
        assert_eq!(json["profiles"]["internal"]["info"]["rtp-ip"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn registrations_and_gateways_go_when_told_to() {
    with_desk(async |office| {
        let registrar = &office.switch.exchange.registrar;
        let before = registrar.len();
        for (line, gone) in [("1001@office.test", 1), ("no such call-id", 0), ("@elsewhere.test", 0)] {
            let was = registrar.len();
            let said = say(office, &format!("sofia profile internal flush_inbound_reg {line}")).await;
            assert_eq!(said, "+OK flushing all registrations matching specified call_id\n");
            assert_eq!(was - registrar.len(), gone, "{line}");
        }
        assert_eq!(registrar.len(), before - 1);
        assert_eq!(
            say(office, "sofia profile office.test flush_inbound_reg").await,
            "+OK flushing all registrations\n"
        );
        assert!(registrar.is_empty());

        let mut said = Vec::new();
        for row in golden::rows(include_str!("../golden/gateways.txt")) {
            let answer = say(office, &row.line).await;
            said.push((row, answer));
        }
        golden::compare(&said);
        for line in [
            "sofia loglevel all 9",
            "sofia recover",
            "sofia global capture on",
            "sofia profile internal recover",
        ] {
            assert!(say(office, line).await.starts_with("-ERR "), "{line}");
        }
    });
}

#[test]
fn a_trace_is_turned_on_and_off() {
    with_desk(async |office| {
        let traced = |name: &str| office.switch.exchange.agent(name).unwrap().trace.load(Ordering::Relaxed);
        let loud = traced("internal"); // a world that is repeated is
        assert_eq!(
            say(office, "sofia profile internal siptrace on").await,
            "Enabled sip debugging on internal"
        );
        assert_eq!((traced("internal"), traced("external")), (true, loud));
        assert_eq!(
            say(office, "sofia profile office.test siptrace off").await,
            "Disabled sip debugging on internal"
        );
        assert!(!traced("internal"));
        assert_eq!(say(office, "sofia global siptrace on").await, "+OK Global siptrace on");
        assert!(traced("internal") && traced("external"));
        assert_eq!(say(office, "sofia global siptrace off").await, "+OK Global siptrace off");
        assert!(!traced("internal") && !traced("external"));
        let usage = "Usage: sofia profile <name> siptrace <on/off>\n";
        assert_eq!(say(office, "sofia profile internal siptrace").await, usage);
    });
}
