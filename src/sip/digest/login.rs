//! Our side of digest authentication: a name and a password, and the challenges they have answered.
//!
//! Nonces are used again with a growing count (RFC 2617 §3.2.2), so that a peer that lets its nonces live is asked
//! once, not for every request; a stale one is replaced. A challenge is only answered for those it may come from:
//! whoever gets an answer to a nonce of his own may try passwords on it at leisure.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Algorithm, Challenge, Credentials, ha1};
use crate::sip::message::Message;
use crate::sip::name::Name;

/// How many realms one login answers to.
const REALMS: usize = 4;

/// Says whether a challenge from that address may be answered.
pub type Trust = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// A name and a password for whoever asks for them. Cheap to clone; a clone counts its nonces by itself.
#[derive(Clone)]
pub struct Login {
    username: Arc<str>,
    password: Arc<str>,
    trust: Option<Trust>,
    known: Vec<Known>,
}

/// A challenge that is being answered.
#[derive(Clone)]
struct Known {
    /// The header our answers go into.
    into: Name,
    challenge: Challenge,
    ha1: Arc<str>,
    /// How often its nonce was used.
    count: u32,
}

/// Why a challenge is not answered.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unanswered {
    /// It came from somewhere else than those the login is for.
    #[error("the challenge did not come from the peer the password is for")]
    Stranger,
    /// No challenge, or none by a scheme and algorithm we have.
    #[error("there is no digest challenge we can answer (MD5 or SHA-256, qop auth or none)")]
    Unknown,
    /// It was answered already, and is there again.
    #[error("the name or the password is wrong")]
    Rejected,
}

impl Login {
    /// Answers with this name and password.
    pub fn new(username: &str, password: &str) -> Login {
        Login { username: username.into(), password: password.into(), trust: None, known: Vec::new() }
    }

    /// The same for challenges from these addresses alone.
    #[must_use]
    pub fn only_for(mut self, trust: Trust) -> Login {
        self.trust = Some(trust);
        self
    }

    /// Takes the challenges of a 401 or 407 that came from `source`. On success the request is worth sending again,
    /// with [`credentials`](Self::credentials). The caller bounds how often.
    pub fn challenged(&mut self, response: &Message, source: IpAddr) -> Result<(), Unanswered> {
        if self.trust.as_ref().is_some_and(|trust| !trust(source)) {
            return Err(Unanswered::Stranger);
        }
        let mut taken: Vec<(Name, String)> = Vec::new();
        for (into, challenge) in response.challenges() {
            let Ok(challenge) = challenge else { continue };
            let Ok(algorithm) = challenge.algorithm() else { continue };
            let Ok(auth) = challenge.offers_auth() else { continue };
            // The topmost that we can counts (RFC 8760 §2.4).
            let again = taken.iter().any(|(i, realm)| *i == into && realm == challenge.realm());
            if again || taken.len() >= REALMS || (algorithm.is_session() && !auth) {
                continue;
            }
            taken.push((into, challenge.realm().to_owned()));
            self.take(into, challenge, algorithm)?;
        }
        if taken.is_empty() { Err(Unanswered::Unknown) } else { Ok(()) }
    }

    fn take(&mut self, into: Name, challenge: Challenge, algorithm: Algorithm) -> Result<(), Unanswered> {
        let known =
            self.known.iter().position(|k| k.into == into && k.challenge.realm() == challenge.realm());
        if let Some(known) = known.map(|index| self.known.swap_remove(index)) {
            // An answer made for this very challenge was refused; one with an older nonce may just have come too late,
            // whether the peer says `stale` or not.
            let fresh = known.count <= 1 && !challenge.is_stale();
            if fresh && known.count > 0 {
                return Err(Unanswered::Rejected);
            }
        }
        let ha1 = ha1(algorithm, &self.username, challenge.realm(), &self.password).into();
        if self.known.len() >= REALMS {
            self.known.remove(0);
        }
        self.known.push(Known { into, challenge, ha1, count: 0 });
        Ok(())
    }

