//! RFC 3264 §6: generating the answer.

use tandem::sdp::{
    Direction, Negotiation, Prefs, Rules, SdpError, Settled, agreed, answer, pair, payload_map,
};

use super::{answered, answered_alone, lines, offered, sdp, written};

/// §6: "for each m= line in the offer, there MUST be a corresponding m= line in the answer", same order,
/// type and transport; port 0 rejects.
#[test]
fn every_line_is_answered_in_place() {
    let a = sdp(
        "m=video 4000 RTP/AVP 34\nm=audio 4002 RTP/SAVP 0\nm=audio 4004 RTP/AVP 0 8\nm=image 4006 udptl t38\nm=audio 0 RTP/AVP 0\nm=application 4008 TCP/BFCP *\n",
    );
    let answer = answered_alone(&a, "PCMA");
    assert_eq!(
        lines(&answer),
        [
            "m=video 0 RTP/AVP 34",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 30004 RTP/AVP 8|a=ptime:20|a=sendrecv",
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 0",
            "m=application 0 TCP/BFCP *",
        ]
    );
}

/// §6.1: the answerer uses the offerer's payload numbers, so both directions have one number.
#[test]
fn the_b_answer_is_mapped_to_the_offerers_numbers() {
    let a = sdp(
        "m=audio 4000 RTP/AVP 0 111 97\na=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1\na=rtpmap:97 telephone-event/48000\n",
    );
    let b = sdp(
        "m=audio 6000 RTP/AVP 96 100\na=rtpmap:96 OPUS/48000/2\na=fmtp:96 stereo=1\na=rtpmap:100 telephone-event/48000\na=ptime:40\n",
    );
    let ours = answered(&a, &b);
    assert_eq!(
        lines(&ours),
        [
            "m=audio 30000 RTP/AVP 111 97|a=rtpmap:111 opus/48000/2|a=fmtp:111 stereo=1|a=rtpmap:97 telephone-event/48000|a=fmtp:97 0-15|a=ptime:40|a=sendrecv"
        ]
    );
}

#[test]
fn one_codec_is_chosen_though_the_b_leg_names_several() {
    let a = sdp("m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\n");
    let b = sdp("m=audio 6000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n");
    assert_eq!(answered(&a, &b).media[0].formats, ["0", "101"]);
}

#[test]
fn a_b_leg_with_another_codec_is_488_not_silence() {
    let a = sdp("m=audio 4000 RTP/AVP 0\n");
    let b = sdp("m=audio 6000 RTP/AVP 8\n");
    assert_eq!(answer(&a, Settled::Leg(&b), &Rules::default()), Err(SdpError::NoCommonCodec));
}

/// §6.1: sendonly is answered recvonly or inactive, recvonly sendonly or inactive, inactive inactive.
#[test]
fn directions_are_answered_from_the_other_side() {
    use Direction::*;
    for (offer, b, wanted) in [
        ("a=sendrecv\n", "", SendRecv),
        ("a=sendonly\n", "", RecvOnly),
        ("a=recvonly\n", "", SendOnly),
        ("a=inactive\n", "", Inactive),
        ("c=IN IP4 0.0.0.0\n", "", RecvOnly),
        ("c=IN IP4 0.0.0.0\na=recvonly\n", "", Inactive),
        ("a=sendrecv\n", "a=recvonly\n", RecvOnly),
        ("a=sendonly\n", "a=sendonly\n", Inactive),
    ] {
        let a = sdp(&format!("m=audio 4000 RTP/AVP 0\n{offer}"));
        let ours = answered(&a, &sdp(&format!("m=audio 6000 RTP/AVP 0\n{b}")));
        assert_eq!(ours.direction(&ours.media[0]), wanted, "{offer} {b}");
    }
}

#[test]
fn music_to_one_leg_does_not_show_the_other_legs_hold() {
    let a = sdp("m=audio 4000 RTP/AVP 0\n");
    let b = sdp("m=audio 6000 RTP/AVP 0\na=inactive\n");
    let rules = Rules { mirror: false, ..Rules::default() };
    let ours = written(&answer(&a, Settled::Leg(&b), &rules).unwrap());
    assert_eq!(ours.direction(&ours.media[0]), Direction::SendRecv);
}

#[test]
fn who_orders_the_codecs() {
    let a = sdp("m=audio 4000 RTP/AVP 0 8 9\na=ptime:30\n");
    let choose = |prefs: &str, negotiation| {
        let prefs = Prefs::parse(prefs);
        answer(&a, Settled::Prefs { prefs: &prefs, negotiation }, &Rules::default())
            .map(|d| (written(&d).media[0].formats[0].clone(), written(&d).media[0].ptime()))
    };
    let got = |pt: &str, ptime| Ok((pt.to_owned(), Some(ptime)));
    assert_eq!(choose("G722,PCMA", Negotiation::Generous), got("8", 30));
    assert_eq!(choose("G722,PCMA", Negotiation::Greedy), got("9", 30));
    assert_eq!(choose("G722@20i,PCMA", Negotiation::Greedy), got("9", 20));
    assert_eq!(choose("G722@20i,PCMA", Negotiation::Scrooge), got("8", 30));
    assert_eq!(choose("G722@20i", Negotiation::Scrooge), Err(SdpError::NoCommonCodec));
    assert_eq!(choose("GSM", Negotiation::Generous), Err(SdpError::NoCommonCodec));
    assert_eq!(Negotiation::named("Greedy"), Some(Negotiation::Greedy));
}

