//! What reading and writing lines share: the control characters that end them, looked for eight bytes at a time, and numbers.

use std::fmt::Write;
use std::net::IpAddr;

use bytes::BytesMut;

/// The top bits of those of eight bytes that are below 0x0e: line breaks, NUL, tabs and rarer control characters. The first such
/// bit is right, those after it may be too many.
fn low_bytes(word: [u8; 8]) -> u64 {
    const fn each(c: u8) -> u64 {
        u64::from_ne_bytes([c; 8])
    }
    let word = u64::from_le_bytes(word);
    word.wrapping_sub(each(0x0e)) & !word & each(0x80)
}

/// Where the first of the `wanted` bytes stands; all that are wanted must be below 0x0e.
fn first_low(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let mut low = low_bytes(*word);
        while low != 0 {
            let at = low.trailing_zeros() as usize / 8;
            if word.get(at).is_some_and(|&c| wanted(c)) {
                return Some(i * 8 + at);
            }
            low &= low - 1;
        }
    }
    rest.iter().position(|&c| wanted(c)).map(|at| words.len() * 8 + at)
}

/// Where the first carriage return or line feed stands.
pub(crate) fn line_break(bytes: &[u8]) -> Option<usize> {
    first_low(bytes, |c| matches!(c, b'\r' | b'\n'))
}

/// Writes text without what could break a line: CR, LF, NUL.
pub(crate) fn put_line(out: &mut BytesMut, text: &[u8]) {
    let mut rest = text;
    while let Some(bad) = first_low(rest, |c| matches!(c, b'\r' | b'\n' | 0)) {
        let (good, after) = rest.split_at(bad);
        out.extend_from_slice(good);
        rest = after.get(1..).unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
}

/// Writes a number.
pub(crate) fn put_number(out: &mut BytesMut, number: usize) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut first) = (number, digits.len());
    for (i, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        first = i;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or(&[]));
}

/// Writes an address.
pub(crate) fn put_address(out: &mut BytesMut, address: IpAddr) {
    match address {
        IpAddr::V4(four) => {
            for (i, octet) in four.octets().into_iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b".");
                }
                put_number(out, usize::from(octet));
            }
        }
        IpAddr::V6(six) => {
            let _ = write!(out, "{six}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_are_found_wherever_they_stand() {
        for len in 0..40 {
            for at in 0..len {
                for filler in [b'a', b'\t', 0x0e, 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![filler; len];
                    assert_eq!(line_break(&bytes), None);
                    for c in [b'\r', b'\n'] {
                        *bytes.get_mut(at).unwrap() = c;
                        assert_eq!(line_break(&bytes), Some(at), "{len} {filler}");
                    }
                    *bytes.last_mut().unwrap() = b'\n';
                    assert_eq!(line_break(&bytes), Some(at), "{len} {filler}");
                }
            }
        }
    }

    #[test]
    fn writes() {
        let mut out = BytesMut::new();
        for n in [0, 7, 10, 65535, usize::MAX] {
            out.clear();
            put_number(&mut out, n);
            assert_eq!(out, n.to_string().as_bytes());
        }
        for address in ["192.0.2.1", "255.0.10.100", "2001:db8::1"] {
            out.clear();
            put_address(&mut out, address.parse().unwrap());
            assert_eq!(out, address.as_bytes());
        }
        out.clear();
        put_line(&mut out, b"\ra\r\nb c d e\tf g h i\0 \x01j\n");
        assert_eq!(&out[..], b"ab c d e\tf g h i \x01j");
    }
}
