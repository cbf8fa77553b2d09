//! RFC 3261 §13: the INVITE, its answer and its acknowledgement.

use std::time::Duration;

use crate::stage::*;
use tandem::dialog::{CommandError, Event, SessionConfig};
use tandem::sip::{Destination, Name};

#[test]
fn s13_3_1_the_answer_is_repeated_until_the_ack() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.provisional(s.now, 183, sdp(ANSWER), &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(183).body(), ANSWER.as_bytes());
    s.session.answer(s.now, None, &[("X-C".into(), "d".into())]).unwrap();
    s.drain();
    let ok = s.expect(200);
    assert_eq!(ok.body(), ANSWER.as_bytes(), "the description of the 183 again");
    assert_eq!(ok.header_named("X-C").next(), Some("d"));
    assert_eq!(ok.header(Name::Contact), Some("<sip:mod_sofia@192.0.2.1:5060>"));
    assert!(ok.header(Name::Allow).is_some() && ok.header(Name::Supported).is_some());
    // T1, doubling to T2
    let start = s.now;
    let mut at = Vec::new();
    for _ in 0..6 {
        let next = s.session.next_timeout().unwrap();
        s.pass(next - s.now);
        assert_eq!(s.expect(200).raw(), ok.raw());
        at.push((s.now - start).as_millis());
    }
    assert_eq!(at, [500, 1500, 3500, 7500, 11500, 15500]);
    let Event::AckMissing { retransmissions: 3, contact } = s.event() else { panic!() };
    assert_eq!(contact, "<sip:mod_sofia@192.0.2.1:5060>");
    s.ack(1, "");
    assert!(matches!(s.event(), Event::Acknowledged { sdp: None }));
    s.seconds(100);
    s.quiet();
    assert!(s.session.is_confirmed());
}

#[test]
fn s13_3_1_4_no_ack_at_all_ends_with_bye() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.seconds(33);
    assert!(matches!(s.event(), Event::AckMissing { .. }));
    assert!(matches!(s.event(), Event::AckTimedOut));
    assert!(matches!(s.event(), Event::Ended));
    assert!(s.sent.iter().any(|(m, _)| m.is_request() && m.method().as_str() == "BYE"));
    s.is_over_in_time();
}

#[test]
fn s13_2_1_delayed_offer_called() {
    let mut s = Stage::called(config(), "", "");
    assert_eq!(s.session.answer(s.now, None, &[]), Err(CommandError::SdpNeeded));
    s.session.provisional(s.now, 183, sdp(ANSWER), &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(183).body(), b"", "no offer in an unreliable response");
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(200).body(), ANSWER.as_bytes());
    s.ack(1, OFFER);
    let Event::Acknowledged { sdp: Some(answer) } = s.event() else { panic!() };
    assert_eq!(answer, OFFER.as_bytes());
}

#[test]
fn s13_2_1_delayed_offer_calling() {
    let mut s = Stage::calling(config(), true);
    let invite = s.request("INVITE");
    assert_eq!(invite.body(), b"");
    let ok = response(&invite, 200, "theirs", "", OFFER);
    s.hear(ok.clone());
    assert!(matches!(s.event(), Event::Answered { needs_answer: true, sdp: Some(_), .. }));
    s.hear(ok.clone());
    s.quiet();
    s.session.acknowledge(s.now, sdp(ANSWER)).unwrap();
    s.drain();
    let ack = s.request("ACK");
    assert_eq!(ack.body(), ANSWER.as_bytes());
    assert_eq!(s.session.acknowledge(s.now, sdp(ANSWER)), Err(CommandError::Unknown));
    s.hear(ok);
    assert_eq!(s.request("ACK").raw(), ack.raw());
}

#[test]
fn s13_2_1_an_owner_who_never_answers_the_offer_loses_the_call() {
    let mut s = Stage::calling(config(), true);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 200, "theirs", "", OFFER));
    s.events.clear();
    s.seconds(33);
    s.request("ACK");
    s.request("BYE");
    assert!(matches!(s.event(), Event::Ended));
}

