//! Refer-To and Referred-By (RFC 3515 §2.1, RFC 3892).

use super::{NameAddr, Replaces};
use crate::sip::error::ParseError;
use crate::sip::message::Message;
use crate::sip::name::Name;

impl Message {
    /// Refer-To. An error when it is missing, malformed or there twice: a REFER like that is 400 (RFC 3515 §2.4.2).
    pub fn refer_to(&self) -> Result<NameAddr, ParseError> {
        let mut all = self.values(Name::ReferTo);
        match (all.next(), all.next()) {
            (Some((value, at)), None) => NameAddr::parse(value).map_err(|e| e.within("Refer-To", at)),
            (Some(_), Some((_, at))) => Err(ParseError::malformed("Refer-To", at, "this header only once")),
            (None, _) => Err(ParseError::malformed("Refer-To", 0, "this header")),
        }
    }

    /// Referred-By. None when it is missing or malformed.
    pub fn referred_by(&self) -> Option<NameAddr> {
        self.values(Name::ReferredBy).next().and_then(|(value, _)| NameAddr::parse(value).ok())
    }
}

impl NameAddr {
    /// The `Replaces` header inside this Refer-To's URI: an attended transfer (RFC 3891 §4).
    pub fn replaces(&self) -> Option<Replaces> {
        self.uri().header("Replaces").and_then(|text| Replaces::parse(&text))
    }
}
