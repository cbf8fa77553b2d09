//! The check itself.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::challenged::Challenged;
use super::nonce::Nonces;
use super::uses::Uses;
use crate::config::directory::is_true;
use crate::config::sofia::{ProfileConf, Realm};
use crate::directory::{Snapshot, User};
use crate::net::acl::Acls;
use crate::sip::digest::{Algorithm, Challenge, Credentials, ha1, verify};
use crate::sip::{Message, Method, Uri};

/// What a profile says about logins.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `challenge-realm`: which realm is asked for.
    pub realm: Realm,
    /// `force-register-domain`: the directory domain users are looked up in; else the realm is that domain.
    pub domain: Option<String>,
    /// How long a nonce is good: `nonce-ttl` and 64·T1 more, as in FreeSWITCH.
    pub nonce_life: Duration,
    /// What is offered, best first. Phones exist that give up when they see SHA-256, hence MD5 alone unless
    /// `rfc8760-auth-algorithms` says otherwise.
    pub algorithms: Vec<Algorithm>,
    /// `inbound-reg-force-matching-username`: a REGISTER must be for the user that logs in.
    pub match_username: bool,
}

impl Rules {
    /// The rules of a profile.
    pub fn of(conf: &ProfileConf) -> Self {
        Rules {
            realm: conf.challenge_realm.clone(),
            domain: conf.force_register_domain.clone().filter(|d| !d.is_empty()),
            nonce_life: Duration::from_secs(conf.nonce_ttl.max(60).into())
                + Duration::from_millis(conf.timer_t1x64.into()),
            algorithms: conf.auth_algorithms.clone(),
            match_username: conf.inbound_reg_force_matching_username,
        }
    }

    /// The realm a request is challenged with.
    pub fn realm_of<'a>(&'a self, request: &'a Message) -> &'a str {
        let (from, to) = (request.from().uri().host(), request.to().uri().host());
        let (first, second) = match &self.realm {
            Realm::Literal(text) => return text,
            Realm::AutoFrom => (from, to),
            Realm::AutoTo => (to, from),
        };
        let asked = request.uri().map_or("", Uri::host);
        [first, second, asked].into_iter().find(|host| !host.is_empty()).unwrap_or("sip")
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is from this user.
    Accepted {
        /// The user.
        user: Arc<User>,
        /// The name it logged in with: its id or number-alias.
        username: String,
        /// The realm it logged in to.
        realm: String,
    },
    /// Answer 401 or 407 with [`Authenticator::challenges`].
    Challenge {
        /// The realm to ask for.
        realm: String,
        /// The credentials were for a nonce that is too old or used up: the phone need not ask for another password.
        stale: bool,
    },
    /// Answer 403. All of these look the same from outside.
    Forbidden {
        /// Why, for the log.
        grounds: Grounds,
        /// Who it said it is: the peer's text.
        username: String,
    },
}

/// Why credentials were refused. Never for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// There is no such user in the domain.
    UnknownUser,
    /// The user has neither password nor a1-hash, and no `allow-empty-password`.
    NoPassword,
    /// The digest is not that of the user's password.
    WrongPassword,
    /// `sip-forbid-register` is set for the user.
    ForbidRegister,
    /// The source is not in the user's `auth-acl`.
    AuthAcl,
    /// A REGISTER for somebody else.
    OtherUser,
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Grounds::UnknownUser => "there is no such user",
            Grounds::NoPassword => "the user has no password",
            Grounds::WrongPassword => "the password is wrong",
            Grounds::ForbidRegister => "sip-forbid-register is set",
            Grounds::AuthAcl => "the source is not in the user's auth-acl",
            Grounds::OtherUser => "it registers another user than it logs in as",
        })
    }
}

/// Checks logins. One for the whole switch: nonces are good at every profile that asks for their realm.
pub struct Authenticator {
    nonces: Nonces,
    uses: Uses,
    /// What unknown users are compared with.
    decoy: String,
    /// What the log was told of challenges.
    pub challenged: Challenged,
}

impl Authenticator {
    /// How many used nonces [`new`](Self::new) has room for.
    pub const DEFAULT_USES: usize = 1 << 18;

    /// `secret` must come from the system's random source. `uses` bounds the memory of used nonces: the logins that
    /// are to be expected within the life of a nonce.
    pub fn new(secret: &[u8; 32], uses: usize) -> Self {
        let nonces = Nonces::new(secret);
        // As secret as the nonces, and nobody's password.
        let decoy = nonces.issue(SystemTime::UNIX_EPOCH, "decoy");
        Authenticator { nonces, uses: Uses::new(uses), decoy, challenged: Challenged::default() }
    }

    /// Looks at the credentials of a request that came from `source`.
    pub fn check(
        &self,
        now: SystemTime,
        request: &Message,
        source: IpAddr,
        directory: &Snapshot,
        acls: &Acls,
        rules: &Rules,
    ) -> Outcome {
        let realm = rules.realm_of(request);
        let challenge = |stale| Outcome::Challenge { realm: realm.to_owned(), stale };
        let Some(credentials) = find_credentials(request, realm, rules) else { return challenge(false) };
        if !is_for_this_uri(&credentials, request) {
            return challenge(false);
        }
        let nonce = self
            .nonces
            .read(credentials.nonce(), &bound(realm, source))
            .filter(|n| n.is_fresh(now, rules.nonce_life));
        let Some(nonce) = nonce else { return challenge(true) };

        let domain = rules.domain.as_deref().unwrap_or(realm);
        let user = directory.user(credentials.username(), domain);
        let right = self.is_right(&credentials, user.as_deref(), request.method());
        let judged = judge(user, right).and_then(|user| {
            authorise(&user, request, &credentials, source, acls, rules)?;
            Ok(user)
        });
        let username = credentials.username().to_owned();
        match judged {
            Err(grounds) => Outcome::Forbidden { grounds, username },
            Ok(_) if !self.uses.take(nonce, count_of(&credentials), now, rules.nonce_life) => challenge(true),
            Ok(user) => Outcome::Accepted { user, username, realm: realm.to_owned() },
        }
    }

