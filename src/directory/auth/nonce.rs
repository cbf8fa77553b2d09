//! Nonces that need no memory: the time and a serial number, under a keyed hash with the realm.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Makes nonces and knows its own again. Another process, or this one with another secret, finds them foreign.
pub struct Nonces {
    key: Hmac<Sha256>,
    serial: AtomicU32,
}

/// What a genuine nonce says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// When it was made, in seconds since 1970.
    pub issued: u32,
    /// Which of that time's it is; with `issued` it names the nonce.
    pub serial: u32,
}

/// How far into the future a nonce of ours may seem to lie, for clocks that are set back a little.
const CLOCK_SLACK: u32 = 5;

impl Nonces {
    /// `secret` must come from the system's random source.
    pub fn new(secret: &[u8; 32]) -> Self {
        // The type wants a whole block; HMAC fills shorter keys up with zeros.
        let mut block = [0u8; 64];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Nonces { key: Hmac::<Sha256>::new(&block.into()), serial: AtomicU32::new(0) }
    }

    /// A new nonce for `realm`: 48 hexadecimal digits.
    pub fn issue(&self, now: SystemTime, realm: &str) -> String {
        let nonce = Nonce { issued: seconds(now), serial: self.serial.fetch_add(1, Ordering::Relaxed) };
        let mut text = String::with_capacity(48);
        for byte in nonce.bytes().into_iter().chain(self.seal(nonce, realm)) {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        text
    }

    /// Reads a nonce; `None` unless it is ours and was made for `realm`.
    pub fn read(&self, text: &str, realm: &str) -> Option<Nonce> {
        let digits: &[u8; 48] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0u8; 24];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0u8, |value, digit| Some(value << 4 | hex_value(*digit)?))?;
        }
        let (head, seal) = bytes.split_at(8);
        let (issued, serial) = head.split_at(4);
        let nonce = Nonce {
            issued: u32::from_be_bytes(issued.try_into().ok()?),
            serial: u32::from_be_bytes(serial.try_into().ok()?),
        };
        same(seal, &self.seal(nonce, realm)).then_some(nonce)
    }

    fn seal(&self, nonce: Nonce, realm: &str) -> [u8; 16] {
        let mut mac = self.key.clone();
        mac.update(&nonce.bytes());
        mac.update(realm.as_bytes());
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut half = [0; 16];
        half.copy_from_slice(full.split_at(16).0);
        half
    }
}

impl Nonce {
    /// True while the nonce is at most `life` old.
    pub fn is_fresh(&self, now: SystemTime, life: Duration) -> bool {
        let now = u64::from(seconds(now));
        let issued = u64::from(self.issued);
        issued <= now + u64::from(CLOCK_SLACK) && now <= issued.saturating_add(life.as_secs())
    }

    /// One number that names the nonce.
    pub fn id(&self) -> u64 {
        u64::from(self.issued) << 32 | u64::from(self.serial)
    }

    fn bytes(&self) -> [u8; 8] {
        self.id().to_be_bytes()
    }
}

/// Seconds since 1970.
pub fn seconds(now: SystemTime) -> u32 {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// Compares in a time that depends on the lengths alone.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |differ, (x, y)| differ | (x ^ y)) == 0
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(1_700_000_000);

    #[test]
    fn only_our_own_untouched_nonces_are_read() {
        let nonces = Nonces::new(&[7; 32]);
        let now = UNIX_EPOCH + T;
        let text = nonces.issue(now, "example.com");
        let nonce = nonces.read(&text, "example.com").unwrap();
        assert_eq!(nonce, Nonce { issued: 1_700_000_000, serial: 0 });
        assert_ne!(text, nonces.issue(now, "example.com"));
        assert_eq!(nonces.read(&text, "example.org"), None);
        assert_eq!(Nonces::new(&[8; 32]).read(&text, "example.com"), None);
        for at in 0..48 {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(nonces.read(std::str::from_utf8(&other).unwrap(), "example.com"), None, "digit {at}");
        }
        for odd in ["", "0", &text[..47], &text.to_uppercase(), &format!("{text}0"), &"é".repeat(24)] {
            assert!(nonces.read(odd, "example.com").is_none() || odd == text, "{odd}");
        }
    }

    #[test]
    fn fresh_for_its_life_and_not_from_the_future() {
        let nonce = Nonce { issued: 1000, serial: 0 };
        let life = Duration::from_secs(60);
        for (now, want) in [(994, false), (995, true), (1000, true), (1060, true), (1061, false)] {
            assert_eq!(nonce.is_fresh(UNIX_EPOCH + Duration::from_secs(now), life), want, "{now}");
        }
    }
}
