//! RFC 3261 §8.2 (what a user agent server looks at before anything else), §9.2, §11, §12.2.2, §17.2.

use crate::line::{Ask, Line, logged_in};
use crate::puppet::Message;
use crate::switch::{PASSWORD, Switch};

/// Both transports, each with a line of its own.
fn both(switch: &Switch) -> [Line; 2] {
    [Line::udp(switch), Line::tcp(switch)]
}

#[test]
fn what_is_asked_of_every_request() {
    let switch = Switch::start();
    for line in &mut both(&switch) {
        // §8.2.2.3 Require
        let ask = line.ask("OPTIONS").with("Require: foo, 100rel\nRequire: bar");
        let answer = line.put(&ask);
        assert_eq!(answer.status(), Some(420));
        let unsupported = answer.headers("Unsupported").join(",");
        assert!(unsupported.contains("foo") && unsupported.contains("bar"), "{}", answer.text);
        // §8.2.1: a method nobody knows, and known ones outside a dialog
        let answer = line.put(&line.ask("NEWMETHOD"));
        assert!(matches!(answer.status(), Some(501 | 405)));
        assert!(answer.header("Allow").contains("INVITE"), "{}", answer.text);
        for method in ["BYE", "INFO", "UPDATE", "PRACK", "NOTIFY", "REFER"] {
            let status = line.status(&line.ask(method));
            assert!(matches!(status, 481 | 405 | 489 | 403), "{method}: {status}");
        }
        // §16.3: Max-Forwards
        for method in ["OPTIONS", "INVITE", "MESSAGE"] {
            let mut ask = line.invite("1001");
            ask.method = method.to_owned();
            ask.max_forwards = 0;
            assert_eq!(line.status(&ask), 483, "{method}");
        }
        // §8.2.2.1: scheme
        for method in ["OPTIONS", "INVITE", "REGISTER"] {
            let mut ask = line.invite("1001");
            ask.method = method.to_owned();
            ask.uri = "nobodyKnowsThisScheme:totallyopaquecontent".to_owned();
            assert_eq!(line.status(&ask), 416, "{method}");
        }
        // §9.2: CANCEL of nothing
        assert_eq!(line.status(&line.invite("1001").cancel()), 481);
        // §11.2: OPTIONS tells what we can
        let answer = line.put(&line.ask("OPTIONS"));
        assert_eq!(answer.status(), Some(200));
        for name in ["Allow", "Accept", "Supported"] {
            assert!(!answer.header(name).is_empty(), "{name}: {}", answer.text);
        }
        assert!(!answer.tag("To").is_empty(), "§8.2.6.2: a To tag");
        // and to a number (the answer may depend on the user)
        assert!(matches!(line.status(&line.ask("OPTIONS").dialling("1001")), 200 | 404 | 480));
    }
}

/// §12.2.2: a To tag that is none of ours.
#[test]
fn requests_in_dialogs_that_are_not_there() {
    let switch = Switch::start();
    for line in &mut both(&switch) {
        for tag in ["nobody", "0123456789abcdef", "0123456789abcdef.1", "s0123456789abcdef"] {
            for method in
                ["BYE", "INFO", "INVITE", "UPDATE", "PRACK", "REFER", "NOTIFY", "MESSAGE", "SUBSCRIBE"]
            {
                let mut ask = line.invite("1001");
                ask.method = method.to_owned();
                ask.to = format!("{};tag={tag}", ask.to);
                assert_eq!(line.status(&ask), 481, "{method} with {tag}");
            }
            let mut ack = line.invite("1001");
            ack.method = "ACK".to_owned();
            ack.to = format!("{};tag={tag}", ack.to);
            line.send(&ack);
            line.silent(&ack.call_id);
        }
    }
}

#[test]
fn what_needs_no_answer_gets_none() {
    let switch = Switch::start();
    for line in &mut both(&switch) {
        let ack = Ask { method: "ACK".to_owned(), ..line.invite("1001") };
        line.send(&ack);
        line.silent(&ack.call_id);
        let n = &ack.call_id;
        for branch in ["z9hG4bK0123456789abcdef.1", "z9hG4bKx", "nocookie", ""] {
            for status in ["100 Trying", "180 Ringing", "200 OK", "407 No", "699 Odd"] {
                for method in ["INVITE", "REGISTER", "FOO"] {
                    let text = format!(
                        "SIP/2.0 {status}\r\nVia: SIP/2.0/{} {};branch={branch}\r\nFrom: <sip:a@b>;tag=1\r\n\
                         To: <sip:c@d>;tag=2\r\nCall-ID: {n}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
                        line.transport(),
                        switch.sip()
                    );
                    line.send_raw(text.as_bytes());
                }
            }
        }
        line.silent(n);
    }
}

#[test]
fn keep_alive_datagrams_are_ignored() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    for bytes in [&b"\r\n\r\n"[..], b"\0", b"\0\0\0\0", b"x", b"\r\n", b" ", b"jaK", b"\xff\xff\xff\xff"] {
        line.send_raw(bytes);
        line.fence();
    }
    line.send_raw(b"");
    line.fence();
    assert_eq!(line.count(|_| true), 0, "nothing but the answers to OPTIONS came");
}