    /// The credentials for a request, one header for each realm that asked: none before the first challenge. `cnonce`
    /// is fresh and random.
    pub fn credentials(&mut self, method: &str, uri: &str, cnonce: u64) -> Vec<(Name, String)> {
        let cnonce = format!("{cnonce:016x}");
        let mut headers = Vec::with_capacity(self.known.len());
        for known in &mut self.known {
            known.count = known.count.saturating_add(1);
            let answer = Credentials::answer(
                &known.challenge,
                &self.username,
                &known.ha1,
                method,
                uri,
                &cnonce,
                known.count,
            );
            if let Ok(answer) = answer {
                headers.push((known.into, answer.to_string()));
            }
        }
        headers
    }
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::verify;
    use super::*;
    use crate::sip::{Limits, Text};
    use bytes::Bytes;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn response(challenges: &[&str]) -> Message {
        let lines: String = challenges.iter().map(|c| format!("{c}\r\n")).collect();
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Message::parse(Bytes::from(text), &Limits::default()).expect("a response")
    }

    fn www(realm: &str, nonce: &str, more: &str) -> String {
        format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\"{more}")
    }

    fn good(header: &(Name, String), realm: &str) -> u32 {
        let given = Credentials::parse(&Text::from(header.1.as_str())).expect("credentials");
        let key = ha1(given.algorithm().expect("ours"), "u", realm, "p");
        assert_eq!(verify(&given, &key, "REGISTER"), Ok(true));
        given.nonce_count().expect("a count")
    }

    #[test]
    fn a_nonce_is_used_again_with_a_growing_count() {
        let mut login = Login::new("u", "p");
        assert!(login.credentials("REGISTER", "sip:r", 1).is_empty());
        assert_eq!(login.challenged(&response(&[&www("r", "n1", "")]), HERE), Ok(()));
        for count in 1..4 {
            let headers = login.credentials("REGISTER", "sip:r", 1);
            assert_eq!((headers.len(), headers[0].0), (1, Name::Authorization));
            assert_eq!(good(&headers[0], "r"), count);
        }
        // Too old now: a new one, whether the peer says so or not.
        assert_eq!(login.challenged(&response(&[&www("r", "n2", "")]), HERE), Ok(()));
        assert_eq!(good(&login.credentials("REGISTER", "sip:r", 1)[0], "r"), 1);
    }

    #[test]
    fn a_wrong_password_is_not_tried_for_ever() {
        let mut login = Login::new("u", "p");
        assert_eq!(login.challenged(&response(&[&www("r", "n1", "")]), HERE), Ok(()));
        login.credentials("REGISTER", "sip:r", 1);
        assert_eq!(login.challenged(&response(&[&www("r", "n2", ", stale=true")]), HERE), Ok(()));
        login.credentials("REGISTER", "sip:r", 1);
        let again = login.challenged(&response(&[&www("r", "n3", "")]), HERE);
        assert_eq!(again, Err(Unanswered::Rejected));
        assert_eq!(login.challenged(&response(&[&www("r", "n4", "")]), HERE), Ok(()), "a later attempt may");
    }

    #[test]
    fn proxies_and_registrars_ask_side_by_side() {
        let mut login = Login::new("u", "p");
        let proxy = "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"";
        let same = "Proxy-Authenticate: Digest realm=\"x\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
        let asked = response(&[&www("r", "n", ""), proxy, same]);
        assert_eq!(login.challenged(&asked, HERE), Ok(()));
        let headers = login.credentials("REGISTER", "sip:r", 1);
        let names: Vec<Name> = headers.iter().map(|h| h.0).collect();
        assert_eq!(names, [Name::Authorization, Name::ProxyAuthorization]);
        assert!(headers[1].1.contains("SHA-256"), "the topmost counts: {}", headers[1].1);
        good(&headers[1], "x");
    }

    #[test]
    fn what_is_not_answered() {
        let mut login = Login::new("u", "p").only_for(Arc::new(|ip| ip == HERE));
        let stranger = IpAddr::from([198, 51, 100, 7]);
        let asked = response(&[&www("r", "n", "")]);
        assert_eq!(login.challenged(&asked, stranger), Err(Unanswered::Stranger));
        assert!(login.credentials("REGISTER", "sip:r", 1).is_empty());
        for odd in ["", "WWW-Authenticate: Basic realm=\"r\"", &www("r", "n", ", algorithm=MD6")] {
            let lines: &[&str] = if odd.is_empty() { &[] } else { &[odd] };
            assert_eq!(login.challenged(&response(lines), HERE), Err(Unanswered::Unknown), "{odd}");
        }
        assert_eq!(login.challenged(&asked, HERE), Ok(()));
        assert!(!format!("{login:?}").contains("\"p\""));
    }
}
