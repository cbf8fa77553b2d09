//! Contact (RFC 3261 §20.10, RFC 5626 §4.1).

use std::fmt;

use super::NameAddr;
use crate::sip::error::ParseError;
use crate::sip::message::{Message, small_number};
use crate::sip::name::Name;

/// One Contact.
#[derive(Clone, Debug)]
pub enum ContactValue {
    /// `*`: every binding, in a REGISTER that removes them all.
    Star,
    /// An address.
    Address(NameAddr),
}

impl ContactValue {
    /// The address; None for `*`.
    pub fn address(&self) -> Option<&NameAddr> {
        match self {
            ContactValue::Star => None,
            ContactValue::Address(address) => Some(address),
        }
    }
}

impl fmt::Display for ContactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContactValue::Star => f.write_str("*"),
            ContactValue::Address(address) => address.fmt(f),
        }
    }
}

impl NameAddr {
    /// `expires` in seconds. None when it is missing or no number; too large a number is the largest
    /// (RFC 3261 §20.19).
    pub fn expires(&self) -> Option<u32> {
        self.param("expires").and_then(super::numbers::seconds)
    }

    /// `q` in thousandths, 0 to 1000 (RFC 3261 §20.10).
    pub fn q(&self) -> Option<u16> {
        let text = self.param("q")?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 {
            return None;
        }
        let thousandths = format!("{fraction:0<3}");
        let value = small_number(whole)?.checked_mul(1000)?.checked_add(small_number(&thousandths)?)?;
        u16::try_from(value).ok().filter(|q| *q <= 1000)
    }

    /// `+sip.instance` with its angle brackets taken away (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<&str> {
        let text = self.param("+sip.instance")?;
        Some(text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text))
            .filter(|t| !t.is_empty())
    }

    /// `reg-id`, 1 or more (RFC 5626 §4.2).
    pub fn reg_id(&self) -> Option<u32> {
        self.param("reg-id").and_then(small_number).filter(|id| *id > 0)
    }
}

impl Message {
    /// Every Contact, in order, over all its lines.
    pub fn contacts(&self) -> Result<Vec<ContactValue>, ParseError> {
        let mut all = Vec::new();
        let mut addresses = Vec::new();
        for (value, at) in self.values(Name::Contact) {
            if value == "*" {
                all.push(ContactValue::Star);
                continue;
            }
            NameAddr::parse_list(&value, &mut addresses).map_err(|e| e.within("Contact", at))?;
            all.extend(addresses.drain(..).map(ContactValue::Address));
        }
        Ok(all)
    }

    /// What [`contact`](Self::contact) keeps.
    pub(in crate::sip) fn first_contact(&self) -> Option<NameAddr> {
        let mut first = None;
        for (value, _) in self.values(Name::Contact).filter(|(value, _)| *value != "*") {
            let mut at = 0;
            while at < value.len() {
                let (address, end) = NameAddr::element(&value, at..value.len()).ok()?;
                first.get_or_insert(address);
                at = end + 1;
            }
        }
        first
    }
}