/// §17.2.2 and §17.2.1: a retransmission is answered the same and done once.
#[test]
fn retransmissions_are_answered_the_same() {
    let switch = Switch::start();
    let mut line = Line::udp(&switch);
    let same = |line: &mut Line, ask: &Ask| {
        let answers: Vec<String> = (0..3).map(|_| line.put(ask).text).collect();
        assert!(answers.iter().all(|a| *a == answers[0]), "{}", answers.join("\n"));
    };
    let register = line.registration("1000", &format!("<sip:1000@{}>", line.local));
    // The challenge of a retransmission may have another nonce, but the same tag (§8.2.7).
    let tags: Vec<String> = (0..2).map(|_| line.put(&register).tag("To")).collect();
    assert_eq!(tags[0], tags[1]);
    let challenge = line.put(&register);
    let register = logged_in(&register, &challenge, "1000", PASSWORD);
    assert_eq!(line.put(&register).status(), Some(200));
    same(&mut line, &register);
    let options = line.ask("OPTIONS");
    same(&mut line, &options);

    let invite = line.invite("4711");
    let challenge = line.put(&invite);
    assert_eq!(challenge.status(), Some(407));
    line.send(&invite.ack(&challenge));
    let invite = logged_in(&invite, &challenge, "1000", PASSWORD);
    same(&mut line, &invite);
    let answer = line.put(&invite);
    assert_eq!(answer.status(), Some(404), "{}", answer.text);
    line.send(&invite.ack(&answer));
    line.fence();
}

/// A ringing call: retransmissions of its INVITE ring nobody again.
#[test]
fn an_invite_that_comes_again_makes_no_second_call() {
    let switch = Switch::start();
    let (mut a, mut b) = (Line::udp(&switch), Line::udp(&switch));
    b.log_in("1001");
    let invite = a.send_as("1000", &a.invite("1001"));
    let ringing = b.request("INVITE");
    b.reply(&ringing, "180 Ringing", "b", &format!("Contact: <sip:b@{}>\n", b.local), "");
    a.status_of(&invite, 180);
    for _ in 0..3 {
        a.send(&invite);
        a.status_of(&invite, 180);
    }
    assert_eq!(b.count(|m| m.method() == "INVITE" && m.text != ringing.text), 0);
    // §8.2.2.2: the same INVITE by another way is a loop or a fork
    let mut merged = invite.clone();
    merged.via = invite.again().via;
    assert_eq!(a.put(&merged).status(), Some(482));
    // §9: and it can be given up
    let cancel = invite.cancel();
    assert_eq!(a.put(&cancel).status(), Some(200));
    let answer = a.final_of(&invite);
    assert_eq!(answer.status(), Some(487));
    a.send(&invite.ack(&answer));
    let cancel = b.request("CANCEL");
    b.reply(&cancel, "200 OK", "", "", "");
    b.reply(&ringing, "487 Request Terminated", "b", "", "");
    b.request("ACK");
    // A CANCEL that comes late, or again, is no harm.
    assert!(matches!(a.put(&invite.cancel()).status(), Some(200 | 481)));
}

/// §8.1.1.8, §8.2.3, §13.2.1: what an INVITE must have.
#[test]
fn invites_that_cannot_be_accepted() {
    let switch = Switch::start();
    for line in &mut both(&switch) {
        let without_contact = {
            let mut ask = line.invite("9196");
            ask.headers =
                ask.headers.lines().filter(|l| !l.starts_with("Contact")).map(|l| format!("{l}\n")).collect();
            ask
        };
        assert_eq!(line.status(&without_contact), 400);
        let put = |line: &mut Line, ask: Ask| -> Message {
            let (ask, answer) = line.put_as("1000", &ask);
            line.send(&ask.ack(&answer));
            answer
        };
        let ask = line.invite("9196").with("Require: foo");
        let answer = put(line, ask);
        assert_eq!((answer.status(), answer.header("Unsupported")), (Some(420), "foo"), "{}", answer.text);
        let text = |line: &Line, kind: &str, body: &str| {
            let mut ask = line.invite("9196");
            ask.headers = ask.headers.replace("application/sdp", kind);
            ask.body = body.to_owned();
            ask
        };
        let ask = text(line, "text/plain", "hello");
        let answer = put(line, ask);
        assert_eq!(answer.status(), Some(415), "{}", answer.text);
        assert!(answer.header("Accept").contains("application/sdp"), "{}", answer.text);
        let ask = text(line, "application/sdp", "this is no description");
        assert!(matches!(put(line, ask).status(), Some(400 | 488)));
        let ask = text(
            line,
            "application/sdp",
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio x y z\r\n",
        );
        assert!(matches!(put(line, ask).status(), Some(400 | 488)));
        let none = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                    m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 NOBODY/8000\r\n";
        let ask = text(line, "application/sdp", none);
        assert_eq!(put(line, ask).status(), Some(488));
        // rtpengine 10.5 died of this one
        let ask = text(line, "application/sdp", &none.replace("NOBODY/8000", "PCMU/99999999999"));
        assert!(matches!(put(line, ask).status(), Some(400 | 488)));
        line.fence();
    }
}
