//! RFC 3261 §15: BYE in every state.

use crate::stage::*;
use tandem::dialog::{CommandError, Event};

#[test]
fn s15_1_1_bye_ends_at_once_and_says_why() {
    let mut s = Stage::up(config());
    let why = ("Reason".to_owned(), "Q.850;cause=16;text=\"NORMAL_CLEARING\"".to_owned());
    s.session.bye(s.now, std::slice::from_ref(&why)).unwrap();
    s.drain();
    let bye = s.request("BYE");
    assert_eq!(bye.header_named("Reason").next(), Some(why.1.as_str()));
    assert_eq!(bye.uri().unwrap().to_string(), "sip:peer@192.0.2.9:5070");
    assert_eq!((bye.from_tag(), bye.to_tag()), (Some("ours"), Some("theirs")));
    assert!(matches!(s.event(), Event::Ended));
    assert_eq!(s.session.bye(s.now, &[]), Err(CommandError::Ended));
    assert!(!s.session.is_over());
    s.hear(response(&bye, 200, "", "", ""));
    s.is_over_in_time();
}

#[test]
fn s15_1_2_bye_of_the_peer() {
    let mut s = Stage::up(config());
    s.ask("BYE", "Reason: Q.850;cause=17\r\n", "");
    s.expect(200);
    assert!(matches!(s.event(), Event::Bye { message } if message.header_named("Reason").next().is_some()));
    assert!(matches!(s.event(), Event::Ended));
    s.ask("INFO", "", "");
    s.expect(481);
    s.is_over_in_time();
}

#[test]
fn s15_bye_waits_for_the_ack_of_our_2xx() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.session.bye(s.now, &[]).unwrap();
    s.drain();
    s.expect(200);
    s.quiet();
    assert_eq!(s.session.bye(s.now, &[]), Err(CommandError::Ended));
    s.ack(1, "");
    assert!(matches!(s.event(), Event::Acknowledged { .. }));
    s.request("BYE");
    assert!(matches!(s.event(), Event::Ended));

    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.session.bye(s.now, &[]).unwrap();
    s.seconds(33);
    assert!(s.sent.iter().any(|(m, _)| m.is_request() && m.method().as_str() == "BYE"));
    s.is_over_in_time();
}

#[test]
fn s15_a_waiting_bye_goes_out_when_the_ack_was_lost() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.session.bye(s.now, &[]).unwrap();
    s.drain();
    s.expect(200);
    s.ask("INVITE", "", OFFER);
    s.expect(487);
    s.request("BYE");
    assert!(matches!(s.event(), Event::Acknowledged { .. }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn what_is_sent_comes_before_what_is_told() {
    use tandem::dialog::Output;
    let mut s = Stage::up(config());
    s.session.bye(s.now, &[]).unwrap();
    assert!(matches!(s.session.poll(), Some(Output::Send { .. })), "an owner may stop at Ended");
    assert!(matches!(s.session.poll(), Some(Output::Event(Event::Ended))));
}

#[test]
fn s15_1_2_bye_before_the_answer_refuses_the_invite() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.provisional(s.now, 180, None, &[]).unwrap();
    s.drain();
    s.expect(180);
    s.ask("BYE", "", "");
    assert_eq!(s.expect(200).method().as_str(), "BYE");
    assert_eq!(s.expect(487).method().as_str(), "INVITE");
    assert!(matches!(s.event(), Event::Bye { .. }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn s15_1_2_bye_before_the_ack() {
    let mut s = Stage::called(config(), "", OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.ask("BYE", "", "");
    s.expect(200);
    assert!(matches!(s.event(), Event::Bye { .. }));
    s.seconds(40);
    assert!(s.sent.is_empty(), "no 2xx any more");
    s.is_over_in_time();
}

#[test]
fn s15_a_callee_that_ends_its_early_dialog_is_cancelled() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 180, "theirs", "", ""));
    s.events.clear();
    s.ask("BYE", "", "");
    s.expect(200);
    s.request("CANCEL");
    s.hear(response(&invite, 487, "theirs", "", ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 487, .. }));
    s.is_over_in_time();
}

#[test]
fn s12_2_2_bye_out_of_order_after_the_end() {
    let mut s = Stage::up(config());
    s.ask("BYE", "", "");
    s.expect(200);
    for cseq in [1, 2] {
        s.ask_as("BYE", cseq, "theirs", "ours", "", "");
        assert_eq!(s.expect(500).cseq().number, cseq);
    }
    s.ask_as("BYE", 3, "theirs", "ours", "", "");
    s.expect(200);
}

#[test]
fn s15_1_2_bye_that_crosses_ours() {
    let mut s = Stage::up(config());
    s.session.bye(s.now, &[]).unwrap();
    s.drain();
    let bye = s.request("BYE");
    s.ask("BYE", "", "");
    s.expect(200);
    s.hear(response(&bye, 200, "", "", ""));
    assert!(matches!(s.event(), Event::Ended));
    s.quiet();
    s.is_over_in_time();
}

#[test]
fn s15_1_2_bye_closes_what_is_open() {
    let mut s = Stage::up(config());
    s.ask("INVITE", "", OFFER);
    s.ask("INFO", "", "");
    s.events.clear();
    s.ask("BYE", "", "");
    let mut statuses: Vec<_> =
        s.sent.drain(..).map(|(m, _)| (m.method().as_str().to_owned(), m.status())).collect();
    statuses.sort();
    let open = |m: &str, status| (m.to_owned(), Some(status));
    assert_eq!(statuses, [open("BYE", 200), open("INFO", 487), open("INVITE", 487)]);

    // ours is open: its 2xx still gets an ACK
    let mut s = Stage::up(config());
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let invite = s.request("INVITE");
    s.ask("BYE", "", "");
    s.expect(200);
    s.hear(response(&invite, 200, "theirs", "", OFFER));
    s.request("ACK");
    s.is_over_in_time();
}

#[test]
fn s15_an_unanswered_bye_ends_too() {
    let mut s = Stage::up(config());
    s.session.bye(s.now, &[]).unwrap();
    s.is_over_in_time();
}
