//! What holds for any description, sound or not.

use proptest::prelude::*;
use tandem::sdp::{
    Direction, Negotiation, Prefs, Rules, Session, Settled, Source, agreed, answer, offer, pair, payload_map,
    reoffer,
};

use super::written;

/// Lines as phones and attackers write them.
fn line() -> impl Strategy<Value = String> {
    let codec = prop_oneof![
        Just("opus/48000/2"),
        Just("PCMU/8000"),
        Just("telephone-event/8000"),
        Just("telephone-event/48000"),
        Just("H264/90000"),
        Just("VP8/90000"),
        Just("CN/8000"),
        Just("rtx/90000"),
        Just("AMR/8000"),
        Just("X/1")
    ];
    let pts = || prop::collection::vec(prop_oneof![Just(0u8), Just(8), Just(9), Just(13), 90u8..110], 1..8);
    let proto =
        prop_oneof![6 => Just("RTP/AVP"), 1 => Just("RTP/SAVP"), 1 => Just("RTP/AVPF"), 1 => Just("udptl")];
    let kind = prop_oneof![4 => Just("audio"), 2 => Just("video"), 1 => Just("image")];
    let port = prop_oneof![4 => 1u16..=65535, 1 => Just(0u16)];
    prop_oneof![
        5 => (kind, port, proto, pts()).prop_map(|(k, p, t, f)| {
            format!("m={k} {p} {t} {}", f.iter().map(u8::to_string).collect::<Vec<_>>().join(" "))
        }),
        8 => (90u8..110, codec).prop_map(|(pt, c)| format!("a=rtpmap:{pt} {c}")),
        2 => (90u8..110, "[a-z0-9=; -]{0,20}").prop_map(|(pt, f)| format!("a=fmtp:{pt} {f}")),
        1 => prop_oneof![Just("sendonly"), Just("recvonly"), Just("inactive"), Just("sendrecv"), Just("rtcp-mux")]
            .prop_map(|d| format!("a={d}")),
        1 => prop_oneof![Just("c=IN IP4 0.0.0.0"), Just("c=IN IP6 2001:db8::1"), Just("c=IN IP4 host.example")]
            .prop_map(str::to_owned),
        1 => (any::<u16>()).prop_map(|p| format!("a=ptime:{p}")),
        1 => (any::<u16>()).prop_map(|p| format!("a=rtcp:{p}")),
        1 => "[a-z]=[ -~]{0,30}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 0..30).prop_map(|lines| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n{}\r\n",
            lines.join("\r\n")
        )
    })
}

fn session() -> impl Strategy<Value = Session> {
    text().prop_filter_map("sound", |t| Session::parse(&t).ok())
}

fn prefs() -> impl Strategy<Value = Prefs> {
    "(\\*|((OPUS|PCMU|PCMA@30i|G722|H264|VP8|AMR),){1,5}(X|H264|\\*))".prop_map(|t| Prefs::parse(&t))
}

/// RFC 3264 §6 as far as it can be told from the two texts.
fn assert_valid(offer: &Session, answer: &Session) {
    assert_eq!(offer.media.len(), answer.media.len());
    for (o, a) in offer.media.iter().zip(&answer.media) {
        assert_eq!((&o.kind, &o.proto), (&a.kind, &a.proto));
        assert!(!a.formats.is_empty());
        if a.port == 0 {
            continue;
        }
        assert_ne!(o.port, 0, "a disabled m-line stays so");
        let offered = o.codecs();
        let answered = a.codecs();
        assert_eq!(answered.iter().filter(|c| c.is_primary()).count(), 1, "one codec");
        for codec in &answered {
            assert!(
                offered.iter().any(|c| c.pt == codec.pt && c.same_format(codec)),
                "{codec} was not offered"
            );
        }
        let allowed = offer.effective_direction(o).reversed();
        let direction: Direction = answer.direction(a);
        assert_eq!(direction.and(allowed), direction, "answered {direction} to {}", offer.direction(o));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Session::parse_bytes(&bytes);
    }

    #[test]
    fn any_text_after_a_head_is_read_or_refused(rest in "\\PC{0,300}") {
        let _ = Session::parse(&format!("v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 h\r\nm=audio 4 RTP/AVP 0\r\na={rest}"));
    }

    #[test]
    fn printing_is_stable(text in text()) {
        if let Ok(session) = Session::parse(&text) {
            let printed = session.to_string();
            prop_assert_eq!(&Session::parse(&printed).unwrap(), &session);
            prop_assert_eq!(Session::parse(&printed).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn any_preferences_are_read(text in "\\PC{0,80}") {
        let prefs = Prefs::parse(&text);
        let _ = offer(Source::Prefs(&prefs), &Rules::default()).map(|d| written(&d));
    }

    #[test]
    fn answers_are_valid_against_their_offer(a in session(), b in session(), prefs in prefs()) {
        let rules = Rules::default();
        for negotiation in [Negotiation::Generous, Negotiation::Greedy, Negotiation::Scrooge] {
            if let Ok(draft) = answer(&a, Settled::Prefs { prefs: &prefs, negotiation }, &rules) {
                let ours = written(&draft);
                assert_valid(&a, &ours);
                prop_assert_eq!(agreed(&ours, &a).len(), draft.wanted().count());
            }
        }
        if let Ok(draft) = answer(&a, Settled::Leg(&b), &rules) {
            assert_valid(&a, &written(&draft));
        }
    }

    /// A call: whatever A offers and whatever of it B takes, A's answer is valid and nothing needs transcoding.
    #[test]
    fn a_call_needs_no_transcoding(a in session(), prefs in prefs(), takes in prefs()) {
        let rules = Rules::default();
        let source = Source::Offer { offer: &a, prefs: Some(&prefs) };
        let Ok(draft) = offer(source, &rules) else { return Ok(()) };
        let to_b = written(&draft);
        let settled = Settled::Prefs { prefs: &takes, negotiation: Negotiation::Greedy };
        let Ok(b) = answer(&to_b, settled, &rules) else { return Ok(()) };
        let b = written(&b);
        let to_a = written(&answer(&a, Settled::Leg(&b), &rules).expect("B took what A offered"));
        assert_valid(&a, &to_a);
        let (leg_a, leg_b) = (agreed(&to_a, &a), agreed(&to_b, &b));
        for (i, j) in pair(&to_a, &to_b) {
            let find = |leg: &[tandem::sdp::AgreedMedia], line| leg.iter().find(|m| m.line == line).cloned();
            let (Some(x), Some(y)) = (find(&leg_a, i), find(&leg_b, j)) else { continue };
            prop_assert!(payload_map(&x, &y).same_codec);
            prop_assert!(payload_map(&x, &y).get(x.receive_pt).is_some());
        }
    }

    #[test]
    fn reoffers_never_lose_a_line_or_change_a_number(first in session(), second in session()) {
        let rules = Rules::default();
        let Ok(draft) = offer(Source::Offer { offer: &first, prefs: None }, &rules) else { return Ok(()) };
        let one = written(&draft);
        let Ok(draft) = reoffer(&one, Source::Offer { offer: &second, prefs: None }, &rules) else { return Ok(()) };
        let two = written(&draft).numbered_after(&one);
        prop_assert!(two.media.len() >= one.media.len());
        for (before, after) in one.media.iter().zip(&two.media) {
            prop_assert_eq!(&before.kind, &after.kind);
            let known = before.codecs();
            for codec in after.codecs() {
                if let Some(old) = known.iter().find(|k| k.pt == codec.pt) {
                    prop_assert!(old.same_format(&codec), "{} was {}", codec, old);
                }
            }
        }
    }
}
