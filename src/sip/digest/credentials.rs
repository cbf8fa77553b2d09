//! Authorization and Proxy-Authorization (RFC 3261 §20.7, §20.28).

use std::fmt;

use super::pairs::each_pair;
use super::{Algorithm, Challenge, DigestError, Protection, response};
use crate::sip::error::ParseError;
use crate::sip::params::Quoted;
use crate::sip::text::Text;

/// What a peer answers to a challenge.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    username: Text,
    realm: Text,
    nonce: Text,
    uri: Text,
    response: Text,
    algorithm: Option<Text>,
    cnonce: Option<Text>,
    opaque: Option<Text>,
    qop: Option<Text>,
    nc: Option<Text>,
}

impl Credentials {
    /// Reads a whole header value, sharing its buffer. Unknown parameters are ignored; a known one may stand only once.
    pub fn parse(text: &Text) -> Result<Credentials, DigestError> {
        let mut new = Credentials::default();
        let [mut username, mut realm, mut nonce, mut uri, mut response] = [const { None }; 5];
        let mut twice = false;
        each_pair(text, "Authorization", |name, value| {
            let place = match name {
                n if n.eq_ignore_ascii_case("username") => &mut username,
                n if n.eq_ignore_ascii_case("realm") => &mut realm,
                n if n.eq_ignore_ascii_case("nonce") => &mut nonce,
                n if n.eq_ignore_ascii_case("uri") => &mut uri,
                n if n.eq_ignore_ascii_case("response") => &mut response,
                n if n.eq_ignore_ascii_case("algorithm") => &mut new.algorithm,
                n if n.eq_ignore_ascii_case("cnonce") => &mut new.cnonce,
                n if n.eq_ignore_ascii_case("opaque") => &mut new.opaque,
                n if n.eq_ignore_ascii_case("qop") => &mut new.qop,
                n if n.eq_ignore_ascii_case("nc") => &mut new.nc,
                _ => return,
            };
            twice |= place.replace(value).is_some();
        })?;
        if twice {
            return Err(ParseError::malformed("Authorization", 0, "each parameter only once").into());
        }
        new.username = username.ok_or(DigestError::Missing("username"))?;
        new.realm = realm.ok_or(DigestError::Missing("realm"))?;
        new.nonce = nonce.ok_or(DigestError::Missing("nonce"))?;
        new.uri = uri.ok_or(DigestError::Missing("uri"))?;
        new.response = response.ok_or(DigestError::Missing("response"))?;
        Ok(new)
    }

    /// Our answer to a challenge. `count` is how often its nonce has been used, this time included; `cnonce` is fresh and random.
    /// `ha1` is of the challenge's algorithm.
    pub fn answer(
        challenge: &Challenge,
        username: &str,
        ha1: &str,
        method: &str,
        uri: &str,
        cnonce: &str,
        count: u32,
    ) -> Result<Credentials, DigestError> {
        let algorithm = challenge.algorithm()?;
        let nc = format!("{count:08x}");
        let auth = challenge.offers_auth()?;
        if algorithm.is_session() && !auth {
            return Err(DigestError::Missing("qop"));
        }
        let protection = auth.then_some(Protection { nc: &nc, cnonce, qop: "auth" });
        Ok(Credentials {
            username: Text::from(username),
            realm: Text::from(challenge.realm()),
            nonce: Text::from(challenge.nonce()),
            uri: Text::from(uri),
            response: Text::from(response(algorithm, ha1, challenge.nonce(), protection, method, uri)),
            algorithm: Some(Text::from_static(algorithm.as_str())),
            cnonce: protection.map(|_| Text::from(cnonce)),
            opaque: challenge.opaque().map(Text::from),
            qop: protection.map(|_| Text::from_static("auth")),
            nc: protection.map(|_| Text::from(nc.as_str())),
        })
    }

    /// Who the peer says it is.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The protection domain the password is for.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The nonce of the challenge.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The request-URI as the peer saw it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The digest.
    pub fn response(&self) -> &str {
        &self.response
    }

    /// The peer's own nonce.
    pub fn cnonce(&self) -> Option<&str> {
        self.cnonce.as_deref()
    }

    /// What the challenge wanted back.
    pub fn opaque(&self) -> Option<&str> {
        self.opaque.as_deref()
    }

