//! RFC 3261 §12 and §8.2: route sets, targets, order, and what no request in a dialog gets past.

use crate::stage::*;
use std::net::SocketAddr;
use tandem::dialog::{Event, SessionConfig};
use tandem::sip::{Destination, Method, Name, Transport};

fn routed(session: SessionConfig, record_route: &str) -> Stage {
    let mut s = Stage::called(session, record_route, OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.ack(1, "");
    s.events.clear();
    s
}

fn host(to: &Destination) -> String {
    match to {
        Destination::Flow(flow) => format!("flow {}", flow.remote),
        Destination::Host { transport, host, port } => format!("{transport:?} {host} {port:?}"),
    }
}

#[test]
fn s12_2_1_1_request_line_and_routes() {
    struct Row {
        what: &'static str,
        more: &'static str,
        uri: &'static str,
        routes: &'static [&'static str],
        to: &'static str,
    }
    let rows = [
        Row {
            what: "no route",
            more: "",
            uri: "sip:peer@192.0.2.9:5070",
            routes: &[],
            to: "None 192.0.2.9 Some(5070)",
        },
        Row {
            what: "loose",
            more: "Record-Route: <sip:p1.example;lr>, <sip:p2.example:5080;transport=tcp;lr>\r\n",
            uri: "sip:peer@192.0.2.9:5070",
            routes: &["<sip:p1.example;lr>", "<sip:p2.example:5080;transport=tcp;lr>"],
            to: "None p1.example None",
        },
        Row {
            what: "strict",
            more: "Record-Route: <sip:p1.example:5090>\r\nRecord-Route: <sip:p2.example;lr>\r\n",
            uri: "sip:p1.example:5090",
            routes: &["<sip:p2.example;lr>", "<sip:peer@192.0.2.9:5070>"],
            to: "None p1.example Some(5090)",
        },
        Row {
            what: "transport of the target",
            more: "Contact: <sip:peer@192.0.2.9;transport=tcp>\r\n",
            uri: "sip:peer@192.0.2.9;transport=tcp",
            routes: &[],
            to: "Some(Tcp) 192.0.2.9 None",
        },
        Row {
            what: "a WebSocket phone has no address",
            more: "Contact: <sip:abc@df7jal23ls0d.invalid;transport=ws>\r\n",
            uri: "sip:abc@df7jal23ls0d.invalid;transport=ws",
            routes: &[],
            to: "flow 198.51.100.7:40000",
        },
        Row {
            what: "ob",
            more: "Contact: <sip:peer@10.0.0.1:5070;ob>\r\n",
            uri: "sip:peer@10.0.0.1:5070;ob",
            routes: &[],
            to: "flow 198.51.100.7:40000",
        },
    ];
    for row in rows {
        let mut s = routed(SessionConfig { sticky: false, ..config() }, row.more);
        s.session.bye(s.now, &[]).unwrap();
        s.drain();
        let (bye, to) = s.request_to("BYE");
        assert_eq!(bye.uri().unwrap().to_string(), row.uri, "{}", row.what);
        let routes: Vec<String> = bye.routes().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(routes, row.routes, "{}", row.what);
        assert_eq!(host(&to), row.to, "{}", row.what);
        // sticky: the same text, sent where the packets come from
        let mut s = routed(config(), row.more);
        s.session.bye(s.now, &[]).unwrap();
        s.drain();
        let (bye, to) = s.request_to("BYE");
        assert_eq!(bye.uri().unwrap().to_string(), row.uri);
        assert_eq!(host(&to), "flow 198.51.100.7:40000", "{}", row.what);
    }
}

#[test]
fn s12_1_2_the_callers_route_set_is_reversed() {
    let mut s = Stage::calling(SessionConfig { sticky: false, ..config() }, false);
    let invite = s.request("INVITE");
    s.hear(response(
        &invite,
        200,
        "theirs",
        "Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n",
        OFFER,
    ));
    let (ack, to) = s.request_to("ACK");
    let routes: Vec<String> = ack.routes().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(routes, ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]);
    assert_eq!(host(&to), "None p2.example None");
    assert_eq!(ack.uri().unwrap().to_string(), "sip:peer@192.0.2.9:5070");
}

#[test]
fn s12_2_2_record_route_is_copied_into_what_forms_the_dialog() {
    let mut s = Stage::called(config(), "Record-Route: <sip:p1.example;lr>\r\n", OFFER);
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(180).header(Name::RecordRoute), Some("<sip:p1.example;lr>"));
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(200).header(Name::RecordRoute), Some("<sip:p1.example;lr>"));
}

