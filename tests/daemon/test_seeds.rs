//! The three exchanges of the user's documents, replayed message by message: a Zoiper registers, an X-Lite
//! calls it through the switch, and an audio and video call whose callee sits behind NAT.

use std::net::IpAddr;

use crate::place::Lease;
use crate::puppet::{Answer, Message, Puppet, credentials};
use crate::rtp::RtpPort;
use crate::switch::{PASSWORD, Setup, Switch};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Every word of a comma list is there, whatever its place.
#[track_caller]
fn assert_lists(message: &Message, header: &str, wanted: &[&str]) {
    let all = message.headers(header).join(",").to_lowercase();
    let words: Vec<&str> = all.split(',').map(str::trim).collect();
    for want in wanted {
        assert!(words.contains(&want.to_lowercase().as_str()), "{header} lacks {want}: {all}");
    }
}

/// What the documents' switch lists, less PUBLISH and SUBSCRIBE, which come with presence.
const METHODS: &[&str] = &[
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "MESSAGE", "UPDATE", "INFO", "REGISTER", "REFER", "NOTIFY",
];

#[test]
fn zoiper_registers() {
    let switch = Switch::start();
    let host = switch.ip();
    let mut zoiper = Puppet::new("zoiper", LOCALHOST, switch.sip());
    let local = zoiper.local;
    let register = |n: u32, branch: &str, authorization: &str| {
        format!(
            "REGISTER sip:{host};transport=UDP SIP/2.0\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK-d8754z-{branch}-1---d8754z-;rport\n\
             Max-Forwards: 70\n\
             Contact: <sip:1000@{local};rinstance=f9a2c3bd7a3f1d8e;transport=UDP>\n\
             To: <sip:1000@{host};transport=UDP>\n\
             From: <sip:1000@{host};transport=UDP>;tag=d6c6d17e\n\
             Call-ID: ZWNkYjU3NmM0NzQ0MTcwYjQ3YjRhNTk2Y2NjMGU5NTU.\n\
             CSeq: {n} REGISTER\nExpires: 3600\n\
             Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\n\
             User-Agent: Zoiper rev.1809\nAllow-Events: presence\n{authorization}"
        )
    };
    zoiper.send(&register(1, "5dd4f9", ""), "");
    let challenge = zoiper.status("REGISTER", 401);
    assert!(challenge.header("Via").contains(&format!("rport={}", local.port())), "{}", challenge.text);
    assert_ne!(challenge.tag("To"), "");
    assert_eq!(challenge.challenge("realm").as_deref(), Some(host.to_string().as_str()));
    assert_eq!(challenge.challenge("algorithm").as_deref(), Some("MD5"));
    assert_eq!(challenge.challenge("qop").as_deref(), Some("auth"));
    assert_lists(&challenge, "Allow", METHODS);
    assert_lists(&challenge, "Supported", &["timer", "path", "replaces"]);

    let uri = format!("sip:{host};transport=UDP");
    let answer = credentials(&challenge, "1000", PASSWORD, "REGISTER", &uri, Answer::Qop);
    zoiper.send(&register(2, "5dd4fa", &format!("Authorization: {answer}")), "");
    let ok = zoiper.status("REGISTER", 200);
    let contact = ok.header("Contact");
    assert!(
        contact.contains(&format!("<sip:1000@{local};rinstance=f9a2c3bd7a3f1d8e;transport=UDP>")),
        "returned as sent: {contact}"
    );
    assert!(contact.contains("expires=3600"), "{contact}");
    assert!(ok.header("Date").ends_with("GMT"), "{}", ok.text);
    // the same received and rport in both, or some phones register for ever
    let place =
        |m: &Message| m.header("Via").split(';').filter(|p| p.starts_with("r")).collect::<Vec<_>>().join(";");
    assert_eq!(place(&challenge), place(&ok));
}

/// alice is 1000 at Zoiper, bob is 1001 at X-Lite.
struct Pair {
    switch: Switch,
    alice: Puppet,
    bob: Puppet,
    alice_contact: String,
}

fn alice_and_bob() -> Pair {
    let switch = Switch::start();
    let host = switch.ip().to_string();
    let mut alice = Puppet::new("alice", LOCALHOST, switch.sip());
    let bob = Puppet::new("bob", LOCALHOST, switch.sip());
    let alice_contact = format!("sip:1000@{};rinstance=f9a2c3bd7a3f1d8e;transport=UDP", alice.local);
    let answer = alice.register("1000", PASSWORD, &host, &format!("<{alice_contact}>"), Answer::Qop);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    Pair { switch, alice, bob, alice_contact }
}

