//! Via (RFC 3261 §20.42, RFC 3581, RFC 5118 §4.5).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;

use bytes::BytesMut;
use nom::Parser;
use nom::combinator::value;

use crate::sip::error::ParseError;
use crate::sip::flow::{Flow, Transport};
use crate::sip::grammar::{self, Wrong};
use crate::sip::message::Message;
use crate::sip::name::Name;
use crate::sip::octets::{put_address, put_number};
use crate::sip::params::{Params, same_name};
use crate::sip::text::Text;
use crate::sip::uri::{Span, finish, unbracketed};

/// The branch prefix of RFC 3261 peers (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One Via: the transport and address a request was sent from, kept as it was written.
#[derive(Clone)]
pub struct Via {
    text: Text,
    transport: Option<Transport>,
    transport_name: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    /// The value of `branch`, which is asked for many times; empty when there is none.
    branch: Span,
}

impl Via {
    /// Reads a whole header value, sharing its buffer.
    pub fn parse(text: Text) -> Result<Via, ParseError> {
        let (via, end) = Via::element(&text, 0..text.len())?;
        match end < text.len() {
            true => Err(ParseError::malformed("Via", end, "only one Via")),
            false => Ok(via),
        }
    }

    /// Reads a comma list, sharing its buffer.
    pub fn parse_list(text: &Text, into: &mut Vec<Via>) -> Result<(), ParseError> {
        let mut at = 0;
        while at < text.len() {
            let (via, end) = Via::element(text, at..text.len())?;
            into.push(via);
            at = end + 1;
        }
        Ok(())
    }

    /// One element of a part of the text, and where it ends: at a comma or at the end of the part.
    pub(crate) fn element(text: &Text, part: Range<usize>) -> Result<(Via, usize), ParseError> {
        let bytes = text.as_str().as_bytes().get(..part.end).unwrap_or(&[]);
        let total = bytes.len();
        let at = |rest: &[u8]| total - rest.len();
        let fail = |w: Wrong| ParseError::malformed("Via", total - w.left, w.expected);
        if part.len() > usize::from(u16::MAX) {
            return Err(ParseError::malformed("Via", part.start, "less than 64 KiB"));
        }
        let (rest, _) = finish(grammar::space(bytes.get(part.start..).unwrap_or(&[]))).map_err(fail)?;
        let start = at(rest);
        let rest = match rest.strip_prefix(b"SIP/2.0/") {
            Some(rest) => rest,
            None => finish(protocol(rest)).map_err(fail)?.0,
        };
        let transport_at = at(rest);
        let (rest, transport) = finish(grammar::token(rest)).map_err(fail)?;
        let (rest, gap) = finish(grammar::space(rest)).map_err(fail)?;
        if gap.is_empty() {
            return Err(ParseError::malformed("Via", at(rest), "a space after the transport"));
        }
        let host_at = at(rest);
        let (rest, host) = finish(grammar::host.parse(rest)).map_err(fail)?;
        let (spaced, _) = finish(grammar::space(rest)).map_err(fail)?;
        let (rest, port) = match finish(grammar::spaced(b':', "")(spaced)) {
            Ok((digits, _)) if digits.first().is_some_and(u8::is_ascii_digit) => {
                let (rest, port) = finish(grammar::number(digits)).map_err(fail)?;
                let wide = ParseError::malformed("Via", at(digits), "a port below 65536");
                (rest, Some(u16::try_from(port).map_err(|_| wide)?))
            }
            Ok((after, _)) => (after, None),
            Err(_) => (rest, None),
        };
        let params_at = at(rest);
        let (rest, params) = finish(grammar::parameters.parse(rest)).map_err(fail)?;
        let text = text.slice(start..params_at + params.len());
        let params = Span::new(params_at - start, params_at - start + params.len());
        let via = Via {
            transport: Transport::from_name(std::str::from_utf8(transport).unwrap_or("")),
            transport_name: Span::new(transport_at - start, transport_at - start + transport.len()),
            host: Span::new(host_at - start, host_at - start + host.len()),
            port,
            branch: Params::place(&text, params, "branch"),
            params,
            text,
        };
        Ok((via, at(rest)))
    }

