//! Transfers asked for by phones: blind and attended, from either side, and those that fail. Who hears whom afterwards
//! is proven by their recordings.

use std::net::IpAddr;
use std::time::Duration;

use crate::baresip::{Baresip, Phone};
use crate::linphonec::Linphonec;
use crate::needs;
use crate::puppet::{Answer, Message, Puppet};
use crate::switch::{PASSWORD, Setup, Switch};
use crate::tone::{assert_heard, assert_heard_live};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

const A: f64 = 440.0;
const B: f64 = 660.0;
const C: f64 = 880.0;

fn talk(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

fn phones(switch: &Switch) -> [Baresip; 3] {
    let start = |user, tone| Phone::new(user, switch.sip(), tone).start();
    [start("1000", A), start("1001", B), start("1002", C)]
}

fn connect(a: &mut Baresip, b: &mut Baresip, number: &str) {
    a.dial(number);
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.event("CALL_ESTABLISHED");
}

fn transfer(phone: &mut Baresip, switch: &Switch, number: &str) {
    phone.command("transfer", &format!("sip:{number}@{}", switch.ip()));
}

/// The end of everything: nothing of any call is left.
fn hang_up(phone: &mut Baresip, other: &mut Baresip) {
    phone.command("hangup", "");
    phone.event("CALL_CLOSED");
    other.event("CALL_CLOSED");
}

#[test]
fn the_callee_sends_the_caller_to_a_third() {
    needs!("baresip");
    let mut switch = Switch::start();
    let [mut a, mut b, mut c] = phones(&switch);
    connect(&mut a, &mut b, "1001");
    talk(2);
    transfer(&mut b, &switch, "1002");
    c.event("CALL_INCOMING");
    b.event("CALL_CLOSED");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(3);
    hang_up(&mut c, &mut a);
    assert_heard("the caller, of the transferor", &a.heard(), B, 1.0);
    assert_heard("the caller, of the third", &a.heard(), C, 2.0);
    assert_heard("the third", &c.heard(), A, 2.0);
    switch.expect_log(&["blind transfer to 1002"]);
}

#[test]
fn the_caller_sends_the_callee_to_a_third() {
    needs!("baresip");
    let switch = Switch::start();
    let [mut a, mut b, mut c] = phones(&switch);
    connect(&mut a, &mut b, "1001");
    talk(2);
    transfer(&mut a, &switch, "1002");
    c.event("CALL_INCOMING");
    a.event("CALL_CLOSED");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(3);
    hang_up(&mut b, &mut c);
    assert_heard("the callee, of the transferor", &b.heard(), A, 1.0);
    assert_heard("the callee, of the third", &b.heard(), C, 2.0);
    assert_heard("the third", &c.heard(), B, 2.0);
}

#[test]
fn a_call_may_be_sent_on_and_on() {
    needs!("baresip");
    let switch = Switch::start();
    let [mut a, mut b, mut c] = phones(&switch);
    connect(&mut a, &mut b, "1001");
    transfer(&mut b, &switch, "1002");
    c.event("CALL_INCOMING");
    b.event("CALL_CLOSED");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(1);
    transfer(&mut c, &switch, "1001");
    b.event("CALL_INCOMING");
    c.event("CALL_CLOSED");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    talk(1);
    transfer(&mut b, &switch, "9196");
    b.event("CALL_CLOSED");
    talk(2);
    a.command("hangup", "");
    a.event("CALL_CLOSED");
    assert_heard("the caller, of itself at last", &a.heard(), A, 1.0);
}

#[test]
fn a_transfer_to_nobody_ends_the_call_with_the_reason() {
    needs!("baresip");
    let mut switch = Switch::start();
    let [mut a, mut b, _] = phones(&switch);
    connect(&mut a, &mut b, "1001");
    transfer(&mut b, &switch, "nobody-at-all");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    switch.expect_log(&["no route for nobody-at-all"]);
    switch.expect_log(&["NO_ROUTE_DESTINATION"]);
}

#[test]
fn a_profile_may_forbid_transfers() {
    needs!("baresip");
    let params = &[("disable-transfer", "true")];
    let mut switch = Switch::start_with(Setup { params, ..Setup::default() });
    let [mut a, mut b, _] = phones(&switch);
    connect(&mut a, &mut b, "1001");
    transfer(&mut b, &switch, "1002");
    switch.expect_log(&["REFER refused with 403", "transfer is disabled"]);
    a.event("CALL_CLOSED"); // this phone hangs up by itself then
}

/// A phone that can transfer with both calls at hand, and the two it is to join.
fn transferor_and_two(switch: &Switch) -> (Linphonec, Baresip, Baresip) {
    let a = Linphonec::start("1000", switch.sip(), "udp", A);
    let b = Phone::new("1001", switch.sip(), B).start();
    (a, b, Phone::new("1002", switch.sip(), C).start())
}

fn talk_and_hold(a: &mut Linphonec, b: &mut Baresip) {
    a.call("1001");
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    talk(1);
    a.type_line("pause");
    a.expect_state("LinphoneCallPaused");
}

/// linphonec talks to a first baresip, holds it, calls a second, and joins the two.
#[test]
fn attended_by_the_caller() {
    needs!("linphonec", "baresip");
    let mut switch = Switch::start();
    let (mut a, mut b, mut c) = transferor_and_two(&switch);
    talk_and_hold(&mut a, &mut b);
    a.call("1002");
    c.event("CALL_INCOMING");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(2);
    a.type_line("transfer 1 --to-call 2");
    switch.expect_log(&["attended transfer"]);
    talk(4);
    b.command("hangup", "");
    b.event("CALL_CLOSED");
    c.event("CALL_CLOSED");
    assert_heard("the second, of the transferor", &c.heard(), A, 1.0);
    assert_heard("the second, of the first", &c.heard(), B, 2.5);
}

/// The same by a phone that was called both times.
#[test]
fn attended_by_the_callee() {
    needs!("linphonec", "baresip");
    let mut switch = Switch::start();
    let (mut a, mut b, mut c) = transferor_and_two(&switch);
    b.dial("1000");
    a.expect("Receiving new incoming call");
    a.type_line("answer");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    talk(1);
    a.type_line("pause");
    a.expect_state("LinphoneCallPaused");
    c.dial("1000");
    a.expect("Receiving new incoming call");
    a.type_line("answer 2");
    c.event("CALL_ESTABLISHED");
    talk(2);
    a.type_line("transfer 1 --to-call 2");
    switch.expect_log(&["attended transfer"]);
    talk(4);
    c.command("hangup", "");
    c.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    assert_heard("the second, of the first", &c.heard(), B, 2.5);
    assert_heard_live("the second, of the transferor", &c.heard(), A, 1.0);
}

/// The transferor does not wait for the third to answer: whoever is left hears the third once it does.
#[test]
fn attended_while_the_third_still_rings() {
    needs!("linphonec", "baresip");
    let mut switch = Switch::start();
    let (mut a, mut b, mut c) = transferor_and_two(&switch);
    talk_and_hold(&mut a, &mut b);
    a.call("1002");
    c.event("CALL_INCOMING");
    a.expect("ringing");
    talk(1);
    a.type_line("transfer 1 --to-call 2");
    switch.expect_log(&["attended transfer"]);
    talk(1);
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(3);
    c.command("hangup", "");
    c.event("CALL_CLOSED");
    b.event("CALL_CLOSED");
    assert_heard("the third", &c.heard(), B, 2.0);
}

fn audio(address: IpAddr, port: u16) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 0 101\n\
         a=rtpmap:101 telephone-event/8000\n"
    )
}

