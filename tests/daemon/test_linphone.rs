//! linphonec and baresip: two dialects through one switch.

use std::time::Duration;

use crate::baresip::Phone;
use crate::linphonec::Linphonec;
use crate::needs;
use crate::switch::Switch;
use crate::tone::{assert_heard, assert_heard_live};

const A: f64 = 440.0;
const B: f64 = 660.0;

fn talk(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

fn linphonec_calls_baresip(transport: &str) {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Linphonec::start("1000", switch.sip(), transport, A);
    let mut b = Phone { transport, ..Phone::new("1001", switch.sip(), B) }.start();
    a.call("1001");
    b.event("CALL_INCOMING");
    a.expect("ringing");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    talk(4);
    a.type_line("terminate");
    b.event("CALL_CLOSED");
    a.expect_state("LinphoneCallEnd");
    assert_heard_live("linphonec", &a.heard(), B, 3.0);
    assert_heard("baresip", &b.heard(), A, 3.0);
}

#[test]
fn linphonec_calls_baresip_over_udp() {
    linphonec_calls_baresip("udp");
}

#[test]
fn linphonec_calls_baresip_over_tcp() {
    linphonec_calls_baresip("tcp");
}

fn baresip_calls_linphonec(transport: &str) {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Phone { transport, ..Phone::new("1000", switch.sip(), A) }.start();
    let mut b = Linphonec::start("1001", switch.sip(), transport, B);
    a.dial("1001");
    b.expect("Receiving new incoming call");
    b.type_line("answer");
    a.event("CALL_ESTABLISHED");
    b.expect("Media streams established");
    talk(4);
    a.command("hangup", "");
    a.event("CALL_CLOSED");
    b.expect_state("LinphoneCallEnd");
    assert_heard("baresip", &a.heard(), B, 3.0);
    assert_heard_live("linphonec", &b.heard(), A, 3.0);
}

#[test]
fn baresip_calls_linphonec_over_udp() {
    baresip_calls_linphonec("udp");
}

#[test]
fn baresip_calls_linphonec_over_tcp() {
    baresip_calls_linphonec("tcp");
}

#[test]
fn linphonec_hangs_up_on_a_caller() {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Linphonec::start("1001", switch.sip(), "udp", B);
    a.dial("1001");
    b.expect("Receiving new incoming call");
    b.type_line("answer");
    a.event("CALL_ESTABLISHED");
    talk(2);
    b.type_line("terminate");
    a.event("CALL_CLOSED");
    b.expect_state("LinphoneCallEnd");
}

#[test]
fn linphonec_declines() {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Linphonec::start("1001", switch.sip(), "udp", B);
    a.dial("1001");
    b.expect("Receiving new incoming call");
    b.type_line("terminate");
    let closed = a.event("CALL_CLOSED");
    assert!(closed.param.contains("603") || closed.param.contains("486"), "{closed:?}");
}

#[test]
fn linphonec_holds_and_resumes() {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Linphonec::start("1000", switch.sip(), "udp", A);
    let mut b = Phone::new("1001", switch.sip(), B).auto().start();
    a.call("1001");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    talk(1);
    a.type_line("pause");
    talk(2);
    a.type_line("resume");
    talk(5);
    a.type_line("terminate");
    b.event("CALL_CLOSED");
    // linphonec's recording goes on over the hold; baresip's does not, but it counts
    assert!(b.rate_received() > 50_000, "baresip hears nothing after the hold");
    assert_heard_live("linphonec after the hold", &a.heard().last(2.0), B, 1.5);
}

#[test]
fn digits_from_linphonec_reach_baresip() {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Linphonec::start("1000", switch.sip(), "udp", A);
    let mut b = Phone::new("1001", switch.sip(), B).auto().start();
    a.call("1001");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    talk(1);
    a.type_line("7");
    assert_eq!(b.event("CALL_DTMF_START").param, "7");
    a.type_line("terminate");
    b.event("CALL_CLOSED");
}

#[test]
fn baresip_holds_and_resumes_linphonec() {
    needs!("linphonec", "baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Linphonec::start("1001", switch.sip(), "udp", B);
    a.dial("1001");
    b.expect("Receiving new incoming call");
    b.type_line("answer");
    a.event("CALL_ESTABLISHED");
    talk(1);
    a.command("hold", "");
    talk(2);
    a.command("resume", "");
    talk(5);
    assert!(a.rate_received() > 50_000, "baresip hears nothing after its hold");
    a.command("hangup", "");
    a.event("CALL_CLOSED");
    b.expect_state("LinphoneCallEnd");
    assert_heard_live("linphonec after the hold", &b.heard().last(2.0), A, 1.5);
}
