//! Calls on the wire: RFC 3261 §§12–15, RFC 3262 (100rel), RFC 3311 (UPDATE), RFC 4028 (session timers), offers that
//! come late (RFC 3264, `enable-3pcc`).

use crate::line::{Ask, Line, offer};
use crate::puppet::Message;
use crate::switch::{Setup, Switch};

/// An answered call of user 1000 to the echo.
struct Echo {
    switch: Switch,
    line: Line,
    invite: Ask,
    answer: Message,
}

fn echo_with(setup: Setup, headers: &str) -> Echo {
    let switch = Switch::start_with(setup);
    let mut line = Line::udp(&switch);
    let mut ask = line.invite("9196");
    if !headers.is_empty() {
        ask = ask.with(headers);
    }
    let (invite, answer) = line.put_as("1000", &ask);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    line.send(&invite.ack(&answer));
    Echo { switch, line, invite, answer }
}

fn echo() -> Echo {
    echo_with(Setup::default(), "")
}

#[test]
fn the_ordinary_answer_has_what_it_must() {
    let Echo { switch: _switch, mut line, invite, answer } = echo();
    assert!(!answer.tag("To").is_empty());
    assert!(!answer.address("Contact").is_empty());
    assert!(answer.header("Content-Type").contains("application/sdp"));
    assert!(answer.media_port(0) > 0);
    // §14.1: a re-INVITE without change
    let again = invite.inside("INVITE", &answer).sdp(&offer(line.local.ip(), 40_000));
    let answered = line.put(&again);
    assert_eq!(answered.status(), Some(200), "{}", answered.text);
    line.send(&again.ack(&answered));
    // one without offer is answered by an offer (§14.1)
    let mut empty = again.inside("INVITE", &answered);
    empty.cseq = again.cseq + 1;
    let answered = line.put(&empty);
    assert_eq!(answered.status(), Some(200), "{}", answered.text);
    assert!(answered.body().contains("m=audio"), "{}", answered.text);
    line.send(&empty.ack(&answered).sdp(&offer(line.local.ip(), 40_000)));
    // §11: OPTIONS inside the dialog
    let mut options = empty.inside("OPTIONS", &answered);
    options.cseq = empty.cseq + 1;
    assert_eq!(line.status(&options), 200);
    // §12.2.2: CSeq must rise
    let mut old = empty.inside("INFO", &answered);
    old.cseq = 1;
    assert_eq!(line.status(&old), 500);
    // an unknown method in the dialog
    let mut odd = empty.inside("FOO", &answered);
    odd.cseq = empty.cseq + 2;
    assert!(matches!(line.status(&odd), 501 | 405));
    // §15: and the end
    let mut bye = empty.inside("BYE", &answered);
    bye.cseq = empty.cseq + 3;
    assert_eq!(line.status(&bye), 200);
    let mut late = bye.again();
    late.method = "BYE".to_owned();
    // as if it had crossed a BYE of ours: either answer is one (§15.1.2)
    assert!(matches!(line.status(&late), 200 | 481));
}

/// §12.2.2: all three of Call-ID and both tags make the dialog. FreeSWITCH ends a call by a BYE without To tag.
#[test]
fn a_strangers_request_does_not_touch_the_call() {
    let Echo { switch, mut line, invite, answer } = echo();
    let mut stranger = Line::udp(&switch);
    for method in ["BYE", "INFO", "INVITE", "UPDATE", "REFER", "MESSAGE"] {
        let inside = invite.inside(method, &answer);
        let bent: [(&str, Ask); 4] = [
            (
                "To tag gone",
                Ask { to: inside.to.split(";tag").next().unwrap_or("").to_owned(), ..inside.clone() },
            ),
            ("From tag forged", Ask { from: inside.from.replace(";tag=", ";tag=x"), ..inside.clone() }),
            ("Call-ID forged", Ask { call_id: format!("{}x", inside.call_id), ..inside.clone() }),
            ("To tag forged", Ask { to: format!("{}x", inside.to), ..inside.clone() }),
        ];
        for (what, mut ask) in bent {
            ask.via = stranger.ask(method).via;
            let status = stranger.status(&ask);
            assert!(status >= 300, "{method}, {what}: {status}");
        }
    }
    // an ACK or CANCEL from nowhere
    stranger.send(&Ask { via: stranger.ask("ACK").via, ..invite.ack(&answer) });
    let cancel = Ask { via: stranger.ask("CANCEL").via, ..invite.cancel() };
    assert_eq!(stranger.status(&cancel), 481);
    // CANCEL after the answer changes nothing (§9.2)
    assert!(matches!(line.status(&invite.cancel()), 200 | 481));
    let options = invite.inside("OPTIONS", &answer);
    assert_eq!(line.status(&options), 200, "the call is still there");
    let mut bye = invite.inside("BYE", &answer);
    bye.cseq = options.cseq + 1;
    assert_eq!(line.status(&bye), 200);
}