#[test]
fn s13_2_2_4_early_media_then_a_2xx_with_or_without_the_description() {
    for body in [OFFER, ""] {
        let mut s = Stage::calling(config(), false);
        let invite = s.request("INVITE");
        s.hear(response(&invite, 183, "theirs", "", OFFER));
        assert!(matches!(s.event(), Event::Provisional { sdp: Some(_), fork: 0, .. }));
        s.hear(response(&invite, 180, "theirs", "", ""));
        assert!(matches!(s.event(), Event::Provisional { sdp: None, fork: 0, .. }));
        s.hear(response(&invite, 200, "theirs", "", body));
        let Event::Answered { sdp: Some(sdp), needs_answer: false, .. } = s.event() else { panic!() };
        assert_eq!(sdp, OFFER.as_bytes());
        s.request("ACK");
    }
}

#[test]
fn s13_2_2_4_forks_first_answer_wins_others_are_acked_and_ended() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    for (tag, number) in [("a", 0), ("b", 1), ("c", 2), ("a", 0)] {
        s.hear(response(&invite, 180, tag, "", ""));
        assert!(matches!(s.event(), Event::Provisional { fork, .. } if fork == number));
    }
    s.hear(response(&invite, 200, "b", "Contact: <sip:b@192.0.2.2>\r\n", OFFER));
    let ack = s.request("ACK");
    assert_eq!((ack.to_tag(), ack.uri().unwrap().to_string().as_str()), (Some("b"), "sip:b@192.0.2.2"));
    assert!(matches!(s.event(), Event::Answered { .. }));
    let late = response(&invite, 200, "c", "Contact: <sip:c@192.0.2.3>\r\n", OFFER);
    s.hear(late.clone());
    let (ack, bye) = {
        let first = s.sent.pop_front().unwrap().0;
        let second = s.sent.pop_front().unwrap().0;
        if first.method().as_str() == "ACK" { (first, second) } else { (second, first) }
    };
    assert_eq!((ack.method().as_str(), ack.to_tag(), ack.cseq().number), ("ACK", Some("c"), 1));
    assert_eq!((bye.method().as_str(), bye.to_tag(), bye.cseq().number), ("BYE", Some("c"), 2));
    s.hear(response(&bye, 200, "c", "", ""));
    s.hear(late);
    assert_eq!(s.request("ACK").raw(), ack.raw());
    s.quiet();
    assert!(s.session.is_confirmed());
    assert_eq!(s.session.remote_tag(), Some("b"));
    // the dialog of the fork that lost is no more
    s.ask_as("INFO", 2, "c", "ours", "", "");
    s.expect(481);
}

#[test]
fn s13_2_2_4_a_fork_without_contact_is_acked_and_ended_too() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 200, "a", "", OFFER));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Answered { .. }));
    s.hear(response(&invite, 200, "b", "X-No-Contact: there is none\r\n", OFFER));
    for method in ["ACK", "BYE"] {
        let (message, to) = s.request_to(method);
        assert_eq!(message.to_tag(), Some("b"));
        assert_eq!(message.uri().unwrap().as_str(), "sip:1001@198.51.100.7:40000", "where the 2xx came from");
        assert_eq!(to, Destination::Flow(flow()));
    }
    s.quiet();
}

#[test]
fn s13_2_2_1_early_dialogs_are_bounded() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    for n in 0..100 {
        s.hear(response(&invite, 180, &format!("t{n}"), "", ""));
    }
    assert_eq!(s.events.len(), 100);
    s.hear(response(&invite, 200, "t99", "", OFFER));
    assert_eq!(s.request("ACK").to_tag(), Some("t99"));
}

#[test]
fn s13_2_2_failures() {
    for status in [302, 404, 486, 503, 603] {
        let mut s = Stage::calling(config(), false);
        let invite = s.request("INVITE");
        s.hear(response(&invite, 180, "theirs", "", ""));
        s.events.clear();
        s.hear(response(&invite, status, "theirs", "Contact: <sip:x@192.0.2.50>\r\n", ""));
        s.request("ACK");
        assert!(matches!(s.event(), Event::Failed { status: told, message: Some(_) } if told == status));
        assert!(matches!(s.event(), Event::Ended));
        s.is_over_in_time();
    }
    let mut s = Stage::calling(config(), false);
    s.seconds(33);
    assert!(matches!(s.event(), Event::Failed { status: 408, message: None }));
    s.is_over_in_time();
}

