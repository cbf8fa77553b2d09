//! WWW-Authenticate and Proxy-Authenticate (RFC 3261 §20.44, §20.27).

use std::fmt;

use super::pairs::each_pair;
use super::{Algorithm, DigestError};
use crate::sip::params::Quoted;
use crate::sip::text::Text;

/// A challenge.
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    realm: Text,
    nonce: Text,
    opaque: Option<Text>,
    algorithm: Option<Text>,
    qop: Option<Text>,
    stale: bool,
}

impl Challenge {
    /// A challenge of ours, with `qop="auth"`.
    pub fn new(realm: &str, nonce: &str, algorithm: Algorithm, stale: bool) -> Challenge {
        Challenge {
            realm: Text::from(realm),
            nonce: Text::from(nonce),
            opaque: None,
            algorithm: Some(Text::from_static(algorithm.as_str())),
            qop: Some(Text::from_static("auth")),
            stale,
        }
    }

    /// The same challenge without qop, for peers of RFC 2069.
    #[must_use]
    pub fn without_qop(mut self) -> Challenge {
        self.qop = None;
        self
    }

    /// The same challenge with an opaque the peer must return.
    #[must_use]
    pub fn with_opaque(mut self, opaque: &str) -> Challenge {
        self.opaque = Some(Text::from(opaque));
        self
    }

    /// Reads a whole header value, sharing its buffer. Unknown parameters are ignored.
    pub fn parse(text: &Text) -> Result<Challenge, DigestError> {
        let mut new = Challenge::default();
        let (mut realm, mut nonce) = (None, None);
        each_pair(text, "WWW-Authenticate", |name, value| match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "nonce" => nonce = Some(value),
            "opaque" => new.opaque = Some(value),
            "algorithm" => new.algorithm = Some(value),
            "qop" => new.qop = Some(value),
            "stale" => new.stale = value.eq_ignore_ascii_case("true"),
            _ => {}
        })?;
        new.realm = realm.ok_or(DigestError::Missing("realm"))?;
        new.nonce = nonce.ok_or(DigestError::Missing("nonce"))?;
        Ok(new)
    }

    /// The protection domain.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The nonce.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What the peer wants back as it is.
    pub fn opaque(&self) -> Option<&str> {
        self.opaque.as_deref()
    }

    /// The algorithm; MD5 when none is named.
    pub fn algorithm(&self) -> Result<Algorithm, DigestError> {
        match &self.algorithm {
            None => Ok(Algorithm::Md5),
            Some(name) => Algorithm::from_name(name).ok_or(DigestError::UnknownAlgorithm),
        }
    }

    /// Whether `qop=auth` is offered. False when no qop is (RFC 2069); an error when only others are.
    pub fn offers_auth(&self) -> Result<bool, DigestError> {
        let Some(qop) = &self.qop else { return Ok(false) };
        let mut offered = qop.split(',').map(str::trim).filter(|q| !q.is_empty());
        match (offered.clone().any(|q| q.eq_ignore_ascii_case("auth")), offered.next()) {
            (true, _) => Ok(true),
            (false, None) => Ok(false),
            (false, Some(q)) if q.eq_ignore_ascii_case("auth-int") => Err(DigestError::AuthInt),
            (false, Some(_)) => Err(DigestError::UnknownQop),
        }
    }

    /// Whether the password was right and only the nonce too old.
    pub fn is_stale(&self) -> bool {
        self.stale
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", Quoted(&self.realm), Quoted(&self.nonce))?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", Quoted(opaque))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if let Some(algorithm) = &self.algorithm {
            write!(f, ", algorithm={algorithm}")?;
        }
        match &self.qop {
            Some(qop) => write!(f, ", qop={}", Quoted(qop)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let plain = Challenge::new("10.0.0.1", "n-1", Algorithm::Md5, false);
        assert_eq!(plain.to_string(), r#"Digest realm="10.0.0.1", nonce="n-1", algorithm=MD5, qop="auth""#);
        let stale = Challenge::new("a\"b", "n", Algorithm::Sha256, true).with_opaque("o").without_qop();
        let text = stale.to_string();
        assert_eq!(text, r#"Digest realm="a\"b", nonce="n", opaque="o", stale=true, algorithm=SHA-256"#);
        let again = Challenge::parse(&Text::from(text)).unwrap();
        assert_eq!(again.realm(), "a\"b");
        assert!(again.is_stale());
        assert_eq!(again.offers_auth(), Ok(false));
        assert_eq!(again.algorithm(), Ok(Algorithm::Sha256));
    }

    #[test]
    fn offers() {
        for (qop, want) in [
            (r#", qop="auth""#, Ok(true)),
            (r#", QOP="auth-int , AUTH""#, Ok(true)),
            (", qop=auth", Ok(true)),
            (r#", qop="auth-int""#, Err(DigestError::AuthInt)),
            (r#", qop="other""#, Err(DigestError::UnknownQop)),
            (r#", qop="""#, Ok(false)),
            ("", Ok(false)),
        ] {
            let text = format!(r#"digest  nonce="n",realm="r"{qop}"#);
            assert_eq!(Challenge::parse(&Text::from(text)).unwrap().offers_auth(), want, "{qop}");
        }
        for (text, want) in [
            ("Basic realm=\"x\"", DigestError::NotDigest),
            ("Digest realm=\"x\"", DigestError::Missing("nonce")),
            ("Digest nonce=\"x\"", DigestError::Missing("realm")),
        ] {
            assert_eq!(Challenge::parse(&Text::from(text)).unwrap_err(), want, "{text}");
        }
    }
}
