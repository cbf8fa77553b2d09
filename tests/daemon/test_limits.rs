//! Calls at the edges: no codec in common, no ports left, no offer, nothing but a bad description.

use std::net::IpAddr;

use crate::puppet::{Answer, Puppet};
use crate::rtp::RtpPort;
use crate::switch::{PASSWORD, Setup, Switch};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn sdp(port: u16, formats: &str) -> String {
    let (numbers, lines) = formats.split_once('\n').unwrap_or((formats, ""));
    format!(
        "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP {numbers}\n{lines}"
    )
}

#[test]
fn no_codec_in_common_is_488() {
    let switch = Switch::start();
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    let answer = a.call("1000", "9196", "strange", &sdp(4000, "99\na=rtpmap:99 STRANGE/8000\n"));
    assert_eq!(answer.status(), Some(488), "{}", answer.text);
}

#[test]
fn a_broken_description_is_refused_and_the_switch_lives() {
    let switch = Switch::start();
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    for (call, formats) in [
        ("clock", "0\na=rtpmap:0 PCMU/99999999999\n"),
        ("number", "0\na=rtpmap:999 PCMU/8000\n"),
        ("formats", &"0 ".repeat(100)),
    ] {
        let answer = a.call("1000", "9196", call, &sdp(4000, formats));
        assert!(matches!(answer.status(), Some(400 | 488)), "{call}: {}", answer.text);
    }
    let answer = a.call("1000", "9196", "sound", &sdp(4000, "0"));
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    a.in_dialog(&answer, "BYE", 3, "", "");
    a.status("BYE", 200);
}

/// One pair of ports: the first call has it, the second gets 503, and after the first has ended it is free.
#[test]
fn no_port_left_is_503() {
    let set = vec![("rtp_start_port", "20000".to_owned()), ("rtp_end_port", "20001".to_owned())];
    let switch = Switch::start_with(Setup { set, ..Setup::default() });
    if switch.process.is_none() {
        return;
    }
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    let first = a.call("1000", "9196", "first", &sdp(4000, "0"));
    assert_eq!(first.status(), Some(200), "{}", first.text);
    let second = a.call("1000", "9196", "second", &sdp(4000, "0"));
    assert_eq!(second.status(), Some(503), "{}", second.text);
    a.in_dialog(&first, "BYE", 3, "", "");
    a.status("BYE", 200);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let third = a.call("1000", "9196", "third", &sdp(4000, "0"));
    assert_eq!(third.status(), Some(200), "{}", third.text);
}

/// FreeSWITCH's way without enable-3pcc.
#[test]
fn a_delayed_offer_is_refused_where_the_profile_says_so() {
    let switch = Switch::start_with(Setup { params: &[("enable-3pcc", "false")], ..Setup::default() });
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    let answer = a.call("1000", "9196", "delayed", "");
    assert_eq!(answer.status(), Some(480), "{}", answer.text);
}

/// RFC 3261 §13.2.1: no offer in the INVITE, so the 200 has it and the ACK the answer.
#[test]
fn a_delayed_offer_is_answered_in_the_ack() {
    let switch = Switch::start_with(Setup { params: &[("enable-3pcc", "true")], ..Setup::default() });
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    let mut rtp = RtpPort::new(LOCALHOST);
    let ok = a.call("1000", "9196", "delayed", "");
    assert_eq!(ok.status(), Some(200), "{}", ok.text);
    assert!(
        ok.body().contains("m=audio ") && ok.body().contains("PCMU") | ok.body().contains(" 0"),
        "{}",
        ok.body()
    );
    // every m-line of the offer is answered, the video refused
    let refused = "m=video 0 RTP/AVP 34\n".repeat(ok.body().matches("m=video").count());
    let answer = format!("{}{refused}", sdp(rtp.local.port(), "0"));
    a.in_dialog(&ok, "ACK", 2, "Content-Type: application/sdp\n", &answer);
    rtp.talk((switch.ip(), ok.media_port(0)).into(), 0, 160, "hello");
    rtp.expect_words("hello", 25);
    a.in_dialog(&ok, "BYE", 3, "", "");
    a.status("BYE", 200);
}

