//! What a caller or a callee may write into a call: nothing but data (threats 6, 10, 13, 15–17).

use std::net::IpAddr;

use crate::line::{Ask, Line, offer};
use crate::puppet::Message;
use crate::rtp::RtpPort;
use crate::switch::{PASSWORD, Setup, Switch};

/// Extensions as operators write them: everything from the caller goes everywhere.
const OPEN: &str = r#"
<extension name="copy">
  <condition field="destination_number" expression="^x([^~]*)$">
    <action application="set" data="copied=$1"/>
    <action application="set" data="twice=${copied} ${caller_id_name} ${sip_h_X-Evil} ${sip_subject}"/>
    <action application="export" data="nolocal:sip_h_X-Copy=${twice}"/>
    <action application="set" data="effective_caller_id_name=${caller_id_name} ${copied}"/>
    <action application="log" data="INFO seen $1 ${twice}"/>
    <action application="bridge" data="user/1001@${domain_name}"/>
  </condition>
</extension>
<extension name="dial">
  <condition field="destination_number" expression="^d(.*)$">
    <action application="set" data="number=$1"/>
    <action application="set" data="continue_on_fail=true"/>
    <action application="bridge" data="{origination_caller_id_name=${caller_id_name}}user/$1@${domain_name}"/>
    <action application="bridge" data="[leg_name=${sip_h_X-Evil}]user/${number}@${domain_name}"/>
    <action application="bridge" data="user/${destination_number:1}@${domain_name}|error/busy"/>
    <action application="transfer" data="t$1 XML default"/>
  </condition>
</extension>
<extension name="transferred">
  <condition field="destination_number" expression="^t">
    <action application="respond" data="484"/>
  </condition>
</extension>
"#;

fn open() -> Switch {
    Switch::start_with(Setup { extension: OPEN, ..Setup::default() })
}

