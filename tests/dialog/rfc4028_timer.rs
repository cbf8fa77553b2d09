//! RFC 4028: session timers, both roles.

use crate::stage::*;
use tandem::dialog::{Event, Refresher, SessionConfig};
use tandem::sip::Name;

fn timed() -> SessionConfig {
    SessionConfig { session_expires: Some(120), min_se: 120, ..config() }
}

fn answered(config: SessionConfig, more: &str) -> (Stage, tandem::sip::Message) {
    let mut s = Stage::called(config, more, OFFER);
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let ok = s.expect(200);
    s.ack(1, "");
    s.events.clear();
    (s, ok)
}

#[test]
fn the_default_offers_none_and_honours_the_peers() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    assert!(invite.header(Name::SessionExpires).is_none() && invite.header(Name::MinSe).is_none());
    assert!(invite.supported().has("timer"));
    let (_, ok) = answered(config(), "");
    assert!(ok.header(Name::SessionExpires).is_none());
    let (s, ok) = answered(config(), "Session-Expires: 1800\r\nSupported: timer\r\n");
    assert_eq!(ok.header(Name::SessionExpires), Some("1800;refresher=uas"));
    assert_eq!(s.session.session_expires(), Some((1800, Refresher::Us)));
}

#[test]
fn as_in_the_users_trace() {
    let (_, ok) = answered(timed(), "");
    assert_eq!(ok.header(Name::SessionExpires), Some("120;refresher=uas"));
    assert_eq!(ok.header(Name::MinSe), Some("120"));
}

#[test]
fn s9_the_uac_refreshes_when_it_says_so() {
    let (s, ok) = answered(config(), "Session-Expires: 600;refresher=uac\r\nSupported: timer\r\n");
    assert_eq!(ok.header(Name::SessionExpires), Some("600;refresher=uac"));
    assert_eq!(ok.header(Name::Require), Some("timer"));
    assert_eq!(s.session.session_expires(), Some((600, Refresher::Peer)));
}

#[test]
fn s10_the_refresher_refreshes_at_half_time_by_reinvite() {
    let (mut s, _) = answered(timed(), "Allow: INVITE, UPDATE\r\n");
    s.seconds(59);
    s.quiet();
    s.seconds(1);
    let invite = s.request("INVITE");
    assert_eq!(invite.body(), ANSWER.as_bytes(), "the description in force");
    assert_eq!(invite.header(Name::SessionExpires), Some("120;refresher=uac"));
    s.hear(response(&invite, 200, "theirs", "Session-Expires: 120;refresher=uac\r\n", OFFER));
    s.request("ACK");
    s.quiet();
    // and so on for ever
    for _ in 0..20 {
        s.seconds(60);
        let invite = s.request("INVITE");
        s.hear(response(&invite, 200, "theirs", "Session-Expires: 120;refresher=uac\r\n", OFFER));
        s.request("ACK");
    }
    s.quiet();
    assert!(s.session.is_confirmed());
}

#[test]
fn s7_4_by_update_when_configured_and_allowed() {
    let by_update = SessionConfig { update_refresher: true, ..timed() };
    let (mut s, _) = answered(by_update.clone(), "Allow: INVITE, UPDATE\r\n");
    s.seconds(60);
    let update = s.request("UPDATE");
    assert_eq!(update.body(), b"");
    s.hear(response(&update, 200, "", "Session-Expires: 120;refresher=uac\r\n", ""));
    s.quiet();
    s.seconds(60);
    // it allows it and then it does not
    let update = s.request("UPDATE");
    s.hear(response(&update, 405, "", "", ""));
    s.request("INVITE");
    let (mut s, _) = answered(by_update, "Allow: INVITE\r\n");
    s.seconds(60);
    s.request("INVITE");
}

#[test]
fn s10_nobody_refreshes() {
    let (mut s, _) = answered(config(), "Session-Expires: 120;refresher=uac\r\nSupported: timer\r\n");
    s.seconds(87);
    s.quiet();
    s.seconds(2); // 120 - 32
    s.request("BYE");
    assert!(matches!(s.event(), Event::SessionExpired));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn s10_the_peer_refreshes_and_keeps_its_role() {
    let (mut s, _) = answered(config(), "Session-Expires: 120;refresher=uac\r\nSupported: timer\r\n");
    for method in ["UPDATE", "INVITE", "UPDATE"] {
        s.seconds(60);
        s.ask(
            method,
            "Session-Expires: 120\r\nSupported: timer\r\n",
            if method == "INVITE" { OFFER } else { "" },
        );
        if let Event::Offer { id, .. } = s.event() {
            s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
            s.drain();
        }
        let ok = s.expect(200);
        assert_eq!(ok.header(Name::SessionExpires), Some("120;refresher=uac"), "{method}");
        if method == "INVITE" {
            let cseq = s.cseq;
            s.ack(cseq, "");
        }
        s.events.clear();
    }
    assert_eq!(s.session.session_expires(), Some((120, Refresher::Peer)));
    s.seconds(89);
    s.request("BYE");
}

#[test]
fn s7_3_a_422_makes_us_ask_for_more() {
    let mut s = Stage::calling(timed(), false);
    let first = s.request("INVITE");
    s.hear(response(&first, 422, "x", "Min-SE: 300\r\n", ""));
    s.request("ACK");
    let second = s.request("INVITE");
    assert_eq!(second.header(Name::SessionExpires), Some("300"));
    assert_eq!(second.header(Name::MinSe), Some("300"));
    assert_eq!((second.call_id(), second.from_tag()), (first.call_id(), first.from_tag()));
    assert_eq!(second.cseq().number, first.cseq().number + 1);
    s.quiet();
    s.hear(response(&second, 422, "x", "Min-SE: 300\r\n", ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 422, .. }), "not for ever");
}

#[test]
fn s9_too_small_within_the_session() {
    let mut s = Stage::up(timed());
    s.ask("UPDATE", "Session-Expires: 100\r\nSupported: timer\r\n", "");
    assert_eq!(s.expect(422).header(Name::MinSe), Some("120"));
    s.ask("INVITE", "Session-Expires: 100\r\nSupported: timer\r\n", OFFER);
    assert_eq!(s.expect(422).header(Name::MinSe), Some("120"));
    s.quiet();
}

#[test]
fn s7_2_the_answer_decides() {
    for (more, running) in [
        ("Session-Expires: 200;refresher=uas\r\n", (200, Refresher::Peer)),
        ("Session-Expires: 200;refresher=uac\r\n", (200, Refresher::Us)),
        ("Session-Expires: 200\r\n", (200, Refresher::Us)),
        ("", (120, Refresher::Us)),
    ] {
        let s = Stage::up_calling(timed(), more);
        assert_eq!(s.session.session_expires(), Some(running), "{more}");
    }
}

#[test]
fn without_timers_a_peers_wish_is_passed_over() {
    let off = SessionConfig { enable_timer: false, supported: "path, replaces".into(), ..config() };
    let (s, ok) = answered(off, "Session-Expires: 30\r\nSupported: timer\r\n");
    assert!(ok.header(Name::SessionExpires).is_none());
    assert_eq!(s.session.session_expires(), None);
}

#[test]
fn s10_a_dead_peer_is_found_by_the_refresh() {
    let (mut s, _) = answered(timed(), "");
    s.seconds(60 + 33);
    assert!(s.session.is_ended(), "the refresh had no answer, or the session expired before that");
    s.is_over_in_time();
}
