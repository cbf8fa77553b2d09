//! The session description in a message body.

use bytes::Bytes;

use crate::sip::{Message, Name};

/// Content-Type of a session description.
pub(super) const SDP: &str = "application/sdp";
/// What INVITE, UPDATE and PRACK may carry, as in Accept.
pub(super) const ACCEPT: &str = "application/sdp";

/// What a body is to offer and answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Body {
    /// There is none, or one the sender calls optional.
    None,
    /// A session description.
    Sdp(Bytes),
    /// Something else, which the sender wants understood (415).
    Unknown,
    /// Compressed or otherwise encoded (415 with Accept-Encoding).
    Encoded,
}

impl Body {
    pub fn sdp(self) -> Option<Bytes> {
        match self {
            Body::Sdp(sdp) => Some(sdp),
            Body::None | Body::Unknown | Body::Encoded => None,
        }
    }
}

/// The description a message carries, itself or as a part of a multipart body. Without a Content-Type a body that
/// begins like a description is one.
pub(super) fn of(message: &Message) -> Body {
    let whole = message.body_bytes();
    if whole.is_empty() {
        return Body::None;
    }
    let encoding = message.header_named("Content-Encoding").next();
    if encoding.is_some_and(|e| !e.trim().eq_ignore_ascii_case("identity") && !e.trim().is_empty()) {
        return Body::Encoded;
    }
    let kind = message.header(Name::ContentType).unwrap_or("");
    let media = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if media == SDP || (media.is_empty() && whole.starts_with(b"v=0")) {
        return Body::Sdp(whole);
    }
    if media.starts_with("multipart/")
        && let Some(part) = boundary(kind).and_then(|b| sdp_part(&whole, b))
    {
        return Body::Sdp(part);
    }
    let optional = message
        .header_named("Content-Disposition")
        .any(|d| d.split(';').any(|p| p.trim().to_ascii_lowercase().replace(' ', "") == "handling=optional"));
    if optional { Body::None } else { Body::Unknown }
}

fn boundary(kind: &str) -> Option<&str> {
    let value = kind.split(';').find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

/// The first application/sdp part (RFC 2046 §5.1), as a slice of the body.
fn sdp_part(whole: &Bytes, boundary: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(whole).ok()?;
    let mark = format!("--{boundary}");
    for part in text.split(mark.as_str()).skip(1) {
        let (head, body) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n"))?;
        let is_sdp = head.lines().any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("content-type")
                    && value.split(';').next().is_some_and(|v| v.trim().eq_ignore_ascii_case(SDP))
            })
        });
        if is_sdp {
            // the line end before the boundary belongs to the boundary
            let body = body.strip_suffix("\r\n").or(body.strip_suffix('\n')).unwrap_or(body);
            let end_kept = if body.ends_with('\n') { body.to_owned() } else { format!("{body}\r\n") };
            return Some(Bytes::from(end_kept));
        }
    }
    None
}