    /// The nonce count as a number. None when there is none or it is not hexadecimal of at most eight digits.
    pub fn nonce_count(&self) -> Option<u32> {
        let nc = self.nc.as_deref()?;
        (!nc.is_empty() && nc.len() <= 8 && nc.bytes().all(|c| c.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(nc, 16).ok())?
    }

    /// The algorithm; MD5 when none is named.
    pub fn algorithm(&self) -> Result<Algorithm, DigestError> {
        match &self.algorithm {
            None => Ok(Algorithm::Md5),
            Some(name) => Algorithm::from_name(name).ok_or(DigestError::UnknownAlgorithm),
        }
    }

    /// What `qop=auth` adds; None for a peer of RFC 2069.
    pub fn protection(&self) -> Result<Option<Protection<'_>>, DigestError> {
        match self.qop.as_deref() {
            None | Some("") => Ok(None),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Ok(Some(Protection {
                nc: self.nonce_count().and(self.nc.as_deref()).ok_or(DigestError::Missing("nc"))?,
                cnonce: self.cnonce().ok_or(DigestError::Missing("cnonce"))?,
                qop,
            })),
            Some(qop) if qop.eq_ignore_ascii_case("auth-int") => Err(DigestError::AuthInt),
            Some(_) => Err(DigestError::UnknownQop),
        }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username={}, realm={}, nonce={}, uri={}, response={}",
            Quoted(&self.username),
            Quoted(&self.realm),
            Quoted(&self.nonce),
            Quoted(&self.uri),
            Quoted(&self.response)
        )?;
        for (name, value) in [("algorithm", &self.algorithm), ("qop", &self.qop), ("nc", &self.nc)] {
            if let Some(value) = value {
                write!(f, ", {name}={value}")?;
            }
        }
        for (name, value) in [("cnonce", &self.cnonce), ("opaque", &self.opaque)] {
            if let Some(value) = value {
                write!(f, ", {name}={}", Quoted(value))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ha1, verify};
    use super::*;

    const LINPHONE: &str = r#"Digest realm="127.0.0.1", nonce="n-1795206645", algorithm=MD5, username="1001",  uri="sip:127.0.0.1:25061", response="dbc60b4813774e9cb428ebe407907396", cnonce="7a~gMb2As6hiM2AK", nc=00000001, qop=auth"#;

    #[test]
    fn reads_what_phones_send() {
        let c = Credentials::parse(&Text::from(LINPHONE)).unwrap();
        assert_eq!((c.username(), c.realm(), c.nonce_count()), ("1001", "127.0.0.1", Some(1)));
        assert_eq!(c.algorithm(), Ok(Algorithm::Md5));
        let odd = r#"DIGEST   Username = "a\"b" ,,URI=sip:x ,realm="r",	nonce="n" , response="AB", qop="auth", nc=0000000A,cnonce="",x=y,"#;
        let c = Credentials::parse(&Text::from(odd)).unwrap();
        assert_eq!((c.username(), c.uri(), c.nonce_count()), ("a\"b", "sip:x", Some(10)));
        assert_eq!(c.protection().unwrap().unwrap().cnonce, "");
    }

    #[test]
    fn refuses() {
        let full = r#"username="u", realm="r", nonce="n", uri="sip:x", response="0""#;
        for (text, want) in [
            ("Bearer abc", "not Digest"),
            ("Digest", "no username"),
            (r#"Digest username="u""#, "no realm"),
            (&format!("Digest {full}, username=\"v\""), "only once"),
            (&format!("Digest {full} x"), "comma"),
            (r#"Digest username="u"#, "closing quote"),
            ("Digest username", "equals"),
        ] {
            let error = Credentials::parse(&Text::from(text)).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
        for (more, want) in [
            ("qop=auth-int, nc=00000001, cnonce=\"c\"", DigestError::AuthInt),
            ("qop=auth, cnonce=\"c\"", DigestError::Missing("nc")),
            ("qop=auth, nc=xyz, cnonce=\"c\"", DigestError::Missing("nc")),
            ("qop=auth, nc=00000001", DigestError::Missing("cnonce")),
            ("qop=other", DigestError::UnknownQop),
            ("algorithm=SHA-512", DigestError::UnknownAlgorithm),
            ("algorithm=MD5-sess", DigestError::Missing("cnonce")),
        ] {
            let c = Credentials::parse(&Text::from(format!("Digest {full}, {more}"))).unwrap();
            assert_eq!(verify(&c, "0", "REGISTER"), Err(want), "{more}");
        }
    }

    #[test]
    fn answers_are_accepted_and_nothing_else() {
        for algorithm in [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess] {
            for qop in [true, false] {
                let mut challenge = Challenge::new("r \"x\"", "nonce", algorithm, false).with_opaque("o");
                if !qop {
                    challenge = challenge.without_qop();
                }
                let key = ha1(algorithm, "1001", challenge.realm(), "secret");
                let answer = Credentials::answer(&challenge, "1001", &key, "INVITE", "sip:9196@x", "c", 3);
                if algorithm.is_session() && !qop {
                    assert_eq!(answer.unwrap_err(), DigestError::Missing("qop"));
                    continue;
                }
                let sent = answer.unwrap().to_string();
                let got = Credentials::parse(&Text::from(sent)).unwrap();
                assert_eq!((got.opaque(), got.nonce_count()), (Some("o"), qop.then_some(3)));
                assert_eq!(verify(&got, &key, "INVITE"), Ok(true));
                assert_eq!(verify(&got, &key, "REGISTER"), Ok(false));
                assert_eq!(
                    verify(&got, &ha1(algorithm, "1001", challenge.realm(), "Secret"), "INVITE"),
                    Ok(false)
                );
            }
        }
    }
}
