//! One contact of one address-of-record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reach::Reach;
use crate::sip::{Destination, Flow, Uri};

/// Where a user can be reached. Immutable: a refresh makes another.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The user as registered.
    pub user: Box<str>,
    /// The domain as registered.
    pub domain: Arc<str>,
    /// The name of the profile it registered with.
    pub profile: Arc<str>,
    pub(super) contact: Contact,
    /// Preference in thousandths, 1000 when none was given.
    pub q: u16,
    /// `+sip.instance` without its quotes and brackets.
    pub instance: Option<Box<str>>,
    /// `reg-id` (RFC 5626).
    pub reg_id: Option<u32>,
    /// The Call-ID of the REGISTER that set it last.
    pub call_id: Box<str>,
    /// The CSeq of that.
    pub cseq: u32,
    /// The value for a Route header towards the phone (RFC 3327), in order, every entry in brackets.
    pub path: Option<Box<str>>,
    /// The User-Agent of the phone.
    pub user_agent: Arc<str>,
    /// The flow the REGISTER came on. Never shown to the phone.
    pub flow: Flow,
    /// True when the phone is behind a NAT: requests go to the flow and not to what the contact says.
    pub nat: bool,
    /// When the contact first came.
    pub since: Instant,
    /// When it was set last.
    pub refreshed: Instant,
    /// The expiry granted at `refreshed`, as told to the phone.
    pub granted: Duration,
    /// How much longer than granted it is kept (`sip-expires-late-margin`).
    pub margin: Duration,
    /// As whom it logged in, where that says more than the user and the domain.
    pub account: Option<Arc<Account>>,
    /// What pings have found of the phone, when it is pinged.
    pub reach: Option<Arc<Reach>>,
}

/// As whom a phone has logged in, and whose messages it is told of, where those are not the user it registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The digest's username; `unknown` of a phone that was let in without one.
    pub username: Box<str>,
    /// The digest's realm.
    pub realm: Box<str>,
    /// User and domain of `mwi-account`.
    pub messages: Option<(Box<str>, Box<str>)>,
}

/// The contact as it came, without its `expires`, and where in it the URI is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    text: Box<str>,
    uri: (u16, u16),
}

impl Contact {
    /// Puts `display <uri>params` together; `None` when it is longer than any message can hold.
    pub fn new(display: &str, uri: &str, params: &str) -> Option<Self> {
        let mut text = String::with_capacity(display.len() + uri.len() + params.len() + 3);
        text.push_str(display);
        if !display.is_empty() {
            text.push(' ');
        }
        text.push('<');
        let start = u16::try_from(text.len()).ok()?;
        text.push_str(uri);
        let end = u16::try_from(text.len()).ok()?;
        text.push('>');
        text.push_str(params);
        Some(Contact { text: text.into(), uri: (start, end) })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn uri(&self) -> &str {
        self.text.get(usize::from(self.uri.0)..usize::from(self.uri.1)).unwrap_or_default()
    }

    /// What stands before the `<`.
    pub fn display(&self) -> &str {
        self.text.get(..usize::from(self.uri.0).saturating_sub(1)).unwrap_or_default().trim_end()
    }
}

impl Binding {
    /// The contact URI exactly as the phone wrote it: the request-URI of calls to it.
    pub fn uri(&self) -> &str {
        self.contact.uri()
    }

    /// The display name as the phone wrote it, quotes included; often empty.
    pub fn display(&self) -> &str {
        self.contact.display()
    }

    /// The whole contact as the phone wrote it, in brackets and without `expires`.
    pub fn contact(&self) -> &str {
        self.contact.text()
    }

    /// The name the phone logged in with.
    pub fn auth_user(&self) -> &str {
        self.account.as_ref().map_or(&self.user, |account| &account.username)
    }

    /// The realm it logged in to.
    pub fn auth_realm(&self) -> &str {
        self.account.as_ref().map_or(&self.domain, |account| &account.realm)
    }

    /// User and domain of the account whose messages it is told of.
    pub fn messages_of(&self) -> (&str, &str) {
        let other = self.account.as_ref().and_then(|account| account.messages.as_ref());
        other.map_or((&*self.user, &*self.domain), |(user, domain)| (&**user, &**domain))
    }

    /// Whole seconds the phone may still count on, rounded up; 0 when its time is over.
    pub fn remaining(&self, now: Instant) -> u32 {
        let left = (self.refreshed + self.granted).saturating_duration_since(now);
        u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// When the binding is dropped.
    pub fn gone_at(&self) -> Instant {
        self.refreshed + self.granted + self.margin
    }

    /// Where to send requests: along the path if there is one, else back on the flow when the phone is behind a NAT
    /// or on a connection, else where the contact says.
    pub fn destination(&self) -> Destination {
        let path = self.path.as_deref().and_then(first_in_brackets);
        if path.is_none() && (self.nat || self.flow.transport.is_reliable()) {
            return Destination::Flow(self.flow);
        }
        match path.unwrap_or(self.uri()).parse::<Uri>() {
            Ok(uri) if !uri.host().is_empty() => Destination::of(&uri),
            _ => Destination::Flow(self.flow),
        }
    }
}

/// `<sip:a;lr>, <sip:b;lr>` → `sip:a;lr`.
fn first_in_brackets(path: &str) -> Option<&str> {
    path.split_once('<')?.1.split_once('>').map(|(uri, _)| uri)
}
