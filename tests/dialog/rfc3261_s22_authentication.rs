//! RFC 3261 §22: challenges to our INVITE and to what we send inside the dialog.

use crate::stage::*;
use tandem::dialog::{Event, Means};
use tandem::sip::digest::{Credentials, Login, ha1, verify};
use tandem::sip::{Destination, Message, Name, Text};

fn calling() -> Stage {
    let means = Means { login: Some(Login::new("us", "secret")), others: Vec::new() };
    Stage::calling_to(config(), false, Destination::Flow(flow()), means)
}

fn challenge(nonce: &str, more: &str) -> String {
    format!("Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\"{more}\r\n")
}

/// The nonce and its count of good credentials in a request.
fn answered(request: &Message) -> Option<(String, u32)> {
    let value = request.header(Name::ProxyAuthorization)?;
    let given = Credentials::parse(&Text::from(value)).expect("credentials");
    let key = ha1(given.algorithm().unwrap(), "us", "carrier", "secret");
    assert_eq!(verify(&given, &key, request.method().as_str()), Ok(true));
    assert_eq!(given.uri(), request.uri().unwrap().as_str());
    Some((given.nonce().to_owned(), given.nonce_count().unwrap()))
}

/// Calling, challenged once, answered.
fn up() -> Stage {
    let mut s = calling();
    let first = s.request("INVITE");
    assert_eq!(answered(&first), None);
    s.hear(response(&first, 407, "x", &challenge("n1", ""), ""));
    s.request("ACK");
    let second = s.request("INVITE");
    assert_eq!(answered(&second), Some(("n1".into(), 1)));
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.from_tag(), first.from_tag());
    assert_eq!(second.cseq().number, first.cseq().number + 1, "§22.2: the CSeq is one more");
    assert_ne!(second.via().branch(), first.via().branch());
    assert_eq!(second.to_tag(), None);
    s.hear(response(&second, 200, "theirs", "", OFFER));
    let ack = s.request("ACK");
    let sent = second.header(Name::ProxyAuthorization);
    assert_eq!(ack.header(Name::ProxyAuthorization), sent, "§13.2.2.4: the credentials of the INVITE");
    assert!(matches!(s.event(), Event::Answered { .. }));
    s.quiet();
    s
}

#[test]
fn s22_2_an_invite_is_sent_again_with_credentials() {
    up();
}

#[test]
fn s22_2_a_wrong_password_fails_the_call() {
    let mut s = calling();
    let invite = s.request("INVITE");
    s.hear(response(&invite, 407, "x", &challenge("n1", ""), ""));
    s.request("ACK");
    let again = s.request("INVITE");
    s.hear(response(&again, 407, "y", &challenge("n2", ""), ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 407, message: Some(_) }));
    assert!(matches!(s.event(), Event::Ended));
    s.is_over_in_time();
}

#[test]
fn s22_2_a_stale_nonce_is_no_wrong_password_but_not_for_ever() {
    let mut s = calling();
    let mut invite = s.request("INVITE");
    let mut tries = 1;
    loop {
        let stale = challenge(&format!("n{tries}"), ", stale=true");
        s.hear(response(&invite, 407, "x", &stale, ""));
        s.request("ACK");
        match s.sent.pop_front() {
            Some((again, _)) => invite = again,
            None => break,
        }
        tries += 1;
        assert!(tries < 20, "it never ends");
    }
    assert!(tries > 2);
    assert!(matches!(s.event(), Event::Failed { status: 407, .. }));
}

#[test]
fn s22_2_a_cancelled_invite_is_not_sent_again() {
    let mut s = calling();
    let invite = s.request("INVITE");
    s.session.cancel(s.now, &[]).unwrap();
    s.hear(response(&invite, 407, "x", &challenge("n1", ""), ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 407, .. }));
}

#[test]
fn s22_3_a_bye_has_credentials_and_is_sent_again_when_they_are_stale() {
    let mut s = up();
    s.session.bye(s.now, &[("Reason".into(), "Q.850;cause=16".into())]).unwrap();
    s.drain();
    let bye = s.request("BYE");
    assert_eq!(answered(&bye), Some(("n1".into(), 2)), "the nonce again, counted");
    assert!(matches!(s.event(), Event::Ended));
    s.hear(response(&bye, 407, "", &challenge("n2", ", stale=true"), ""));
    let again = s.request("BYE");
    assert_eq!(answered(&again), Some(("n2".into(), 1)));
    assert_eq!(again.cseq().number, bye.cseq().number + 1);
    assert_eq!(again.header(Name::Reason), Some("Q.850;cause=16"));
    s.hear(response(&again, 200, "", "", ""));
    s.quiet();
    s.is_over_in_time();
}

#[test]
fn s22_3_a_bye_is_not_sent_for_ever() {
    let mut s = up();
    s.session.bye(s.now, &[]).unwrap();
    s.drain();
    let mut byes = 0;
    while let Some((bye, _)) = s.sent.pop_front() {
        byes += 1;
        s.hear(response(&bye, 401, "", &challenge(&format!("b{byes}"), ", stale=true"), ""));
    }
    assert!((2..6).contains(&byes), "{byes}");
    s.events.clear();
    s.is_over_in_time();
}

#[test]
fn s22_3_a_reinvite_is_sent_again() {
    let mut s = up();
    s.session.offer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    let offer = s.request("INVITE");
    s.hear(response(&offer, 407, "", &challenge("n2", ""), ""));
    s.request("ACK");
    let again = s.request("INVITE");
    assert_eq!(answered(&again), Some(("n2".into(), 1)));
    assert_eq!(again.body(), offer.body());
    s.hear(response(&again, 200, "", "", OFFER));
    let ack = s.request("ACK");
    assert_eq!(ack.header(Name::ProxyAuthorization), again.header(Name::ProxyAuthorization));
    assert!(matches!(s.event(), Event::OfferAnswered { .. }));
    s.quiet();
}

#[test]
fn s22_3_other_requests_are_sent_again_and_answered_once() {
    let mut s = up();
    let body = Some(("application/dtmf-relay", "Signal=5".into()));
    let id = s.session.request(s.now, tandem::sip::Method::Info, &[], body).unwrap();
    s.drain();
    let info = s.request("INFO");
    s.hear(response(&info, 401, "", &challenge("n2", "").replace("Proxy-", "WWW-"), ""));
    let again = s.request("INFO");
    assert_eq!(again.body(), info.body());
    assert!(again.header(Name::Authorization).is_some(), "a 401 is answered in Authorization");
    s.hear(response(&again, 200, "", "", ""));
    match s.event() {
        Event::Response { id: of, status: 200, .. } => assert_eq!(of, id),
        other => panic!("{other:?}"),
    }
    s.quiet();
}

#[test]
fn without_a_login_a_challenge_is_the_end() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 407, "x", &challenge("n1", ""), ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 407, .. }));
}

#[test]
fn a_strangers_challenge_is_not_answered() {
    let login = Login::new("us", "secret").only_for(std::sync::Arc::new(|_| false));
    let means = Means { login: Some(login), others: Vec::new() };
    let mut s = Stage::calling_to(config(), false, Destination::Flow(flow()), means);
    let invite = s.request("INVITE");
    s.hear(response(&invite, 407, "x", &challenge("n1", ""), ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 407, .. }));
}