    /// A Via of ours: `SIP/2.0/UDP sent-by;branch=…`, with `rport` asked for (RFC 3581) when wanted.
    pub fn new(transport: Transport, sent_by: &str, branch: &str, rport: bool) -> Via {
        let rport = if rport { ";rport" } else { "" };
        let clean = |t: &str| t.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect::<String>();
        let (sent_by, branch) = (clean(sent_by), clean(branch));
        let text = Text::from(format!("SIP/2.0/{transport} {sent_by}{rport};branch={branch}"));
        let host_at = 8 + transport.as_str().len() + 1;
        let params = Span::new(host_at + sent_by.len(), text.len());
        let fallback = Via {
            transport: Some(transport),
            transport_name: Span::new(8, host_at - 1),
            host: Span::new(host_at, host_at + sent_by.len()),
            port: None,
            branch: Params::place(&text, params, "branch"),
            params,
            text: text.clone(),
        };
        Via::parse(text).unwrap_or(fallback)
    }

    /// The Via as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The transport. None when it is one we have not (SCTP, …).
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The transport's name as written.
    pub fn transport_name(&self) -> &str {
        self.transport_name.of(&self.text)
    }

    /// The host of sent-by; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        unbracketed(self.raw_host())
    }

    /// The host of sent-by as written.
    pub fn raw_host(&self) -> &str {
        self.host.of(&self.text)
    }

    /// The port of sent-by, when one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port of sent-by, or the transport's own.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(self.transport.unwrap_or(Transport::Udp).default_port())
    }

    /// The parameters.
    pub fn params(&self) -> Params<'_> {
        Params::new(self.params.of(&self.text))
    }

    /// A parameter by name in any case; empty for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get(name)
    }

    /// The branch.
    pub fn branch(&self) -> Option<&str> {
        Some(self.branch.of(&self.text)).filter(|b| !b.is_empty())
    }

    /// Whether the branch is one of RFC 3261: the magic cookie and something after it (RFC 4475 §3.3.10).
    pub fn has_magic_cookie(&self) -> bool {
        self.branch().is_some_and(|b| {
            b.len() > MAGIC_COOKIE.len()
                && b.get(..MAGIC_COOKIE.len()).is_some_and(|c| c.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// `received`: an address with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.param("received").and_then(|r| r.trim_start_matches('[').trim_end_matches(']').parse().ok())
    }

    /// `rport`: None when not there, `Some(None)` when asked for, `Some(Some(port))` when filled (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.param("rport").map(|p| p.parse().ok())
    }

    /// `maddr`.
    pub fn maddr(&self) -> Option<&str> {
        self.param("maddr")
    }

    /// Whether a packet from `source` comes from where this Via says.
    pub fn is_from(&self, source: SocketAddr) -> bool {
        self.host().parse::<IpAddr>().is_ok_and(|ip| ip == source.ip())
            && self.port_or_default() == source.port()
    }

    /// Writes this Via as it goes back in a response over `flow`: `received` when the source is another address
    /// than sent-by, `rport` when it was asked for or the source differs at all (RFC 3261 §18.2.1, RFC 3581 §4).
    /// What the sender put there itself is replaced.
    pub(crate) fn write_received(&self, flow: &Flow, out: &mut BytesMut) {
        let source = flow.remote;
        let other_address = self.host().parse::<IpAddr>() != Ok(source.ip());
        let other_port = self.port_or_default() != source.port() && !flow.transport.is_reliable();
        let mut asked = false;
        let head = self.text.get(..self.params.range().start).unwrap_or("");
        out.extend_from_slice(head.as_bytes());
        for (name, value) in self.params().iter() {
            if name.eq_ignore_ascii_case("received") {
                continue;
            }
            out.extend_from_slice(b";");
            out.extend_from_slice(name.as_bytes());
            asked |= same_name(name, "rport");
            if name.eq_ignore_ascii_case("rport") {
                out.extend_from_slice(b"=");
                put_number(out, usize::from(source.port()));
            } else if let Some(value) = value {
                out.extend_from_slice(b"=");
                out.extend_from_slice(value.as_bytes());
            }
        }
        if !asked && (other_address || other_port) {
            out.extend_from_slice(b";rport=");
            put_number(out, usize::from(source.port()));
        }
        if other_address {
            out.extend_from_slice(b";received=");
            put_address(out, source.ip());
        }
    }
}

/// `SIP / 2.0 /` with white space anywhere. Other protocols and versions are for the start line to refuse
/// (RFC 3261 §25.1 `sent-protocol`).
fn protocol(input: &[u8]) -> grammar::Parsed<'_, ()> {
    const WANT: &str = "SIP/2.0/";
    let slash = || grammar::spaced(b'/', WANT);
    value((), (grammar::token, slash(), grammar::token, slash())).parse(input)
}