fn audio(address: IpAddr, port: u16) -> String {
    format!(
        "v=0\no=- 6 2 IN IP4 {address}\ns=CounterPath X-Lite 3.0\nc=IN IP4 {address}\nt=0 0\n\
         m=audio {port} RTP/AVP 0 8 101\na=fmtp:101 0-15\na=rtpmap:101 telephone-event/8000\na=sendrecv\n"
    )
}

/// The call of the documents up to talking; `hang_up` tells who ends it.
fn x_lite_calls_zoiper(alice_hangs_up: bool) {
    let Pair { switch, mut alice, mut bob, alice_contact } = alice_and_bob();
    let (host, local) = (switch.ip(), bob.local);
    let (mut rtp_a, mut rtp_b) = (RtpPort::new(LOCALHOST), RtpPort::new(LOCALHOST));
    let bob_sdp = audio(LOCALHOST, rtp_b.local.port());
    let line = |method: &str, n: u32, branch: &str, to: &str, extra: &str| {
        format!(
            "{method} sip:1000@{host} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-d87543-{branch}-1--d87543-;rport\n\
             Max-Forwards: 70\nContact: <sip:1001@{local}>\nTo: \"1000\"<sip:1000@{host}>{to}\n\
             From: \"Bob\"<sip:1001@{host}>;tag=3f1c0d17\nCall-ID: YjQ4MWRlNzE2ZTg2MGI5\nCSeq: {n} {method}\n\
             Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO\n\
             User-Agent: X-Lite release 1011s stamp 41150\n{extra}"
        )
    };
    bob.send(&line("INVITE", 1, "inv1", "", "Content-Type: application/sdp\n"), &bob_sdp);
    let challenge = bob.status("INVITE", 407);
    assert!(!challenge.header("Proxy-Authenticate").is_empty(), "407, not 401: {}", challenge.text);
    bob.send(&line("ACK", 1, "inv1", &format!(";tag={}", challenge.tag("To")), ""), "");

    let uri = format!("sip:1000@{host}");
    let answer = credentials(&challenge, "1001", PASSWORD, "INVITE", &uri, Answer::Qop);
    let extra = format!(
        "Proxy-Authorization: {answer}\nSupported: timer\nSession-Expires: 120\nMin-SE: 90\nX-Seed: passed on\nContent-Type: application/sdp\n"
    );
    bob.send(&line("INVITE", 2, "inv2", "", &extra), &bob_sdp);
    bob.status("INVITE", 100);

    let invite = alice.request("INVITE");
    assert_eq!(invite.uri(), alice_contact, "her Contact exactly");
    assert_ne!(invite.header("Call-ID"), "YjQ4MWRlNzE2ZTg2MGI5");
    assert_ne!(invite.tag("From"), "3f1c0d17");
    assert!(invite.header("From").contains("sip:1001@"), "{}", invite.header("From"));
    assert!(
        invite.header("Contact").contains(&format!("sip:mod_sofia@{host}:5060")),
        "{}",
        invite.header("Contact")
    );
    assert_eq!(invite.header("Max-Forwards"), "69");
    assert!(invite.header("X-FS-Support").contains("update_display"), "{}", invite.text);
    let caller = invite.header("Remote-Party-ID");
    assert!(caller.contains("sip:1001@") && caller.contains("party=calling"), "{caller}");
    assert!(caller.contains("screen=yes") && caller.contains("privacy=off"), "{caller}");
    assert_eq!(invite.header("X-Seed"), "passed on");
    assert!(invite.body().contains(&format!("c=IN IP4 {host}")), "its own address: {}", invite.body());

    let tag = "8d3f2a11";
    let contact = format!("Contact: <{alice_contact}>\n");
    alice.reply(&invite, "100 Trying", "", "", "");
    alice.reply(&invite, "180 Ringing", tag, &contact, "");
    let ringing =
        bob.wait(crate::process::PATIENCE, |m| matches!(m.status(), Some(180 | 183))).expect("180 or 183");
    assert_ne!(ringing.tag("To"), "");
    let with_sdp = format!("{contact}Content-Type: application/sdp\n");
    alice.reply(&invite, "200 OK", tag, &with_sdp, &audio(LOCALHOST, rtp_a.local.port()));
    let ack = alice.request("ACK");
    assert_eq!(ack.uri(), alice_contact);

    let ok = bob.status("INVITE", 200);
    let target = ok.address("Contact");
    assert!(target.starts_with(&format!("sip:1000@{host}:5060")), "{target}");
    assert!(ok.body().contains(&format!("c=IN IP4 {host}")), "{}", ok.body());
    assert!(ok.header("Session-Expires").starts_with("120;refresher="), "as the caller asked: {}", ok.text);
    let to_tag = ok.tag("To");
    let in_dialog = |method: &str, n: u32, branch: &str| {
        format!(
            "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-d87543-{branch}-1--d87543-;rport\n\
             Max-Forwards: 70\nContact: <sip:1001@{local}>\nTo: \"1000\"<sip:1000@{host}>;tag={to_tag}\n\
             From: \"Bob\"<sip:1001@{host}>;tag=3f1c0d17\nCall-ID: YjQ4MWRlNzE2ZTg2MGI5\nCSeq: {n} {method}\n"
        )
    };
    bob.send(&in_dialog("ACK", 2, "ack2"), "");

    rtp_a.talk((host, invite.media_port(0)).into(), 0, 160, "alice");
    rtp_b.talk((host, ok.media_port(0)).into(), 0, 160, "bob");
    rtp_b.expect_words("alice", 50);
    let heard = rtp_a.expect_words("bob", 50);
    assert!(heard.iter().all(|p| p.pt == 0 && p.from.ip() == host), "from the switch under our number");
    assert!(heard.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)), "in order, none lost");
    assert!(heard.iter().all(|p| p.ssrc == heard[0].ssrc), "one source");

    if alice_hangs_up {
        let bye = format!(
            "BYE {} SIP/2.0\nVia: SIP/2.0/UDP {};branch=z9hG4bK-alice-bye;rport\nMax-Forwards: 70\n\
             From: {};tag={tag}\nTo: {}\nCall-ID: {}\nCSeq: 1 BYE\n",
            invite.address("Contact"),
            alice.local,
            invite.header("To"),
            invite.header("From"),
            invite.header("Call-ID")
        );
        alice.send(&bye, "");
        alice.status("BYE", 200);
        let bye = bob.request("BYE");
        let reason = bye.header("Reason");
        assert!(
            reason.contains("Q.850") && reason.contains("cause=16") && reason.contains("NORMAL_CLEARING"),
            "{reason}"
        );
        bob.reply(&bye, "200 OK", "", "", "");
    } else {
        bob.send(&in_dialog("BYE", 3, "bye3"), "");
        bob.status("BYE", 200);
        let bye = alice.request("BYE");
        assert_eq!(bye.uri(), alice_contact);
        assert!(bye.header("Reason").contains("cause=16"), "{}", bye.text);
        alice.reply(&bye, "200 OK", "", "", "");
    }
}

