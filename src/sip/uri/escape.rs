//! `%41` and back (RFC 3261 §19.1.2).

use std::borrow::Cow;
use std::fmt;

/// `%61` → `a`. What is no escape, or would not be UTF-8, stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let hex = |c: Option<&u8>| c.and_then(|c| char::from(*c).to_digit(16)).map(|d| d as u8);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&c) = bytes.get(i) {
        match (c, hex(bytes.get(i + 1)), hex(bytes.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                i += 3;
            }
            _ => {
                out.push(c);
                i += 1;
            }
        }
    }
    match String::from_utf8(out) {
        Ok(plain) => Cow::Owned(plain),
        Err(_) => Cow::Borrowed(text),
    }
}

fn escape(text: &str, keep: &[u8], out: &mut String) {
    use fmt::Write;
    for c in text.bytes() {
        if c.is_ascii_alphanumeric() || keep.contains(&c) {
            out.push(char::from(c));
        } else {
            let _ = write!(out, "%{c:02X}");
        }
    }
}

/// Escapes what may not stand in a user (RFC 3261 §25.1 `user`). `#` is let stand: dial codes have it and
/// phones send it so.
pub fn escape_user(user: &str, out: &mut String) {
    escape(user, b"-_.!~*'()&=+$,;?/#", out);
}

pub(super) fn escape_param(text: &str, out: &mut String) {
    escape(text, b"-_.!~*'()[]/:&+$", out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescaping() {
        for (text, want) in [
            ("a%20b", "a b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%FF", "%FF"),
            ("%C3%B3", "ó"),
            ("%00", "\0"),
        ] {
            assert_eq!(unescape(text), want);
        }
    }
}
