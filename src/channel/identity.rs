//! Who is shown to whom: caller ID, Remote-Party-ID, P-Asserted-Identity, privacy, passed headers.
//!
//! The forms are FreeSWITCH's (`sofia_glue_do_invite`, `generate_pai_str`): a caller is shown to the called
//! side by `Remote-Party-ID …;party=calling;screen=yes;privacy=off`, a called party to the caller in 180, 183
//! and 200 by `…;party=calling;privacy=off;screen=no`.

use super::leg::Leg;
use super::variables::Variables;
use crate::sip::{ContactValue, Message, Name, NameAddr};
use std::fmt::Write;

/// Which header tells who calls (`caller-id-type`, variable `sip_cid_type`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CidType {
    /// Remote-Party-ID.
    Rpid,
    /// P-Asserted-Identity.
    Pid,
    /// Neither: From only.
    None,
}

impl CidType {
    /// Reads the configured word.
    pub fn named(word: &str) -> Option<CidType> {
        match word.trim().to_ascii_lowercase().as_str() {
            "rpid" | "remote-party-id" => Some(CidType::Rpid),
            "pid" | "p-asserted-identity" => Some(CidType::Pid),
            "none" => Some(CidType::None),
            _ => None,
        }
    }
}

/// A name as a quoted string: what would end it, or a line, is escaped or left out.
pub fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number as the user part of a URI (RFC 3261 §25.1 `user`): anything else is escaped.
pub fn user_part(number: &str) -> String {
    let mut out = String::with_capacity(number.len());
    for byte in number.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/#".contains(&byte) && byte != b'#' {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What privacy the caller wishes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Privacy {
    /// The name is withheld.
    pub name: bool,
    /// The number is withheld.
    pub number: bool,
}

impl Privacy {
    /// FreeSWITCH's word for `privacy=` of Remote-Party-ID.
    pub fn word(self) -> &'static str {
        match (self.name, self.number) {
            (false, false) => "off",
            (true, false) => "name",
            (_, true) => "full",
        }
    }

    /// What a peer's Privacy header (RFC 3323) or Remote-Party-ID asks for.
    pub fn of(message: &Message) -> Privacy {
        let mut privacy = Privacy::default();
        for value in message.headers(Name::Privacy) {
            for word in value.split([';', ',']).map(str::trim) {
                match word.to_ascii_lowercase().as_str() {
                    "id" | "user" | "header" => privacy = Privacy { name: true, number: true },
                    _ => {}
                }
            }
        }
        if let Some(party) = message.header(Name::RemotePartyId).and_then(|v| v.parse::<NameAddr>().ok()) {
            match party.param("privacy").unwrap_or("off").to_ascii_lowercase().as_str() {
                "full" => privacy = Privacy { name: true, number: true },
                "name" => privacy.name = true,
                "uri" => privacy.number = true,
                _ => {}
            }
        }
        privacy
    }
}

/// Who a peer says it is in Remote-Party-ID, P-Asserted-Identity or P-Preferred-Identity: name and number.
pub fn asserted(message: &Message) -> Option<(String, String)> {
    for header in [Name::RemotePartyId, Name::PAssertedIdentity, Name::PPreferredIdentity] {
        if let Some(party) = message.header(header).and_then(|v| v.parse::<NameAddr>().ok()) {
            let number = party.uri().user().unwrap_or_default().into_owned();
            if !number.is_empty() {
                let name = party.display().map_or_else(|| number.clone(), |n| n.into_owned());
                return Some((name, number));
            }
        }
    }
    None
}

/// The headers that tell the called side who calls.
pub fn calling_headers(
    kind: CidType,
    name: &str,
    number: &str,
    host: &str,
    privacy: Privacy,
) -> Vec<(String, String)> {
    let address = format!("{} <sip:{}@{host}>", quoted(name), user_part(number));
    match kind {
        CidType::Rpid => {
            let value = format!("{address};party=calling;screen=yes;privacy={}", privacy.word());
            vec![("Remote-Party-ID".to_owned(), value)]
        }
        CidType::Pid => {
            let wish = if privacy == Privacy::default() { "none" } else { "id" };
            vec![("P-Asserted-Identity".to_owned(), address), ("Privacy".to_owned(), wish.to_owned())]
        }
        CidType::None => Vec::new(),
    }
}

