//! A second tandem as the carrier, with real phones on both sides, and a real name server.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::baresip::{Baresip, Phone};
use crate::dns::NameServer;
use crate::needs;
use crate::switch::{PASSWORD, Setup, Switch};
use crate::tone::assert_heard;

const A: f64 = 440.0;
const B: f64 = 660.0;

/// `9…` goes out through the gateway, and to a phone of ours when that fails.
const OUT: &str = r#"<extension name="out"><condition field="destination_number" expression="^9(1\d\d\d)$">
    <action application="set" data="continue_on_fail=true"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="sofia/gateway/carrier/$1|user/1002@${domain_name}"/>
    </condition></extension>"#;

const GATEWAYS: &str = "<X-PRE-PROCESS cmd=\"include\" data=\"external/*.xml\"/>";

/// A gateway that logs in as user 1019 of the carrier; its calls ring 1000.
const GATEWAY: &str = r#"<gateway name="carrier">
    <param name="username" value="1019"/>
    <param name="password" value="$${carrier_password}"/>
    <param name="proxy" value="$${carrier}"/>
    <param name="from-domain" value="$${carrier_domain}"/>
    <param name="extension" value="1000"/>
    <param name="expire-seconds" value="60"/>
    <param name="retry-seconds" value="5"/>
    <param name="timeout-seconds" value="5"/>
    <param name="ping" value="5"/>
</gateway>"#;

/// Our exchange, which asks a name server of the test's.
fn ours(carrier: &str, domain: IpAddr, password: &str, name_server: &str) -> Switch {
    Switch::start_with(Setup {
        extension: OUT,
        set: vec![
            ("carrier", carrier.to_owned()),
            ("carrier_domain", domain.to_string()),
            ("carrier_password", password.to_owned()),
            ("name_server", name_server.to_owned()),
        ],
        edits: &[
            ("sip_profiles/external.xml", GATEWAYS, GATEWAY),
            (
                "autoload_configs/switch.conf.xml",
                "<!-- <param name=\"dns-servers\" value=\"192.0.2.53, 192.0.2.54:5353\"/> -->",
                "<param name=\"dns-servers\" value=\"$${name_server}\"/>",
            ),
        ],
        ..Setup::default()
    })
}

/// A calls, B picks up, both hear each other, A hangs up.
fn talk(a: &mut Baresip, b: &mut Baresip, number: &str) {
    a.dial(number);
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(3));
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
}

#[test]
fn calls_go_both_ways_through_a_carrier() {
    needs!("baresip");
    let carrier = Switch::start();
    let mut switch = ours(&carrier.ip().to_string(), carrier.ip(), PASSWORD, "127.0.0.1:9");
    if switch.process.is_none() {
        return; // aimed at another server
    }
    switch.expect_log(&["gateway external::carrier: registered for 60 s"]);
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", carrier.sip(), B).start();
    talk(&mut a, &mut b, "91001");
    switch.expect_log(&["NORMAL_CLEARING"]);
    talk(&mut b, &mut a, "1019");
    assert_heard("ours", &a.heard(), B, 2.0);
    assert_heard("the carrier's", &b.heard(), A, 2.0);
    // A second call at once needs no second challenge to be answered wrongly.
    a.dial("91001");
    b.event("CALL_INCOMING");
    b.command("hangup", "");
    let closed = a.event("CALL_CLOSED");
    assert!(closed.param.contains("480") || closed.param.contains("486"), "{closed:?}");
}

#[test]
fn a_carrier_that_restarts_is_found_again() {
    needs!("baresip");
    let mut carrier = Switch::start();
    let mut switch = ours(&carrier.ip().to_string(), carrier.ip(), PASSWORD, "127.0.0.1:9");
    if switch.process.is_none() {
        return;
    }
    switch.expect_log(&["gateway external::carrier: registered"]);
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut c = Phone::new("1002", switch.sip(), B).start();
    carrier.process.as_mut().expect("the carrier").kill();
    switch.expect_log(&["gateway external::carrier: down"]);
    // While it is down the second target rings.
    talk(&mut a, &mut c, "91001");
    carrier.restart_after(Duration::from_secs(1));
    switch.expect_log(&["gateway external::carrier: registered"]);
    let mut b = Phone::new("1001", carrier.sip(), B).start();
    talk(&mut a, &mut b, "91001");
}

/// A wrong password is told in plain words; a SIGHUP with the right one mends it, and the difference is logged.
#[test]
fn a_wrong_password_is_mended_by_a_reload() {
    let carrier = Switch::start();
    let mut switch = ours(&carrier.ip().to_string(), carrier.ip(), "guessed", "127.0.0.1:9");
    if switch.process.is_none() {
        return;
    }
    switch.expect_log(&["gateway external::carrier: not registered: 403"]);
    let path = switch.conf().join("sip_profiles/external.xml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    // Broken first: nothing changes.
    std::fs::write(&path, text.replace("</gateway>", "</gateway")).expect("to write");
    switch.process.as_ref().expect("a switch").signal("HUP");
    switch.expect_log(&["not reloaded"]);
    std::fs::write(&path, text.replace("$${carrier_password}", PASSWORD)).expect("to write");
    switch.process.as_ref().expect("a switch").signal("HUP");
    switch.expect_log(&["reloaded:", "gateway external::carrier begins anew (password)"]);
    switch.expect_log(&["gateway external::carrier: registered for 60 s"]);
}

/// SRV leads to two hosts; on the first nobody listens, on the second there is the carrier.
#[test]
fn names_are_followed_and_the_second_host_serves() {
    needs!("baresip", "dnsmasq");
    let carrier = Switch::start();
    let dead = "127.127.127.126";
    let dns = NameServer::start(
        carrier.ip(),
        &[
            "naptr-record=carrier.example,10,10,s,SIP+D2U,,_sip._udp.carrier.example".to_owned(),
            "srv-host=_sip._udp.carrier.example,a.carrier.example,5060,10".to_owned(),
            "srv-host=_sip._udp.carrier.example,b.carrier.example,5060,20".to_owned(),
            format!("host-record=a.carrier.example,{dead}"),
            format!("host-record=b.carrier.example,{}", carrier.ip()),
        ],
    );
    let begun = Instant::now();
    let mut switch = ours("carrier.example", carrier.ip(), PASSWORD, &dns.at);
    if switch.process.is_none() {
        return;
    }
    switch.expect_log(&["gateway external::carrier: registered"]);
    assert!(begun.elapsed() < Duration::from_secs(15), "the first host is left in time");
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", carrier.sip(), B).start();
    talk(&mut a, &mut b, "91001");
    // The host that failed comes last for a while: this one rings at once.
    let begun = Instant::now();
    a.dial("91001");
    b.event("CALL_INCOMING");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    let asked = dns.asked();
    assert!(asked.iter().any(|l| l.contains("query[NAPTR] carrier.example")), "{asked:#?}");
    assert!(asked.iter().any(|l| l.contains("query[SRV] _sip._udp.carrier.example")), "{asked:#?}");
}
