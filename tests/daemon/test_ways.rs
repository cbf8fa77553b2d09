//! Media past the switch (`bypass_media`) and through it unread (`proxy_media`), with real phones and with what no phone
//! here can: an unknown codec over SRTP, and fax by UDPTL.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::baresip::{Baresip, Phone};
use crate::linphonec::Linphonec;
use crate::needs;
use crate::puppet::{Answer, Puppet};
use crate::switch::{PASSWORD, Setup, Switch};
use crate::tone::{assert_heard, assert_heard_live};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const A: f64 = 440.0;
const B: f64 = 660.0;
const C: f64 = 880.0;

/// 7 and a number: past the switch; 8: unread; 6: past it after the bridge.
const EXTENSION: &str = r#"
    <extension name="past"><condition field="destination_number" expression="^7(10[01][0-9])$">
      <action application="set" data="bypass_media=true"/>
      <action application="bridge" data="user/$1@${domain_name}"/>
    </condition></extension>
    <extension name="unread"><condition field="destination_number" expression="^8(10[01][0-9])$">
      <action application="set" data="proxy_media=true"/>
      <action application="bridge" data="user/$1@${domain_name}"/>
    </condition></extension>
    <extension name="led past"><condition field="destination_number" expression="^6(10[01][0-9])$">
      <action application="set" data="bypass_media_after_bridge=true"/>
      <action application="bridge" data="user/$1@${domain_name}"/>
    </condition></extension>"#;

fn switch() -> Switch {
    Switch::start_with(Setup { extension: EXTENSION, ..Setup::default() })
}

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

/// UDP ports open on the switch's address within its RTP range, as the kernel lists them.
fn rtp_ports(switch: &Switch) -> usize {
    let IpAddr::V4(ip) = switch.ip() else { panic!("an IPv4 address") };
    let hex = format!("{:08X}:", u32::from_ne_bytes(ip.octets()));
    let table = std::fs::read_to_string("/proc/net/udp").expect("the kernel's list of sockets");
    let locals = table.lines().filter_map(|line| line.split_whitespace().nth(1)?.strip_prefix(&*hex));
    let ports = locals.filter_map(|port| u16::from_str_radix(port, 16).ok());
    ports.filter(|port| (20_000..21_000).contains(port)).count()
}

#[test]
fn past_the_switch_the_phones_hear_each_other_and_no_port_is_open() {
    needs!("baresip");
    let mut switch = switch();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "71001");
    talk(4);
    assert_eq!(rtp_ports(&switch), 0, "ports of the switch");
    a.command("hold", "");
    talk(1);
    a.command("resume", "");
    talk(7);
    for (who, phone) in [("the caller", &a), ("the callee", &b)] {
        let rate = phone.rate_received();
        assert!(rate > 50_000, "{who} receives {rate} bit/s after the resume");
    }
    assert_eq!(rtp_ports(&switch), 0, "ports of the switch");
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    assert_heard("the caller", &a.heard(), B, 3.0);
    assert_heard("the callee", &b.heard(), A, 3.0);
    switch.expect_log(&["NORMAL_CLEARING", "the media went past the switch (bypass_media)"]);
}

// In these two the source of what linphonec hears changes in mid-call. baresip 1.0 would take the new source's packets
// for late ones, as their numbers begin anew.

#[test]
fn a_caller_past_the_switch_is_transferred_and_hears_the_third() {
    needs!("baresip", "linphonec");
    let switch = switch();
    let mut a = Linphonec::start("1000", switch.sip(), "udp", A);
    let mut b = Phone::new("1001", switch.sip(), B).start();
    let mut c = Phone::new("1002", switch.sip(), C).start();
    a.call("71001");
    b.event("CALL_INCOMING");
    b.command("accept", "");
    b.event("CALL_ESTABLISHED");
    a.expect("Media streams established");
    talk(2);
    b.command("transfer", &format!("sip:1002@{}", switch.ip()));
    c.event("CALL_INCOMING");
    b.event("CALL_CLOSED");
    c.command("accept", "");
    c.event("CALL_ESTABLISHED");
    talk(4);
    assert_eq!(rtp_ports(&switch), 0, "ports of the switch");
    c.command("hangup", "");
    c.event("CALL_CLOSED");
    a.expect_state("LinphoneCallEnd");
    assert_heard_live("the caller, of the transferor", &a.heard(), B, 1.0);
    assert_heard_live("the caller, of the third", &a.heard(), C, 2.0);
    assert_heard("the third", &c.heard(), A, 2.0);
}

