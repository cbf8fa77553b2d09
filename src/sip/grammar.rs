//! The small words of the grammar (RFC 3261 §25.1) as nom parsers over bytes. Every delimiter is ASCII, so what
//! they cut from UTF-8 text is UTF-8 again.

use nom::error::ErrorKind;
use nom::{IResult, Parser};

/// Where a parser stopped: how many bytes were left, and what it wanted to see.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Wrong {
    /// Bytes not yet read.
    pub left: usize,
    /// What should have come.
    pub expected: &'static str,
}

impl nom::error::ParseError<&[u8]> for Wrong {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Wrong {
        Wrong { left: input.len(), expected: "something else" }
    }
    fn append(_: &[u8], _: ErrorKind, other: Wrong) -> Wrong {
        other
    }
}

/// What every parser here gives.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Wrong>;

/// A mistake at the head of `input`.
pub(crate) fn wrong<'a, T>(input: &'a [u8], expected: &'static str) -> Parsed<'a, T> {
    Err(nom::Err::Error(Wrong { left: input.len(), expected }))
}

const TOKEN: u8 = 1;
const HOST: u8 = 2;
const URI: u8 = 4;
const VALUE: u8 = 8;
const WSP: u8 = 16;
const DIGIT: u8 = 32;

const CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let c = i as u8;
        let alnum = c.is_ascii_alphanumeric();
        if alnum || matches!(c, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
            class[i] |= TOKEN;
        }
        if alnum || matches!(c, b'-' | b'.' | b'_') {
            class[i] |= HOST;
        }
        // Wider than the grammar: what phones put into URIs, but nothing that could end one.
        if c > b' ' && c != 0x7f && !matches!(c, b'<' | b'>' | b'"') {
            class[i] |= URI;
        }
        if c > b' ' && c != 0x7f && !matches!(c, b'<' | b'>' | b'"' | b';' | b',' | b'=') {
            class[i] |= VALUE;
        }
        if matches!(c, b' ' | b'\t' | b'\r' | b'\n') {
            class[i] |= WSP;
        }
        if c.is_ascii_digit() {
            class[i] |= DIGIT;
        }
        i += 1;
    }
    class
};

fn is(class: u8) -> impl Fn(u8) -> bool {
    move |c| CLASS[usize::from(c)] & class != 0
}

/// Whether every byte may stand in a token, and there is one.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&c| is(TOKEN)(c))
}

/// How many bytes at the start may stand in a token.
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    run(TOKEN, bytes).1.len()
}

/// Whether a byte may stand in a token.
pub(crate) fn is_token_byte(c: u8) -> bool {
    is(TOKEN)(c)
}

/// Whether a byte may stand in a URI at all.
pub(crate) fn is_uri_byte(c: u8) -> bool {
    is(URI)(c)
}

/// A run of bytes of one class, cut without looking back.
fn run(class: u8, input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|&c| CLASS[usize::from(c)] & class == 0).unwrap_or(input.len());
    let (taken, rest) = input.split_at(end);
    (rest, taken)
}

/// White space, folded lines included; may be nothing.
pub(crate) fn space(input: &[u8]) -> Parsed<'_, &[u8]> {
    Ok(run(WSP, input))
}

/// `token`.
pub(crate) fn token(input: &[u8]) -> Parsed<'_, &[u8]> {
    match run(TOKEN, input) {
        (_, []) => wrong(input, "a token"),
        (rest, taken) => Ok((rest, taken)),
    }
}

/// Characters of a parameter value without quotes, wider than `token`: addresses, paths, UTF-8. May be nothing.
pub(crate) fn plain_value(input: &[u8]) -> Parsed<'_, &[u8]> {
    Ok(run(VALUE, input))
}

/// A quoted string with its quotes, escapes untouched.
pub(crate) fn quoted(input: &[u8]) -> Parsed<'_, &[u8]> {
    let Some((b'"', inside)) = input.split_first().map(|(c, r)| (*c, r)) else {
        return wrong(input, "a quoted string");
    };
    let mut from = 0;
    loop {
        let Some(found) = inside.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) else {
            return wrong(input, "a closing quote");
        };
        let at = from + found;
        if inside.get(at) == Some(&b'"') {
            let (taken, rest) = input.split_at(at + 2);
            return Ok((rest, taken));
        }
        from = at + 2;
    }
}

/// One given character.
pub(crate) fn one(c: u8, expected: &'static str) -> impl Fn(&[u8]) -> Parsed<'_, u8> {
    move |input| match input.split_first() {
        Some((&first, rest)) if first == c => Ok((rest, c)),
        _ => wrong(input, expected),
    }
}

/// The same with white space allowed around it.
pub(crate) fn spaced(c: u8, expected: &'static str) -> impl Fn(&[u8]) -> Parsed<'_, u8> {
    move |input| {
        let (rest, _) = space(input)?;
        let (rest, _) = one(c, expected)(rest)?;
        let (rest, _) = space(rest)?;
        Ok((rest, c))
    }
}

/// Digits as a number that must fit 32 bits.
pub(crate) fn number(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, digits) = run(DIGIT, input);
    match digits {
        [] => wrong(input, "a number"),
        _ => match decimal(digits) {
            Some(n) => Ok((rest, n)),
            None => wrong(input, "a number below 2^32"),
        },
    }
}

/// The value of digits; None when it does not fit.
fn decimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |n, &d| n.checked_mul(10)?.checked_add(u32::from(d - b'0')))
}