/// 1001 rings at the puppet `b`; its call, as `b` sees it, and the caller's final answer once there is one.
fn ring(
    a: &mut Puppet,
    b: &mut Puppet,
    switch: &Switch,
    answer: bool,
    then: impl FnOnce(&mut Puppet, &Message),
) {
    let contact = format!("<sip:1001@{}>", b.local);
    assert_eq!(
        b.register("1001", PASSWORD, &switch.ip().to_string(), &contact, Answer::Qop).status(),
        Some(200)
    );
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| a.call("1000", "1001", "replaced", &audio(LOCALHOST, 4000)).status());
        let invite = b.request("INVITE");
        b.reply(&invite, "180 Ringing", "bees", &format!("Contact: {contact}\n"), "");
        if answer {
            let extra = format!("Contact: {contact}\nContent-Type: application/sdp\n");
            b.reply(&invite, "200 OK", "bees", &extra, &audio(LOCALHOST, 4002));
            b.request("ACK");
        }
        then(b, &invite);
        assert_eq!(calling.join().expect("the caller"), Some(200));
    });
}

fn replaces(invite: &Message, more: &str) -> String {
    format!("Replaces: {};to-tag={};from-tag=bees{more}\n", invite.header("Call-ID"), invite.tag("From"))
}

#[test]
fn an_invite_takes_the_place_of_a_call() {
    let switch = Switch::start();
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|name| Puppet::new(name, LOCALHOST, switch.sip()));
    ring(&mut a, &mut b, &switch, true, |b, invite| {
        let late =
            c.call_with("1002", "1001", "late", &replaces(invite, ";early-only"), &audio(LOCALHOST, 4004));
        assert_eq!(late.status(), Some(486), "answered already");
        let ok = c.call_with("1002", "1001", "taken", &replaces(invite, ""), &audio(LOCALHOST, 4004));
        assert_eq!(ok.status(), Some(200), "{}", ok.text);
        let bye = b.request("BYE");
        b.reply(&bye, "200 OK", "", "", "");
        c.in_dialog(&ok, "BYE", 3, "", "");
        assert_eq!(c.final_status("BYE").status(), Some(200));
    });
    a.request("BYE");
}