#[test]
fn s12_2_the_target_is_refreshed_by_reinvite_and_update_only() {
    let mut s = Stage::up(config());
    s.ask("INFO", "Contact: <sip:elsewhere@192.0.2.99>\r\n", "");
    assert_eq!(s.session.remote_target().unwrap().to_string(), "sip:peer@192.0.2.9:5070");
    s.ask("UPDATE", "Contact: <sip:moved@192.0.2.10>\r\n", "");
    assert_eq!(s.session.remote_target().unwrap().to_string(), "sip:moved@192.0.2.10");
    s.events.clear();
    s.ask("INVITE", "Contact: <sip:again@192.0.2.11>\r\n", OFFER);
    assert_eq!(
        s.session.remote_target().unwrap().to_string(),
        "sip:moved@192.0.2.10",
        "not before it is accepted"
    );
    let Event::Offer { id, .. } = s.event() else { panic!() };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    assert_eq!(s.session.remote_target().unwrap().to_string(), "sip:again@192.0.2.11");
}

#[test]
fn s12_2_2_requests_from_a_new_flow_move_the_dialog_if_they_are_authentic() {
    let moved: SocketAddr = "198.51.100.7:41111".parse().unwrap();
    let mut s = Stage::up(config());
    s.flow.remote = moved;
    // wrong tag, and an old CSeq: not authentic, not newest
    s.ask_as("INFO", 9, "forged", "ours", "", "");
    s.expect(481);
    s.ask_as("INFO", 1, "theirs", "ours", "", "");
    s.expect(500);
    assert_eq!(s.session.remote_flow().unwrap().remote, flow().remote);
    s.ask("OPTIONS", "", "");
    s.expect(200);
    assert_eq!(s.session.remote_flow().unwrap().remote, moved);
    s.session.bye(s.now, &[]).unwrap();
    s.drain();
    assert!(matches!(s.request_to("BYE").1, Destination::Flow(f) if f.remote == moved));
}

#[test]
fn s12_2_2_order_of_cseq() {
    let mut s = Stage::up(config());
    for (cseq, status) in [(5, 200), (4, 500), (5, 500), (1, 500), (6, 200), (4_000_000, 200), (7, 500)] {
        s.ask_as("OPTIONS", cseq, "theirs", "ours", "", "");
        s.expect(status);
    }
    assert!(s.session.is_confirmed());
}

#[test]
fn s12_2_2_without_the_dialogs_tags_there_is_no_dialog() {
    for method in ["BYE", "INFO", "INVITE", "UPDATE", "OPTIONS", "REFER", "MESSAGE", "NOTIFY"] {
        for (from, to) in
            [("theirs", ""), ("theirs", "wrong"), ("wrong", "ours"), ("", "ours"), ("ours", "theirs")]
        {
            let mut s = Stage::up(config());
            s.ask_as(method, 2, from, to, "", "");
            s.expect(481);
            s.quiet();
            assert!(s.session.is_confirmed(), "{method} {from} {to}");
        }
    }
}

#[test]
fn s12_1_1_tags_may_be_missing_with_rfc_2543_peers() {
    let now = std::time::Instant::now();
    let text = String::from_utf8(invite("", OFFER).raw().to_vec()).unwrap().replace(";tag=theirs", "");
    let session = tandem::dialog::Session::incoming(
        now,
        config(),
        message(&text),
        flow(),
        rand::SeedableRng::seed_from_u64(3),
    );
    assert_eq!(session.remote_tag(), None);
    let mut s = Stage::called(config(), "", OFFER);
    s.session = session;
    s.drain();
    s.sent.clear();
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.ask_as("ACK", 1, "", "ours", "", "");
    assert!(matches!(s.event(), Event::Acknowledged { .. }));
    s.ask_as("BYE", 2, "", "ours", "", "");
    s.expect(200);
    assert!(matches!(s.event(), Event::Bye { .. }));
}

#[test]
fn s8_2_what_is_refused_and_what_is_said_about_it() {
    let rows: &[(&str, &str, &str, u16, &str, &str)] = &[
        ("FROBNICATE", "", "", 501, "Allow", "INVITE"),
        ("SUBSCRIBE", "Event: x\r\n", "", 405, "Allow", "INVITE"),
        ("PUBLISH", "", "", 405, "Allow", "INVITE"),
        ("REGISTER", "", "", 405, "Allow", "INVITE"),
        ("INVITE", "Require: flux, timer\r\n", OFFER, 420, "Unsupported", "flux"),
        ("UPDATE", "Require: precondition\r\n", OFFER, 420, "Unsupported", "precondition"),
        ("INFO", "Require: a, b\r\n", "", 420, "Unsupported", "a, b"),
        ("INVITE", "Content-Type: text/plain\r\n", "hello", 415, "Accept", "application/sdp"),
        ("UPDATE", "Content-Type: text/plain\r\n", "hello", 415, "Accept", "application/sdp"),
        ("INVITE", "Content-Encoding: gzip\r\n", OFFER, 415, "Accept-Encoding", "identity"),
        ("PRACK", "RAck: 1 1 INVITE\r\n", "", 481, "", ""),
    ];
    for (method, more, body, status, name, value) in rows {
        let mut s = Stage::up(config());
        s.ask(method, more, body);
        let response = s.expect(*status);
        if !name.is_empty() {
            let said = response.header_named(name).next().unwrap_or("");
            assert!(said.contains(value), "{method} {more}: {name}: {said}");
        }
        s.quiet();
        assert!(s.session.is_confirmed());
    }
    // BYE is never refused for what it requires
    let mut s = Stage::up(config());
    s.ask("BYE", "Require: flux\r\n", "");
    s.expect(200);
}