#[test]
fn phones_are_led_past_the_switch_after_the_bridge() {
    needs!("linphonec");
    let mut switch = switch();
    let mut a = Linphonec::start("1000", switch.sip(), "udp", A);
    let mut b = Linphonec::start("1001", switch.sip(), "udp", B);
    a.call("61001");
    b.expect("Receiving new incoming call");
    b.type_line("answer");
    a.expect("Media streams established");
    talk(6);
    a.type_line("terminate");
    b.expect_state("LinphoneCallEnd");
    assert_heard_live("the caller", &a.heard(), B, 4.0);
    assert_heard_live("the callee", &b.heard(), A, 4.0);
    switch.expect_log(&["NORMAL_CLEARING", "the media went past the switch (bypass_media)"]);
}

#[test]
fn unread_the_phones_hear_each_other_by_ports_of_the_switch() {
    needs!("baresip");
    let switch = switch();
    let mut a = Phone::new("1000", switch.sip(), A).start();
    let mut b = Phone::new("1001", switch.sip(), B).start();
    connect(&mut a, &mut b, "81001");
    talk(4);
    assert_eq!(rtp_ports(&switch), 4, "RTP and RTCP of two legs");
    a.command("hangup", "");
    b.event("CALL_CLOSED");
    a.event("CALL_CLOSED");
    assert_heard("the caller", &a.heard(), B, 3.0);
    assert_heard("the callee", &b.heard(), A, 3.0);
}