#[test]
fn an_invite_takes_the_place_of_a_call_that_rings() {
    let switch = Switch::start();
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|name| Puppet::new(name, LOCALHOST, switch.sip()));
    ring(&mut a, &mut b, &switch, false, |b, invite| {
        let ok =
            c.call_with("1002", "1001", "picked", &replaces(invite, ";early-only"), &audio(LOCALHOST, 4004));
        assert_eq!(ok.status(), Some(200), "{}", ok.text);
        let cancel = b.request("CANCEL");
        b.reply(&cancel, "200 OK", "", "", "");
        b.reply(invite, "487 Request Terminated", "bees", "", "");
        c.in_dialog(&ok, "BYE", 3, "", "");
        assert_eq!(c.final_status("BYE").status(), Some(200));
    });
    a.request("BYE");
}

/// The transferor's leg is gone at once, and whom it called rings on, whoever of the three is served first.
#[test]
fn whom_a_transferor_calls_rings_on_without_it() {
    let switch = Switch::start();
    let puppet = |name| Puppet::new(name, LOCALHOST, switch.sip());
    let [mut talks, mut calls, mut b, mut c] = ["talks", "calls", "b", "c"].map(puppet);
    calls.only_ring = true;
    let contacts = [(&mut b, "1001"), (&mut c, "1002")].map(|(phone, user)| {
        let contact = format!("<sip:{user}@{}>", phone.local);
        assert_eq!(
            phone.register(user, PASSWORD, &switch.ip().to_string(), &contact, Answer::Qop).status(),
            Some(200)
        );
        contact
    });
    for n in 0..8 {
        let (first, second) = (format!("talk{n}"), format!("ring{n}"));
        let (up, rings, at_c) = std::thread::scope(|scope| {
            let talking = scope.spawn(|| talks.call("1000", "1001", &first, &audio(LOCALHOST, 4000)));
            let invite = b.request("INVITE");
            let extra = format!("Contact: {}\nContent-Type: application/sdp\n", contacts[0]);
            b.reply(&invite, "200 OK", &format!("b{n}"), &extra, &audio(LOCALHOST, 4002));
            b.request("ACK");
            let up = talking.join().expect("the caller");
            let calling = scope.spawn(|| calls.call("1000", "1002", &second, &audio(LOCALHOST, 4004)));
            let at_c = c.request("INVITE");
            c.reply(&at_c, "180 Ringing", &format!("c{n}"), &format!("Contact: {}\n", contacts[1]), "");
            (up, calling.join().expect("the caller"), at_c)
        });
        let dialog = format!("{};to-tag={};from-tag={second}", rings.header("Call-ID"), rings.tag("To"));
        let dialog = dialog.replace('@', "%40").replace(';', "%3B").replace('=', "%3D");
        std::thread::scope(|scope| {
            // A phone acknowledges its refusal at once: then nothing is left of that leg.
            let (calls, host) = (&mut calls, switch.ip());
            scope.spawn(move || {
                let refusal = calls.final_status("INVITE");
                assert!(refusal.status() >= Some(400), "{}", refusal.text);
                let ack = format!(
                    "ACK sip:1002@{host} SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bK-ring{n}-2;rport\nMax-Forwards: 70\n\
                     To: {}\nFrom: {}\nCall-ID: {}\nCSeq: 2 ACK\n",
                    calls.local,
                    refusal.header("To"),
                    refusal.header("From"),
                    refusal.header("Call-ID")
                );
                calls.send(&ack, "");
            });
            talks.in_dialog(
                &up,
                "REFER",
                3,
                &format!("Refer-To: <sip:1002@{}?Replaces={dialog}>\n", switch.ip()),
                "",
            );
        });
        assert_eq!(talks.final_status("REFER").status(), Some(202));
        let notify = talks.request("NOTIFY");
        assert!(notify.body().starts_with("SIP/2.0 200"), "{}", notify.text);
        talks.reply(&notify, "200 OK", "", "", "");
        let bye = talks.request("BYE");
        talks.reply(&bye, "200 OK", "", "", "");
        assert!(c.wait(Duration::from_millis(150), |m| m.method() == "CANCEL").is_none(), "round {n}");
        let extra = format!("Contact: {}\nContent-Type: application/sdp\n", contacts[1]);
        c.reply(&at_c, "200 OK", &format!("c{n}"), &extra, &audio(LOCALHOST, 4006));
        c.request("ACK");
        let hang_up = format!(
            "BYE {} SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bK-bye{n};rport\nMax-Forwards: 70\nTo: {}\n\
             From: {};tag=c{n}\nCall-ID: {}\nCSeq: 1 BYE\n",
            at_c.address("Contact"),
            c.local,
            at_c.header("From"),
            at_c.header("To"),
            at_c.header("Call-ID")
        );
        c.send(&hang_up, "");
        assert_eq!(c.final_status("BYE").status(), Some(200));
        let bye = b.request("BYE");
        b.reply(&bye, "200 OK", "", "", "");
    }
}