/// A host: a name, an IPv4 address, or an IPv6 address in brackets (RFC 3261 §25.1 `host`, RFC 5954).
pub(crate) fn host(input: &[u8]) -> Parsed<'_, &[u8]> {
    if input.first() == Some(&b'[') {
        let end = memchr::memchr(b']', input).unwrap_or(0);
        let inside = input.get(1..end).and_then(|a| std::str::from_utf8(a).ok());
        return match inside.and_then(|a| a.parse::<std::net::Ipv6Addr>().ok()) {
            Some(_) => {
                let (taken, rest) = input.split_at(end + 1);
                Ok((rest, taken))
            }
            None => wrong(input, "an IPv6 address in brackets"),
        };
    }
    match run(HOST, input) {
        (_, []) => wrong(input, "a host"),
        (rest, taken) => Ok((rest, taken)),
    }
}

/// `:port`, or nothing. A colon without digits counts as nothing.
pub(crate) fn port(input: &[u8]) -> Parsed<'_, Option<u16>> {
    let Ok((rest, _)) = one(b':', "")(input) else { return Ok((input, None)) };
    let (rest, digits) = run(DIGIT, rest);
    if digits.is_empty() {
        return Ok((rest, None));
    }
    match decimal(digits).and_then(|n| u16::try_from(n).ok()) {
        Some(n) => Ok((rest, Some(n))),
        None => wrong(input, "a port below 65536"),
    }
}

/// `*( SEMI param )` up to the end of the value, or up to the comma that ends it in a list. Gives the whole run.
/// Empty parameters (`;;`) are let pass.
pub(crate) fn parameters(input: &[u8]) -> Parsed<'_, &[u8]> {
    let mut rest = input;
    loop {
        let (next, _) = space(rest)?;
        match next.first() {
            Some(b';') => {
                let (next, _) = spaced(b';', "a semicolon").parse(next)?;
                rest = parameter(next)?.0;
            }
            Some(b',') | None => {
                let (taken, _) = input.split_at(input.len() - rest.len());
                return Ok((next, taken));
            }
            Some(_) => return wrong(next, "a semicolon or the end"),
        }
    }
}

/// `name`, `name=value` or `name="value"`; white space allowed around the equals sign. May be empty.
fn parameter(input: &[u8]) -> Parsed<'_, ()> {
    let (rest, _) = run(VALUE, input);
    let (after, _) = space(rest)?;
    let Ok((value, _)) = one(b'=', "")(after) else { return Ok((rest, ())) };
    let (value, _) = space(value)?;
    if value.first() == Some(&b'"') {
        let (rest, _) = quoted(value)?;
        return Ok((rest, ()));
    }
    let (rest, _) = value_with_equals(value)?;
    Ok((rest, ()))
}

/// A plain value that may hold equals signs (base64, `pn-prid`).
fn value_with_equals(mut input: &[u8]) -> Parsed<'_, ()> {
    loop {
        (input, _) = plain_value(input)?;
        match one(b'=', "")(input) {
            Ok((rest, _)) => input = rest,
            Err(_) => return Ok((input, ())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(token(b"abc.d;x"), Ok((&b";x"[..], &b"abc.d"[..])));
        assert!(token(b"(x").is_err());
        assert_eq!(quoted(br#""a\"b\\" c"#), Ok((&b" c"[..], &br#""a\"b\\""#[..])));
        assert!(quoted(br#""a\""#).is_err());
        assert!(quoted(br#""a\"#).is_err());
        assert_eq!(number(b"0068 "), Ok((&b" "[..], 68)));
        assert!(number(b"4294967296").is_err());
        assert_eq!(number(b"4294967295"), Ok((&b""[..], u32::MAX)));
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(host(b"[2001:db8::1]:5060"), Ok((&b":5060"[..], &b"[2001:db8::1]"[..])));
        for bad in [&b"[2001:db8::1"[..], b"[::g]", b"[]", b"", b":5060", b"[1.2.3.4]"] {
            assert!(host(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(port(b":65535;"), Ok((&b";"[..], Some(65535))));
        assert_eq!(port(b":;"), Ok((&b";"[..], None)));
        assert_eq!(port(b";"), Ok((&b";"[..], None)));
        assert!(port(b":65536").is_err());
    }

    #[test]
    fn parameter_runs() {
        for (text, run, rest) in [
            (";a=b;c", ";a=b;c", ""),
            (" ; a = \"x,;y\" ; b , next", " ; a = \"x,;y\" ; b", ", next"),
            (";;a", ";;a", ""),
            (";k=ab==;m", ";k=ab==;m", ""),
            ("", "", ""),
        ] {
            let (left, taken) = parameters(text.as_bytes()).unwrap();
            assert_eq!((taken, left), (run.as_bytes(), rest.as_bytes()), "{text}");
        }
        for bad in ["x", ";a b", ";a=\"x", ";a=<x>"] {
            assert!(parameters(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
