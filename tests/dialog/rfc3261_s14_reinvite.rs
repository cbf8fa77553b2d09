//! RFC 3261 §14: offers within the session, glare, and what does not disturb the session.

use std::time::Duration;

use crate::stage::*;
use tandem::dialog::{CommandError, Event, How};

#[test]
fn s14_2_a_reinvite_is_answered_by_the_owner() {
    let mut s = Stage::up(config());
    s.ask("INVITE", "", OFFER);
    let Event::Offer { id, sdp: Some(_), how: How::ReInvite, .. } = s.event() else { panic!() };
    assert_eq!(s.session.accept_offer(s.now, id, None, &[]), Err(CommandError::SdpNeeded));
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    assert_eq!(s.expect(200).body(), ANSWER.as_bytes());
    s.pass(Duration::from_millis(500));
    s.expect(200);
    s.ack(2, "");
    assert!(matches!(s.event(), Event::OfferAcknowledged { sdp: None }));
    s.seconds(60);
    s.quiet();
}

#[test]
fn s14_2_a_reinvite_without_description_gets_our_offer() {
    let mut s = Stage::up(config());
    s.ask("INVITE", "", "");
    let Event::Offer { id, sdp: None, how: How::ReInvite, .. } = s.event() else { panic!() };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    // until the answer is there, nobody may offer
    s.ask("INVITE", "", OFFER);
    s.expect(491);
    s.ask("UPDATE", "", OFFER);
    s.expect(491);
    s.ack(2, OFFER);
    let Event::OfferAcknowledged { sdp: Some(answer) } = s.event() else { panic!() };
    assert_eq!(answer, OFFER.as_bytes());
}

#[test]
fn s14_2_a_refused_reinvite_changes_nothing() {
    let mut s = Stage::up(config());
    s.ask("INVITE", "", "v=0\r\nother\r\n");
    let Event::Offer { id, .. } = s.event() else { panic!() };
    s.session.refuse_offer(s.now, id, 488, &[]).unwrap();
    s.drain();
    s.expect(488);
    assert_eq!(s.session.remote_sdp().unwrap(), OFFER.as_bytes());
    assert!(s.session.is_confirmed());
    s.ask("INVITE", "", OFFER);
    assert!(matches!(s.event(), Event::Offer { .. }));
}

#[test]
fn s14_2_overlapping_offers_get_500_with_retry_after() {
    for second in ["INVITE", "UPDATE"] {
        let mut s = Stage::up(config());
        s.ask("INVITE", "", OFFER);
        assert!(matches!(s.event(), Event::Offer { .. }));
        s.ask(second, "", OFFER);
        let later = s.expect(500);
        assert!(later.retry_after().unwrap() <= 10);
        s.quiet();
    }
}

#[test]
fn s14_2_glare_is_answered_491() {
    for ours_is_update in [false, true] {
        for second in ["INVITE", "UPDATE"] {
            let mut s = Stage::up(config());
            if ours_is_update {
                s.session.update(s.now, sdp(ANSWER), &[]).unwrap();
            } else {
                s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
            }
            s.drain();
            s.sent.clear();
            s.ask(second, "", OFFER);
            s.expect(491);
            s.quiet();
        }
    }
}

#[test]
fn s14_1_after_491_our_offer_comes_again_in_the_rfcs_time() {
    // who owns the Call-ID waits longer
    for (caller, least, most) in [(true, 2100, 4000), (false, 0, 2000)] {
        let mut s = if caller { Stage::up_calling(config(), "") } else { Stage::up(config()) };
        s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
        s.drain();
        let mut cseq = 0;
        for _ in 0..5 {
            let invite = s.request("INVITE");
            assert!(invite.cseq().number > cseq, "its own CSeq each time");
            cseq = invite.cseq().number;
            s.hear(response(&invite, 491, "theirs", "", ""));
            s.request("ACK");
            let start = s.now;
            while s.sent.is_empty() {
                s.pass(Duration::from_millis(10));
                assert!(s.now - start < Duration::from_secs(5));
            }
            let waited = (s.now - start).as_millis();
            assert!((least..=most + 10).contains(&waited), "{waited}");
        }
        let invite = s.request("INVITE");
        s.hear(response(&invite, 200, "theirs", "", OFFER));
        s.request("ACK");
        assert!(matches!(s.event(), Event::OfferAnswered { sdp: Some(_), needs_answer: false }));
        s.quiet();
    }
}