fn escaped(number: &str) -> String {
    number
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Has the user part, the display name, X-Evil and Subject say so.
fn with(line: &Line, number: &str, text: &str) -> Ask {
    let mut ask = line.invite(&escaped(number));
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    ask.from = format!("\"{quoted}\" {}", ask.from);
    ask.with(&format!("X-Evil: {text}\nSubject: {text}"))
}

fn end(a: &mut Line, invite: &Ask) {
    a.put(&invite.cancel());
    let answer = a.final_of(invite);
    a.send(&invite.ack(&answer));
}

/// Threats 16 and 17: `${…}` from the wire is never expanded, and nothing from the wire ends a line or a quote.
#[test]
fn what_a_caller_writes_stays_text() {
    let switch = open();
    let (mut a, mut b) = (Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let texts = [
        "${default_password}",
        "$${default_password}",
        "${eval ${default_password}}",
        "${expand(eval $${default_password})}",
        "$\\{default_password}",
        "${${a}default_password}",
        "\" <sip:evil@example.com>;tag=x",
        "a\tb; c=d, <e>",
        "caf\u{e9} \u{1F4DE} \u{10FF00}\u{10FF01}default_password\u{10FF02}",
    ];
    for text in texts {
        let number = format!("x{text}\r\nX-Injected: yes\r\n\r\nv=0\0");
        let invite = with(&a, &number, text);
        let invite = a.send_as("1000", &invite);
        let called = b.request("INVITE");
        assert!(!called.text.contains(PASSWORD), "{text}: {}", called.text);
        assert!(called.header("X-Injected").is_empty(), "{}", called.text);
        for name in ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"] {
            assert_eq!(called.headers(name).len(), 1, "{name}: {}", called.text);
        }
        assert!(!called.text.contains('\0') && called.body().starts_with("v=0\r\no="), "{}", called.text);
        // the address is behind the closing quote, whatever the name holds
        let from = called.header("From").rsplit_once("\" <").map_or("", |(_, a)| a).to_owned();
        assert!(from.starts_with(&format!("sip:1000@{}>;tag=", a.domain)), "{}", called.text);
        b.reply(&called, "180 Ringing", "b", &format!("Contact: <sip:b@{}>\n", b.local), "");
        end(&mut a, &invite);
        let cancel = b.request("CANCEL");
        b.reply(&cancel, "200 OK", "", "", "");
        b.reply(&called, "487 Request Terminated", "b", "", "");
        b.request("ACK");
    }
    for line in switch.log() {
        assert!(!line.contains(PASSWORD), "{line}");
        // the log keeps one event on one line, or indents what follows
        assert!(!line.starts_with("X-Injected"), "{line}");
    }
}

/// Threat 15: what was dialled cannot add legs, choose the host, or pick another context.
#[test]
fn a_number_is_one_word_of_a_dial_string() {
    let switch = open();
    let (mut a, mut evil) = (Line::udp(&switch), Line::udp(&switch));
    let target = evil.local;
    let texts = [
        format!("1,sofia/internal/sip:evil@{target}"),
        format!("1|sofia/internal/sip:evil@{target}"),
        format!("1:_:sofia/internal/sip:evil@{target}"),
        format!("1@x,[a=b]sofia/internal/sip:evil@{target},user/1"),
        format!("}}sofia/internal/sip:evil@{target},"),
        format!("a=b}}sofia/internal/sip:evil@{target},user/1001"),
        format!("a]sofia/internal/sip:evil@{target},"),
        format!("'],sofia/internal/sip:evil@{target},'"),
        format!("\\,sofia/internal/sip:evil@{target}"),
        format!("'bridge:sofia/internal/sip:evil@{target}' inline"),
        format!("bridge:sofia/internal/sip:evil@{target} inline"),
        "1 XML features".to_owned(),
    ];
    for text in &texts {
        let invite = with(&a, &format!("d{text}"), text);
        let (invite, answer) = a.put_as("1000", &invite);
        assert_eq!(answer.status(), Some(484), "{text}: {}", answer.text);
        a.send(&invite.ack(&answer));
    }
    assert_eq!(evil.count(|m| m.method() == "INVITE"), 0);
    assert!(!switch.log().iter().any(|l| l.contains("in context features")));
}

/// Threat 15: a callee's 302 to somewhere else is not followed; FreeSWITCH calls it.
#[test]
fn a_callee_does_not_choose_what_is_paid_for() {
    let switch = Switch::start();
    let (mut a, mut b, mut evil) = (Line::udp(&switch), Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let (at, domain) = (evil.local, switch.ip());
    for contact in [
        format!("<sip:evil@{at}>"),
        format!("<sip:1002@{domain};maddr={}>", at.ip()),
        format!("<sip:1002@{domain}?Route=%3Csip:{at}%3E>"),
        format!("<sip:1,sofia/internal/evil@{at}>"),
        "<tel:+8821600000000>".to_owned(),
        "*".to_owned(),
    ] {
        let invite = a.send_as("1000", &a.invite("1001"));
        let called = b.request("INVITE");
        b.reply(&called, "302 Moved Temporarily", "b", &format!("Contact: {contact}\n"), "");
        let answer = a.final_of(&invite);
        assert!(answer.status().is_some_and(|s| s >= 300), "{}", answer.text);
        a.send(&invite.ack(&answer));
        b.request("ACK");
    }
    assert_eq!(evil.count(|m| m.status().is_none()), 0);
}

/// Threat 6: a callee that challenges is not told our users' secrets, nor is the caller asked for them.
#[test]
fn a_challenge_of_a_callee_gets_no_credentials() {
    let switch = Switch::start();
    let (mut a, mut b) = (Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let invite = a.send_as("1000", &a.invite("1001"));
    let called = b.request("INVITE");
    assert!(called.header("Proxy-Authorization").is_empty(), "{}", called.text);
    let challenge =
        format!("Proxy-Authenticate: Digest realm=\"{}\", nonce=\"x\", algorithm=MD5\n", a.domain);
    b.reply(&called, "407 Proxy Authentication Required", "b", &challenge, "");
    let answer = a.final_of(&invite);
    let status = answer.status().unwrap_or(0);
    assert!(status >= 400 && !matches!(status, 401 | 407), "{}", answer.text);
    a.send(&invite.ack(&answer));
    b.request("ACK");
    assert_eq!(b.count(|m| m.method() == "INVITE"), 0);
}

/// Threat 13: each pass through the switch costs a hop.
#[test]
fn hops_are_counted_across_the_switch() {
    let switch = Switch::start();
    let (mut a, mut b) = (Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let mut ask = a.invite("1001");
    ask.max_forwards = 5;
    let invite = a.send_as("1000", &ask);
    let called = b.request("INVITE");
    assert_eq!(called.header("Max-Forwards"), "4", "{}", called.text);
    b.reply(&called, "486 Busy Here", "b", "", "");
    let answer = a.final_of(&invite);
    assert_eq!(answer.status(), Some(486), "{}", answer.text);
    a.send(&invite.ack(&answer));
}

/// Threat 10: somebody else sends RTP to both ports before and during the call: he hears nothing, the parties hear
/// nothing of him, and each hears the other.
#[test]
fn a_third_party_neither_hears_nor_speaks() {
    let switch = Switch::start();
    let (mut a, mut b) = (Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let home = a.local.ip();
    let (mut from_a, mut from_b) = (RtpPort::new(home), RtpPort::new(home));
    let mut thieves: Vec<RtpPort> = (0..2).map(|_| RtpPort::new(IpAddr::from([127, 0, 0, 66]))).collect();
    let mut ask = a.invite("1001");
    ask.body = offer(home, from_a.local.port());
    let invite = a.send_as("1000", &ask);
    let called = b.request("INVITE");
    let to_b: std::net::SocketAddr = (switch.ip(), called.media_port(0)).into();
    // he is first
    thieves[0].talk(to_b, 0, 160, "thief");
    let description = offer(home, from_b.local.port());
    b.reply(&called, "200 OK", "b", &format!("Contact: <sip:b@{}>\n", b.local), &description);
    let answer: Message = a.final_of(&invite);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    let to_a: std::net::SocketAddr = (switch.ip(), answer.media_port(0)).into();
    thieves[1].talk(to_a, 0, 160, "thief");
    a.send(&invite.ack(&answer));
    b.request("ACK");
    from_a.talk(to_a, 0, 160, "alice");
    from_b.talk(to_b, 0, 160, "bob");
    from_b.expect_words("alice", 50);
    from_a.expect_words("bob", 50);
    for party in [&from_a, &from_b] {
        let injected = party.packets().iter().filter(|p| p.payload.starts_with(b"thief")).count();
        assert_eq!(injected, 0, "of {}", party.packets().len());
    }
    for thief in &thieves {
        assert_eq!(thief.packets().len(), 0, "he heard something");
    }
    let bye = invite.inside("BYE", &answer);
    a.send(&bye);
    let bye = b.request("BYE");
    b.reply(&bye, "200 OK", "", "", "");
}
