//! RFC 3311: UPDATE, both roles, early and confirmed.

use crate::stage::*;
use tandem::dialog::{CommandError, Event, How};

#[test]
fn s5_2_an_update_with_an_offer() {
    let mut s = Stage::up(config());
    s.ask("UPDATE", "", OFFER);
    let Event::Offer { id, how: How::Update, .. } = s.event() else { panic!() };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let ok = s.expect(200);
    assert_eq!((ok.method().as_str(), ok.body()), ("UPDATE", ANSWER.as_bytes()));
    s.seconds(40);
    s.quiet();
}

#[test]
fn s5_2_an_update_without_an_offer_is_answered_here() {
    let mut s = Stage::up(config());
    s.ask("UPDATE", "P-Asserted-Identity: <sip:x@y>\r\n", "");
    s.expect(200);
    assert!(matches!(s.event(), Event::Updated { .. }));
}

#[test]
fn s5_1_our_update() {
    let mut s = Stage::up_calling(config(), "Allow: INVITE, UPDATE\r\n");
    s.session.update(s.now, sdp(ANSWER), &[("X-Name".into(), "Bob".into())]).unwrap();
    s.drain();
    let update = s.request("UPDATE");
    assert_eq!((update.body(), update.header_named("X-Name").next()), (ANSWER.as_bytes(), Some("Bob")));
    s.hear(response(&update, 200, "", "", OFFER));
    assert!(matches!(s.event(), Event::OfferAnswered { sdp: Some(_), needs_answer: false }));
    s.quiet();
    // glare
    s.session.update(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let update = s.request("UPDATE");
    s.hear(response(&update, 491, "", "", ""));
    s.seconds(5);
    s.request("UPDATE");
}

#[test]
fn s5_1_not_to_a_peer_that_does_not_allow_it() {
    let mut s = Stage::up_calling(config(), "Allow: INVITE, ACK, BYE\r\n");
    assert_eq!(s.session.update(s.now, None, &[]), Err(CommandError::Method));
}

#[test]
fn s5_1_early_only_after_a_completed_exchange() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    assert_eq!(s.session.update(s.now, sdp(ANSWER), &[]), Err(CommandError::NotAnswered));
    s.hear(response(&invite, 183, "a", "", OFFER));
    assert_eq!(
        s.session.update(s.now, sdp(ANSWER), &[]),
        Err(CommandError::NotAnswered),
        "a preview is no answer"
    );
    s.hear(response(&invite, 183, "a", "Require: 100rel\r\nRSeq: 1\r\n", OFFER));
    s.request("PRACK");
    s.session.update(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let update = s.request("UPDATE");
    assert_eq!(update.to_tag(), Some("a"));
    s.events.clear();
    s.hear(response(&update, 200, "", "", OFFER));
    assert!(matches!(s.event(), Event::OfferAnswered { .. }));
    // and the callee's
    s.ask_as("UPDATE", 1, "a", "ours", "", OFFER);
    let Event::Offer { id, .. } = s.event() else { panic!() };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.hear(response(&invite, 200, "a", "", ""));
    assert!(matches!(s.event(), Event::Answered { needs_answer: false, .. }));
}

#[test]
fn s5_2_an_early_update_before_the_answer_waits() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.drain();
    s.expect(180);
    s.ask("UPDATE", "", OFFER);
    assert!(s.expect(500).retry_after().is_some());
    s.ask("UPDATE", "", "");
    s.expect(200);
}
