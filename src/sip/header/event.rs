//! Event and Subscription-State (RFC 6665 §8.2).

use std::fmt;

use super::numbers::seconds;
use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::params::{Params, split_unquoted};

/// An event package with its parameters.
#[derive(Copy, Clone, Debug)]
pub struct Event<'a> {
    package: &'a str,
    params: Params<'a>,
}

impl<'a> Event<'a> {
    fn parse(text: &'a str) -> Option<Event<'a>> {
        let (package, _) = split_unquoted(text, b';');
        let params = Params::new(text.get(package.len()..).unwrap_or(""));
        let package = package.trim();
        (!package.is_empty()).then_some(Event { package, params })
    }

    /// The package: `presence`, `message-summary`, `dialog`, `refer`, `keep-alive`, …
    pub fn package(self) -> &'a str {
        self.package
    }

    /// The `id` parameter.
    pub fn id(self) -> Option<&'a str> {
        self.params.get("id")
    }
}

/// What a subscription is, as a NOTIFY says it.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum SubscriptionState {
    /// Accepted, for so many seconds more.
    Active(Option<u32>),
    /// Not decided, for so many seconds more.
    Pending(Option<u32>),
    /// Over.
    Terminated,
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, left) = match self {
            SubscriptionState::Active(left) => ("active", *left),
            SubscriptionState::Pending(left) => ("pending", *left),
            SubscriptionState::Terminated => ("terminated", None),
        };
        match left {
            Some(left) => write!(f, "{word};expires={left}"),
            None => f.write_str(word),
        }
    }
}

impl Message {
    /// Event. None when it is missing or empty.
    pub fn event(&self) -> Option<Event<'_>> {
        self.header(Name::Event).and_then(Event::parse)
    }

    /// Subscription-State. None when it is missing or of another word.
    pub fn subscription_state(&self) -> Option<SubscriptionState> {
        let event = Event::parse(self.header(Name::SubscriptionState)?)?;
        let left = event.params.get("expires").and_then(seconds);
        match event.package {
            w if w.eq_ignore_ascii_case("active") => Some(SubscriptionState::Active(left)),
            w if w.eq_ignore_ascii_case("pending") => Some(SubscriptionState::Pending(left)),
            w if w.eq_ignore_ascii_case("terminated") => Some(SubscriptionState::Terminated),
            _ => None,
        }
    }
}