#[test]
fn s14_1_endless_glare_ends() {
    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    for _ in 0..8 {
        let invite = s.request("INVITE");
        s.hear(response(&invite, 491, "theirs", "", ""));
        s.request("ACK");
        for _ in 0..500 {
            if s.sent.is_empty() {
                s.pass(Duration::from_millis(10));
            }
        }
    }
    assert!(matches!(s.event(), Event::OfferRefused { status: 491 }));
    s.quiet();
    assert!(s.session.is_confirmed());
}

#[test]
fn s14_1_retry_after_is_honoured() {
    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let invite = s.request("INVITE");
    s.hear(response(&invite, 500, "theirs", "Retry-After: 3\r\n", ""));
    s.request("ACK");
    s.pass(Duration::from_millis(2900));
    s.quiet();
    s.seconds(2);
    s.request("INVITE");
}

#[test]
fn s14_1_our_reinvite_without_description() {
    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, None, &[]).unwrap();
    s.drain();
    let invite = s.request("INVITE");
    assert_eq!(invite.body(), b"");
    let ok = response(&invite, 200, "theirs", "", OFFER);
    s.hear(ok.clone());
    assert!(matches!(s.event(), Event::OfferAnswered { sdp: Some(_), needs_answer: true }));
    s.hear(ok.clone());
    s.ask("INVITE", "", OFFER);
    s.expect(491);
    s.session.acknowledge(s.now, sdp(ANSWER)).unwrap();
    s.drain();
    let ack = s.request("ACK");
    assert_eq!((ack.body(), ack.cseq().number), (ANSWER.as_bytes(), invite.cseq().number));
    s.hear(ok);
    assert_eq!(s.request("ACK").raw(), ack.raw());
}

#[test]
fn s14_1_a_refused_offer_leaves_the_session() {
    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, sdp("v=0\r\nnew\r\n"), &[]).unwrap();
    s.drain();
    assert_eq!(s.session.offer(s.now, sdp(ANSWER), &[]), Err(CommandError::OfferPending));
    let invite = s.request("INVITE");
    s.hear(response(&invite, 488, "theirs", "", ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::OfferRefused { status: 488 }));
    assert_eq!(s.session.local_sdp().unwrap(), ANSWER.as_bytes());
    assert!(s.session.is_confirmed());
}

#[test]
fn s14_1_481_and_silence_end_the_session() {
    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let invite = s.request("INVITE");
    s.hear(response(&invite, 481, "theirs", "", ""));
    assert!(matches!(s.event(), Event::Lost { status: 481 }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();

    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.seconds(33);
    assert!(matches!(s.event(), Event::Lost { status: 408 }));
    s.is_over_in_time();

    // a 1xx and then nothing
    let mut s = Stage::up_calling(config(), "");
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let invite = s.request("INVITE");
    s.hear(response(&invite, 100, "", "", ""));
    s.seconds(65);
    assert!(matches!(s.event(), Event::Lost { status: 408 }));
    s.is_over_in_time();
}

#[test]
fn s14_an_offer_waits_for_its_turn() {
    // our 2xx is not acknowledged yet
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.session.offer(s.now, sdp("v=0\r\nhold\r\n"), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.quiet();
    s.ack(1, "");
    assert_eq!(s.request("INVITE").body(), b"v=0\r\nhold\r\n");

    // the peer's offer is not answered yet
    let mut s = Stage::up(config());
    s.ask("INVITE", "", OFFER);
    let Event::Offer { id, .. } = s.event() else { panic!() };
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.quiet();
    s.ack(2, "");
    s.request("INVITE");
}

#[test]
fn s14_2_a_lost_ack_does_not_lock_the_session() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.ask("INVITE", "", OFFER);
    assert!(matches!(s.event(), Event::Acknowledged { sdp: None }));
    assert!(matches!(s.event(), Event::Offer { .. }));
}

#[test]
fn s14_2_an_owner_who_never_decides() {
    let mut s = Stage::up(config());
    s.ask("INVITE", "", OFFER);
    s.events.clear();
    s.seconds(33);
    assert!(s.sent.iter().any(|(m, _)| m.status() == Some(504)));
    assert!(matches!(s.event(), Event::OfferWithdrawn { .. }));
    assert!(s.session.is_confirmed());
}

#[test]
fn s14_2_no_ack_to_a_reinvites_2xx_ends_with_bye() {
    let mut s = Stage::up(config());
    s.ask("INVITE", "", OFFER);
    let Event::Offer { id, .. } = s.event() else { panic!() };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.seconds(33);
    assert!(s.events.iter().any(|e| matches!(e, Event::AckTimedOut)));
    s.is_over_in_time();
}