/// The targets of a 3xx in order of preference.
pub fn redirects(contacts: &[ContactValue]) -> Vec<String> {
    let mut targets: Vec<(u16, String)> = contacts
        .iter()
        .filter_map(|c| match c {
            ContactValue::Star => None,
            ContactValue::Address(contact) => Some((contact.q().unwrap_or(1000), contact.uri().to_string())),
        })
        .collect();
    targets.sort_by_key(|t| std::cmp::Reverse(t.0));
    targets.into_iter().map(|(_, uri)| uri).take(16).collect()
}

impl Leg {
    /// Extra headers the dialplan asked for: every variable whose name begins with `prefix`.
    pub(super) fn header_variables(&self, prefix: &str) -> Vec<(String, String)> {
        header_variables(&self.variables, prefix)
    }

    /// The headers of our 180, 183 and 200 to a caller: who the called party is, and what the dialplan adds.
    pub(super) fn callee_headers(&self, prefix: &str) -> Vec<(String, String)> {
        let mut headers = self.header_variables(prefix);
        let (name, number) = (&self.caller.callee_id_name, &self.caller.callee_id_number);
        if self.agent.conf.pass_callee_id && !number.is_empty() && self.cid_type() != CidType::None {
            let name = if name.is_empty() { number } else { name };
            let address = format!("{} <sip:{}@{}>", quoted(name), user_part(number), self.agent.host());
            headers.push(match self.cid_type() {
                CidType::Rpid => {
                    ("Remote-Party-ID".to_owned(), format!("{address};party=calling;privacy=off;screen=no"))
                }
                _ => ("P-Asserted-Identity".to_owned(), address),
            });
        }
        headers
    }

    pub(super) fn cid_type(&self) -> CidType {
        self.variables.get("sip_cid_type").and_then(CidType::named).unwrap_or(self.agent.cid_type())
    }
}

/// The variables named `prefix` + header, as headers. Names that are no token are left out.
pub fn header_variables(variables: &Variables, prefix: &str) -> Vec<(String, String)> {
    let is_token = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
    };
    let named = |(name, value): (&str, &str)| {
        let header = name.get(prefix.len()..).filter(|h| is_token(h))?;
        Some((header.to_owned(), value.to_owned()))
    };
    variables.with_prefix(prefix).into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(quoted("Bob \"x\" \\\r\nVia: y"), "\"Bob \\\"x\\\" \\\\Via: y\"");
        assert_eq!(user_part("+49 30;x=y@z"), "+49%2030;x=y%40z");
    }

    #[test]
    fn the_callers_identity_is_shown_as_freeswitch_does() {
        let off = Privacy::default();
        assert_eq!(
            calling_headers(CidType::Rpid, "Bob", "bob", "192.168.4.4", off),
            [(
                "Remote-Party-ID".to_owned(),
                "\"Bob\" <sip:bob@192.168.4.4>;party=calling;screen=yes;privacy=off".to_owned()
            )]
        );
        assert_eq!(calling_headers(CidType::None, "Bob", "bob", "h", off), []);
        let full = Privacy { name: true, number: true };
        let pid = calling_headers(CidType::Pid, "Bob", "bob", "h", full);
        assert_eq!(pid[1], ("Privacy".to_owned(), "id".to_owned()));
    }

    #[test]
    fn header_variables_are_those_with_the_prefix() {
        let mut v = Variables::default();
        v.set("sip_h_X-Foo", "1");
        v.set("SIP_H_X-Bar", "2");
        v.set("sip_h_bad name", "3");
        v.set("sip_x", "4");
        let headers = header_variables(&v, "sip_h_");
        assert_eq!(headers, [("X-Bar".to_owned(), "2".to_owned()), ("X-Foo".to_owned(), "1".to_owned())]);
    }
}
