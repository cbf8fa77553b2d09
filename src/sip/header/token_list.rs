//! Headers that are comma lists of tokens: Require, Proxy-Require, Supported, Unsupported, Allow, Allow-Events,
//! Privacy, Content-Encoding (RFC 3261 §20.5, §20.32, §20.37; RFC 3323 for Privacy, whose separator is `;`).

use crate::sip::message::Message;
use crate::sip::name::Name;

/// The tokens of a header over all its lines.
#[derive(Clone)]
pub struct TokenList<'a> {
    message: &'a Message,
    name: Name,
}

impl<'a> TokenList<'a> {
    /// The tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let message = self.message;
        message.headers(self.name).flat_map(parts).map(str::trim_ascii).filter(|t| !t.is_empty())
    }

    /// Whether a token is there, in any case.
    pub fn has(&self, token: &str) -> bool {
        self.iter().any(|t| t.eq_ignore_ascii_case(token))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// What stands between commas and semicolons.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memchr2(b',', b';', text.as_bytes()) {
            Some(at) => {
                rest = text.get(at + 1..);
                text.get(..at)
            }
            None => rest.take(),
        }
    })
}

impl Message {
    /// The tokens of a header that is a list of them.
    pub fn tokens(&self, name: Name) -> TokenList<'_> {
        TokenList { message: self, name }
    }

    /// Require.
    pub fn require(&self) -> TokenList<'_> {
        self.tokens(Name::Require)
    }

    /// Proxy-Require.
    pub fn proxy_require(&self) -> TokenList<'_> {
        self.tokens(Name::ProxyRequire)
    }

    /// Supported.
    pub fn supported(&self) -> TokenList<'_> {
        self.tokens(Name::Supported)
    }

    /// Allow. Methods compare case-sensitively; no phone has two that differ in case only.
    pub fn allow(&self) -> TokenList<'_> {
        self.tokens(Name::Allow)
    }

    /// Privacy (RFC 3323 §4.2).
    pub fn privacy(&self) -> TokenList<'_> {
        self.tokens(Name::Privacy)
    }
}
