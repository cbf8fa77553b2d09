//! Request methods (RFC 3261 §7.1 and its extensions).

use std::fmt;

/// A request method. Method names are case-sensitive.
#[derive(Clone, Eq, PartialEq, Hash, Debug)]
pub enum Method {
    /// INVITE, RFC 3261 §13.
    Invite,
    /// ACK, RFC 3261 §17.1.1.3.
    Ack,
    /// BYE, RFC 3261 §15.
    Bye,
    /// CANCEL, RFC 3261 §9.
    Cancel,
    /// REGISTER, RFC 3261 §10.
    Register,
    /// OPTIONS, RFC 3261 §11.
    Options,
    /// INFO, RFC 6086.
    Info,
    /// UPDATE, RFC 3311.
    Update,
    /// PRACK, RFC 3262.
    Prack,
    /// MESSAGE, RFC 3428.
    Message,
    /// REFER, RFC 3515.
    Refer,
    /// NOTIFY, RFC 6665.
    Notify,
    /// SUBSCRIBE, RFC 6665.
    Subscribe,
    /// PUBLISH, RFC 3903.
    Publish,
    /// Any other token.
    Other(Box<str>),
}

impl Method {
    /// The method of this name.
    pub fn from_name(name: &str) -> Method {
        match name {
            "INVITE" => Method::Invite,
            "ACK" => Method::Ack,
            "BYE" => Method::Bye,
            "CANCEL" => Method::Cancel,
            "REGISTER" => Method::Register,
            "OPTIONS" => Method::Options,
            "INFO" => Method::Info,
            "UPDATE" => Method::Update,
            "PRACK" => Method::Prack,
            "MESSAGE" => Method::Message,
            "REFER" => Method::Refer,
            "NOTIFY" => Method::Notify,
            "SUBSCRIBE" => Method::Subscribe,
            "PUBLISH" => Method::Publish,
            other => Method::Other(other.into()),
        }
    }

    /// As written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Register => "REGISTER",
            Method::Options => "OPTIONS",
            Method::Info => "INFO",
            Method::Update => "UPDATE",
            Method::Prack => "PRACK",
            Method::Message => "MESSAGE",
            Method::Refer => "REFER",
            Method::Notify => "NOTIFY",
            Method::Subscribe => "SUBSCRIBE",
            Method::Publish => "PUBLISH",
            Method::Other(name) => name,
        }
    }
}

impl From<&str> for Method {
    fn from(name: &str) -> Method {
        Method::from_name(name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Method; 14] = [
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Register,
        Method::Options,
        Method::Info,
        Method::Update,
        Method::Prack,
        Method::Message,
        Method::Refer,
        Method::Notify,
        Method::Subscribe,
        Method::Publish,
    ];

    #[test]
    fn names_both_ways() {
        for method in &KNOWN {
            assert_eq!(&Method::from_name(method.as_str()), method);
        }
        assert_eq!(Method::from_name("invite"), Method::Other("invite".into()), "names are case-sensitive");
    }
}
