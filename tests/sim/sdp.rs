//! Session descriptions of a phone: one audio line, PCMU and PCMA, telephone-event.

use bytes::Bytes;

/// What a phone says of its audio.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audio {
    /// Both codecs, both ways.
    Talk,
    /// Both codecs, `a=sendonly`.
    Hold,
    /// PCMA alone, both ways.
    OnlyPcma,
}

/// The offer of phone `who`, its `version`th description.
pub fn offer(who: usize, version: u32, audio: Audio) -> Bytes {
    let (formats, direction) = match audio {
        Audio::Talk => ("0 8 101", "sendrecv"),
        Audio::Hold => ("0 8 101", "sendonly"),
        Audio::OnlyPcma => ("8 101", "sendrecv"),
    };
    description(who, version, formats, direction)
}

/// The answer to `offer`: the first codec it has, the direction turned round. `None` when there is nothing to take.
pub fn answer(who: usize, version: u32, offer: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(offer).ok()?;
    let line = text.lines().find(|l| l.starts_with("m=audio "))?;
    let mut formats = line.split(' ').skip(3);
    let codec = formats.find(|f| matches!(*f, "0" | "8"))?;
    let direction = if text.contains("a=sendonly") {
        "recvonly"
    } else if text.contains("a=recvonly") {
        "sendonly"
    } else if text.contains("a=inactive") {
        "inactive"
    } else {
        "sendrecv"
    };
    let formats = if line.contains(" 101") { format!("{codec} 101") } else { codec.to_owned() };
    Some(description(who, version, &formats, direction))
}

fn description(who: usize, version: u32, formats: &str, direction: &str) -> Bytes {
    let port = 20_000 + 2 * who;
    let events = if formats.contains("101") { "a=rtpmap:101 telephone-event/8000\r\n" } else { "" };
    Bytes::from(format!(
        "v=0\r\no=phone {who} {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\n{events}a={direction}\r\n"
    ))
}
