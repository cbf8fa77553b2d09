//! The arithmetic of digests.

use std::fmt;

use md5::{Digest, Md5};
use sha2::Sha256;

use super::{Credentials, DigestError};

/// The hash and how HA1 is made.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Default)]
pub enum Algorithm {
    /// MD5; also what is meant when none is named.
    #[default]
    Md5,
    /// MD5 with a session key.
    Md5Sess,
    /// SHA-256 (RFC 8760).
    Sha256,
    /// SHA-256 with a session key.
    Sha256Sess,
}

impl Algorithm {
    /// Reads the token, in any case.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(name))
    }

    /// The token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Whether HA1 is hashed again with nonce and cnonce.
    pub const fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The three values of `qop=auth`. Without them the digest is that of RFC 2069.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Protection<'a> {
    /// `nc` as written: eight hexadecimal digits.
    pub nc: &'a str,
    /// `cnonce`.
    pub cnonce: &'a str,
    /// `qop` as written.
    pub qop: &'a str,
}

/// A hash in hexadecimal, on the stack.
#[derive(Copy, Clone)]
struct Hex {
    digits: [u8; 64],
    len: usize,
}

impl Hex {
    fn of(hash: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Hex { digits: [0; 64], len: (hash.len() * 2).min(64) };
        for (pair, byte) in hex.digits.chunks_exact_mut(2).zip(hash) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        hex
    }

    fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or(&[])
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or("")
    }
}

/// The hash of parts with colons between.
fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> Hex {
    fn run<D: Digest>(parts: &[&[u8]]) -> Hex {
        let mut state = D::new();
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                state.update(b":");
            }
            state.update(part);
        }
        Hex::of(&state.finalize())
    }
    match algorithm {
        Algorithm::Md5 | Algorithm::Md5Sess => run::<Md5>(parts),
        Algorithm::Sha256 | Algorithm::Sha256Sess => run::<Sha256>(parts),
    }
}

/// H(user:realm:password) in hexadecimal: what may be stored instead of a password. The same for an algorithm and its
/// -sess form.
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    hash(algorithm, &[user.as_bytes(), realm.as_bytes(), password.as_bytes()]).as_str().to_owned()
}

fn response_hex(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    protection: Option<Protection<'_>>,
    method: &str,
    uri: &str,
) -> Hex {
    let session = match (algorithm.is_session(), protection) {
        (true, Some(p)) => Some(hash(algorithm, &[ha1.as_bytes(), nonce.as_bytes(), p.cnonce.as_bytes()])),
        _ => None,
    };
    let ha1 = session.as_ref().map_or(ha1.as_bytes(), Hex::as_bytes);
    let ha2 = hash(algorithm, &[method.as_bytes(), uri.as_bytes()]);
    match protection {
        Some(p) => hash(
            algorithm,
            &[ha1, nonce.as_bytes(), p.nc.as_bytes(), p.cnonce.as_bytes(), p.qop.as_bytes(), ha2.as_bytes()],
        ),
        None => hash(algorithm, &[ha1, nonce.as_bytes(), ha2.as_bytes()]),
    }
}

/// The `response` of a digest, from HA1 in hexadecimal (RFC 2617 §3.2.2.1; without protection RFC 2069 §2.1.2).
pub fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    protection: Option<Protection<'_>>,
    method: &str,
    uri: &str,
) -> String {
    response_hex(algorithm, ha1, nonce, protection, method, uri).as_str().to_owned()
}

/// Whether `credentials` were made with the password behind `ha1` (hexadecimal, of the algorithm the credentials name) for
/// a request of `method`. Takes the same time for a wrong response wherever it differs. That nonce, realm, uri and counter are the
/// right ones is for the caller to say.
pub fn verify(credentials: &Credentials, ha1: &str, method: &str) -> Result<bool, DigestError> {
    let protection = credentials.protection()?;
    let algorithm = credentials.algorithm()?;
    if algorithm.is_session() && protection.is_none() {
        return Err(DigestError::Missing("cnonce"));
    }
    let expected = response_hex(algorithm, ha1, credentials.nonce(), protection, method, credentials.uri());
    Ok(same(expected.as_bytes(), credentials.response().as_bytes()))
}

/// Compares without stopping at the first difference; upper case hexadecimal counts as lower.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differences = expected.iter().zip(given).fold(0u8, |d, (a, b)| d | (a ^ b.to_ascii_lowercase()));
    std::hint::black_box(differences) == 0 && expected.len() == given.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 2617 §3.5 and RFC 7616 §3.9.1.
    #[test]
    fn known_answers() {
        let old = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(old, "939e7578ed9e3c518a452acee763bce9");
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let with = Protection { nc: "00000001", cnonce: "0a4f113b", qop: "auth" };
        assert_eq!(
            response(Algorithm::Md5, &old, nonce, Some(with), "GET", "/dir/index.html"),
            "6629fae49393a05397450978507c4ef1"
        );
        assert_eq!(
            response(Algorithm::Md5, &old, nonce, None, "GET", "/dir/index.html"),
            "670fd8c2df070c60b045671b8b24ff02"
        );
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let with = Protection {
            nc: "00000001",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            qop: "auth",
        };
        for (algorithm, want) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            assert_eq!(response(algorithm, &ha1, nonce, Some(with), "GET", "/dir/index.html"), want);
        }
    }

    #[test]
    fn comparing() {
        assert!(same(b"abcd", b"ABcd"));
        assert!(!same(b"abcd", b"abc"));
        assert!(!same(b"abcd", b"abcde"));
        assert!(!same(b"abcd", b"abce"));
        assert!(!same(b"abcd", b""));
    }
}