/// Whoever has not logged in takes nobody's place.
#[test]
fn a_stranger_takes_nobody_s_place() {
    let switch = Switch::start();
    let [mut a, mut b] = ["a", "b"].map(|name| Puppet::new(name, LOCALHOST, switch.sip()));
    let outside = std::net::SocketAddr::new(switch.ip(), 5080);
    let mut c = Puppet::new("c", LOCALHOST, outside);
    ring(&mut a, &mut b, &switch, true, |b, invite| {
        let head = format!(
            "INVITE sip:1001@{outside} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-stranger;rport\nMax-Forwards: 70\n\
             Contact: <sip:eve@{local}>\nTo: <sip:1001@{outside}>\nFrom: <sip:eve@{local}>;tag=eve\n\
             Call-ID: stranger\nCSeq: 1 INVITE\nContent-Type: application/sdp\n{}",
            replaces(invite, ""),
            local = c.local
        );
        c.send(&head, &audio(LOCALHOST, 4004));
        assert_eq!(c.final_status("INVITE").status(), Some(403));
        assert!(b.wait(Duration::from_millis(300), |m| m.method() == "BYE").is_none(), "the call goes on");
    });
}

#[test]
fn an_invite_for_a_place_nobody_has_is_refused() {
    let switch = Switch::start();
    let mut c = Puppet::new("c", LOCALHOST, switch.sip());
    for (call, replaces, status) in [
        ("unknown", "Replaces: x@y;to-tag=0123456789abcdef;from-tag=b\n", 481),
        ("foreign", "Replaces: x@y;to-tag=a;from-tag=b\n", 481),
        ("broken", "Replaces: x@y;to-tag=a\n", 400),
    ] {
        if status == 400 {
            c.send(
                &format!(
                    "INVITE sip:1001@{host} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{call};rport\nMax-Forwards: 70\n\
                     Contact: <sip:1002@{local}>\nTo: <sip:1001@{host}>\nFrom: <sip:1002@{host}>;tag=c\n\
                     Call-ID: {call}\nCSeq: 1 INVITE\n{replaces}",
                    host = switch.ip(),
                    local = c.local
                ),
                "",
            );
            assert_eq!(c.final_status("INVITE").status(), Some(400));
            continue;
        }
        let answer = c.call_with("1002", "1001", call, replaces, &audio(LOCALHOST, 4004));
        assert_eq!(answer.status(), Some(status), "{call}");
    }
}