#[test]
fn x_lite_calls_zoiper_and_alice_hangs_up() {
    x_lite_calls_zoiper(true);
}

#[test]
fn x_lite_calls_zoiper_and_bob_hangs_up() {
    x_lite_calls_zoiper(false);
}

fn audio_and_video(address: &str, audio: u16, video: u16) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\n\
         m=audio {audio} RTP/AVP 114 101\na=rtpmap:114 AMR/8000\na=fmtp:114 mode-set=0\n\
         a=rtpmap:101 telephone-event/8000\na=ptime:100\n\
         m=video {video} RTP/AVP 126\na=rtpmap:126 H264/90000\na=fmtp:126 profile-level-id=42e00b;cif=1;fps=10\n"
    )
}

/// Codecs no switch need know, two m-lines, plain RFC 2069 digest, and a callee whose packets come from
/// another address than its Contact and SDP say.
#[test]
fn audio_and_video_to_a_callee_behind_nat() {
    let prefs = "OPUS,G722,PCMU,PCMA,AMR,H264,VP8";
    let setup = Setup {
        set: vec![("global_codec_prefs", prefs.to_owned()), ("outbound_codec_prefs", prefs.to_owned())],
        // a header of the phone's own goes to the other side where the configuration says so
        edits: &[
            (
                "sip_profiles/internal.xml",
                r#"<param name="rfc2833-pt" value="101"/>"#,
                r#"<param name="rfc2833-pt" value="101"/><param name="parse-all-invite-headers" value="true"/>"#,
            ),
            (
                "dialplan/default.xml",
                r#"<action application="set" data="call_timeout=30"/>"#,
                r#"<action application="export" data="sip_h_Service1-Extension=${sip_h_Service1-Extension}"/>"#,
            ),
        ],
        ..Setup::default()
    };
    let switch = Switch::start_with(setup);
    let host = switch.ip();
    // where B's packets come from; it believes itself at 192.168.2.63
    let nat = Lease::new();
    let mut b = Puppet::new("callee", nat.ip, switch.sip());
    let private = "sip:1001@192.168.2.63:7080";
    let answer = b.register("1001", PASSWORD, &host.to_string(), &format!("<{private}>"), Answer::Plain);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    assert!(answer.header("Contact").contains(&format!("<{private}>")), "unchanged: {}", answer.text);

    let mut a = Puppet::new("caller", LOCALHOST, switch.sip());
    let local = a.local;
    let (mut a_audio, mut a_video) = (RtpPort::new(LOCALHOST), RtpPort::new(LOCALHOST));
    let (mut b_audio, mut b_video) = (RtpPort::new(nat.ip), RtpPort::new(nat.ip));
    let sdp = audio_and_video("127.0.0.1", a_audio.local.port(), a_video.local.port());
    let invite = |n: u32, extra: &str| {
        format!(
            "INVITE sip:1001@{host} SIP/2.0\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK12{n}\nMax-Forwards: 70\n\
             Contact: <sip:1000@{local}>\nTo: <sip:1001@{host}>\nFrom: <sip:1000@{host}>;tag=av1\n\
             Call-ID: av-{local}\nCSeq: {n} INVITE\nContent-Type: application/sdp\n{extra}"
        )
    };
    a.send(&invite(1, ""), &sdp);
    let challenge = a.status("INVITE", 407);
    // the ACK to the 407 has the INVITE's branch
    a.send(
        &format!(
            "ACK sip:1001@{host} SIP/2.0\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK121\nMax-Forwards: 70\n\
             To: <sip:1001@{host}>;tag={}\nFrom: <sip:1000@{host}>;tag=av1\nCall-ID: av-{local}\nCSeq: 1 ACK\n",
            challenge.tag("To")
        ),
        "",
    );
    let uri = format!("sip:1001@{host}");
    let answer = credentials(&challenge, "1000", PASSWORD, "INVITE", &uri, Answer::Plain);
    a.send(&invite(2, &format!("Proxy-Authorization: {answer}\nService1-Extension: 4711\n")), &sdp);

    let offer = b.request("INVITE");
    assert_eq!(offer.header("Service1-Extension"), "4711");
    assert_eq!(offer.uri(), private, "the private Contact, sent to where it registered from");
    let body = offer.body().to_owned();
    let lines: Vec<&str> = body.lines().filter(|l| l.starts_with("m=")).collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("m=audio ") && lines[1].starts_with("m=video "),
        "{body}"
    );
    assert!(lines.iter().all(|l| l.contains("RTP/AVP")), "{body}");
    for attribute in
        ["114 AMR/8000", "114 mode-set=0", "126 H264/90000", "126 profile-level-id=42e00b;cif=1;fps=10"]
    {
        assert!(body.contains(attribute), "{attribute} is missing: {body}");
    }
    assert!(body.contains("a=ptime:100"), "{body}");
    assert_ne!(offer.media_port(0), offer.media_port(1), "own port pair for each");

    let contact = format!("Contact: <{private}>\n");
    b.reply(&offer, "180 Ringing", "b1", &contact, "");
    let extra = format!("{contact}Content-Type: application/sdp\n");
    b.reply(&offer, "200 OK", "b1", &extra, &audio_and_video("192.168.2.63", 21000, 21070));
    let ack = b.request("ACK");
    assert_eq!(ack.uri(), private);

    let ok = a.status("INVITE", 200);
    let body = ok.body();
    assert!(body.contains("114 AMR/8000") && body.contains("126 H264/90000"), "{body}");
    assert!(ok.media_port(0) != 0 && ok.media_port(1) != 0, "{body}");
    let target = ok.address("Contact");
    let to_tag = ok.tag("To");
    let in_dialog = |method: &str, n: u32| {
        format!(
            "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{method}{n}\nMax-Forwards: 70\n\
             To: <sip:1001@{host}>;tag={to_tag}\nFrom: <sip:1000@{host}>;tag=av1\nCall-ID: av-{local}\nCSeq: {n} {method}\n"
        )
    };
    a.send(&in_dialog("ACK", 2), "");

    a_audio.talk((host, ok.media_port(0)).into(), 114, 800, "a-audio");
    a_video.talk((host, ok.media_port(1)).into(), 126, 1800, "a-video");
    b_audio.talk((host, offer.media_port(0)).into(), 114, 800, "b-audio");
    b_video.talk((host, offer.media_port(1)).into(), 126, 1800, "b-video");
    a_audio.expect_words("b-audio", 30);
    a_video.expect_words("b-video", 30);
    assert!(b_audio.expect_words("a-audio", 30).iter().all(|p| p.pt == 114), "latched, under its number");
    assert!(b_video.expect_words("a-video", 30).iter().all(|p| p.pt == 126));
    for (port, foreign) in
        [(&a_audio, "video"), (&a_video, "audio"), (&b_audio, "video"), (&b_video, "audio")]
    {
        let mixed = port.packets().iter().any(|p| String::from_utf8_lossy(&p.payload).contains(foreign));
        assert!(!mixed, "{foreign} arrives at the other m-line");
    }

    a.send(&in_dialog("BYE", 3), "");
    a.status("BYE", 200);
    let bye = b.request("BYE");
    assert_eq!(bye.uri(), private, "the private Contact, sent to the source");
    b.reply(&bye, "200 OK", "", "", "");
}
