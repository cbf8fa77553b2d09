//! Descriptions handed from one leg to the other as they are: `bypass_media` without a change, `proxy_media` with our
//! address and ports in the place of the writer's (`switch_core_media_patch_sdp`). Text in, text out: what nobody here
//! understands passes as it is written.

use std::net::IpAddr;

use bytes::Bytes;

use super::{AgreedMedia, Codec, Connection, Media, Session};

/// m-lines of one description that get ports of ours; FreeSWITCH too has one each for audio, video, text and pictures.
const MOST: usize = 4;

/// What a proxied m-line is said to carry (FreeSWITCH's name for it).
const UNKNOWN: &str = "PROXY";

/// The m-lines of a description whose datagrams can be relayed as they are. Those beyond the fourth, and those over TCP,
/// cannot: they are switched off.
pub fn proxied_lines(session: &Session) -> Vec<usize> {
    let lines = session.media.iter().enumerate().filter(|(_, media)| media.port != 0 && is_datagrams(media));
    lines.map(|(line, _)| line).take(MOST).collect()
}

fn is_datagrams(media: &Media) -> bool {
    !media.proto.split('/').any(|part| part.eq_ignore_ascii_case("TCP"))
}

/// `text` with `address` in `o=` and `c=` and the ports of `ports`, by m-line, in `m=` and `a=rtcp`. The null address and
/// port 0 stay; an m-line without a port of ours gets port 0.
pub fn patched(text: &[u8], address: IpAddr, ports: &[u16]) -> Bytes {
    let connection = Connection::Ip(address).to_string();
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut lines = 0_usize;
    let mut port = 0_u16;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let said = line.trim_ascii_end();
        let end = line.get(said.len()..).unwrap_or_default();
        let words = || said.split(|b| *b == b' ').filter(|word| !word.is_empty());
        match said {
            [b'o', b'=', ..] => {
                for word in words().take(3) {
                    out.extend_from_slice(word);
                    out.push(b' ');
                }
                out.extend_from_slice(connection.as_bytes());
            }
            [b'c', b'=', ..] if !words().any(|word| word == b"0.0.0.0" || word == b"::") => {
                out.extend_from_slice(b"c=");
                out.extend_from_slice(connection.as_bytes());
            }
            [b'm', b'=', ..] => {
                let off = words().nth(1).is_none_or(|word| word == b"0");
                port = if off { 0 } else { ports.get(lines).copied().unwrap_or(0) };
                lines += 1;
                for (n, word) in words().enumerate() {
                    if n > 0 {
                        out.push(b' ');
                    }
                    match n {
                        1 => out.extend_from_slice(port.to_string().as_bytes()),
                        _ => out.extend_from_slice(word),
                    }
                }
            }
            [b'a', b'=', b'r', b't', b'c', b'p', b':', ..] => {
                let rtcp = if port == 0 { 0 } else { port.saturating_add(1) };
                out.extend_from_slice(b"a=rtcp:");
                out.extend_from_slice(rtcp.to_string().as_bytes());
            }
            _ => out.extend_from_slice(said),
        }
        out.extend_from_slice(end);
    }
    out.into()
}

/// `text` with an `o=` line that may follow `before` in one session (RFC 3264 §8): that of `before` with the version
/// counted on, unless it is of the same session already and newer, or the same text.
pub fn following(text: Bytes, before: &Session) -> Bytes {
    let Ok(next) = Session::parse_bytes(&text) else { return text };
    let (old, new) = (&before.origin, &next.origin);
    let version = |text: &str| text.parse::<u64>().unwrap_or(0);
    let same_session = old.username == new.username && old.id == new.id && old.connection == new.connection;
    if same_session && version(&new.version) > version(&old.version) || next == *before {
        return text;
    }
    let same = Session { origin: old.clone(), ..next } == *before;
    let number = version(&old.version).wrapping_add(u64::from(!same));
    let origin = format!("o={} {} {number} {}", old.username, old.id, old.connection);
    let mut out = Vec::with_capacity(text.len() + 32);
    for line in text.split_inclusive(|b| *b == b'\n') {
        match line {
            [b'o', b'=', ..] => {
                out.extend_from_slice(origin.as_bytes());
                out.extend_from_slice(line.get(line.trim_ascii_end().len()..).unwrap_or_default());
            }
            _ => out.extend_from_slice(line),
        }
    }
    out.into()
}

