//! The offer/answer model, by section of RFC 3264 and by phone.

mod phones;
mod properties;
mod section_5_offer;
mod section_6_answer;
mod section_8_modify;

use std::net::IpAddr;

use tandem::sdp::{Author, Draft, Prefs, Rules, Session, Settled, Source};

/// What tandem writes in these tests.
fn author() -> Author {
    Author {
        username: "FreeSWITCH".into(),
        id: 1700000000,
        version: 1,
        address: IpAddr::from([198, 51, 100, 1]),
    }
}

/// A description with one session-level address and the given m-lines.
fn sdp(media: &str) -> Session {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n";
    Session::parse(&format!("{head}{}", media.trim_start().replace('\n', "\r\n")))
        .expect("a sound description")
}

/// Writes a draft with ports 30000, 30002 …; what is written must be readable and print the same.
fn written(draft: &Draft) -> Session {
    let ports: Vec<u16> = (0..draft.len() as u16).map(|i| 30000 + 2 * i).collect();
    let session = draft.write(&author(), &ports).expect("ports for every m-line");
    let text = session.to_string();
    assert_eq!(Session::parse(&text).expect("our own text").to_string(), text);
    assert!(text.split("\r\n").all(|l| !l.contains(['\r', '\n'])), "CRLF everywhere");
    session
}

fn offered(a: &Session, prefs: &str) -> Session {
    let prefs = Prefs::parse(prefs);
    let source = Source::Offer { offer: a, prefs: Some(&prefs) };
    written(&tandem::sdp::offer(source, &Rules::default()).expect("something in common"))
}

fn answered(a: &Session, b: &Session) -> Session {
    written(&tandem::sdp::answer(a, Settled::Leg(b), &Rules::default()).expect("something in common"))
}

fn answered_alone(a: &Session, prefs: &str) -> Session {
    let prefs = Prefs::parse(prefs);
    let settled = Settled::Prefs { prefs: &prefs, negotiation: Default::default() };
    written(&tandem::sdp::answer(a, settled, &Rules::default()).expect("something in common"))
}

/// The m-lines and their attributes, one text per m-line, lines joined by `|`.
fn lines(session: &Session) -> Vec<String> {
    session.media.iter().map(|m| m.to_string().trim_end().replace("\r\n", "|")).collect()
}