#[test]
fn s8_2_an_optional_body_and_a_multipart_one_are_fine() {
    let mut s = Stage::up(config());
    let more = "Content-Type: text/plain\r\nContent-Disposition: icon; handling=optional\r\n";
    s.ask("INVITE", more, "x");
    assert!(matches!(s.event(), Event::Offer { sdp: None, .. }));
    let mut s = Stage::up(config());
    let body = format!(
        "--b1\r\nContent-Type: application/isup\r\n\r\nxx\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--b1--\r\n"
    );
    s.ask("INVITE", "Content-Type: multipart/mixed;boundary=\"b1\"\r\n", &body);
    let Event::Offer { sdp: Some(found), .. } = s.event() else { panic!() };
    assert_eq!(found, OFFER.as_bytes());
}

#[test]
fn s11_options_in_the_dialog() {
    let mut s = Stage::up(config());
    s.ask("OPTIONS", "", "");
    let ok = s.expect(200);
    for name in ["Allow", "Accept", "Supported"] {
        assert!(ok.header_named(name).next().is_some(), "{name}");
    }
    s.quiet();
}

#[test]
fn requests_both_ways() {
    let mut s = Stage::up(config());
    s.ask("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=5\r\n");
    let Event::Request { id, message } = s.event() else { panic!() };
    assert_eq!(message.body(), b"Signal=5\r\n");
    s.session.respond(s.now, id, 200, &[("X-A".into(), "b\r\nEvil: yes".into())], None).unwrap();
    s.drain();
    let ok = s.expect(200);
    assert!(ok.header_named("Evil").next().is_none(), "no header by line break");
    assert!(s.session.respond(s.now, id, 200, &[], None).is_err());

    let body = Some(("text/plain", bytes::Bytes::from_static(b"hi")));
    let asked = s.session.request(s.now, Method::Message, &[("X-B".into(), "c".into())], body).unwrap();
    s.drain();
    let sent = s.request("MESSAGE");
    assert_eq!((sent.body(), sent.max_forwards()), (&b"hi"[..], Some(70)));
    assert_eq!(sent.from_tag(), Some("ours"));
    s.hear(response(&sent, 202, "", "", ""));
    assert!(matches!(s.event(), Event::Response { id, status: 202, .. } if id == asked));
    assert!(s.session.request(s.now, Method::Bye, &[], None).is_err());
}

#[test]
fn waiting_requests_are_bounded_and_never_stay_without_answer() {
    let mut s = Stage::up(config());
    for _ in 0..16 {
        s.ask("INFO", "", "");
        assert!(matches!(s.event(), Event::Request { .. }));
    }
    s.ask("INFO", "", "");
    let busy = s.expect(500);
    assert!(busy.header_named("Retry-After").next().is_some());
    s.seconds(28);
    assert_eq!(s.sent.iter().filter(|(m, _)| m.status() == Some(500)).count(), 16);
    s.sent.clear();
    for _ in 0..16 {
        s.session.request(s.now, Method::Info, &[], None).unwrap();
    }
    assert!(s.session.request(s.now, Method::Info, &[], None).is_err());
    s.seconds(33);
    let answers = s.events.iter().filter(|e| matches!(e, Event::Response { status: 408, message: None, .. }));
    assert_eq!(answers.count(), 16);
    assert!(s.session.is_confirmed(), "a phone that ignores INFO keeps its call");
}

#[test]
fn wire_identity() {
    let s = SessionConfig { session_expires: Some(120), min_se: 120, ..config() };
    let mut s = Stage::calling(s, false);
    let (invite, to) = s.request_to("INVITE");
    assert_eq!(to, Destination::Flow(flow()));
    for (name, value) in [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKours.1"),
        ("Max-Forwards", "69"),
        ("Contact", "<sip:mod_sofia@192.0.2.1:5060>"),
        ("User-Agent", "tandem/test"),
        ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY"),
        ("Supported", "timer, path, replaces"),
        ("Session-Expires", "120"),
        ("Min-SE", "120"),
        ("X-Test", "yes"),
        ("CSeq", "1 INVITE"),
    ] {
        assert_eq!(invite.header_named(name).next(), Some(value), "{name}");
    }
    assert_eq!(invite.via().transport(), Some(Transport::Udp));
}
