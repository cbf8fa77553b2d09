//! Busy lamps and presence by the real binary: a phone with an address book, and a puppet with a lamp that picks up the
//! call it sees, by what the document tells.

use std::time::Duration;

use crate::baresip::Phone;
use crate::needs;
use crate::puppet::{Answer, Message, Puppet, credentials};
use crate::switch::{PASSWORD, Setup, Switch};

/// A phone sees its neighbour come, and its messages.
#[test]
fn a_phone_that_watches_its_neighbour() {
    needs!("baresip");
    let switch = Switch::start();
    let contacts = format!("\"Bob\" <sip:1001@{}>;presence=p2p\n", switch.sip());
    let config = "module_app contact.so\nmodule_app presence.so\nmodule_app mwi.so\n";
    let phone = Phone { contacts: &contacts, config, ..Phone::new("1000", switch.sip(), 440.0) };
    let mut a = phone.start();
    a.expect_log("<basic>closed", "status");
    a.expect_log("MWI for sip:1000", "-----");
    let _b = Phone::new("1001", switch.sip(), 660.0).start();
    a.expect_log("<basic>open", "status");
}

/// SUBSCRIBE as user 1000, logged in; the final answer.
fn subscribe(puppet: &mut Puppet, user: &str, n: u32, more: &str) -> Message {
    let (local, host) = (puppet.local, puppet.switch.ip());
    let uri = format!("sip:{user}@{host}");
    let head = |n: u32, extra: &str| {
        format!(
            "SUBSCRIBE {uri} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-s{n};rport\nMax-Forwards: 70\n\
             Contact: <sip:1000@{local}>\nTo: <{uri}>\nFrom: <sip:1000@{host}>;tag=w\nCall-ID: w{n}-{local}\n\
             CSeq: {n} SUBSCRIBE\n{more}\n{extra}"
        )
    };
    puppet.send(&head(n, ""), "");
    let answer = puppet.final_status("SUBSCRIBE");
    if answer.status() != Some(407) {
        return answer;
    }
    let login = credentials(&answer, "1000", PASSWORD, "SUBSCRIBE", &uri, Answer::Qop);
    puppet.send(&head(n + 1, &format!("Proxy-Authorization: {login}\n")), "");
    puppet.final_status("SUBSCRIBE")
}

/// The next NOTIFY, answered; its body.
fn notified(puppet: &mut Puppet, wanted: &str) -> Message {
    loop {
        let notify = puppet.request("NOTIFY");
        puppet.reply(&notify, "200 OK", "", "", "");
        if notify.body().contains(wanted) {
            return notify;
        }
    }
}

#[test]
fn a_lamp_on_the_wire_and_what_is_refused() {
    let mut switch = Switch::start();
    let mut lamp = Puppet::new("lamp", switch.ip(), switch.sip());
    for (n, (user, more, status)) in (1..).zip([
        ("4711", "Event: dialog", 404),
        ("1001", "Event: weather", 489),
        ("1001", "Accept: text/plain\nEvent: dialog", 406),
        ("1001", "Expires: 3\nEvent: presence", 423),
        ("1001", "", 489),
    ]) {
        let answer = subscribe(&mut lamp, user, 10 * n, more);
        assert_eq!(answer.status(), Some(status), "{user} {more}: {}", answer.text);
        match status {
            489 => assert!(answer.header("Allow-Events").contains("message-summary")),
            406 => assert_eq!(answer.header("Accept"), "application/dialog-info+xml"),
            423 => assert_eq!(answer.header("Min-Expires"), "30"),
            _ => {}
        }
    }
    let more = "Accept: application/dialog-info+xml\nEvent: dialog\nExpires: 600";
    let answer = subscribe(&mut lamp, "1001", 100, more);
    assert_eq!((answer.status(), answer.header("Expires")), (Some(200), "600"), "{}", answer.text);
    let first = notified(&mut lamp, "<dialog-info");
    assert_eq!(first.header("Subscription-State"), "active;expires=600");
    assert!(!first.body().contains("<dialog "), "{}", first.text);
    assert_eq!(first.tag("From"), answer.tag("To"));

    let mut called = Puppet::new("called", switch.ip(), switch.sip());
    let contact = format!("<sip:1001@{}>", called.local);
    let host = switch.ip().to_string();
    assert_eq!(called.register("1001", PASSWORD, &host, &contact, Answer::Qop).status(), Some(200));
    let ip = switch.ip();
    let (sip, caller) = (switch.sip(), "1002");
    let calling = std::thread::spawn(move || {
        let mut puppet = Puppet::new("caller", ip, sip);
        let sdp = format!(
            "v=0\no=- 1 1 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio 40000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
        );
        puppet.call(caller, "1001", "lamp", &sdp)
    });
    let invite = called.request("INVITE");
    called.reply(&invite, "180 Ringing", "rings", &format!("Contact: {contact}\n"), "");
    let rings = notified(&mut lamp, "<state>early</state>");
    let body = rings.body();
    assert!(body.contains("direction=\"recipient\"") && body.contains("sip:1002@"), "{body}");
    let id = format!("call-id=\"{}\" local-tag=\"rings\"", invite.header("Call-ID"));
    assert!(body.contains(&id), "{id}: {body}");
    called.reply(&invite, "486 Busy Here", "rings", "", "");
    assert_eq!(calling.join().expect("a call").status(), Some(486));
    notified(&mut lamp, "<state>terminated</state>");

    // and when the switch goes
    if let Some(process) = &mut switch.process {
        process.signal("TERM");
        let last = lamp.wait(Duration::from_secs(10), |m| {
            m.method() == "NOTIFY" && m.header("Subscription-State").starts_with("terminated")
        });
        assert_eq!(last.expect("a last word").header("Subscription-State"), "terminated;reason=deactivated");
    }
}

#[test]
fn a_profile_that_lets_nobody_watch() {
    let params = &[("manage-presence", "false")];
    let switch = Switch::start_with(Setup { params, ..Setup::default() });
    let mut lamp = Puppet::new("lamp", switch.ip(), switch.sip());
    let answer = subscribe(&mut lamp, "1001", 1, "Event: dialog");
    assert_eq!(answer.status(), Some(489), "{}", answer.text);
    assert!(answer.header("Warning").contains("manage-presence"), "{}", answer.text);
}
