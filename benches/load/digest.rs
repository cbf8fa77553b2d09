//! Answers to a digest challenge (RFC 2617 and RFC 2069, MD5).

use crate::text::Text;
use crate::wire::parameter;
use md5::{Digest, Md5};

/// A hash in hexadecimal.
pub type Hex = [u8; 32];

/// The MD5 of the parts joined by colons.
pub fn md5(parts: &[&[u8]]) -> Hex {
    let mut hash = Md5::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    let mut hex = [0u8; 32];
    for (pair, byte) in hex.chunks_mut(2).zip(hash.finalize()) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    hex
}

/// What of a challenge is needed to answer it, once or several times.
#[derive(Clone, Default)]
pub struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    qop: bool,
    by_proxy: bool,
    /// How often this nonce was answered.
    count: u32,
}

impl Challenge {
    /// Takes over a challenge from the wire; none when it names no realm or nonce.
    pub fn read(value: &[u8], by_proxy: bool) -> Option<Self> {
        Some(Self {
            realm: parameter(value, b"realm")?.to_vec(),
            nonce: parameter(value, b"nonce")?.to_vec(),
            opaque: parameter(value, b"opaque").map(<[u8]>::to_vec),
            qop: parameter(value, b"qop").is_some_and(|list| {
                list.split(|byte| *byte == b',').any(|word| word.trim_ascii() == b"auth")
            }),
            by_proxy,
            count: 0,
        })
    }

    /// Counts one more use of the nonce; to be called once for each new request, not for its repetition.
    pub fn used(&mut self) {
        self.count += 1;
    }

    /// Writes the Authorization or Proxy-Authorization line.
    pub fn write(&self, text: &mut Text, user: &[u8], password: &[u8], method: &[u8], uri: &[u8]) {
        let first = md5(&[user, &self.realm, password]);
        let second = md5(&[method, uri]);
        let mut count = [b'0'; 8];
        let counted = format!("{:08x}", self.count);
        count.copy_from_slice(counted.as_bytes());
        let client: &[u8] = b"0a4f113b";
        let response = if self.qop {
            md5(&[&first, &self.nonce, &count, client, b"auth", &second])
        } else {
            md5(&[&first, &self.nonce, &second])
        };
        text.s(if self.by_proxy {
            "Proxy-Authorization: Digest username=\""
        } else {
            "Authorization: Digest username=\""
        })
        .b(user)
        .s("\", realm=\"")
        .b(&self.realm)
        .s("\", nonce=\"")
        .b(&self.nonce)
        .s("\", uri=\"")
        .b(uri)
        .s("\", response=\"")
        .b(&response)
        .s("\", algorithm=MD5");
        if let Some(opaque) = &self.opaque {
            text.s(", opaque=\"").b(opaque).s("\"");
        }
        if self.qop {
            text.s(", qop=auth, nc=").b(&count).s(", cnonce=\"").b(client).s("\"");
        }
        text.s("\r\n");
    }
}
