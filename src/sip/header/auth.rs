//! Authorization, Proxy-Authorization, WWW-Authenticate, Proxy-Authenticate (RFC 3261 §20.7, §20.27, §20.28, §20.44).

use crate::sip::digest::{Challenge, Credentials, DigestError};
use crate::sip::message::Message;
use crate::sip::name::Name;

impl Message {
    /// Every Authorization, in order: one per realm.
    pub fn authorization(&self) -> impl Iterator<Item = Result<Credentials, DigestError>> {
        self.values(Name::Authorization).map(|(v, _)| Credentials::parse(&v))
    }

    /// Every Proxy-Authorization, in order: one per realm.
    pub fn proxy_authorization(&self) -> impl Iterator<Item = Result<Credentials, DigestError>> {
        self.values(Name::ProxyAuthorization).map(|(v, _)| Credentials::parse(&v))
    }

    /// Every challenge of a response, with the name of the header our answer goes into.
    pub fn challenges(&self) -> impl Iterator<Item = (Name, Result<Challenge, DigestError>)> {
        let www =
            self.values(Name::WwwAuthenticate).map(|(v, _)| (Name::Authorization, Challenge::parse(&v)));
        let proxy = self
            .values(Name::ProxyAuthenticate)
            .map(|(v, _)| (Name::ProxyAuthorization, Challenge::parse(&v)));
        www.chain(proxy)
    }
}