/// The offer of a called phone reaches a caller that made none, and its answer the phone.
#[test]
fn a_delayed_offer_goes_across_a_bridge() {
    let switch = Switch::start();
    let host = switch.ip();
    let (mut a, mut b) =
        (Puppet::new("a", LOCALHOST, switch.sip()), Puppet::new("b", LOCALHOST, switch.sip()));
    let (mut rtp_a, mut rtp_b) = (RtpPort::new(LOCALHOST), RtpPort::new(LOCALHOST));
    let contact = format!("sip:1001@{}", b.local);
    let registered = b.register("1001", PASSWORD, &host.to_string(), &format!("<{contact}>"), Answer::Qop);
    assert_eq!(registered.status(), Some(200), "{}", registered.text);
    let to_b = sdp(rtp_b.local.port(), "0");
    let callee = std::thread::spawn(move || {
        let invite = b.request("INVITE");
        let extra = format!("Contact: <{contact}>\nContent-Type: application/sdp\n");
        b.reply(&invite, "200 OK", "b", &extra, &to_b);
        b.request("ACK");
        (b, invite)
    });
    let ok = a.call("1000", "1001", "across", "");
    assert_eq!(ok.status(), Some(200), "{}", ok.text);
    let refused = "m=video 0 RTP/AVP 34\n".repeat(ok.body().matches("m=video").count());
    let answer = format!("{}{refused}", sdp(rtp_a.local.port(), "0"));
    a.in_dialog(&ok, "ACK", 2, "Content-Type: application/sdp\n", &answer);
    let (mut b, invite) = callee.join().expect("the callee");
    rtp_a.talk((host, ok.media_port(0)).into(), 0, 160, "from-a");
    rtp_b.talk((host, invite.media_port(0)).into(), 0, 160, "from-b");
    rtp_a.expect_words("from-b", 25);
    rtp_b.expect_words("from-a", 25);
    a.in_dialog(&ok, "BYE", 3, "", "");
    a.status("BYE", 200);
    let bye = b.request("BYE");
    b.reply(&bye, "200 OK", "", "", "");
}

/// Two parties talk; a third that learned the port sends into it and is not heard (RTP bleed).
#[test]
fn a_strangers_packets_are_not_heard() {
    let switch = Switch::start();
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    let (mut rtp, mut stranger) = (RtpPort::new(LOCALHOST), RtpPort::new(LOCALHOST));
    let ok = a.call("1000", "9196", "bleed", &sdp(rtp.local.port(), "0"));
    assert_eq!(ok.status(), Some(200), "{}", ok.text);
    let port = (switch.ip(), ok.media_port(0)).into();
    rtp.talk(port, 0, 160, "mine");
    rtp.expect_words("mine", 25);
    stranger.talk(port, 0, 160, "stranger");
    let before = rtp.packets().len();
    rtp.expect_words("mine", before + 50);
    assert!(rtp.packets().iter().all(|p| p.payload.starts_with(b"mine")), "the stranger is heard");
    assert!(stranger.packets().is_empty(), "the stranger hears");
    a.in_dialog(&ok, "BYE", 3, "", "");
    a.status("BYE", 200);
}

/// Two calls of itself double at every level of nesting: 2^32 of them would outlive the switch.
#[test]
fn an_extension_that_executes_itself_twice_ends() {
    let extension = r#"<extension name="twice"><condition field="destination_number" expression="^twice$">
<action application="execute_extension" data="twice"/><action application="execute_extension" data="twice"/>
</condition></extension>"#;
    let switch = Switch::start_with(Setup { extension, ..Setup::default() });
    let mut a = Puppet::new("a", LOCALHOST, switch.sip());
    let answer = a.call("1000", "twice", "twice", &sdp(4000, "0"));
    assert_eq!(answer.status(), Some(483), "{}", answer.text);
}
