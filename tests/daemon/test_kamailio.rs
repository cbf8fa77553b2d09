//! Kamailio as the carrier: the gateway logs in, calls go both ways through its Record-Route, it restarts, refuses, and two of
//! them stand behind one name.

use std::time::{Duration, Instant};

use crate::baresip::{Baresip, Phone};
use crate::dns::NameServer;
use crate::kamailio::Kamailio;
use crate::needs;
use crate::place::Lease;
use crate::switch::{PASSWORD, Setup, Switch};
use crate::tone::assert_heard;

const A: f64 = 440.0;
const B: f64 = 660.0;

/// `9…` goes out through the gateway, and to a phone of ours when that fails.
const OUT: &str = r#"<extension name="out"><condition field="destination_number" expression="^9(\d{4})$">
    <action application="set" data="continue_on_fail=true"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="bridge" data="sofia/gateway/carrier/$1|user/1002@${domain_name}"/>
    </condition></extension>"#;

const GATEWAYS: &str = "<X-PRE-PROCESS cmd=\"include\" data=\"external/*.xml\"/>";

/// Customer 1019 of the carrier; its calls ring 1000.
const GATEWAY: &str = r#"<gateway name="carrier">
    <param name="username" value="1019"/>
    <param name="password" value="$${carrier_password}"/>
    <param name="proxy" value="$${carrier}"/>
    <param name="extension" value="1000"/>
    <param name="expire-seconds" value="60"/>
    <param name="retry-seconds" value="5"/>
    <param name="timeout-seconds" value="5"/>
    <param name="ping" value="5"/>
</gateway>"#;

