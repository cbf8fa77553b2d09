//! PJSIP's phone: it registers, calls and is called, holds, sends digits, and transfers between three phones of three makes.

use std::time::Duration;

use crate::baresip::Phone;
use crate::linphonec::Linphonec;
use crate::needs;
use crate::pjsua::{self, Pjsua};
use crate::switch::{Setup, Switch};
use crate::tone::{assert_heard, assert_heard_live};

const A: f64 = 440.0;
const B: f64 = 660.0;
const C: f64 = 880.0;

fn talk(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[test]
fn calls_and_is_called_by_udp_and_tcp() {
    needs!("baresip");
    if !pjsua::have() {
        return;
    }
    for transport in ["udp", "tcp"] {
        let switch = Switch::start();
        let mut a = Pjsua::start("1000", switch.sip(), transport, A);
        let mut b = Phone::new("1001", switch.sip(), B).start();
        a.call("1001");
        b.event("CALL_INCOMING");
        a.expect("CALL 0 EARLY 180");
        b.command("accept", "");
        a.expect("CALL 0 CONFIRMED");
        talk(3);
        a.type_line("hangup 0");
        b.event("CALL_CLOSED");
        a.expect("CALL 0 DISCONNECTED");
        assert_heard_live("pjsua", &a.heard(0), B, 2.0);
        assert_heard("baresip", &b.heard(), A, 2.0);
        b.dial("1000");
        a.expect("INCOMING 1");
        a.type_line("answer 1");
        a.expect("CALL 1 CONFIRMED");
        talk(3);
        b.command("hangup", "");
        a.expect("CALL 1 DISCONNECTED");
        b.event("CALL_CLOSED");
        assert_heard_live("pjsua", &a.heard(1), B, 2.0);
        assert_heard("baresip", &b.heard(), A, 2.0);
    }
}

/// Hold, resume, and digits both ways of sending them.
#[test]
fn holds_and_sends_digits() {
    needs!("baresip");
    if !pjsua::have() {
        return;
    }
    let switch = Switch::start();
    let mut a = Pjsua::start("1000", switch.sip(), "udp", A);
    let mut b = Phone::new("1001", switch.sip(), B).start();
    a.call("1001");
    b.event("CALL_INCOMING");
    b.command("accept", "");
    a.expect("MEDIA 0 1");
    talk(1);
    for (how, digits) in [("digits", "12*#"), ("info", "34")] {
        a.type_line(&format!("{how} 0 {digits}"));
        for digit in digits.chars() {
            let told = b.event("CALL_DTMF_START");
            assert_eq!(told.param, digit.to_string());
        }
    }
    a.type_line("hold 0");
    a.expect("MEDIA 0 2");
    talk(1);
    a.type_line("resume 0");
    a.expect("MEDIA 0 1");
    talk(3);
    b.command("hangup", "");
    a.expect("CALL 0 DISCONNECTED");
    let end = a.heard(0).last(2.5);
    assert_heard_live("pjsua, after the hold", &end, B, 2.0);
}

/// The callee, pjsua, sends the caller on; linphonec takes the call.
#[test]
fn sends_its_caller_to_a_third() {
    needs!("baresip", "linphonec");
    if !pjsua::have() {
        return;
    }
    let mut switch = Switch::start();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Pjsua::start("1001", switch.sip(), "udp", B);
    let mut c = Linphonec::start("1002", switch.sip(), "udp", C);
    a.dial("1001");
    b.expect("INCOMING 0");
    b.type_line("answer 0");
    a.event("CALL_ESTABLISHED");
    talk(2);
    b.transfer(0, "1002");
    switch.expect_log(&["blind transfer to 1002"]);
    c.expect("Receiving new incoming call");
    b.expect("CALL 0 DISCONNECTED");
    c.type_line("answer");
    c.expect("Media streams established");
    talk(4);
    a.command("hangup", "");
    a.event("CALL_CLOSED");
    c.expect_state("LinphoneCallEnd");
    assert_heard("the caller, of pjsua", &a.heard(), B, 1.0);
    assert_heard("the caller, of linphonec", &a.heard(), C, 2.0);
    assert_heard_live("linphonec", &c.heard(), A, 2.0);
    assert_heard_live("pjsua", &b.heard(0), A, 1.0);
}

/// The caller, pjsua, holds, asks a third, and joins the two: from the a-leg, and from the b-leg.
#[test]
fn joins_its_two_calls() {
    needs!("baresip", "linphonec");
    if !pjsua::have() {
        return;
    }
    for called in [false, true] {
        let mut switch = Switch::start_with(Setup::default());
        let mut a = Pjsua::start("1000", switch.sip(), "udp", A);
        let mut b = Phone::new("1001", switch.sip(), B).start();
        let mut c = Linphonec::start("1002", switch.sip(), "udp", C);
        if called {
            b.dial("1000");
            a.expect("INCOMING 0");
            a.type_line("answer 0");
        } else {
            a.call("1001");
            b.event("CALL_INCOMING");
            b.command("accept", "");
        }
        b.event("CALL_ESTABLISHED");
        a.expect("MEDIA 0 1");
        talk(1);
        a.type_line("hold 0");
        a.expect("MEDIA 0 2");
        a.call("1002");
        c.expect("Receiving new incoming call");
        c.type_line("answer");
        a.expect("CALL 1 CONFIRMED");
        talk(2);
        a.type_line("attended 0 1");
        switch.expect_log(&["attended transfer"]);
        a.expect("CALL 0 DISCONNECTED");
        talk(4);
        b.command("hangup", "");
        b.event("CALL_CLOSED");
        c.expect_state("LinphoneCallEnd");
        assert_heard_live("linphonec, of pjsua", &c.heard(), A, 1.0);
        assert_heard_live("linphonec, of baresip", &c.heard(), B, 2.5);
    }
}
