//! RFC 3262: reliable provisional responses, both roles.

use std::time::Duration;

use crate::stage::*;
use tandem::dialog::{Event, How, SessionConfig};
use tandem::sip::Name;

const SUPPORTED: &str = "Supported: 100rel\r\n";
const REQUIRED: &str = "Require: 100rel\r\n";

fn prack(s: &mut Stage, response: &tandem::sip::Message, body: &str) {
    let rack = format!("RAck: {} 1 INVITE\r\n", response.rseq().unwrap());
    s.ask("PRACK", &rack, body);
}

#[test]
fn s3_reliable_only_when_required_or_configured() {
    let on = SessionConfig { reliable_provisional: true, ..config() };
    for (config, more, reliable) in [
        (config(), SUPPORTED, false),
        (config(), REQUIRED, true),
        (on.clone(), SUPPORTED, true),
        (on.clone(), "Allow: PRACK\r\n", false),
        (on, REQUIRED, true),
    ] {
        let mut s = Stage::called(config, more, OFFER);
        s.session.provisional(s.now, 180, None, &[]).unwrap();
        s.drain();
        let ringing = s.expect(180);
        assert_eq!(ringing.rseq().is_some(), reliable, "{more}");
        assert_eq!(ringing.header(Name::Require) == Some("100rel"), reliable);
    }
}

#[test]
fn s3_repeated_without_a_ceiling_until_prack() {
    let mut s = Stage::called(config(), REQUIRED, OFFER);
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.drain();
    let ringing = s.expect(180);
    let start = s.now;
    for at in [500, 1500, 3500, 7500, 15500] {
        s.pass(start + Duration::from_millis(at) - s.now);
        assert_eq!(s.expect(180).raw(), ringing.raw(), "{at}");
    }
    prack(&mut s, &ringing, "");
    assert_eq!(s.expect(200).method().as_str(), "PRACK");
    prack(&mut s, &ringing, "");
    s.expect(481);
    s.seconds(60);
    s.quiet();
}

#[test]
fn s3_no_prack_refuses_the_invite() {
    let mut s = Stage::called(config(), REQUIRED, OFFER);
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.seconds(33);
    assert!(s.sent.iter().any(|(m, _)| m.status() == Some(504)));
    assert!(matches!(s.event(), Event::Failed { status: 504, message: None }));
    s.is_over_in_time();
}

#[test]
fn s3_one_at_a_time_and_the_answer_waits_for_its_description() {
    let mut s = Stage::called(config(), REQUIRED, OFFER);
    s.session.provisional(s.now, 183, sdp(ANSWER), &[]).unwrap();
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.session.answer(s.now, None, &[]).unwrap();
    s.drain();
    let progress = s.expect(183);
    s.quiet();
    prack(&mut s, &progress, "");
    assert_eq!(s.expect(200).method().as_str(), "PRACK");
    let ok = s.expect(200);
    assert_eq!(ok.method().as_str(), "INVITE");
    assert_eq!(ok.body(), b"", "the answer went reliably; nothing to repeat");
    s.ack(1, "");
    assert!(matches!(s.event(), Event::Acknowledged { .. }));
}

#[test]
fn s3_a_queued_one_follows_on_the_prack() {
    let mut s = Stage::called(config(), REQUIRED, OFFER);
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.session.provisional(s.now, 183, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let ringing = s.expect(180);
    s.quiet();
    prack(&mut s, &ringing, "");
    s.expect(200);
    let progress = s.expect(183);
    assert_eq!(progress.rseq().unwrap(), ringing.rseq().unwrap() + 1);
    assert_eq!(progress.body(), ANSWER.as_bytes());
}

#[test]
fn s5_an_offer_in_a_reliable_response_is_answered_in_prack() {
    let mut s = Stage::called(config(), REQUIRED, "");
    s.session.provisional(s.now, 183, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let progress = s.expect(183);
    assert_eq!(progress.body(), ANSWER.as_bytes());
    prack(&mut s, &progress, OFFER);
    s.expect(200);
    assert!(matches!(s.event(), Event::OfferAcknowledged { sdp: Some(_) }));
    s.session.answer(s.now, None, &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(200).body(), b"");
    s.ack(1, "");
    assert!(matches!(s.event(), Event::Acknowledged { sdp: None }));
}

#[test]
fn s5_an_offer_in_prack_is_answered_in_its_2xx() {
    let mut s = Stage::called(config(), REQUIRED, OFFER);
    s.session.provisional(s.now, 183, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let progress = s.expect(183);
    prack(&mut s, &progress, "v=0\r\nmore\r\n");
    let Event::Offer { id, how: How::Prack, .. } = s.event() else { panic!() };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let ok = s.expect(200);
    assert_eq!((ok.method().as_str(), ok.body()), ("PRACK", ANSWER.as_bytes()));
}

#[test]
fn s4_the_callers_prack() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    let reliable = |rseq: u32| format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
    s.hear(response(&invite, 183, "a", &reliable(11), OFFER));
    let prack = s.request("PRACK");
    assert_eq!(prack.header_named("RAck").next(), Some("11 1 INVITE"));
    assert_eq!((prack.to_tag(), prack.cseq().number), (Some("a"), 2));
    assert!(matches!(s.event(), Event::Provisional { sdp: Some(_), .. }));
    // again, and out of order: nothing
    s.hear(response(&invite, 183, "a", &reliable(11), OFFER));
    s.hear(response(&invite, 180, "a", &reliable(13), ""));
    s.quiet();
    s.hear(response(&invite, 180, "a", &reliable(12), ""));
    assert_eq!(s.request("PRACK").header_named("RAck").next(), Some("12 1 INVITE"));
    // another fork counts for itself
    s.hear(response(&invite, 180, "b", &reliable(11), ""));
    assert_eq!(s.request("PRACK").to_tag(), Some("b"));
    s.events.clear();
    s.hear(response(&prack, 200, "", "", ""));
    s.hear(response(&invite, 200, "a", "", ""));
    s.request("ACK");
    let Event::Answered { sdp: Some(answer), needs_answer: false, .. } = s.event() else { panic!() };
    assert_eq!(answer, OFFER.as_bytes(), "what came reliably");
}

#[test]
fn s5_the_callers_answer_in_prack() {
    let mut s = Stage::calling(config(), true);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 183, "a", "Require: 100rel\r\nRSeq: 1\r\n", OFFER));
    assert!(matches!(s.event(), Event::Provisional { .. }));
    let Event::Offer { id, sdp: Some(_), how: How::Provisional, .. } = s.event() else { panic!() };
    s.quiet();
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    assert_eq!(s.request("PRACK").body(), ANSWER.as_bytes());
    s.hear(response(&invite, 200, "a", "", ""));
    assert!(matches!(s.event(), Event::Answered { needs_answer: false, .. }));
    assert_eq!(s.request("ACK").body(), b"");
}
