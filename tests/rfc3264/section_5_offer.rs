//! RFC 3264 §5: generating the initial offer.

use tandem::sdp::{Direction, Prefs, Rules, SdpError, Session, Source, agreed, offer};

use super::{answered_alone, lines, offered, sdp, written};

#[test]
fn the_b_leg_is_offered_what_the_a_leg_can_in_its_order_and_numbers() {
    let a = sdp(
        "m=audio 4000 RTP/AVP 8 97 0 101\na=rtpmap:97 speex/16000\na=fmtp:97 vbr=on\na=rtpmap:101 telephone-event/8000\n",
    );
    assert_eq!(
        lines(&offered(&a, "PCMU,SPEEX,PCMA")),
        [
            "m=audio 30000 RTP/AVP 8 97 0 101|a=rtpmap:97 speex/16000|a=fmtp:97 vbr=on|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=ptime:20|a=sendrecv"
        ]
    );
    assert_eq!(
        lines(&offered(&a, "PCMU"))[0],
        "m=audio 30000 RTP/AVP 0 101|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=ptime:20|a=sendrecv"
    );
}

#[test]
fn codecs_nobody_here_implements_go_through() {
    let a = sdp("m=audio 4000 RTP/AVP 99 0\na=rtpmap:99 Mystery/24000/3\na=fmtp:99 depth=4;odd\n");
    let b = offered(&a, "PCMU,*");
    assert!(lines(&b)[0].starts_with(
        "m=audio 30000 RTP/AVP 99 0 101 102|a=rtpmap:99 Mystery/24000/3|a=fmtp:99 depth=4;odd|"
    ));
}

#[test]
fn nothing_in_common_is_488() {
    let a = sdp("m=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n");
    let prefs = Prefs::parse("G729");
    let source = Source::Offer { offer: &a, prefs: Some(&prefs) };
    let error = offer(source, &Rules::default()).unwrap_err();
    assert_eq!((error.clone(), error.status()), (SdpError::NoCommonCodec, 488));
}

#[test]
fn lines_that_cannot_be_used_are_left_out_of_a_new_offer() {
    let a = sdp(
        "m=audio 4000 RTP/SAVP 0\nm=audio 4002 RTP/AVP 0\nm=audio 4004 RTP/AVP 8\nm=video 0 RTP/AVP 34\nm=image 4008 udptl t38\n",
    );
    assert_eq!(lines(&offered(&a, "PCMU,PCMA,H263")).len(), 1);
    let b = offered(&a, "PCMU,PCMA,H263");
    assert_eq!((b.media[0].proto.as_str(), b.media[0].formats[0].as_str()), ("RTP/AVP", "0"));
}

#[test]
fn video_stays_only_with_a_video_codec() {
    let a = sdp("m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 96\na=rtpmap:96 VP8/90000\nb=AS:512\n");
    assert_eq!(offered(&a, "PCMU,VP8").media.len(), 2);
    assert_eq!(offered(&a, "PCMU,H264").media.len(), 1);
    assert_eq!(
        lines(&offered(&a, "PCMU,VP8"))[1],
        "m=video 30002 RTP/AVP 96|b=AS:512|a=rtpmap:96 VP8/90000|a=sendrecv"
    );
}

#[test]
fn a_telephone_event_is_offered_though_the_a_leg_has_none() {
    let b = offered(&sdp("m=audio 4000 RTP/AVP 0\n"), "PCMU");
    assert_eq!(b.media[0].formats, ["0", "101"]);
    // 101 is already a codec
    let b = offered(&sdp("m=audio 4000 RTP/AVP 101\na=rtpmap:101 AMR/8000\n"), "AMR");
    assert_eq!(b.media[0].formats, ["101", "102"]);
    let rules = Rules { event_pt: None, ..Rules::default() };
    let source = Source::Offer { offer: &sdp("m=audio 4000 RTP/AVP 0\n"), prefs: None };
    assert_eq!(written(&offer(source, &rules).unwrap()).media[0].formats, ["0"]);
}

#[test]
fn comfort_noise_is_passed_unless_suppressed() {
    let a = sdp("m=audio 4000 RTP/AVP 0 13\n");
    assert_eq!(offered(&a, "PCMU").media[0].formats, ["0", "101", "13"]);
    let rules = Rules { suppress_noise: true, ..Rules::default() };
    let b = written(&offer(Source::Offer { offer: &a, prefs: None }, &rules).unwrap());
    assert_eq!(b.media[0].formats, ["0", "101"]);
    assert!(b.to_string().contains("a=silenceSupp:off - - - -\r\n"));
}