#[test]
fn s8_1_3_1_unreachable_counts_as_503() {
    let mut s = Stage::calling(config(), false);
    let by = s.by.unwrap();
    s.session.transport_failed(s.now, by);
    s.drain();
    assert!(matches!(s.event(), Event::Failed { status: 503, message: None }));
    assert!(matches!(s.event(), Event::Ended));
    assert!(s.session.is_over());
}

#[test]
fn s13_3_1_3_refusals_and_redirects() {
    for (status, reason) in [(486, None), (302, Some("Moved")), (603, None)] {
        let mut s = Stage::called(config(), "", OFFER);
        let headers = [("Contact".to_owned(), "<sip:else@192.0.2.77>".to_owned())];
        s.session.reject(s.now, status, reason, &headers).unwrap();
        s.drain();
        let refusal = s.expect(status);
        assert_eq!(refusal.header(Name::Contact), Some("<sip:else@192.0.2.77>"));
        assert_eq!(refusal.to_tag(), Some("ours"));
        assert!(matches!(s.event(), Event::Ended));
        assert_eq!(s.session.reject(s.now, 486, None, &[]), Err(CommandError::Ended));
        // repeated until its ACK, or given up
        s.pass(Duration::from_millis(600));
        s.expect(status);
        s.is_over_in_time();
    }
    let mut s = Stage::called(config(), "", OFFER);
    assert_eq!(s.session.reject(s.now, 200, None, &[]), Err(CommandError::Status));
    assert_eq!(s.session.provisional(s.now, 100, None, &[]), Err(CommandError::Status));
    assert_eq!(s.session.provisional(s.now, 200, None, &[]), Err(CommandError::Status));
    assert_eq!(s.session.bye(s.now, &[]), Err(CommandError::NotAnswered));
    assert_eq!(s.session.offer(s.now, None, &[]), Err(CommandError::NotAnswered));
}

#[test]
fn s8_2_an_invite_that_cannot_be_accepted() {
    let rows: &[(&str, &str, u16, &str)] = &[
        ("Require: flux\r\n", OFFER, 420, "Unsupported"),
        ("Content-Type: text/html\r\n", "<p>", 415, "Accept"),
        ("Session-Expires: 30\r\nSupported: timer\r\n", OFFER, 422, "Min-SE"),
    ];
    for (more, body, status, header) in rows {
        let mut s = Stage::called(config(), more, body);
        let refusal = s.expect(*status);
        assert!(refusal.header_named(header).next().is_some(), "{status}");
        assert!(matches!(s.event(), Event::Failed { status: told, message: None } if told == *status));
        assert!(matches!(s.event(), Event::Ended));
        s.is_over_in_time();
    }
    // no Contact
    let text = String::from_utf8(invite("", OFFER).raw().to_vec()).unwrap();
    let text = text.replace("Contact: <sip:peer@192.0.2.9:5070>\r\n", "");
    let mut s = Stage::called(config(), "", OFFER);
    s.session = tandem::dialog::Session::incoming(
        s.now,
        config(),
        message(&text),
        flow(),
        rand::SeedableRng::seed_from_u64(1),
    );
    s.events.clear();
    s.drain();
    assert_eq!(s.expect(400).reason(), "Missing Contact Header");
}

#[test]
fn every_setup_ends() {
    let short = SessionConfig { setup_limit: Duration::from_secs(120), ..config() };
    let mut s = Stage::called(short.clone(), "", OFFER);
    s.seconds(121);
    s.expect(480);
    assert!(matches!(s.event(), Event::Failed { status: 480, message: None }));
    s.is_over_in_time();

    let mut s = Stage::calling(short, false);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 180, "theirs", "", ""));
    s.seconds(121);
    s.request("CANCEL");
    s.events.clear();
    s.seconds(32);
    assert!(matches!(s.event(), Event::Failed { status: 487, message: None }));
    s.is_over_in_time();
}
