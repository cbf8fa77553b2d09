//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4, RFC 5954 §4.2).

use super::escape::unescape;
use super::parts::{Scheme, Uri};

/// Equality of RFC 3261 §19.1.4 for `sip:` and `sips:`, of RFC 3966 §4 for `tel:`; other schemes as text.
/// It is not transitive (a parameter that only one side has may be ignored), so there is no `Eq`.
impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Other => self.as_str() == other.as_str(),
            Scheme::Tel => {
                let digits = |u: &Uri| -> String {
                    let number =
                        u.raw_user().unwrap_or("").chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')'));
                    number.map(|c| c.to_ascii_lowercase()).collect()
                };
                digits(self) == digits(other)
                    && params_match(self, other, |_| true)
                    && params_match(other, self, |_| true)
            }
            Scheme::Sip | Scheme::Sips => {
                const MUST_MATCH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
                let must = |name: &str| MUST_MATCH.iter().any(|m| m.eq_ignore_ascii_case(name));
                self.user() == other.user()
                    && self.password().map(unescape) == other.password().map(unescape)
                    && same_host(self.host(), other.host())
                    && self.port == other.port
                    && params_match(self, other, must)
                    && params_match(other, self, must)
                    && headers_match(self, other)
            }
        }
    }
}

fn same_host(a: &str, b: &str) -> bool {
    match (a.parse::<std::net::Ipv6Addr>(), b.parse::<std::net::Ipv6Addr>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

/// Every parameter of `a` is the same in `b`; missing there is fine unless `must` says otherwise.
fn params_match(a: &Uri, b: &Uri, must: impl Fn(&str) -> bool) -> bool {
    a.params().iter().all(|(name, value)| {
        let name = unescape(name);
        match b.params().get(&name) {
            Some(other) => unescape(value.unwrap_or("")).eq_ignore_ascii_case(&unescape(other)),
            None => !must(&name),
        }
    })
}

fn headers_match(a: &Uri, b: &Uri) -> bool {
    let covers = |a: &Uri, b: &Uri| a.header_pairs().all(|(n, v)| b.header(&n).is_some_and(|o| o == v));
    covers(a, b) && covers(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// The pairs of RFC 3261 §19.1.4.
    #[test]
    fn equality() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:[2001:db8::1]", "sip:[2001:DB8:0::1]"),
            ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
            ("sip:a@h;lr", "sip:a@h;LR"),
        ] {
            assert_eq!(uri(a), uri(b));
            assert_eq!(uri(b), uri(a));
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@h", "sips:a@h"),
            ("sip:h", "sip:a@h"),
            ("sip:a:b@h", "sip:a@h"),
            ("tel:+1", "sip:+1@h"),
            ("urn:a", "urn:b"),
        ] {
            assert_ne!(uri(a), uri(b));
            assert_ne!(uri(b), uri(a));
        }
    }
}
