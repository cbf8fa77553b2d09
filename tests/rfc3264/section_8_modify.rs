//! RFC 3264 §8: modifying the session.

use tandem::sdp::{Direction, Prefs, Rules, Session, Source, agreed, reoffer};

use super::{answered_alone, lines, offered, sdp, written};

fn reoffered(previous: &Session, a: &Session) -> Session {
    let source = Source::Offer { offer: a, prefs: None };
    written(&reoffer(previous, source, &Rules::default()).expect("something in common"))
        .numbered_after(previous)
}

/// §8: "the number of m= lines … MUST be at least as large", order kept, version one up.
#[test]
fn lines_are_added_and_disabled_never_removed() {
    let audio = "m=audio 4000 RTP/AVP 0\n";
    let video = "m=video 4002 RTP/AVP 96\na=rtpmap:96 VP8/90000\n";
    let one = offered(&sdp(audio), "*");
    let two = reoffered(&one, &sdp(&format!("{video}{audio}")));
    assert_eq!(two.media.iter().map(|m| m.kind.name()).collect::<Vec<_>>(), ["audio", "video"]);
    let three = reoffered(&two, &sdp(audio));
    assert_eq!(three.media.len(), 2);
    assert_eq!(lines(&three)[1], "m=video 0 RTP/AVP 96");
    let four = reoffered(&three, &sdp(&format!("{audio}{video}")));
    assert_eq!((four.media.len(), four.media[1].port), (2, 30002));
    assert_eq!([&one, &two, &three, &four].map(|s| s.origin.version.as_str()), ["1", "2", "3", "4"]);
    assert!([&two, &three, &four].iter().all(|s| s.origin.id == one.origin.id));
}

/// §8.3.2: a payload number keeps its meaning for the whole session.
#[test]
fn payload_numbers_keep_their_meaning() {
    let one = offered(
        &sdp("m=audio 4000 RTP/AVP 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n"),
        "*",
    );
    let two = reoffered(
        &one,
        &sdp(
            "m=audio 4000 RTP/AVP 96 97 100\na=rtpmap:96 speex/8000\na=rtpmap:97 opus/48000/2\na=rtpmap:100 telephone-event/8000\n",
        ),
    );
    let codecs: Vec<String> = two.media[0].codecs().iter().map(|c| format!("{} {c}", c.pt)).collect();
    assert_eq!(codecs, ["102 speex/8000", "96 opus/48000/2", "101 telephone-event/8000"]);
}

/// §8: nothing changed, so the version stays.
#[test]
fn the_same_text_keeps_its_version() {
    let a = sdp("m=audio 4000 RTP/AVP 0\n");
    let one = offered(&a, "*");
    assert_eq!(reoffered(&one, &a), one);
}

/// §8.4: putting on hold and taking back.
#[test]
fn hold_and_resume() {
    let a = sdp("m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 34\n");
    let talking = answered_alone(&a, "PCMU");
    let mut held = talking.clone();
    held.set_direction(Direction::SendOnly);
    let held = held.numbered_after(&talking);
    assert!(held.is_hold() && !talking.is_hold());
    assert_eq!(lines(&held), ["m=audio 30000 RTP/AVP 0|a=ptime:20|a=sendonly", "m=video 0 RTP/AVP 34"]);
    let mut back = held.clone();
    back.set_direction(Direction::SendRecv);
    let back = back.numbered_after(&held);
    assert_eq!(back.origin.version, "3");
    assert_eq!(lines(&back), lines(&talking));
}

#[test]
fn a_held_peer_is_neither_sent_to_nor_expected() {
    let a = sdp("m=audio 4000 RTP/AVP 0\na=inactive\n");
    let ours = answered_alone(&a, "PCMU");
    assert_eq!(agreed(&ours, &a)[0].direction, Direction::Inactive);
    let null = sdp("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n");
    let ours = answered_alone(&null, "PCMU");
    let settled = &agreed(&ours, &null)[0];
    assert_eq!((settled.direction, settled.remote_rtp), (Direction::RecvOnly, None));
}

/// A re-INVITE without an offer is answered with everything, not with what happens to be in use.
#[test]
fn a_delayed_offer_on_an_established_session_is_a_full_one() {
    let one = answered_alone(&sdp("m=audio 4000 RTP/AVP 8 0\n"), "PCMU");
    let prefs = Prefs::parse("OPUS,PCMU,PCMA");
    let full = written(&reoffer(&one, Source::Prefs(&prefs), &Rules::default()).unwrap());
    assert_eq!(full.media[0].formats[..3], ["102", "0", "8"]);
}
