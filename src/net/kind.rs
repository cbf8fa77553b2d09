//! What a datagram or frame is, seen without parsing it: enough to decide what it may cost.

/// What a message is about.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A response to something we sent.
    Response,
    /// The ACK that ends a refusal nobody remembers having given.
    Spent,
    /// A request that only makes sense in a call already let in.
    Inside,
    /// The same, but it must not overtake the INVITE it cancels.
    Cancel,
    /// An INVITE for a new call, or a retransmission of one.
    Call,
    /// Any other request outside dialogs.
    Outside,
}

impl Kind {
    /// What `raw` is; `ours` tells whether a To tag may be one that we remember. What cannot be read is `Outside`: it
    /// costs an answer.
    pub fn of(raw: &[u8], ours: fn(&str) -> bool) -> Self {
        let method = raw.split(|b| *b == b' ').next().unwrap_or(&[]);
        match method {
            b"ACK" if to_tag(raw).is_some_and(|tag| !std::str::from_utf8(tag).is_ok_and(ours)) => Kind::Spent,
            b"ACK" | b"BYE" | b"PRACK" | b"UPDATE" => Kind::Inside,
            b"CANCEL" => Kind::Cancel,
            _ if raw.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")) => Kind::Response,
            _ if to_tag(raw).is_some() => Kind::Inside,
            b"INVITE" => Kind::Call,
            _ => Kind::Outside,
        }
    }
}

/// The tag of the first To line, when there is one. A To that is folded may hide its tag from this.
fn to_tag(raw: &[u8]) -> Option<&[u8]> {
    let mut rest = raw;
    let value = loop {
        let (_, after) = rest.split_at(memchr::memchr(b'\n', rest)? + 1);
        rest = after;
        let colon = match after {
            [b'\r' | b'\n', ..] => return None,
            [b'T' | b't', b'o' | b'O', b':' | b' ' | b'\t', ..] => 2,
            [b't' | b'T', b':' | b' ' | b'\t', ..] => 1,
            _ => continue,
        };
        let line = after.get(..memchr::memchr(b'\n', after).unwrap_or(after.len()))?;
        break line.get(colon..)?;
    };
    // Whatever stands before the address's end belongs to a display name or a URI.
    let params = memchr::memrchr(b'>', value).map_or(value, |end| value.get(end..).unwrap_or(&[]));
    params.split(|b| *b == b';').skip(1).find_map(|param| {
        let (name, tag) = param.split_at(memchr::memchr(b'=', param)?);
        let tag = tag.get(1..)?.trim_ascii();
        (name.trim_ascii().eq_ignore_ascii_case(b"tag") && !tag.is_empty()).then_some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(start: &str, to: &str) -> Kind {
        let raw = format!(
            "{start}\r\nVia: SIP/2.0/UDP a;branch=1\r\nTopic: x;tag=no\r\nFrom: <sip:a@b>;tag=1\r\n{to}\r\nCall-ID: \
             1\r\n\r\nTo: <sip:x@y>;tag=body\r\n"
        );
        Kind::of(raw.as_bytes(), |tag| tag == "ours")
    }

    #[test]
    fn kinds() {
        for (start, to, expected) in [
            ("SIP/2.0 200 OK", "To: <sip:b@c>;tag=2", Kind::Response),
            ("sip/2.0 200 OK", "To: <sip:b@c>", Kind::Response),
            ("INVITE sip:b@c SIP/2.0", "To: <sip:b@c>", Kind::Call),
            ("INVITE sip:b@c SIP/2.0", "To: <sip:b@c;tag=uri>", Kind::Call),
            ("INVITE sip:b@c SIP/2.0", "To: \"x;tag=2\" <sip:b@c>;tag=", Kind::Call),
            ("INVITE sip:b@c SIP/2.0", "X: y", Kind::Call),
            ("INVITE sip:b@c SIP/2.0", "to : <sip:b@c>;a;TAG = 2", Kind::Inside),
            ("INVITE sip:b@c SIP/2.0", "t:sip:b@c;tag=2", Kind::Inside),
            ("BYE sip:b@c SIP/2.0", "To: <sip:b@c>", Kind::Inside),
            ("INFO sip:b@c SIP/2.0", "To: <sip:b@c>;tag=2", Kind::Inside),
            ("INFO sip:b@c SIP/2.0", "To: <sip:b@c>", Kind::Outside),
            ("CANCEL sip:b@c SIP/2.0", "To: <sip:b@c>", Kind::Cancel),
            ("ACK sip:b@c SIP/2.0", "To: <sip:b@c>;tag=ours", Kind::Inside),
            ("ACK sip:b@c SIP/2.0", "To: <sip:b@c>;tag=2", Kind::Spent),
            ("ACK sip:b@c SIP/2.0", "To: <sip:b@c>", Kind::Inside),
            ("REGISTER sip:c SIP/2.0", "To: <sip:b@c>", Kind::Outside),
            ("", "", Kind::Outside),
        ] {
            assert_eq!(kind(start, to), expected, "{start} {to}");
        }
        assert_eq!(Kind::of(b"", |_| true), Kind::Outside);
        assert_eq!(Kind::of(b"INVITE", |_| true), Kind::Call);
    }
}
