//! Digest authentication (RFC 3261 §22, RFC 2617, RFC 2069 peers without qop, RFC 8760 for SHA-256).
//!
//! [`Challenge`] and [`Credentials`] are the two headers; [`ha1`], [`response`] and [`verify`] are the arithmetic; [`Login`]
//! answers challenges of others. The nonces we give, their age and their counters are the registrar's.

mod challenge;
mod compute;
mod credentials;
mod login;
mod pairs;

pub use challenge::Challenge;
pub use compute::{Algorithm, Protection, ha1, response, verify};
pub use credentials::Credentials;
pub use login::{Login, Trust, Unanswered};

use super::error::ParseError;

/// Why credentials or a challenge could not be used.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum DigestError {
    /// Another scheme than Digest.
    #[error("the authentication scheme is not Digest")]
    NotDigest,
    /// Not the grammar.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// A parameter that must be there is missing.
    #[error("the digest has no {0}")]
    Missing(&'static str),
    /// `qop=auth-int`: the body is not protected here. Answer with a fresh challenge.
    #[error("qop=auth-int is not offered here")]
    AuthInt,
    /// Another qop than `auth`.
    #[error("the qop is neither auth nor absent")]
    UnknownQop,
    /// Another algorithm than MD5, SHA-256 and their -sess forms.
    #[error("the digest algorithm is none of MD5 and SHA-256")]
    UnknownAlgorithm,
}
