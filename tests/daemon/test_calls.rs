//! baresip calls baresip through the switch: the ordinary calls and the ordinary ways to fail.

use std::time::Duration;

use crate::baresip::{Baresip, Phone};
use crate::needs;
use crate::switch::Switch;
use crate::tone::assert_heard;

const A: f64 = 440.0;
const B: f64 = 660.0;

fn talk(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// Calls and waits until both sides are connected.
fn connect(a: &mut Baresip, b: &mut Baresip, number: &str) {
    a.dial(number);
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.event("CALL_ESTABLISHED");
}

fn both_heard(a: &Baresip, b: &Baresip, seconds: f64) {
    assert_heard("the caller", &a.heard(), B, seconds);
    assert_heard("the callee", &b.heard(), A, seconds);
}

#[test]
fn udp_to_udp_and_the_caller_hangs_up() {
    needs!("baresip");
    let mut switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    talk(4);
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    both_heard(&a, &b, 3.0);
    // "why did it end": one line in plain words
    switch.expect_log(&["NORMAL_CLEARING"]);
}

#[test]
fn the_callee_hangs_up() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    talk(3);
    b.command("hangup", "");
    a.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    both_heard(&a, &b, 2.0);
}

#[test]
fn the_other_way_round_on_the_same_registrations() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    talk(1);
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    connect(&mut b, &mut a, "1000");
    talk(3);
    b.command("hangup", "");
    a.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    both_heard(&a, &b, 2.0);
}

#[test]
fn tcp_to_tcp() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).tcp().start();
    let mut b = Phone::new("1001", switch.sip(), B).tcp().start();
    connect(&mut a, &mut b, "1001");
    talk(3);
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    both_heard(&a, &b, 2.0);
}

#[test]
fn tcp_to_udp_and_back() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).tcp().start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    talk(2);
    b.command("hangup", "");
    a.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    connect(&mut b, &mut a, "1000");
    talk(3);
    b.command("hangup", "");
    a.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    both_heard(&a, &b, 2.0);
}

#[test]
fn the_callee_refuses() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    a.dial("1001");
    b.event("CALL_INCOMING");
    b.command("hangup", "");
    let closed = a.event("CALL_CLOSED");
    assert!(closed.param.contains("486"), "{closed:?}");
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    a.dial("1001");
    b.event("CALL_INCOMING");
    a.event("CALL_RINGING");
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
}

#[test]
fn an_unknown_number_and_an_unregistered_callee() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    a.dial("4711");
    let closed = a.event("CALL_CLOSED");
    assert!(closed.param.contains("404"), "unknown number: {closed:?}");
    a.dial("1015");
    let closed = a.event("CALL_CLOSED");
    assert!(closed.param.contains("480"), "unregistered callee: {closed:?}");
}

#[test]
fn hold_and_resume_from_each_side() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    talk(1);
    a.command("hold", "");
    talk(1);
    a.command("resume", "");
    talk(1);
    b.command("hold", "");
    talk(1);
    b.command("resume", "");
    // it counts over some seconds
    talk(6);
    for (who, phone) in [("the caller", &a), ("the callee", &b)] {
        let rate = phone.rate_received();
        assert!(rate > 50_000, "{who} receives {rate} bit/s after the last resume");
    }
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
}

#[test]
fn digits_pass_as_telephone_events() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    talk(1);
    for digit in ["1", "5", "9"] {
        a.command("sndcode", digit);
        let heard = b.event("CALL_DTMF_START");
        assert_eq!(heard.param, digit);
        b.event("CALL_DTMF_END");
        std::thread::sleep(Duration::from_millis(300));
    }
    a.command("hangup", "");
    b.event("CALL_CLOSED");
}

#[test]
fn the_echo_at_9196_is_heard() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    a.dial("9196");
    a.event("CALL_ESTABLISHED");
    talk(3);
    a.command("hangup", "");
    a.event("CALL_CLOSED");
    assert_heard("the caller", &a.heard(), A, 2.0);
}

#[test]
fn a_busy_phone_answers_busy() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone { config: "call_max_calls 1", ..Phone::new("1001", switch.sip(), B) }.start();
    let mut c = Phone::new("1002", switch.sip(), 880.0).start();
    connect(&mut a, &mut b, "1001");
    c.dial("1001");
    let closed = c.event("CALL_CLOSED");
    assert!(closed.param.contains("486"), "{closed:?}");
    talk(2);
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    both_heard(&a, &b, 1.5);
}

/// Two phones of one user ring; the one that answers has the call, the other stops ringing.
#[test]
fn all_phones_of_a_user_ring() {
    needs!("baresip");
    let switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut desk = Phone::new("1001", switch.sip(), B).start();
    let mut mobile = Phone::new("1001", switch.sip(), B).tcp().start();
    a.dial("1001");
    desk.event("CALL_INCOMING");
    mobile.event("CALL_INCOMING");
    mobile.command("accept", "");
    a.event("CALL_ESTABLISHED");
    desk.event("CALL_CLOSED");
    talk(3);
    mobile.command("hangup", "");
    a.event("CALL_CLOSED");
    both_heard(&a, &mobile, 2.0);
}