fn ours(carrier: &str, password: &str, name_server: &str) -> Option<Switch> {
    let switch = Switch::start_with(Setup {
        extension: OUT,
        set: vec![
            ("carrier", carrier.to_owned()),
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
    });
    switch.process.is_some().then_some(switch) // else aimed at another server
}

const NO_NAMES: &str = "127.0.0.1:9";

/// A calls, B picks up.
fn connect(a: &mut Baresip, b: &mut Baresip, number: &str) {
    a.dial(number);
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.event("CALL_ESTABLISHED");
}

fn hang_up(a: &mut Baresip, b: &mut Baresip) {
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
}

#[test]
fn calls_go_both_ways_through_kamailio() {
    needs!("baresip", "kamailio");
    let mut carrier = Kamailio::start();
    let Some(mut switch) = ours(&carrier.ip().to_string(), PASSWORD, NO_NAMES) else { return };
    switch.expect_log(&["gateway external::carrier: registered for 60 s"]);
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", carrier.sip(), B).start();
    // Out, with a hold of each side, and the carrier's phone hangs up: all of it takes the recorded route.
    connect(&mut a, &mut b, "91001");
    std::thread::sleep(Duration::from_secs(3));
    hang_up(&mut b, &mut a);
    carrier.expect("BYE sip:");
    assert_heard("ours", &a.heard(), B, 2.0);
    assert_heard("the carrier's", &b.heard(), A, 2.0);
    // In, to the gateway's extension.
    connect(&mut b, &mut a, "1019");
    for holder in [true, false] {
        let phone = if holder { &mut a } else { &mut b };
        phone.command("hold", "");
        std::thread::sleep(Duration::from_secs(1));
        phone.command("resume", "");
        std::thread::sleep(Duration::from_secs(1));
    }
    hang_up(&mut b, &mut a);
    // Given up while it rings.
    a.dial("91001");
    b.event("CALL_INCOMING");
    hang_up(&mut a, &mut b);
    carrier.expect("CANCEL sip:1001@");
    // Refused by the carrier's customer; then the second target is called, and it is not there.
    a.dial("91001");
    b.event("CALL_INCOMING");
    b.command("hangup", "");
    let closed = a.event("CALL_CLOSED");
    assert!(closed.param.starts_with("480"), "{closed:?}");
}

#[test]
fn a_refusal_leads_to_the_next_target() {
    needs!("baresip", "kamailio");
    let mut carrier = Kamailio::start();
    let Some(mut switch) = ours(&carrier.ip().to_string(), PASSWORD, NO_NAMES) else { return };
    switch.expect_log(&["gateway external::carrier: registered"]);
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut c = Phone::new("1002", switch.sip(), B).start();
    for (number, cause) in [("1503", "NORMAL_TEMPORARY_FAILURE (41)"), ("1404", "UNALLOCATED_NUMBER (1)")] {
        let begun = Instant::now();
        connect(&mut a, &mut c, &format!("9{number}"));
        assert!(begun.elapsed() < Duration::from_secs(3), "{number}: {:?}", begun.elapsed());
        carrier.expect(&format!("INVITE sip:{number}@"));
        std::thread::sleep(Duration::from_secs(1));
        hang_up(&mut a, &mut c);
        switch.expect_log(&["b leg", number, cause]);
        assert_heard(number, &c.heard(), A, 0.5);
    }
}

#[test]
fn kamailio_restarts_and_is_found_again() {
    needs!("baresip", "kamailio");
    let mut carrier = Kamailio::start();
    let Some(mut switch) = ours(&carrier.ip().to_string(), PASSWORD, NO_NAMES) else { return };
    switch.expect_log(&["gateway external::carrier: registered"]);
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut c = Phone::new("1002", switch.sip(), B).start();
    carrier.stop();
    switch.expect_log(&["gateway external::carrier: down"]);
    let begun = Instant::now();
    connect(&mut a, &mut c, "91001");
    assert!(begun.elapsed() < Duration::from_secs(3), "a gateway that is down is passed over at once");
    hang_up(&mut a, &mut c);
    carrier.restart();
    switch.expect_log(&["gateway external::carrier: registered"]);
    let mut b = Phone::new("1001", carrier.sip(), B).start();
    connect(&mut a, &mut b, "91001");
    hang_up(&mut a, &mut b);
    connect(&mut b, &mut a, "1019");
    hang_up(&mut b, &mut a);
}

#[test]
fn kamailio_lets_nobody_in_with_a_wrong_password() {
    needs!("kamailio");
    let carrier = Kamailio::start();
    let Some(mut switch) = ours(&carrier.ip().to_string(), "guessed", NO_NAMES) else { return };
    switch.expect_log(&["gateway external::carrier: not registered: 401"]);
    let path = switch.conf().join("sip_profiles/external.xml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    std::fs::write(&path, text.replace("$${carrier_password}", PASSWORD)).expect("to write");
    switch.process.as_ref().expect("a switch").signal("HUP");
    switch.expect_log(&["gateway external::carrier: registered for 60 s"]);
}

/// Two behind one name: the first serves until it is gone, then the second does.
#[test]
fn the_second_kamailio_serves_when_the_first_is_gone() {
    needs!("baresip", "kamailio", "dnsmasq");
    let (mut first, mut second, lease) = (Kamailio::start(), Kamailio::start(), Lease::new());
    let names = NameServer::start(
        lease.ip,
        &[
            "srv-host=_sip._udp.carrier.example,a.carrier.example,5060,10".to_owned(),
            "srv-host=_sip._udp.carrier.example,b.carrier.example,5060,20".to_owned(),
            format!("host-record=a.carrier.example,{}", first.ip()),
            format!("host-record=b.carrier.example,{}", second.ip()),
        ],
    );
    let Some(mut switch) = ours("carrier.example", PASSWORD, &names.at) else { return };
    switch.expect_log(&["gateway external::carrier: registered"]);
    first.expect("REGISTER sip:carrier.example");
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", first.sip(), B).start();
    connect(&mut a, &mut b, "91001");
    hang_up(&mut a, &mut b);
    drop(b);
    first.stop();
    let mut b = Phone::new("1001", second.sip(), B).start();
    // The call finds the second by itself, before the gateway knows anything.
    let begun = Instant::now();
    connect(&mut a, &mut b, "91001");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    std::thread::sleep(Duration::from_secs(2));
    hang_up(&mut b, &mut a);
    assert_heard("ours", &a.heard(), B, 1.0);
    second.expect("INVITE sip:1001@");
}