/// RFC 3311 §5.2
#[test]
fn update_refreshes_and_offers() {
    let Echo { switch: _switch, mut line, invite, answer } = echo();
    let update = invite.inside("UPDATE", &answer);
    let answered = line.put(&update);
    assert_eq!(answered.status(), Some(200), "{}", answered.text);
    let mut with_offer = update.inside("UPDATE", &answer).sdp(&offer(line.local.ip(), 40_000));
    with_offer.cseq = update.cseq + 1;
    let answered = line.put(&with_offer);
    assert_eq!(answered.status(), Some(200), "{}", answered.text);
    assert!(answered.body().contains("m=audio"), "{}", answered.text);
}

/// RFC 3262 §3: a caller that requires 100rel gets its provisional answers so, and must PRACK.
#[test]
fn provisional_answers_are_reliable_when_required() {
    let switch = Switch::start();
    let (mut a, mut b) = (Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let invite = a.send_as("1000", &a.invite("1001").with("Require: 100rel"));
    let called = b.request("INVITE");
    b.reply(&called, "180 Ringing", "b", &format!("Contact: <sip:b@{}>\n", b.local), "");
    let ringing = a.status_of(&invite, 180);
    let rseq = ringing.header("RSeq").to_owned();
    assert!(!rseq.is_empty() && ringing.header("Require").contains("100rel"), "{}", ringing.text);
    // it comes again until it is acknowledged
    a.status_of(&invite, 180);
    let wrong = invite.inside("PRACK", &ringing).with(&format!("RAck: 1 {} INVITE", invite.cseq));
    assert_eq!(a.status(&wrong), 481);
    let mut prack = invite.inside("PRACK", &ringing).with(&format!("RAck: {rseq} {} INVITE", invite.cseq));
    prack.cseq = wrong.cseq + 1;
    assert_eq!(a.status(&prack), 200);
    b.pick_up(&called);
    let answer = a.final_of(&invite);
    assert_eq!(answer.status(), Some(200), "{}", answer.text);
    a.send(&invite.ack(&answer));
    b.request("ACK");
    let mut bye = invite.inside("BYE", &answer);
    bye.cseq = prack.cseq + 1;
    assert_eq!(a.status(&bye), 200);
}

/// RFC 4028 §§8, 9
#[test]
fn session_timers_are_agreed() {
    let Echo { switch: _switch, mut line, invite, answer } =
        echo_with(Setup::default(), "Supported: timer\nSession-Expires: 300");
    let said = answer.header("Session-Expires").to_ascii_lowercase();
    assert!(said.starts_with("300") && said.contains("refresher="), "{}", answer.text);
    let mut bye = invite.inside("BYE", &answer);
    bye.cseq += 1;
    assert_eq!(line.status(&bye), 200);
    // §6: too small
    let (small, refused) =
        line.put_as("1000", &line.invite("9196").with("Supported: timer\nSession-Expires: 60"));
    assert_eq!(refused.status(), Some(422), "{}", refused.text);
    assert!(!refused.header("Min-SE").is_empty(), "{}", refused.text);
    line.send(&small.ack(&refused));
    let (small, refused) =
        line.put_as("1000", &line.invite("9196").with("Supported: timer\nx: 5;refresher=uac\nMin-SE: 5"));
    assert_eq!(refused.status(), Some(422), "compact form: {}", refused.text);
    line.send(&small.ack(&refused));
}

/// An INVITE without offer, by what the profile says of it.
#[test]
fn an_invite_without_offer() {
    let cases: [(&'static [(&str, &str)], u16); 3] =
        [(&[], 200), (&[("enable-3pcc", "true")], 200), (&[("enable-3pcc", "false")], 480)];
    for (params, wanted) in cases {
        let switch = Switch::start_with(Setup { params, ..Setup::default() });
        let mut line = Line::udp(&switch);
        let mut ask = line.invite("9196");
        ask.body = String::new();
        ask.headers =
            ask.headers.lines().filter(|l| l.starts_with("Contact")).map(|l| format!("{l}\n")).collect();
        let (ask, answer) = line.put_as("1000", &ask);
        let status = answer.status().unwrap_or(0);
        if wanted != 200 {
            assert!(status >= 400, "{}", answer.text);
            line.send(&ask.ack(&answer));
            continue;
        }
        assert_eq!(status, 200, "{}", answer.text);
        assert!(answer.body().contains("m=audio"), "our offer: {}", answer.text);
        line.send(&ask.ack(&answer).sdp(&offer(line.local.ip(), 40_000)));
        let bye = ask.inside("BYE", &answer);
        assert_eq!(line.status(&bye), 200);
    }
}
