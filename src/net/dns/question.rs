//! What is asked of the DNS for SIP, and what is answered.

use std::net::IpAddr;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A and AAAA.
    Address,
    /// SRV (RFC 2782).
    Srv,
    /// NAPTR (RFC 3403).
    Naptr,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// In lower case, without the last dot.
    pub name: String,
    /// What of it.
    pub kind: Kind,
}

impl Question {
    pub fn new(name: &str, kind: Kind) -> Question {
        Question { name: name.trim_end_matches('.').to_ascii_lowercase(), kind }
    }
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// Empty: the service is decidedly not there.
    pub target: String,
}

/// A NAPTR record, as far as RFC 3263 needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: String,
    pub services: String,
    pub replacement: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// There are none.
    None,
    Addresses(Vec<IpAddr>),
    Srv(Vec<Srv>),
    Naptr(Vec<Naptr>),
}

impl Records {
    pub fn is_empty(&self) -> bool {
        match self {
            Records::None => true,
            Records::Addresses(all) => all.is_empty(),
            Records::Srv(all) => all.is_empty(),
            Records::Naptr(all) => all.is_empty(),
        }
    }
}
