//! Who is calling: P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID, Diversion (RFC 3325, RFC 5806,
//! draft-ietf-sip-privacy-04). Whether to believe them is for the profile to say.

use super::NameAddr;
use crate::sip::message::Message;
use crate::sip::name::Name;

impl Message {
    /// Every P-Asserted-Identity that can be read, in order: at most one `sip:` and one `tel:` by the RFC.
    pub fn asserted_identities(&self) -> Vec<NameAddr> {
        self.addresses(Name::PAssertedIdentity).unwrap_or_default()
    }

    /// Every P-Preferred-Identity that can be read, in order.
    pub fn preferred_identities(&self) -> Vec<NameAddr> {
        self.addresses(Name::PPreferredIdentity).unwrap_or_default()
    }

    /// The first Remote-Party-ID; its parameters are `party`, `screen`, `privacy`.
    pub fn remote_party_id(&self) -> Option<NameAddr> {
        self.addresses(Name::RemotePartyId).ok()?.into_iter().next()
    }

    /// Every Diversion that can be read, the last one to divert first.
    pub fn diversions(&self) -> Vec<NameAddr> {
        self.addresses(Name::Diversion).unwrap_or_default()
    }
}