    /// The values for WWW-Authenticate or Proxy-Authenticate, one header each, with a new nonce for `source` alone.
    pub fn challenges(
        &self,
        now: SystemTime,
        source: IpAddr,
        realm: &str,
        stale: bool,
        rules: &Rules,
    ) -> Vec<String> {
        let nonce = self.nonces.issue(now, &bound(realm, source));
        rules.algorithms.iter().map(|a| Challenge::new(realm, &nonce, *a, stale).to_string()).collect()
    }

    /// The number of nonces whose use is remembered.
    pub fn remembered(&self) -> usize {
        self.uses.count()
    }

    /// Takes the same steps whether or not there is such a user.
    fn is_right(&self, credentials: &Credentials, user: Option<&User>, method: &Method) -> bool {
        let Ok(algorithm) = credentials.algorithm() else { return false };
        let password = user.and_then(User::password).unwrap_or(&self.decoy);
        let computed = ha1(algorithm, credentials.username(), credentials.realm(), password);
        // An a1-hash is an MD5; for another algorithm there is nothing to compare with.
        let stored = user.and_then(User::a1_hash).filter(|_| !is_sha(algorithm)).map(lower_case);
        let expected = stored.as_deref().unwrap_or(&computed);
        verify(credentials, expected, method.as_str()).unwrap_or(false)
    }
}

/// The first credentials that answer a challenge of ours. Those of other realms are for others (RFC 3261 §22.3); those
/// with an algorithm or qop that was not offered count as none.
fn find_credentials(request: &Message, realm: &str, rules: &Rules) -> Option<Credentials> {
    let fits = |credentials: &Credentials| {
        credentials.realm() == realm
            && credentials.algorithm().is_ok_and(|a| rules.algorithms.contains(&a))
            && credentials.protection().is_ok()
    };
    let (authorization, proxy) = (request.authorization().flatten(), request.proxy_authorization().flatten());
    if *request.method() == Method::Register {
        authorization.chain(proxy).find(fits)
    } else {
        proxy.chain(authorization).find(fits)
    }
}

/// The digest covers the URI the phone saw. Hosts, ports and parameters are changed by proxies on the way and are let
/// pass; but who is called must be who was meant when the credentials were made.
fn is_for_this_uri(credentials: &Credentials, request: &Message) -> bool {
    let Ok(meant) = credentials.uri().parse::<Uri>() else { return true };
    match (meant.user(), request.uri().and_then(Uri::user)) {
        (Some(meant), Some(asked)) => meant == asked,
        _ => true,
    }
}

/// Does the password stand for the user?
fn judge(user: Option<Arc<User>>, right: bool) -> Result<Arc<User>, Grounds> {
    let user = user.ok_or(Grounds::UnknownUser)?;
    if user.is_open() {
        return Ok(user);
    }
    if user.password().is_none() && user.a1_hash().is_none() {
        return Err(Grounds::NoPassword);
    }
    if right { Ok(user) } else { Err(Grounds::WrongPassword) }
}

/// May the user do this from there?
fn authorise(
    user: &User,
    request: &Message,
    credentials: &Credentials,
    source: IpAddr,
    acls: &Acls,
    rules: &Rules,
) -> Result<(), Grounds> {
    // FreeSWITCH refuses every method of such a user, not REGISTER alone.
    if user.param("sip-forbid-register").is_some_and(is_true) {
        return Err(Grounds::ForbidRegister);
    }
    let list = user.param("auth-acl").filter(|list| !list.is_empty());
    if list.is_some_and(|list| !acls.allows(list, source, 0)) {
        return Err(Grounds::AuthAcl);
    }
    if rules.match_username && *request.method() == Method::Register {
        let to = request.to().uri().user().or_else(|| request.from().uri().user()).unwrap_or_default();
        if !to.eq_ignore_ascii_case(credentials.username()) {
            return Err(Grounds::OtherUser);
        }
    }
    Ok(())
}

/// What a nonce is made for. Who cannot hear what is sent to `source` has none for it: so a wrong password there is that
/// of somebody there, who may be banned for it. (An IPv6 host has a /64 to send from.)
fn bound(realm: &str, source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(ip) => format!("{realm} {ip}"),
        IpAddr::V6(ip) => format!("{realm} {:x}", u128::from(ip) >> 64),
    }
}

/// The nc, when qop makes it count.
fn count_of(credentials: &Credentials) -> Option<u32> {
    match credentials.protection() {
        Ok(Some(_)) => credentials.nonce_count(),
        _ => None,
    }
}

fn is_sha(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Sha256 | Algorithm::Sha256Sess)
}

fn lower_case(hash: &str) -> Cow<'_, str> {
    if hash.bytes().any(|b| b.is_ascii_uppercase()) { hash.to_ascii_lowercase().into() } else { hash.into() }
}

#[cfg(test)]
mod tests;
