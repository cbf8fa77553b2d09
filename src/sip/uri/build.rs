//! URIs made and changed. Nothing that goes in can end the URI or the line it will stand in.

use std::fmt;

use super::escape::{escape_param, escape_user};
use super::parts::{Scheme, Span, Uri};
use crate::sip::text::Text;

impl Uri {
    /// `sip:user@host:port`. The user is escaped where it must be; characters no host has are left out.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        Uri::of_scheme("sip", user, host, port)
    }

    /// `sips:user@host:port`.
    pub fn sips(user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        Uri::of_scheme("sips", user, host, port)
    }

    fn of_scheme(scheme: &str, user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        use fmt::Write;
        let mut text = String::with_capacity(scheme.len() + host.len() + 24 + user.map_or(0, str::len));
        text.push_str(scheme);
        text.push(':');
        if let Some(user) = user.filter(|u| !u.is_empty()) {
            escape_user(user, &mut text);
            text.push('@');
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::Ipv6Addr>().is_ok() {
            text.push('[');
            text.push_str(bare);
            text.push(']');
        } else {
            let before = text.len();
            text.extend(bare.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
            if text.len() == before {
                text.push_str("invalid");
            }
        }
        if let Some(port) = port {
            let _ = write!(text, ":{port}");
        }
        Uri::parse(Text::from(text)).unwrap_or_else(|_| Uri::nowhere())
    }

    /// A URI that leads nowhere: `sip:invalid` (RFC 2606).
    fn nowhere() -> Uri {
        Uri {
            text: Text::from_static("sip:invalid"),
            scheme: Scheme::Sip,
            scheme_len: 3,
            user: None,
            password: None,
            host: Span::new(4, 11),
            port: None,
            params: Span::new(11, 11),
            headers: Span::default(),
        }
    }

    /// The same URI with a parameter set; `None` as value makes a flag. Reserved characters are escaped.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Uri {
        let mut params = self.params().without(name);
        params.push(';');
        escape_param(name, &mut params);
        if let Some(value) = value {
            params.push('=');
            escape_param(value, &mut params);
        }
        self.with_params(&params)
    }

    /// The same URI without a parameter.
    #[must_use]
    pub fn without_param(&self, name: &str) -> Uri {
        if !self.params().has(name) {
            return self.clone();
        }
        self.with_params(&self.params().without(name))
    }

    fn with_params(&self, params: &str) -> Uri {
        let (before, headers) = match self.scheme {
            Scheme::Other => return self.clone(),
            _ => (self.text.get(..self.params.range().start).unwrap_or(""), self.headers()),
        };
        let mut text = String::with_capacity(self.text.len() + params.len());
        text.push_str(before);
        text.push_str(params);
        if let Some(headers) = headers {
            text.push('?');
            text.push_str(headers);
        }
        Uri::parse(Text::from(text)).unwrap_or_else(|_| self.clone())
    }

    /// The same URI with another user; `None` takes it away together with the password.
    #[must_use]
    pub fn with_user(&self, user: Option<&str>) -> Uri {
        self.rebuilt(user, self.host(), self.port)
    }

    /// The same URI at another host and port.
    #[must_use]
    pub fn with_host(&self, host: &str, port: Option<u16>) -> Uri {
        self.rebuilt(self.user().as_deref(), host, port)
    }

    fn rebuilt(&self, user: Option<&str>, host: &str, port: Option<u16>) -> Uri {
        let scheme = if self.scheme == Scheme::Sips { "sips" } else { "sip" };
        let mut text = Uri::of_scheme(scheme, user, host, port).to_string();
        text.push_str(self.params().as_str());
        if let Some(headers) = self.headers() {
            text.push('?');
            text.push_str(headers);
        }
        Uri::parse(Text::from(text)).unwrap_or_else(|_| Uri::nowhere())
    }

    /// The same URI without headers and without what may not stand in a request-URI (RFC 3261 §19.1.1 table 1:
    /// `method` and headers).
    #[must_use]
    pub fn as_request_uri(&self) -> Uri {
        let plain = match self.headers() {
            Some(_) => {
                let end = self.headers.range().start.saturating_sub(1);
                Uri::parse(self.text.slice(0..end)).unwrap_or_else(|_| self.clone())
            }
            None => self.clone(),
        };
        plain.without_param("method")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn building() {
        assert_eq!(Uri::sip(Some("1001"), "192.0.2.1", Some(5070)).to_string(), "sip:1001@192.0.2.1:5070");
        assert_eq!(Uri::sip(None, "2001:db8::1", None).to_string(), "sip:[2001:db8::1]");
        assert_eq!(Uri::sip(Some("a b@c>\r\n"), "h", None).to_string(), "sip:a%20b%40c%3E%0D%0A@h");
        assert_eq!(Uri::sips(Some(""), "h\r\nX: y", None).to_string(), "sips:hXy");
        assert_eq!(Uri::sip(Some("a"), "żó", None).to_string(), "sip:a@invalid");
        let u = uri("sip:a@h:5060;x;transport=udp?a=b");
        assert_eq!(u.with_param("transport", Some("tcp")).to_string(), "sip:a@h:5060;x;transport=tcp?a=b");
        assert_eq!(
            u.with_param("lr", None).without_param("X").to_string(),
            "sip:a@h:5060;transport=udp;lr?a=b"
        );
        assert_eq!(u.without_param("y").to_string(), u.to_string());
        assert_eq!(u.with_param("p;q", Some("v w\n")).param("p%3Bq"), Some("v%20w%0A"));
        assert_eq!(u.as_request_uri().to_string(), "sip:a@h:5060;x;transport=udp");
        assert_eq!(u.with_user(Some("b")).to_string(), "sip:b@h:5060;x;transport=udp?a=b");
        assert_eq!(u.with_host("::1", None).to_string(), "sip:a@[::1];x;transport=udp?a=b");
        assert_eq!(uri("sip:a:p@h").with_user(None).to_string(), "sip:h");
        assert_eq!(uri("tel:123").with_host("gw", None).to_string(), "sip:123@gw");
        assert_eq!(Uri::nowhere(), uri("sip:invalid"));
    }
}
