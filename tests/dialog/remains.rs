//! What a session leaves answers repetitions as the session itself would have.

use crate::stage::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::time::{Duration, Instant};
use tandem::dialog::{Output, Session};
use tandem::sip::{Destination, Message, Method};
use tandem::transaction::{Graveyard, Key, Repeated, Timers, reply_flow};

const TOKEN: u64 = 7;

/// What the session says to `message`, and what its remains say, each with where it goes.
fn both(s: &mut Stage, yard: &Graveyard, message: &Message) -> [Vec<(bytes::Bytes, Destination)>; 2] {
    s.hear(message.clone());
    let session = s.sent.drain(..).map(|(m, to)| (m.raw().clone(), to)).collect();
    let what = match message.is_request() {
        false => yard.response(TOKEN, message),
        true if message.to_tag().is_some() => yard.request(TOKEN, message, s.flow.remote),
        true => {
            assert_eq!(yard.invite(&Key::invite_of(message, s.flow.remote)), Some(TOKEN));
            match message.method() {
                Method::Cancel => yard.request(TOKEN, message, s.flow.remote),
                _ => Some(Repeated::Absorbed),
            }
        }
    };
    let remains = match what {
        Some(Repeated::Answer(bytes)) => vec![(bytes, Destination::Flow(reply_flow(message, s.flow)))],
        Some(Repeated::Ack(again)) => vec![(again.bytes.into(), again.to)],
        Some(Repeated::Absorbed) | None => Vec::new(),
        other => panic!("{other:?}"),
    };
    [session, remains]
}

fn bury(s: &Stage) -> Graveyard {
    let remains = s.session.remains().expect("nothing more to say");
    let mut yard = Graveyard::new(&Timers::default(), 1 << 20);
    assert!(remains.until <= s.now + Duration::from_secs(32));
    if let Some(invite) = remains.invite {
        yard.keep_invite(s.now, invite, TOKEN, remains.until);
    }
    yard.keep(s.now, TOKEN, remains.kept, remains.until);
    yard
}