/// A port of a phone's that says anything.
fn port() -> UdpSocket {
    let socket = UdpSocket::bind((LOCALHOST, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    socket
}

fn number(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("its address").port()
}

/// Sends again and again until the other hears it, from there.
#[track_caller]
fn passes(from: &UdpSocket, to: SocketAddr, other: &UdpSocket, through: SocketAddr, datagram: &[u8]) {
    let mut buffer = [0; 2048];
    for _ in 0..50 {
        from.send_to(datagram, to).expect("to send");
        if let Ok((count, source)) = other.recv_from(&mut buffer) {
            assert_eq!(buffer.get(..count), Some(datagram), "byte for byte");
            return assert_eq!(source, through);
        }
    }
    panic!("{} bytes from {} to {to} never came", datagram.len(), number(from));
}

fn description(session: u32, audio: &str, fax: &str) -> String {
    format!("v=0\no=- {session} 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n{audio}{fax}")
}

/// A codec nobody knows, encrypted end to end, and a fax beside it: nothing of it is looked at.
#[test]
fn unread_any_codec_and_fax_pass_byte_for_byte() {
    let switch = switch();
    let (host, sip) = (switch.ip(), switch.sip());
    let mut b = Puppet::new("callee", LOCALHOST, sip);
    let contact = format!("<sip:1001@{}>", b.local);
    assert_eq!(b.register("1001", PASSWORD, &host.to_string(), &contact, Answer::Qop).status(), Some(200));
    let mut a = Puppet::new("caller", LOCALHOST, sip);
    let [a_audio, a_fax, b_audio, b_fax] = [port(), port(), port(), port()];
    let audio = |socket: &UdpSocket| {
        format!(
            "m=audio {} RTP/SAVP 97\na=rtpmap:97 FANCY/16000\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret\n",
            number(socket)
        )
    };
    let fax = |socket: &UdpSocket| format!("m=image {} udptl t38\na=T38FaxVersion:0\n", number(socket));
    let offer = description(1, &audio(&a_audio), &fax(&a_fax));
    let answer = description(2, &audio(&b_audio), &fax(&b_fax));
    let answers = std::thread::spawn(move || {
        let invite = b.request("INVITE");
        let extra = format!("Contact: {contact}\nContent-Type: application/sdp\n");
        b.reply(&invite, "200 OK", "b1", &extra, &answer);
        b.request("ACK");
        (b, invite)
    });
    let ok = a.call("1000", "81001", "unread", &offer);
    assert_eq!(ok.status(), Some(200), "{}", ok.text);
    let (mut b, invite) = answers.join().expect("the callee");
    for body in [invite.body(), ok.body()] {
        for line in
            ["a=rtpmap:97 FANCY/16000", "inline:secret", "a=T38FaxVersion:0", "RTP/SAVP 97", "udptl t38"]
        {
            assert!(body.contains(line), "{line} is missing: {body}");
        }
        assert!(body.contains(&format!("c=IN IP4 {host}")) && !body.contains("127.0.0.1"), "{body}");
    }
    let ours = |message: &crate::puppet::Message, line| SocketAddr::new(host, message.media_port(line));
    let srtp = [&[0x80, 97, 0, 1, 0, 0, 0, 5, 9, 9, 9, 9][..], b"not to be read"].concat();
    passes(&a_audio, ours(&ok, 0), &b_audio, ours(&invite, 0), &srtp);
    passes(&b_audio, ours(&invite, 0), &a_audio, ours(&ok, 0), &srtp);
    passes(&a_fax, ours(&ok, 1), &b_fax, ours(&invite, 1), b"\x00\x01\x01\x06no RTP at all");
    passes(&b_fax, ours(&invite, 1), &a_fax, ours(&ok, 1), b"\x00");
    // A third party is not heard.
    let stranger = UdpSocket::bind(("127.0.0.9", 0)).expect("a socket");
    stranger.send_to(b"for the callee", ours(&ok, 1)).expect("to send");
    assert!(b_fax.recv_from(&mut [0; 64]).is_err(), "a stranger's datagram came through");
    a.in_dialog(&ok, "BYE", 3, "", "");
    a.status("BYE", 200);
    let bye = b.request("BYE");
    b.reply(&bye, "200 OK", "", "", "");
}

/// Past the switch a description is passed word for word; one that is broken is refused here.
#[test]
fn past_the_switch_descriptions_pass_word_for_word() {
    let switch = switch();
    let (host, sip) = (switch.ip(), switch.sip());
    let mut b = Puppet::new("callee", LOCALHOST, sip);
    let contact = format!("<sip:1001@{}>", b.local);
    assert_eq!(b.register("1001", PASSWORD, &host.to_string(), &contact, Answer::Qop).status(), Some(200));
    let mut a = Puppet::new("caller", LOCALHOST, sip);
    let refused = a.call("1000", "71001", "broken", "v=0\nm=audio x RTP/AVP 0\n");
    assert!(matches!(refused.status(), Some(400 | 488)), "{}", refused.text);
    let offer = description(1, "m=audio 4000 RTP/SAVP 97\na=rtpmap:97 FANCY/16000\na=x-mine:1\n", "");
    let answer = description(2, "m=audio 4002 RTP/SAVP 97\na=rtpmap:97 FANCY/16000\na=x-mine:2\n", "");
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let (told, contact2) = (answer.clone(), contact.clone());
    let answers = std::thread::spawn(move || {
        let invite = b.request("INVITE");
        let extra = format!("Contact: {contact2}\nContent-Type: application/sdp\n");
        b.reply(&invite, "200 OK", "b1", &extra, &told);
        b.request("ACK");
        (b, invite)
    });
    let ok = a.call("1000", "71001", "past", &offer);
    let (mut b, invite) = answers.join().expect("the callee");
    assert_eq!((invite.body(), ok.body()), (&*crlf(&offer), &*crlf(&answer)));
    assert_eq!(rtp_ports(&switch), 0);
    // A re-INVITE the other phone refuses is refused in its words, and the call goes on.
    let again = description(1, "m=audio 4000 RTP/SAVP 97\na=rtpmap:97 FANCY/16000\na=sendonly\n", "");
    let extra = format!("Contact: <sip:1000@{}>\nContent-Type: application/sdp\n", a.local);
    a.in_dialog(&ok, "INVITE", 3, &extra, &again);
    let reinvite = b.request("INVITE");
    assert!(reinvite.body().contains("a=sendonly"), "{}", reinvite.text);
    b.reply(&reinvite, "606 Not Acceptable", "", "", "");
    b.request("ACK");
    let refusal = a.status("INVITE", 606);
    a.in_dialog(&refusal, "ACK", 3, "", "");
    a.in_dialog(&ok, "BYE", 4, "", "");
    a.status("BYE", 200);
    let bye = b.request("BYE");
    b.reply(&bye, "200 OK", "", "", "");
}

/// A callee that takes one call with this answer: it, and the INVITE it got.
fn takes_one(
    b: Puppet,
    contact: &str,
    answer: &str,
) -> std::thread::JoinHandle<(Puppet, crate::puppet::Message)> {
    let (mut b, contact, answer) = (b, contact.to_owned(), answer.to_owned());
    std::thread::spawn(move || {
        let invite = b.request("INVITE");
        let extra = format!("Contact: {contact}\nContent-Type: application/sdp\n");
        b.reply(&invite, "200 OK", "b1", &extra, &answer);
        b.request("ACK");
        (b, invite)
    })
}

/// `inbound-bypass-media` and `inbound-proxy-media`: every call of the profile, unless its dialplan says no; what the switch
/// answers by itself is answered as ever, and an INVITE without offer that it would have to answer is refused.
#[test]
fn a_profile_may_pass_all_media_on() {
    for (parameter, variable) in
        [("inbound-bypass-media", "bypass_media"), ("inbound-proxy-media", "proxy_media")]
    {
        let params: &'static [(&str, &str)] = match parameter {
            "inbound-bypass-media" => &[("inbound-bypass-media", "true"), ("enable-3pcc", "true")],
            _ => &[
                ("inbound-proxy-media", "true"),
                ("enable-3pcc", "true"),
                ("inbound-late-negotiation", "false"),
            ],
        };
        let extension: &'static str = format!(
            r#"<extension name="relayed"><condition field="destination_number" expression="^7(10[01][0-9])$">
              <action application="set" data="{variable}=false"/>
              <action application="bridge" data="user/$1@${{domain_name}}"/>
            </condition></extension>"#
        )
        .leak();
        let switch = Switch::start_with(Setup { extension, params, ..Setup::default() });
        let (host, sip) = (switch.ip(), switch.sip());
        let mut b = Puppet::new("callee", LOCALHOST, sip);
        let contact = format!("<sip:1001@{}>", b.local);
        assert_eq!(
            b.register("1001", PASSWORD, &host.to_string(), &contact, Answer::Qop).status(),
            Some(200)
        );
        let mut a = Puppet::new("caller", LOCALHOST, sip);
        let unknown =
            |n| description(n, "m=audio 4000 RTP/AVP 97\na=rtpmap:97 FANCY/16000\na=x-mine:1\n", "");
        let known = |n| description(n, "m=audio 4000 RTP/AVP 0\na=x-mine:1\n", "");
        for (number, offer, passed) in [("1001", unknown(1), true), ("71001", known(1), false)] {
            let callee = takes_one(b, &contact, &offer);
            let ok = a.call("1000", number, &format!("{variable}{number}"), &offer);
            assert_eq!(ok.status(), Some(200), "{}", ok.text);
            let invite;
            (b, invite) = callee.join().expect("the callee");
            for body in [invite.body(), ok.body()] {
                assert_eq!(body.contains("a=x-mine:1"), passed, "{parameter} {number}: {body}");
            }
            a.in_dialog(&ok, "BYE", 3, "", "");
            a.status("BYE", 200);
            let bye = b.request("BYE");
            b.reply(&bye, "200 OK", "", "", "");
        }
        let echo = a.call("1000", "9196", &format!("{variable}-echo"), &known(1));
        assert_eq!(echo.status(), Some(200));
        assert!(echo.body().contains(&format!("c=IN IP4 {host}")), "{}", echo.body());
        a.in_dialog(&echo, "BYE", 3, "", "");
        a.status("BYE", 200);
        let late = a.call("1000", "1001", &format!("{variable}-late"), "");
        assert!(late.status() >= Some(400), "{}", late.text);
    }
}