#[test]
fn nothing_of_ice_avpf_or_bundle_is_copied_back() {
    let a = sdp(
        "a=group:BUNDLE 0\na=ice-lite\nm=audio 4000 RTP/AVPF 0 101\na=mid:0\na=rtcp-fb:* nack\na=rtcp-mux\na=candidate:1 1 UDP 1 192.0.2.2 4000 typ host\na=ice-ufrag:x\na=ice-pwd:y\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\na=ssrc:1 cname:y\na=rtpmap:101 telephone-event/8000\n",
    );
    let ours = answered_alone(&a, "PCMU");
    assert_eq!(
        lines(&ours),
        [
            "m=audio 30000 RTP/AVPF 0 101|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=ptime:20|a=sendrecv"
        ]
    );
    assert!(ours.attributes.is_empty());
}

#[test]
fn telephone_event_follows_the_codecs_clock() {
    let events =
        "a=rtpmap:96 opus/48000/2\na=rtpmap:99 telephone-event/48000\na=rtpmap:101 telephone-event/8000\n";
    let a = sdp(&format!("m=audio 4000 RTP/AVP 96 0 99 101\n{events}"));
    assert_eq!(answered_alone(&a, "OPUS").media[0].formats, ["96", "99"]);
    assert_eq!(answered_alone(&a, "PCMU").media[0].formats, ["0", "101"]);
    let a = sdp(&format!("m=audio 4000 RTP/AVP 96 101\n{events}"));
    assert_eq!(answered_alone(&a, "OPUS").media[0].formats, ["96", "101"]);
}

#[test]
fn noise_needs_both_sides() {
    let a = sdp("m=audio 4000 RTP/AVP 0 13\n");
    assert_eq!(answered(&a, &sdp("m=audio 6000 RTP/AVP 0\n")).media[0].formats, ["0"]);
    assert_eq!(answered(&a, &sdp("m=audio 6000 RTP/AVP 0 13\n")).media[0].formats, ["0", "13"]);
}

/// The whole of a call: what the relay is told.
#[test]
fn what_was_agreed_joins_the_legs() {
    let a = sdp(
        "m=audio 4000 RTP/SAVP 0\nm=audio 4000 RTP/AVP 9 111 0 97 13\na=rtpmap:111 opus/48000/2\na=rtpmap:97 telephone-event/8000\na=ptime:20\n",
    );
    let to_b = offered(&a, "*");
    assert_eq!(to_b.media[0].formats, ["9", "111", "0", "97", "13"]);
    // B answers under numbers of its own
    let b = sdp("m=audio 6000 RTP/AVP 0 120 13\na=rtpmap:120 telephone-event/8000\na=rtcp:6007\n");
    let to_a = answered(&a, &b);
    assert_eq!(to_a.media[1].formats, ["0", "97", "13"]);
    assert_eq!(pair(&a, &b), [(1, 0)]);

    let (leg_a, leg_b) = (agreed(&to_a, &a), agreed(&to_b, &b));
    let (leg_a, leg_b) = (&leg_a[0], &leg_b[0]);
    assert_eq!((leg_a.line, leg_a.local_port, leg_b.line, leg_b.local_port), (1, 30002, 0, 30000));
    assert_eq!(leg_b.remote_rtp.unwrap().to_string(), "192.0.2.2:6000");
    assert_eq!(leg_b.remote_rtcp.unwrap().to_string(), "192.0.2.2:6007");
    assert_eq!((leg_b.codec.pt, leg_b.receive_pt, leg_b.direction), (0, 0, Direction::SendRecv));
    assert_eq!((leg_b.events[0].send, leg_b.events[0].receive), (120, 97));

    let (there, back) = (payload_map(leg_a, leg_b), payload_map(leg_b, leg_a));
    assert_eq!(there.numbers, [(0, 0), (13, 13), (97, 120)]);
    assert_eq!(back.numbers, [(0, 0), (13, 13), (97, 97)]);
    assert!(there.same_codec && there.get(97) == Some(120) && there.get(8).is_none());
}

#[test]
fn legs_with_different_codecs_need_transcoding() {
    let a = sdp("m=audio 4000 RTP/AVP 0\n");
    let b = sdp("m=audio 6000 RTP/AVP 8\n");
    let (ours_a, ours_b) = (answered_alone(&a, "PCMU"), answered_alone(&b, "PCMA"));
    let map = payload_map(&agreed(&ours_a, &a)[0], &agreed(&ours_b, &b)[0]);
    assert!(!map.same_codec && map.get(0).is_none());
}
