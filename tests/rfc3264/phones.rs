//! Descriptions of real phones through the whole exchange.

use tandem::sdp::{Kind, Rules, SdpError, Session, Settled, agreed, answer, payload_map};

use super::{answered, answered_alone, lines, offered};

/// A captured description; the files have bare LF, which must be read too.
fn captured(name: &str) -> Session {
    let path = format!("{}/tests/fixtures/sdp/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    Session::parse_bytes(&std::fs::read(path).expect("the fixture")).expect("a sound description")
}

const STOCK: &str = "OPUS,G722,PCMU,PCMA,H264,VP8";

#[test]
fn what_phones_send_prints_back_with_crlf() {
    for name in ["baresip-1.0.0", "linphonec-5.1.65", "amr-h264-video", "webrtc-bundle"] {
        let session = captured(name);
        let text = session.to_string();
        assert_eq!(Session::parse(&text).unwrap(), session, "{name}");
        let path = format!("{}/tests/fixtures/sdp/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
        let sent = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.replace("\r\n", "\n"), sent, "{name}");
    }
}

#[test]
fn linphonec_calls_baresip() {
    let (linphone, baresip) = (captured("linphonec-5.1.65"), captured("baresip-1.0.0"));
    let to_b = offered(&linphone, STOCK);
    assert_eq!(to_b.media[0].formats, ["96", "0", "8", "101", "99"]);
    let to_a = answered(&linphone, &baresip);
    assert_eq!(
        lines(&to_a),
        [
            "m=audio 30000 RTP/AVP 0 101|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=ptime:20|a=sendrecv"
        ]
    );
    let map = payload_map(&agreed(&to_a, &linphone)[0], &agreed(&to_b, &baresip)[0]);
    assert_eq!(map.numbers, [(0, 0), (101, 101)]);
}

#[test]
fn linphonec_alone_gets_opus_with_its_own_event_clock() {
    let ours = answered_alone(&captured("linphonec-5.1.65"), STOCK);
    assert_eq!(ours.media[0].formats, ["96", "99"]);
}

#[test]
fn audio_and_video_nobody_here_decodes() {
    let phone = captured("amr-h264-video");
    let to_b = offered(&phone, "PCMU,H264,AMR");
    assert_eq!(
        lines(&to_b),
        [
            "m=audio 30000 RTP/AVP 114 101|a=rtpmap:114 AMR/8000|a=fmtp:114 mode-set=0|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|a=ptime:100|a=sendrecv",
            "m=video 30002 RTP/AVP 126|a=rtpmap:126 H264/90000|a=fmtp:126 profile-level-id=42e00b;cif=1;fps=10|a=sendrecv"
        ]
    );
    let to_a = answered(&phone, &phone);
    assert_eq!(lines(&to_a), lines(&to_b));
    let settled = agreed(&to_a, &phone);
    assert_eq!(settled.iter().map(|m| m.kind.clone()).collect::<Vec<_>>(), [Kind::Audio, Kind::Video]);
    assert_eq!(settled[1].remote_rtcp.unwrap().to_string(), "192.168.2.63:21071");
    // B takes the audio alone
    let mut audio_only = phone.clone();
    audio_only.media[1].port = 0;
    assert_eq!(lines(&answered(&phone, &audio_only))[1], "m=video 0 RTP/AVP 126");
}

#[test]
fn a_browsers_secured_offer_is_refused_as_a_whole() {
    let rules = Rules::default();
    let prefs = tandem::sdp::Prefs::parse(STOCK);
    let settled = Settled::Prefs { prefs: &prefs, negotiation: Default::default() };
    assert_eq!(answer(&captured("webrtc-bundle"), settled, &rules), Err(SdpError::NoCommonCodec));
}