#[test]
fn of_a_called_side_that_was_hung_up() {
    let mut s = Stage::called(config(), "", OFFER);
    assert!(s.session.remains().is_none());
    s.session.answer(s.now, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    let ack = message(&s.text("ACK", 1, "theirs", "ours", "", ""));
    s.hear(ack.clone());
    let reinvite = message(&s.text("INVITE", 2, "theirs", "ours", "", OFFER));
    s.hear(reinvite.clone());
    let id = loop {
        if let tandem::dialog::Event::Offer { id, .. } = s.event() {
            break id;
        }
    };
    s.session.accept_offer(s.now, id, sdp(ANSWER), &[]).unwrap();
    s.drain();
    s.expect(200);
    s.ack(2, "");
    assert!(s.session.remains().is_none(), "the call is up");
    let info = message(&s.text("INFO", 3, "theirs", "ours", "", ""));
    s.hear(info.clone());
    let bye = message(&s.text("BYE", 4, "theirs", "ours", "", ""));
    s.hear(bye.clone());
    s.sent.clear();
    let yard = bury(&s);
    for (repeated, answers) in [(&bye, 1), (&info, 1), (&reinvite, 0), (&ack, 0), (&invite("", OFFER), 0)] {
        let [session, remains] = both(&mut s, &yard, repeated);
        assert_eq!(session, remains, "{repeated:?}");
        assert_eq!(session.len(), answers, "{repeated:?}");
    }
    // New ones.
    let source = s.flow.remote;
    let options = message(&s.text("OPTIONS", 5, "theirs", "ours", "", ""));
    assert!(matches!(yard.request(TOKEN, &options, source), Some(Repeated::Over)));
    let crossing = message(&s.text("BYE", 5, "theirs", "ours", "", ""));
    assert!(matches!(yard.request(TOKEN, &crossing, source), Some(Repeated::Bye)));
    let late = message(&s.text("BYE", 4, "theirs", "ours", "", ""));
    assert!(matches!(yard.request(TOKEN, &late, source), Some(Repeated::OutOfOrder)));
    let strange = message(&s.text("BYE", 5, "stranger", "ours", "", ""));
    assert!(matches!(yard.request(TOKEN, &strange, source), Some(Repeated::Over)));
    assert!(yard.request(TOKEN + 1, &bye, source).is_none());
}

#[test]
fn of_a_caller_that_gave_up() {
    let mut s = Stage::called(config(), "", OFFER);
    s.hear(cancel());
    s.expect(200);
    s.expect(487);
    assert!(s.session.remains().is_none(), "the 487 wants its ACK");
    let ack = message(&s.text("ACK", 1, "theirs", "ours", "", ""));
    let ack = String::from_utf8(ack.raw().to_vec()).unwrap().replace("z9hG4bKtheirs1", "z9hG4bKtheirs");
    s.hear(message(&ack));
    s.sent.clear();
    let yard = bury(&s);
    for (repeated, answers) in [(&cancel(), 1), (&invite("", OFFER), 0)] {
        let [session, remains] = both(&mut s, &yard, repeated);
        assert_eq!(session, remains, "{repeated:?}");
        assert_eq!(session.len(), answers, "{repeated:?}");
    }
}

#[test]
fn of_a_calling_side() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    let ok = response(&invite, 200, "theirs", "", OFFER);
    s.hear(ok.clone());
    s.request("ACK");
    s.session.bye(s.now, &[]).unwrap();
    s.drain();
    let bye = s.request("BYE");
    assert!(s.session.remains().is_none(), "the BYE wants its answer");
    let goodbye = response(&bye, 200, "", "", "");
    s.hear(goodbye.clone());
    let yard = bury(&s);
    for (repeated, answers) in [(&ok, 1), (&goodbye, 0), (&response(&invite, 180, "theirs", "", ""), 0)] {
        let [session, remains] = both(&mut s, &yard, repeated);
        assert_eq!(session, remains, "{repeated:?}");
        assert_eq!(session.len(), answers, "{repeated:?}");
    }
    let late = response(&invite, 200, "another", "", OFFER);
    assert!(matches!(yard.response(TOKEN, &late), Some(Repeated::Fork)));
    // What is said to the late fork is what the session would say, but for the branches.
    s.hear(late.clone());
    let (rng, mut said) = (SmallRng::seed_from_u64(1), Vec::new());
    let mut fork = Session::late_fork(s.now, config(), &late, s.flow, rng).unwrap();
    while let Some(Output::Send { bytes, to, .. }) = fork.poll() {
        said.push((message(std::str::from_utf8(&bytes).unwrap()), to));
    }
    assert!(fork.is_ended() && !fork.is_over() && fork.remains().is_none());
    assert_eq!(said.len(), 2);
    let text = |message: &Message| {
        let lines = std::str::from_utf8(message.raw()).unwrap().lines();
        lines.filter(|l| !l.starts_with("Via:")).map(str::to_owned).collect::<Vec<_>>()
    };
    for ((ours, to), method) in said.iter().zip(["ACK", "BYE"]) {
        let (message, same_to) = s.request_to(method);
        assert_eq!((text(ours), to), (text(&message), &same_to));
    }
    fork.receive(s.now, response(&said[1].0, 200, "", "", ""), s.flow);
    assert!(fork.remains().is_some(), "nothing more to say");
}

#[test]
fn of_a_call_that_was_refused() {
    let mut s = Stage::calling(config(), false);
    let invite = s.request("INVITE");
    let busy = response(&invite, 486, "theirs", "", "");
    s.hear(busy.clone());
    s.request("ACK");
    let yard = bury(&s);
    let [session, remains] = both(&mut s, &yard, &busy);
    assert_eq!((session.len(), &session), (1, &remains));
}

#[test]
fn they_are_forgotten_in_time_and_never_too_many() {
    let now = Instant::now();
    let mut yard = Graveyard::new(&Timers::default(), 100_000);
    let mut s = Stage::up(config());
    s.ask("BYE", "", "");
    for token in 0..10_000u64 {
        let remains = s.session.remains().unwrap();
        let until = now + Duration::from_millis(token);
        let invite = remains.invite.unwrap();
        yard.keep(now, token << 40, remains.kept, until);
        yard.keep_invite(now, invite, token << 40, until);
    }
    assert!((50..500).contains(&yard.len()), "{}", yard.len());
    let last = message(&s.text("BYE", 9, "theirs", "ours", "", ""));
    assert!(yard.request(9_999 << 40, &last, s.flow.remote).is_some(), "those that would go last are there");
    let mut times = 0;
    while let Some(at) = yard.next_timeout() {
        yard.forget(at);
        times += 1;
    }
    assert!(yard.is_empty());
    assert!(times <= 12, "in batches: {times}");
}