/// What two descriptions that were passed on come to for the relay: where each m-line's datagrams go, whatever they are.
pub fn proxied(local: &Session, remote: &Session) -> Vec<AgreedMedia> {
    let wanted = proxied_lines(local);
    let both = local.media.iter().zip(&remote.media).enumerate();
    let used = both.filter(|(line, (_, theirs))| wanted.contains(line) && theirs.port != 0);
    let agreed = used.map(|(line, (ours, theirs))| {
        let mux = ours.rtcp_mux() && theirs.rtcp_mux();
        let remote_rtp = remote.rtp_address(theirs);
        AgreedMedia {
            line,
            kind: theirs.kind.clone(),
            codec: Codec::new(0, UNKNOWN, 8000, 1),
            receive_pt: 0,
            noise: None,
            events: Vec::new(),
            direction: local.direction(ours).and(remote.effective_direction(theirs).reversed()),
            local_port: ours.port,
            remote_rtp,
            remote_rtcp: if mux { remote_rtp } else { remote.rtcp_address(theirs) },
            mux,
            ptime: theirs.ptime(),
        }
    });
    agreed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAX: &str = "v=0\r\no=- 7 1 IN IP4 10.0.0.9\r\ns=x y\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n\
        m=audio 4000 RTP/SAVP 0 101\r\nc=IN IP6 2001:db8::1\r\na=rtcp:4009 IN IP4 10.0.0.8\r\na=crypto:1 A inline:k\r\n\
        m=image 4010/2 udptl t38\r\na=T38MaxBitRate:14400\r\nm=video 0 RTP/AVP 31\r\nm=message 5 TCP/MSRP *\r\n";

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn nothing_but_addresses_and_ports_changes() {
        let session = Session::parse(FAX).unwrap();
        assert_eq!(proxied_lines(&session), [0, 1]);
        let ours = patched(FAX.as_bytes(), "192.0.2.1".parse().unwrap(), &[5000, 5002, 0, 0]);
        assert_eq!(
            text(&ours),
            "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=x y\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 5000 RTP/SAVP 0 101\r\nc=IN IP4 192.0.2.1\r\na=rtcp:5001\r\na=crypto:1 A inline:k\r\n\
             m=image 5002 udptl t38\r\na=T38MaxBitRate:14400\r\nm=video 0 RTP/AVP 31\r\nm=message 0 TCP/MSRP *\r\n"
        );
    }

    #[test]
    fn hold_by_the_null_address_stays_hold() {
        let held = b"v=0\no=- 7 1 IN IP4 10.0.0.9\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 4000 RTP/AVP 0\n";
        let ours = patched(held, "::1".parse().unwrap(), &[5000]);
        assert!(
            text(&ours).contains("\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 5000 RTP/AVP 0\n"),
            "{}",
            text(&ours)
        );
        assert!(text(&ours).contains("o=- 7 1 IN IP6 ::1\n"));
    }

    #[test]
    fn garbage_is_no_more_than_garbage() {
        for bad in ["", "o=", "c=", "m=", "m=audio", "a=rtcp:", "\n\n\n", "m=a 9 b\nm=a 9 b\n", "o=a b"] {
            patched(bad.as_bytes(), "192.0.2.1".parse().unwrap(), &[1]);
        }
        let many = format!(
            "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n{}",
            "m=audio 9 RTP/AVP 0\r\n".repeat(9)
        );
        assert_eq!(proxied_lines(&Session::parse(&many).unwrap()).len(), MOST);
    }

    #[test]
    fn a_description_that_follows_another_is_of_its_session() {
        let line = |origin: &str, port: u16| {
            let text = format!(
                "v=0\r\no={origin}\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
            );
            Bytes::from(text)
        };
        let before = Session::parse_bytes(&line("a 1 5 IN IP4 10.0.0.9", 4000)).unwrap();
        for (next, port, origin) in [
            ("a 1 5 IN IP4 10.0.0.9", 4000, "o=a 1 5 IN IP4 10.0.0.9\r\n"),
            ("a 1 6 IN IP4 10.0.0.9", 4000, "o=a 1 6 IN IP4 10.0.0.9\r\n"),
            ("a 1 5 IN IP4 10.0.0.9", 4002, "o=a 1 6 IN IP4 10.0.0.9\r\n"),
            ("a 1 4 IN IP4 10.0.0.9", 4002, "o=a 1 6 IN IP4 10.0.0.9\r\n"),
            ("b 1 99 IN IP4 10.0.0.7", 4000, "o=a 1 5 IN IP4 10.0.0.9\r\n"),
            ("b 1 99 IN IP4 10.0.0.7", 4002, "o=a 1 6 IN IP4 10.0.0.9\r\n"),
        ] {
            let text = following(line(next, port), &before);
            let said = self::text(&text);
            assert!(
                said.contains(origin) && said.contains(&format!("m=audio {port} ")),
                "{next} {port}: {said}"
            );
        }
    }

    #[test]
    fn what_is_relayed_unseen_has_addresses_all_the_same() {
        let theirs = Session::parse(FAX).unwrap();
        let ours = patched(FAX.as_bytes(), "192.0.2.1".parse().unwrap(), &[5000, 5002, 0, 0]);
        let ours = Session::parse_bytes(&ours).unwrap();
        let agreed = proxied(&ours, &theirs);
        let seen: Vec<_> = agreed.iter().map(|m| (m.line, m.local_port, m.remote_rtp)).collect();
        assert_eq!(
            seen,
            [
                (0, 5000, Some("[2001:db8::1]:4000".parse().unwrap())),
                (1, 5002, Some("10.0.0.9:4010".parse().unwrap()))
            ]
        );
        assert_eq!(agreed[0].remote_rtcp, Some("10.0.0.8:4009".parse().unwrap()));
    }
}
