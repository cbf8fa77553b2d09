//! Busy lamps and presence by the real binary: a phone with an address book, and a puppet with a lamp that picks up the
//! call it sees, by what the document tells.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::baresip::Phone;
use crate::linphonec::Linphonec;
use crate::needs;
use crate::process::PATIENCE;
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

/// What a watcher was told of a user's calls: `recipient early`, nothing when there is none left.
fn calls(notify: &Message) -> Vec<String> {
    let value = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let state = |text: &str| {
        let (_, rest) = text.split_once("<state")?;
        let (_, rest) = rest.split_once('>')?;
        rest.split_once('<').map(|(state, _)| state.to_owned())
    };
    let dialogs = notify.body().split("<dialog ").skip(1);
    let told = dialogs
        .map(|d| format!("{} {}", value(d, "direction").unwrap_or_default(), state(d).unwrap_or_default()));
    told.filter(|told| !told.ends_with("terminated")).collect()
}

/// Waits until a text stands in a phone's log so many times.
#[track_caller]
fn told(phone: &Linphonec, what: &str, times: usize) {
    let until = Instant::now() + PATIENCE * 2;
    while phone.trace().matches(what).count() < times {
        assert!(Instant::now() < until, "{what} not told {times} times");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One subscription, over one stream: refreshed by the phone, through a reload, with the state true before and after.
#[test]
fn linphonec_watches_over_tcp_for_long() {
    needs!("linphonec", "baresip");
    let params = &[("force-subscription-expires", "30")];
    let mut switch = Switch::start_with(Setup { params, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let a = Linphonec::watching("1000", switch.sip(), "tcp", 440.0, "1001");
    told(&a, "<basic>closed</basic>", 1);
    let mut b = Phone::new("1001", switch.sip(), 660.0).start();
    told(&a, "<basic>open</basic>", 1);
    switch.process.as_ref().expect("a switch").signal("HUP");
    switch.expect_log(&["reloaded:"]);
    b.dial("9196");
    b.event("CALL_ESTABLISHED");
    told(&a, "note>Talk 9196", 1);
    // The phone asks again before its half minute is over, in the same dialog: with its tag in To.
    told(&a, "\nNOTIFY sip:1000@", 4);
    b.command("hangup", "");
    told(&a, "\nNOTIFY sip:1000@", 5);
    let trace = a.trace();
    let ids: HashSet<&str> = trace
        .split("\nNOTIFY sip:1000@")
        .skip(1)
        .filter_map(|notify| notify.lines().find(|line| line.starts_with("Call-ID:")))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let asked = trace.matches("\nSUBSCRIBE sip:1001@").count();
    assert!(asked >= 3, "asked {asked} times: challenged, granted, refreshed");
    assert!(!trace.contains("Subscription-State: terminated"));
}

/// A puppet that watches the calls of a user.
fn lamp(switch: &Switch, user: &str, n: u32) -> Puppet {
    let mut lamp = Puppet::new("lamp", switch.ip(), switch.sip());
    let more = "Accept: application/dialog-info+xml\nEvent: dialog\nExpires: 600";
    assert_eq!(subscribe(&mut lamp, user, n, more).status(), Some(200));
    assert_eq!(calls(&notified(&mut lamp, "<dialog-info")), [""; 0]);
    lamp
}

/// Answers what comes until the lamp shows these calls.
#[track_caller]
fn shows(lamp: &mut Puppet, wanted: &[&str]) {
    let until = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while Instant::now() < until {
        let told = calls(&notified(lamp, "<dialog-info"));
        if told == wanted {
            return;
        }
        seen.push(told);
    }
    panic!("{wanted:?} is not shown, but {seen:?}");
}

#[test]
fn lamps_are_true_through_a_transfer_and_a_call_of_the_switch_to_itself() {
    needs!("baresip");
    let extension = r#"<extension name="itself"><condition field="destination_number" expression="^7(\d+)$">
        <action application="bridge" data="loopback/$1/default"/></condition></extension>"#;
    let switch = Switch::start_with(Setup { extension, ..Setup::default() });
    let [mut a, mut b, mut c] = [("1000", 440.0), ("1001", 660.0), ("1002", 880.0)]
        .map(|(user, tone)| Phone::new(user, switch.sip(), tone).start());
    let [mut at_a, mut at_b, mut at_c] =
        [("1000", 100), ("1001", 200), ("1002", 300)].map(|(user, n)| lamp(&switch, user, n));
    a.dial("1001");
    b.event("CALL_INCOMING");
    shows(&mut at_b, &["recipient early"]);
    b.command("accept", "");
    a.event("CALL_ESTABLISHED");
    shows(&mut at_a, &["initiator confirmed"]);
    shows(&mut at_b, &["recipient confirmed"]);
    // 1001 sends the caller on: it is free, and 1002 rings and talks.
    let uri = format!("sip:1002@{}", switch.ip());
    b.command("transfer", &uri);
    c.event("CALL_INCOMING");
    shows(&mut at_c, &["recipient early"]);
    shows(&mut at_b, &[]);
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    shows(&mut at_c, &["recipient confirmed"]);
    a.command("hangup", "");
    c.event("CALL_CLOSED");
    shows(&mut at_a, &[]);
    shows(&mut at_c, &[]);
    // Through the switch's own two legs in between, each phone has one call.
    a.dial("71001");
    b.event("CALL_INCOMING");
    shows(&mut at_b, &["recipient early"]);
    b.command("accept", "");
    a.event("CALL_ESTABLISHED");
    shows(&mut at_a, &["initiator confirmed"]);
    shows(&mut at_b, &["recipient confirmed"]);
    b.command("hangup", "");
    a.event("CALL_CLOSED");
    shows(&mut at_a, &[]);
    shows(&mut at_b, &[]);
}
