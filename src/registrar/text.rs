//! The texts FreeSWITCH shows for a registration, which dial plans and scripts read.

use std::fmt::Write;
use std::net::SocketAddr;

use super::Binding;

/// What `sofia_contact` answers for somebody who is not there.
pub const NOT_REGISTERED: &str = "error/user_not_registered";

impl Binding {
    /// The contact with what FreeSWITCH adds to its URI: `;fs_nat=yes` behind a NAT, `;fs_path=` with the Path or, behind a
    /// NAT, the address the REGISTER came from.
    ///
    /// `"" <sip:1000@10.0.0.9:5060;fs_nat=yes;fs_path=sip%3A1000%4080.1.2.3%3A40000>`
    pub fn fs_contact(&self) -> String {
        contact_text(self.display(), self.uri(), self.path.as_deref(), self.nat.then_some(self.flow.remote))
    }

    /// The URI of [`fs_contact`](Self::fs_contact).
    pub fn fs_uri(&self) -> String {
        uri_text(self.uri(), self.path.as_deref(), self.nat.then_some(self.flow.remote))
    }

    /// `sofia/<profile>/sip:…`, what one calls to reach this contact. Characters that mean something in a dial string
    /// are percent-encoded, for the contact is the phone's text and not ours.
    pub fn dial_string(&self) -> String {
        let uri = self.fs_uri();
        let rest = uri.split_once(':').map_or(uri.as_str(), |(_, rest)| rest);
        let mut text = format!("sofia/{}/sip:", self.profile);
        for c in rest.chars() {
            if c.is_control() || ",|{}^$\\'\"<>` ".contains(c) {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "%{byte:02X}");
                }
            } else {
                text.push(c);
            }
        }
        text
    }
}

/// A contact as FreeSWITCH writes it, of its display name, its URI, its path and, behind a NAT, where its packets come from.
pub fn contact_text(display: &str, uri: &str, path: Option<&str>, nat: Option<SocketAddr>) -> String {
    let display = match display {
        "" => "\"\"".to_owned(),
        quoted if quoted.starts_with('"') => quoted.to_owned(),
        bare => format!("\"{bare}\""),
    };
    format!("{display} <{}>", uri_text(uri, path, nat))
}

fn uri_text(bare: &str, path: Option<&str>, nat: Option<SocketAddr>) -> String {
    let mut uri = bare.to_owned();
    if nat.is_some() {
        uri.push_str(";fs_nat=yes");
    }
    if let Some(path) = path {
        uri.push_str(";fs_path=");
        // No blank between the entries, and no comma to be taken for one of the dial string.
        uri.push_str(&url_encode(&path.replace(">, <", ">,<")).replace(',', "%2C"));
    } else if let Some(remote) = nat {
        let (scheme, rest) = bare.split_once(':').unwrap_or(("sip", bare));
        let (before, params) = rest.split_once(';').map_or((rest, ""), |(b, p)| (b, p));
        let user = before.rsplit_once('@').map_or("", |(user, _)| user);
        let at = if user.is_empty() { "" } else { "@" };
        let semicolon = if params.is_empty() { "" } else { ";" };
        let seen = format!("{scheme}:{user}{at}{remote}{semicolon}{params}");
        uri.push_str(";fs_path=");
        uri.push_str(&url_encode(&seen));
    }
    uri
}

/// What `sofia_contact` answers: every contact's dial string, joined with commas.
pub fn dial_string<'a>(bindings: impl IntoIterator<Item = &'a Binding>) -> String {
    let all: Vec<String> = bindings.into_iter().map(Binding::dial_string).collect();
    if all.is_empty() { NOT_REGISTERED.to_owned() } else { all.join(",") }
}

/// The status FreeSWITCH stores with a registration and shows in `sofia status profile … reg`: `Registered(UDP-NAT)`.
pub fn status(binding: &Binding) -> String {
    let nat = if binding.nat { "-NAT" } else { "" };
    format!("Registered({}{nat})", binding.flow.transport)
}

/// Percent-encodes as FreeSWITCH's `switch_url_encode`: escapes that are there already stay.
pub fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(|b| b"0123456789ABCDEF".contains(b));
    for (at, byte) in bytes.iter().enumerate() {
        let escape = *byte == b'%' && is_hex(at + 1) && is_hex(at + 2);
        if escape || (byte.is_ascii_graphic() && !b"#%&+:;<=>?@[\\]^`{|}\"".contains(byte)) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_freeswitch() {
        for (text, want) in [
            ("sip:1000@80.1.2.3:40000;transport=udp", "sip%3A1000%4080.1.2.3%3A40000%3Btransport%3Dudp"),
            ("a%20b", "a%20b"),
            ("a%2fb", "a%252fb"),
            ("100%", "100%25"),
            ("<sip:p;lr>,<x>", "%3Csip%3Ap%3Blr%3E,%3Cx%3E"),
            ("é ", "%C3%A9%20"),
        ] {
            assert_eq!(url_encode(text), want, "{text}");
        }
    }
}
