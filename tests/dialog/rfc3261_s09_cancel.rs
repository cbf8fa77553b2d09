//! RFC 3261 §9: CANCEL in every state, on both sides.

use crate::stage::*;
use tandem::dialog::{CommandError, Event};
use tandem::sip::Name;

#[test]
fn s9_1_cancel_waits_for_the_first_provisional_response() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    s.session.cancel(s.now, &[("Reason".into(), "Q.850;cause=16".into())]).unwrap();
    s.drain();
    s.quiet();
    s.hear(response(&invite, 100, "", "", ""));
    let cancel = s.request("CANCEL");
    assert_eq!(cancel.header(Name::Via), invite.header(Name::Via), "same branch");
    assert_eq!(cancel.cseq().number, invite.cseq().number);
    assert_eq!(cancel.to_tag(), None);
    assert_eq!(cancel.header_named("Reason").next(), Some("Q.850;cause=16"));
    s.hear(response(&cancel, 200, "theirs", "", ""));
    s.hear(response(&invite, 487, "theirs", "", ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 487, message: Some(_) }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn s9_1_a_cancelled_invite_without_final_response_ends_after_64_t1() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 180, "theirs", "", ""));
    assert!(matches!(s.event(), Event::Provisional { fork: 0, .. }));
    s.session.cancel(s.now, &[]).unwrap();
    assert_eq!(s.session.cancel(s.now, &[]), Err(CommandError::Cancelled));
    s.drain();
    s.seconds(31);
    assert!(s.events.is_empty());
    s.seconds(2);
    assert!(matches!(s.event(), Event::Failed { status: 487, message: None }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn s9_1_cancel_without_any_response_ends_with_timer_b() {
    let mut s = Stage::calling(config(), false);
    s.session.cancel(s.now, &[]).unwrap();
    s.seconds(33);
    assert!(matches!(s.event(), Event::Failed { status: 487, message: None }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn s9_1_cancel_crossing_a_2xx_is_acked_and_ended() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 180, "theirs", "", ""));
    s.session.cancel(s.now, &[]).unwrap();
    s.drain();
    s.request("CANCEL");
    let ok = response(&invite, 200, "theirs", "", OFFER);
    s.hear(ok.clone());
    let ack = s.request("ACK");
    s.request("BYE");
    s.events.pop_front();
    assert!(matches!(s.event(), Event::Failed { status: 487, .. }));
    assert!(matches!(s.event(), Event::Ended));
    s.hear(ok);
    assert_eq!(s.request("ACK").raw(), ack.raw(), "the ACK again, nothing else");
    s.quiet();
    s.is_over_in_time();
}

#[test]
fn s9_1_no_cancel_after_the_answer() {
    let mut s = Stage::up_calling(config(), "");
    assert_eq!(s.session.cancel(s.now, &[]), Err(CommandError::Answered));
    let mut s = Stage::called(config(), "", OFFER);
    assert_eq!(s.session.cancel(s.now, &[]), Err(CommandError::NotCaller));
}

#[test]
fn s9_2_cancel_in_every_state_of_the_called_side() {
    // nothing sent; ringing; early media
    for (provisional, media) in [(0, None), (180, None), (183, sdp(ANSWER))] {
        let mut s = Stage::called(config(), "", OFFER);
        if provisional > 0 {
            s.session.provisional(s.now, provisional, media, &[]).unwrap();
            s.drain();
            s.expect(provisional);
        }
        s.hear(cancel());
        let (first, second) = (s.sent.pop_front().unwrap().0, s.sent.pop_front().unwrap().0);
        assert_eq!((first.method().as_str(), first.status()), ("CANCEL", Some(200)));
        assert_eq!((second.method().as_str(), second.status()), ("INVITE", Some(487)));
        assert_eq!(first.to_tag(), second.to_tag(), "§9.2: the same To tag in both");
        assert!(matches!(s.event(), Event::Cancelled { .. }));
        assert!(matches!(s.event(), Event::Ended));
        assert_eq!(s.session.answer(s.now, sdp(ANSWER), &[]), Err(CommandError::Ended));
        s.is_over_in_time();
    }
}

#[test]
fn s9_2_cancel_after_the_2xx_changes_nothing() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.hear(cancel());
    assert_eq!(s.expect(200).method().as_str(), "CANCEL");
    s.quiet();
    s.ack(1, "");
    assert!(matches!(s.event(), Event::Acknowledged { .. }));
    assert!(s.session.is_confirmed());
}

#[test]
fn s9_2_cancel_after_a_refusal_changes_nothing() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.reject(s.now, 486, None, &[]).unwrap();
    s.drain();
    s.expect(486);
    assert!(matches!(s.event(), Event::Ended));
    s.hear(cancel());
    assert_eq!(s.expect(200).method().as_str(), "CANCEL");
    s.quiet();
    s.is_over_in_time();
}

#[test]
fn s9_2_cancel_of_a_reinvite_withdraws_the_offer() {
    let mut s = Stage::up(config());
    let text = s.text("INVITE", 2, "theirs", "ours", "", OFFER);
    s.hear(message(&text));
    let Event::Offer { id, .. } = s.event() else { panic!() };
    let text = text.replace("INVITE", "CANCEL");
    s.hear(message(&text));
    assert_eq!(s.expect(200).method().as_str(), "CANCEL");
    assert_eq!(s.expect(487).method().as_str(), "INVITE");
    assert!(matches!(s.event(), Event::OfferWithdrawn { id: gone } if gone == id));
    assert_eq!(s.session.accept_offer(s.now, id, sdp(ANSWER), &[]), Err(CommandError::Unknown));
    assert!(s.session.is_confirmed());
}
