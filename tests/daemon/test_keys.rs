//! Keys pressed in a call by real phones, by telephone-event and by INFO: what the stock `Local_Extension` binds to `*1` to
//! `*4`, and who hears whom after a key has moved the call. `TANDEM_STOCK_CONF` names the folder with FreeSWITCH's trees.

use std::path::PathBuf;
use std::time::Duration;

use crate::baresip::{Baresip, Phone};
use crate::linphonec::Linphonec;
use crate::needs;
use crate::switch::{Setup, Switch};
use crate::tone::{assert_heard, assert_heard_live};

const A: f64 = 440.0;
const B: f64 = 660.0;
const C: f64 = 880.0;

fn talk(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

fn connect(a: &mut Baresip, b: &mut Baresip, number: &str) {
    a.dial(number);
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.event("CALL_ESTABLISHED");
}

fn press(phone: &mut Baresip, keys: &str) {
    for key in keys.chars() {
        phone.command("sndcode", &key.to_string());
        std::thread::sleep(Duration::from_millis(700));
    }
}

fn vanilla() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TANDEM_STOCK_CONF") else {
        eprintln!("SKIPPED: TANDEM_STOCK_CONF does not name FreeSWITCH's stock trees");
        return None;
    };
    Some(PathBuf::from(folder).join("vanilla"))
}

/// The stock tree as it is: what asks for digits by sound is given up and hurts nobody.
#[test]
fn the_stock_keys() {
    needs!("baresip");
    let Some(tree) = vanilla() else { return };
    let mut switch = Switch::start_with(Setup { tree: Some(tree), ..Setup::default() });
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "1001");
    press(&mut b, "*1");
    switch.expect_log(&["read(11 11", "the call goes on"]);
    press(&mut b, "*4");
    switch.expect_log(&["read(3 4", "the call goes on"]);
    press(&mut b, "*2");
    switch.expect_log(&["record_session(", "left out"]);
    press(&mut b, "5");
    assert_eq!(a.event("CALL_DTMF_START").param, "5", "a key that means something does not go on");
    press(&mut a, "*1");
    assert_eq!(b.event("CALL_DTMF_START").param, "*", "the caller has no keys");
    talk(1);
    press(&mut b, "*3");
    switch.expect_log(&["transferred to 3001"]);
    switch.expect_log(&["conference(3001-", "not provided yet"]);
    a.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    assert_heard("the caller", &a.heard(), B, 3.0);
    assert_heard("the callee", &b.heard(), A, 3.0);
}

/// The same with the number in place of the question for it.
const ASKED: &[(&str, &str, &str)] = &[
    (
        "dialplan/features.xml",
        "application=\"read\" data=\"11 11 'tone_stream://%(10000,0,350,440)' digits 5000 #\"",
        "application=\"set\" data=\"digits=1002\"",
    ),
    (
        "dialplan/features.xml",
        "application=\"read\" data=\"3 4 'tone_stream://%(10000,0,350,440)' digits 30000 #\"",
        "application=\"set\" data=\"digits=1002\"",
    ),
];

fn asked() -> Option<Switch> {
    Some(Switch::start_with(Setup { tree: Some(vanilla()?), edits: ASKED, ..Setup::default() }))
}

#[test]
fn dx_moves_the_caller_to_a_third() {
    needs!("baresip");
    let Some(mut switch) = asked() else { return };
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    let mut c = Phone::new("1002", switch.sip(), C).auto().start();
    connect(&mut a, &mut b, "1001");
    talk(2);
    press(&mut b, "*1");
    c.event("CALL_ESTABLISHED");
    b.event("CALL_CLOSED");
    talk(3);
    c.command("hangup", "");
    a.event("CALL_CLOSED");
    switch.expect_log(&["EXECUTE", "execute_extension(is_transfer XML features)"]);
    assert_heard("the caller, of the callee", &a.heard(), B, 1.0);
    assert_heard("the caller, of the third", &a.heard(), C, 2.0);
    assert_heard("the third", &c.heard(), A, 2.0);
}

#[test]
fn att_xfer_talks_to_a_third_and_leaves_it_the_call() {
    needs!("baresip");
    let Some(_switch) = asked() else { return };
    let switch = &_switch;
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    let mut c = Phone::new("1002", switch.sip(), C).start();
    connect(&mut a, &mut b, "1001");
    talk(2);
    press(&mut b, "*4");
    c.event("CALL_INCOMING");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(3);
    b.command("hangup", "");
    talk(3);
    c.command("hangup", "");
    a.event("CALL_CLOSED");
    assert_heard("the callee, of the caller", &b.heard(), A, 1.0);
    assert_heard("the callee, of the third", &b.heard(), C, 2.0);
    assert_heard("the third, of the callee", &c.heard(), B, 2.0);
    assert_heard("the third, of the caller", &c.heard(), A, 2.0);
    assert_heard("the caller, of the third", &a.heard(), C, 2.0);
}

#[test]
fn att_xfer_and_back() {
    needs!("baresip");
    let Some(mut switch) = asked() else { return };
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    let mut c = Phone::new("1002", switch.sip(), C).start();
    connect(&mut a, &mut b, "1001");
    // while it rings
    press(&mut b, "*4");
    c.event("CALL_INCOMING");
    press(&mut b, "#");
    c.event("CALL_CLOSED");
    switch.expect_log(&["gives up by key #"]);
    talk(2);
    // and when it has answered
    press(&mut b, "*4");
    c.event("CALL_INCOMING");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    press(&mut b, "0");
    switch.expect_log(&["attxfer_conf_key 0", "not provided yet"]);
    press(&mut b, "#");
    c.event("CALL_CLOSED");
    talk(3);
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    assert_heard("the callee, at last", &b.heard().last(2.5), A, 1.5);
    assert_heard("the caller, at last", &a.heard().last(2.5), B, 1.5);
}

/// linphonec by INFO and by telephone-event.
#[test]
fn linphonec_presses_keys_both_ways() {
    needs!("baresip", "linphonec");
    let Some(switch) = asked() else { return };
    for by_info in [true, false] {
        let mut a = Phone::new("1000", switch.sip(), A).start();
        let mut c = Phone::new("1002", switch.sip(), C).auto().start();
        let mut b = if by_info {
            Linphonec::by_info("1001", switch.sip(), B)
        } else {
            Linphonec::start("1001", switch.sip(), "udp", B)
        };
        a.dial("1001");
        b.expect("Receiving new incoming call");
        b.type_line("answer");
        a.event("CALL_ESTABLISHED");
        talk(2);
        for key in ["*", "1"] {
            b.type_line(key);
            talk(1);
        }
        c.event("CALL_ESTABLISHED");
        b.expect_state("LinphoneCallEnd");
        talk(3);
        c.command("hangup", "");
        a.event("CALL_CLOSED");
        let sent = b.trace().contains("application/dtmf-relay");
        assert_eq!(sent, by_info, "digits by INFO");
        // While it presses keys, linphonec lets its own user hear them.
        assert_heard_live("the callee, before its keys", &b.heard().first(1.8), A, 1.0);
        assert_heard("the caller, of the third", &a.heard(), C, 2.0);
        assert_heard("the third", &c.heard(), A, 2.0);
    }
}
