//! RFC 3263 §4.3: an INVITE with several addresses.

use std::time::Duration;

use crate::stage::*;
use tandem::dialog::{Event, Means};
use tandem::sip::{Destination, Name, Transport};

fn host(n: u8) -> Destination {
    Destination::Host { transport: Some(Transport::Udp), host: format!("198.51.100.{n}"), port: Some(5060) }
}

fn calling(others: u8) -> Stage {
    let means = Means { login: None, others: (2..2 + others).map(host).collect() };
    Stage::calling_to(config(), false, host(1), means)
}

#[test]
fn silence_leads_to_the_next_address() {
    let mut s = calling(1);
    let (first, to) = s.request_to("INVITE");
    assert_eq!(to, host(1));
    s.pass(Duration::from_millis(3990));
    while s.sent.pop_front().is_some_and(|(m, to)| m.raw() == first.raw() && to == host(1)) {}
    s.pass(Duration::from_millis(20));
    let (second, to) = s.request_to("INVITE");
    assert_eq!(to, host(2));
    assert!(matches!(s.event(), Event::AddressFailed { to } if to == host(1)));
    assert_eq!((second.call_id(), second.from_tag()), (first.call_id(), first.from_tag()));
    assert_eq!(second.cseq().number, first.cseq().number);
    assert_ne!(second.via().branch(), first.via().branch(), "a transaction of its own");
    s.hear(response(&second, 200, "theirs", "", OFFER));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Answered { .. }));
    s.seconds(100);
    s.quiet();
}

#[test]
fn all_are_silent_and_it_takes_no_longer_than_one() {
    let mut s = calling(3);
    s.pass(Duration::from_millis(31_900));
    let failed: Vec<Event> = s.events.drain(..).collect();
    assert!(matches!(
        failed[..],
        [Event::AddressFailed { .. }, Event::AddressFailed { .. }, Event::AddressFailed { .. }]
    ));
    s.pass(Duration::from_millis(200));
    assert!(matches!(s.event(), Event::Failed { status: 408, message: None }));
    assert!(matches!(s.event(), Event::Ended));
    let hosts: std::collections::HashSet<String> =
        s.sent.drain(..).map(|(_, to)| format!("{to:?}")).collect();
    assert_eq!(hosts.len(), 4, "all were asked");
    s.is_over_in_time();
    s.quiet();
}

#[test]
fn no_room_or_no_way_leads_to_the_next_address_at_once() {
    let mut s = calling(2);
    let first = s.request("INVITE");
    s.hear(response(&first, 503, "x", "", ""));
    s.request("ACK");
    let (_, to) = s.request_to("INVITE");
    assert_eq!(to, host(2));
    let by = s.by.expect("a transaction");
    s.session.transport_failed(s.now, by);
    s.drain();
    let (third, to) = s.request_to("INVITE");
    assert_eq!(to, host(3));
    s.events.clear();
    s.hear(response(&third, 503, "z", "", ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 503, message: Some(_) }));
}

#[test]
fn any_other_refusal_is_the_answer() {
    let mut s = calling(2);
    let first = s.request("INVITE");
    s.hear(response(&first, 486, "x", "", ""));
    s.request("ACK");
    assert!(matches!(s.event(), Event::Failed { status: 486, .. }));
}

#[test]
fn who_rings_has_all_the_time() {
    let mut s = calling(1);
    let first = s.request("INVITE");
    s.hear(response(&first, 100, "", "", ""));
    s.seconds(120);
    s.quiet();
    s.hear(response(&first, 200, "theirs", "", OFFER));
    s.request("ACK");
}

#[test]
fn what_was_left_is_cancelled_when_it_rings_and_ended_when_it_answers() {
    let mut s = calling(1);
    let (first, _) = s.request_to("INVITE");
    s.pass(Duration::from_millis(4010));
    while s.sent.front().is_some_and(|(m, _)| m.raw() == first.raw()) {
        s.sent.pop_front();
    }
    let second = s.request("INVITE");
    s.events.clear();
    s.hear(response(&first, 180, "late", "", ""));
    let cancel = s.request("CANCEL");
    assert_eq!(cancel.via().branch(), first.via().branch());
    s.hear(response(&first, 180, "late", "", ""));
    assert!(s.events.is_empty(), "nobody is told");
    s.hear(response(&second, 180, "theirs", "", ""));
    s.event();
    // Its answer crosses our CANCEL.
    let late = response(&first, 200, "late", "", OFFER);
    s.hear(late.clone());
    let (ack, bye) = (s.request("ACK"), s.request("BYE"));
    assert_eq!((ack.to_tag(), bye.to_tag()), (Some("late"), Some("late")));
    s.hear(late);
    assert_eq!(s.request("ACK").raw(), ack.raw());
    s.hear(response(&second, 200, "theirs", "", OFFER));
    assert_eq!(s.request("ACK").to_tag(), Some("theirs"));
    assert!(matches!(s.event(), Event::Answered { .. }));
    assert_eq!(s.session.remote_tag(), Some("theirs"));
    assert_eq!(second.header(Name::To), first.header(Name::To));
}

#[test]
fn a_cancelled_invite_goes_nowhere_else() {
    let mut s = calling(2);
    let first = s.request("INVITE");
    s.session.cancel(s.now, &[]).unwrap();
    s.seconds(40);
    assert!(s.sent.iter().all(|(m, to)| m.raw() == first.raw() && *to == host(1)), "{:?}", s.sent);
    assert!(matches!(s.event(), Event::Failed { status: 487, .. }));
}
