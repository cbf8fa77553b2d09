//! Route, Record-Route, Path, Service-Route (RFC 3261 §20.30, §20.34; RFC 3327; RFC 3608).

use super::NameAddr;
use crate::sip::error::ParseError;
use crate::sip::message::Message;
use crate::sip::name::Name;

impl Message {
    /// Every Route, in order.
    pub fn routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(Name::Route)
    }

    /// Every Record-Route, in order.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(Name::RecordRoute)
    }

    /// Every Path, in order. Some edge proxies write it without angle brackets.
    pub fn paths(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(Name::Path)
    }

    /// Every Service-Route, in order.
    pub fn service_routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(Name::ServiceRoute)
    }
}
