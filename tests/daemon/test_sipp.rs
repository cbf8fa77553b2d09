//! SIPp as caller and callee: exact messages, refusals, re-INVITE, INFO.

use std::time::Duration;

use crate::baresip::Phone;
use crate::needs;
use crate::place::free_port;
use crate::sipp::{Scenario, Sipp};
use crate::switch::{Setup, Switch};
use crate::tone::assert_heard;

/// Registers 1001 at a port of SIPp's and starts a callee there.
fn callee(switch: &Switch, name: &str, fill: &[(&str, &str)]) -> Sipp {
    callee_as(switch, "1001", name, fill)
}

fn callee_as(switch: &Switch, user: &str, name: &str, fill: &[(&str, &str)]) -> Sipp {
    let port = free_port();
    Scenario::new("register", switch.sip(), user).on_port(port).run();
    let sipp = Scenario::new(name, switch.sip(), user).on_port(port).fill(fill).start();
    std::thread::sleep(Duration::from_millis(500));
    sipp
}

fn caller<'a>(switch: &Switch, name: &'a str, fill: &'a [(&'a str, &'a str)]) -> Scenario<'a> {
    Scenario::new(name, switch.sip(), "1000").calling("1001").fill(fill)
}

#[test]
fn a_call_hung_up_by_the_caller() {
    needs!("sipp");
    let switch = Switch::start();
    let mut b = callee(&switch, "uas", &[("RING", "500")]);
    caller(&switch, "uac", &[("TALK", "1000")]).run();
    b.finish();
}

/// Fifty calls, ten a second, many of them up at once; every one goes as it should.
#[test]
fn fifty_calls() {
    needs!("sipp");
    let switch = Switch::start();
    let port = free_port();
    Scenario::new("register", switch.sip(), "1001").on_port(port).run();
    let taking = &[("RING", "300")];
    let mut b = Scenario::new("uas", switch.sip(), "1001").on_port(port).calls(50).fill(taking).start();
    std::thread::sleep(Duration::from_millis(500));
    caller(&switch, "uac", &[("TALK", "2000")]).calls(50).run();
    b.finish();
}

#[test]
fn a_call_over_tcp_to_udp() {
    needs!("sipp");
    let switch = Switch::start();
    let mut b = callee(&switch, "uas", &[("RING", "500")]);
    caller(&switch, "uac", &[("TALK", "1000")]).tcp().run();
    b.finish();
}

#[test]
fn a_call_hung_up_by_the_callee() {
    needs!("sipp");
    let switch = Switch::start();
    let mut b = callee(&switch, "uas_bye", &[("TALK", "1000")]);
    caller(&switch, "uac_bye", &[]).run();
    b.finish();
}

#[test]
fn what_the_callee_says_reaches_the_caller() {
    needs!("sipp");
    let switch = Switch::start();
    // each at a phone of its own, for a phone that is gone stays registered and would ring on
    for (user, line) in [
        ("1001", "486 Busy Here"),
        ("1002", "480 Temporarily Unavailable"),
        ("1003", "603 Decline"),
        ("1004", "404 Not Found"),
        ("1005", "503 Service Unavailable"),
    ] {
        let mut b = callee_as(&switch, user, "uas_reject", &[("STATUS", line)]);
        let status = &[("STATUS", &line[..3])];
        Scenario::new("uac_fail", switch.sip(), "1000").calling(user).fill(status).run();
        b.finish();
    }
}

#[test]
fn a_cancel_reaches_the_callee() {
    needs!("sipp");
    let switch = Switch::start();
    let mut b = callee(&switch, "uas_ring", &[("RING", "100")]);
    caller(&switch, "uac_cancel", &[]).run();
    b.finish();
}

const SHORT: &str = r#"
    <extension name="short">
      <condition field="destination_number" expression="^7(10[01][0-9])$">
        <action application="set" data="call_timeout=2"/>
        <action application="bridge" data="user/$1@${domain_name}"/>
      </condition>
    </extension>"#;

#[test]
fn nobody_answers() {
    needs!("sipp");
    let setup = Setup { extension: SHORT, ..Setup::default() };
    let switch = Switch::start_with(setup);
    let mut b = callee(&switch, "uas_ring", &[("RING", "100")]);
    Scenario::new("uac_fail", switch.sip(), "1000").calling("71001").fill(&[("STATUS", "480")]).run();
    b.finish();
}

#[test]
fn hold_by_re_invite_in_both_forms() {
    needs!("sipp");
    let switch = Switch::start();
    // the callee may see the hold or not; it answers what comes
    let mut b = Phone::new("1001", switch.sip(), 660.0).auto().start();
    caller(&switch, "uac_hold", &[]).run();
    b.event("CALL_CLOSED");
}

#[test]
fn digits_by_info_arrive_as_telephone_events() {
    needs!("sipp", "baresip");
    let switch = Switch::start();
    let mut b = Phone::new("1001", switch.sip(), 660.0).auto().start();
    caller(&switch, "uac_info", &[]).run();
    for digit in ["1", "5", "9"] {
        assert_eq!(b.event("CALL_DTMF_START").param, digit);
    }
    b.event("CALL_CLOSED");
}

#[test]
fn options_and_an_unknown_method_within_a_call() {
    needs!("sipp");
    let switch = Switch::start();
    let mut b = callee(&switch, "uas", &[("RING", "100")]);
    caller(&switch, "uac_options", &[]).run();
    b.finish();
}

#[test]
fn an_unknown_number_is_404_and_an_unregistered_callee_480() {
    needs!("sipp");
    let switch = Switch::start();
    for (number, status) in [("4711", "404"), ("1015", "480")] {
        Scenario::new("uac_fail", switch.sip(), "1000").calling(number).fill(&[("STATUS", status)]).run();
    }
}

/// SIPp echoes the RTP: baresip hears its own tone come back through two legs.
#[test]
fn baresip_hears_itself_echoed_by_sipp() {
    needs!("sipp", "baresip");
    let switch = Switch::start();
    let mut b = callee(&switch, "uas", &[("RING", "100")]);
    let mut a = Phone::new("1000", switch.sip(), 440.0).start();
    a.dial("1001");
    a.event("CALL_ESTABLISHED");
    std::thread::sleep(Duration::from_secs(3));
    a.command("hangup", "");
    a.event("CALL_CLOSED");
    b.finish();
    assert_heard("the caller", &a.heard(), 440.0, 2.0);
}