impl FromStr for Via {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Via, ParseError> {
        Via::parse(Text::from(text))
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Message {
    /// Every Via, topmost first.
    pub fn vias(&self) -> Result<Vec<Via>, ParseError> {
        let mut all = Vec::new();
        for (value, at) in self.values(Name::Via) {
            Via::parse_list(&value, &mut all).map_err(|e| e.within("Via", at))?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, transport, host, port, branch) in [
            (
                "SIP/2.0/UDP 192.0.2.2:25070;branch=z9hG4bK2d;rport",
                "UDP",
                "192.0.2.2",
                Some(25070),
                Some("z9hG4bK2d"),
            ),
            ("SIP / 2.0\t/ tcp \t a.example : 5 ; Branch = x", "tcp", "a.example", Some(5), Some("x")),
            ("sip/2.0/SCTP [2001:db8::9:1];received=[2001:db8::9:255]", "SCTP", "2001:db8::9:1", None, None),
            ("SIP/2.0/UDP h", "UDP", "h", None, None),
            ("SIP/2.0/UDP h:;branch=", "UDP", "h", None, None),
            ("SIP/7.0/UDP h", "UDP", "h", None, None),
        ] {
            let via: Via = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (via.transport_name(), via.host(), via.port(), via.branch()),
                (transport, host, port, branch)
            );
            assert_eq!(via.to_string(), text);
        }
        let via: Via = "SIP/2.0/UDP h;received=[2001:db8::1];rport=7;branch=Z9HG4BKx".parse().unwrap();
        assert_eq!((via.received(), via.rport()), (Some("2001:db8::1".parse().unwrap()), Some(Some(7))));
        assert!(via.has_magic_cookie());
        assert!(!"SIP/2.0/UDP h;branch=z9hG4bK".parse::<Via>().unwrap().has_magic_cookie());
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDPh",
            "SIP UDP h",
            "SIP/2.0 h",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP h x",
            "SIP/2.0/UDP h, SIP/2.0/UDP i",
            "SIP/2.0/ h",
        ] {
            assert!(text.parse::<Via>().is_err(), "{text}");
        }
    }

    /// RFC 3261 §18.2.1, RFC 3581 §4, and peers that ask for nothing but come from elsewhere.
    #[test]
    fn what_goes_back() {
        let udp = |remote: &str| Flow::udp("192.0.2.1:5060".parse().unwrap(), remote.parse().unwrap());
        for (text, remote, want) in [
            (
                "SIP/2.0/UDP 192.0.2.9:5090;branch=b;rport",
                "192.0.2.9:5090",
                "SIP/2.0/UDP 192.0.2.9:5090;branch=b;rport=5090",
            ),
            ("SIP/2.0/UDP 192.0.2.9;branch=b", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.9;branch=b"),
            (
                "SIP/2.0/UDP 10.0.0.1;branch=b",
                "192.0.2.9:1024",
                "SIP/2.0/UDP 10.0.0.1;branch=b;rport=1024;received=192.0.2.9",
            ),
            ("SIP/2.0/UDP 192.0.2.9;branch=b", "192.0.2.9:1024", "SIP/2.0/UDP 192.0.2.9;branch=b;rport=1024"),
            (
                "SIP/2.0/UDP h;rport=1;received=6.6.6.6;branch=b",
                "192.0.2.9:1024",
                "SIP/2.0/UDP h;rport=1024;branch=b;received=192.0.2.9",
            ),
            (
                "SIP/2.0/UDP [::1];branch=b;rport",
                "[::2]:7",
                "SIP/2.0/UDP [::1];branch=b;rport=7;received=::2",
            ),
        ] {
            let mut out = BytesMut::new();
            text.parse::<Via>().unwrap().write_received(&udp(remote), &mut out);
            assert_eq!(out, want.as_bytes());
        }
    }

    #[test]
    fn building() {
        assert_eq!(
            Via::new(Transport::Udp, "192.0.2.1:5060", "z9hG4bKa", true).to_string(),
            "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa"
        );
        let odd = Via::new(Transport::Tls, "[::1]:5061\r\nX: y", "z9\r\nhG4bKa", false);
        assert!(!odd.to_string().contains('\n'));
        assert_eq!(Via::new(Transport::Tcp, "[::1]:5061", "z", false).port(), Some(5061));
    }
}