#[test]
fn an_offer_without_an_a_leg_comes_from_preferences() {
    let prefs = Prefs::parse("OPUS,PCMU@30i,H264");
    let b = written(&offer(Source::Prefs(&prefs), &Rules::default()).unwrap());
    assert_eq!(
        lines(&b),
        [
            "m=audio 30000 RTP/AVP 102 0 101 103|a=rtpmap:102 opus/48000/2|a=fmtp:102 useinbandfec=1|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=rtpmap:103 telephone-event/48000|a=fmtp:103 0-15|a=ptime:20|a=sendrecv",
            "m=video 30002 RTP/AVP 102|a=rtpmap:102 H264/90000|a=fmtp:102 profile-level-id=42e01f;packetization-mode=1|a=sendrecv"
        ]
    );
    assert_eq!(
        b.to_string().lines().take(5).collect::<Vec<_>>(),
        [
            "v=0",
            "o=FreeSWITCH 1700000000 1 IN IP4 198.51.100.1",
            "s=FreeSWITCH",
            "c=IN IP4 198.51.100.1",
            "t=0 0"
        ]
    );
    let no_video = Rules { video: false, ..Rules::default() };
    assert_eq!(written(&offer(Source::Prefs(&prefs), &no_video).unwrap()).media.len(), 1);
}

#[test]
fn an_answered_a_leg_gives_its_one_codec() {
    let a =
        sdp("m=audio 4000 RTP/AVP 96 0 100\na=rtpmap:96 opus/48000/2\na=rtpmap:100 telephone-event/8000\n");
    let ours = answered_alone(&a, "PCMU");
    let settled = agreed(&ours, &a);
    let b = written(&offer(Source::Agreed(&settled), &Rules::default()).unwrap());
    assert_eq!(b.media[0].formats, ["0", "100"]);
}

/// §5.1: the direction is the offerer's view.
#[test]
fn a_held_a_leg_shows_on_the_b_leg() {
    let direction = |media: &str| {
        let b = offered(&sdp(media), "PCMU");
        b.direction(&b.media[0])
    };
    assert_eq!(direction("m=audio 4000 RTP/AVP 0\na=sendonly\n"), Direction::SendOnly);
    assert_eq!(direction("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n"), Direction::SendOnly);
    assert_eq!(direction("m=audio 4000 RTP/AVP 0\n"), Direction::SendRecv);
}

#[test]
fn a_missing_port_is_our_own_fault() {
    let a: Session = sdp("m=audio 4000 RTP/AVP 0\n");
    let draft = offer(Source::Offer { offer: &a, prefs: None }, &Rules::default()).unwrap();
    let error = draft.write(&super::author(), &[0]).unwrap_err();
    assert_eq!(error.status(), 500);
    assert_eq!(draft.wanted().map(|(i, k)| (i, k.name())).collect::<Vec<_>>(), [(0, "audio")]);
}

/// `absolute_codec_string` and `media_mix_inbound_outbound_codecs`: nothing the a-leg has not offered, in another order.
#[test]
fn a_list_may_put_the_codecs_in_its_own_order() {
    let a = sdp("m=audio 4000 RTP/AVP 0 8 9 101 13\na=rtpmap:101 telephone-event/8000\n");
    for (first, then, formats) in [
        (None, "PCMA,PCMU", &["8", "0", "101", "13"][..]),
        (None, "G729,PCMU", &["0", "101", "13"]),
        (Some("PCMU"), "G722,PCMA,PCMU", &["0", "9", "8", "101", "13"]),
        (Some("PCMA,PCMU"), "G729", &["0", "8", "101", "13"]),
        (None, "*,PCMU", &["8", "9", "0", "101", "13"]),
    ] {
        let (first, then) = (first.map(Prefs::parse), Prefs::parse(then));
        let source = Source::Sorted { offer: &a, first: first.as_ref(), then: &then };
        assert_eq!(
            written(&offer(source, &Rules::default()).unwrap()).media[0].formats,
            formats,
            "{first:?} {then}"
        );
    }
    let then = Prefs::parse("G729,opus");
    let error = offer(Source::Sorted { offer: &a, first: None, then: &then }, &Rules::default()).unwrap_err();
    assert_eq!(error, SdpError::NoCommonCodec);
}