/// 1000 and 1001 talk, both puppets: the caller's 200, and the INVITE at the callee.
fn connected(a: &mut Puppet, b: &mut Puppet, switch: &Switch) -> (Message, Message) {
    let contact = format!("<sip:1001@{}>", b.local);
    assert_eq!(
        b.register("1001", PASSWORD, &switch.ip().to_string(), &contact, Answer::Qop).status(),
        Some(200)
    );
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| a.call("1000", "1001", "first", &audio(LOCALHOST, 4000)));
        let invite = b.request("INVITE");
        let extra = format!("Contact: {contact}\nContent-Type: application/sdp\n");
        b.reply(&invite, "200 OK", "bees", &extra, &audio(LOCALHOST, 4002));
        b.request("ACK");
        (calling.join().expect("the caller"), invite)
    })
}

fn refers(phone: &mut Puppet, up: &Message, to: &str, dialog: &str) -> String {
    let dialog = dialog.replace('@', "%40").replace(';', "%3B").replace('=', "%3D");
    phone.in_dialog(
        up,
        "REFER",
        3,
        &format!("Refer-To: <{to}?Replaces={dialog}>\nReferred-By: <sip:1000@x>\n"),
        "",
    );
    assert_eq!(phone.final_status("REFER").status(), Some(202));
    let notify = phone.request("NOTIFY");
    phone.reply(&notify, "200 OK", "", "", "");
    notify.body().trim().to_owned()
}

fn is_left_alone(phone: &mut Puppet) {
    assert!(phone.wait(Duration::from_millis(300), |m| m.method() == "BYE").is_none(), "the call goes on");
}

#[test]
fn a_call_is_not_transferred_to_itself() {
    let mut switch = Switch::start();
    let [mut a, mut b] = ["a", "b"].map(|name| Puppet::new(name, LOCALHOST, switch.sip()));
    let (up, invite) = connected(&mut a, &mut b, &switch);
    let dialog = format!("{};to-tag=bees;from-tag={}", invite.header("Call-ID"), invite.tag("From"));
    let to = format!("sip:1001@{}", switch.ip());
    assert_eq!(refers(&mut a, &up, &to, &dialog), "SIP/2.0 403 Forbidden");
    switch.expect_log(&["is of this very call", "stays as it is"]);
    is_left_alone(&mut a);
    is_left_alone(&mut b);
    a.in_dialog(&up, "BYE", 4, "", "");
    b.request("BYE");
}

/// The dialog to be replaced is none of this switch's: it calls where the transferor says.
#[test]
fn a_transfer_to_a_call_of_another_switch() {
    let switch = Switch::start();
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|name| Puppet::new(name, LOCALHOST, switch.sip()));
    let (up, _) = connected(&mut a, &mut b, &switch);
    let to = format!("sip:1002@{}", c.local);
    let dialog = "there@elsewhere;to-tag=one;from-tag=two";
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let invite = c.request("INVITE");
            assert_eq!(invite.header("Replaces"), dialog);
            assert_eq!(invite.header("Referred-By"), "<sip:1000@x>");
            let extra = format!("Contact: <sip:1002@{}>\nContent-Type: application/sdp\n", c.local);
            c.reply(&invite, "200 OK", "cees", &extra, &audio(LOCALHOST, 4004));
            c.request("ACK");
        });
        assert_eq!(refers(&mut a, &up, &to, dialog), "SIP/2.0 200 OK");
        other.join().expect("the other switch");
    });
    let bye = a.request("BYE");
    a.reply(&bye, "200 OK", "", "", "");
    is_left_alone(&mut b);
    is_left_alone(&mut c);
}

#[test]
fn another_switch_that_refuses_gives_the_call_back() {
    let mut switch = Switch::start();
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|name| Puppet::new(name, LOCALHOST, switch.sip()));
    let (up, _) = connected(&mut a, &mut b, &switch);
    let to = format!("sip:1002@{}", c.local);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let invite = c.request("INVITE");
            c.reply(&invite, "481 Gone", "cees", "", "");
        });
        let told = refers(&mut a, &up, &to, "there@elsewhere;to-tag=one;from-tag=two");
        assert!(told.starts_with("SIP/2.0 4"), "{told}");
        other.join().expect("the other switch");
    });
    switch.expect_log(&["back to the call"]);
    is_left_alone(&mut a);
    is_left_alone(&mut b);
    a.in_dialog(&up, "BYE", 4, "", "");
    b.request("BYE");
}
