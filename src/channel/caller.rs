//! The caller profile: who calls, whom, and where the call is routed (`switch_caller_profile_t`).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// What the dialplan knows of a call besides its variables. Field names are those of a `<condition field=…>`. One text
/// often stands in several fields and in both legs of a call, hence shared.
#[derive(Clone, Debug, Default)]
pub struct CallerProfile {
    /// Who authenticated, or the From user.
    pub username: Arc<str>,
    /// The dialplan to ask, `XML` unless configured.
    pub dialplan: Arc<str>,
    /// The dialplan context.
    pub context: Arc<str>,
    /// What was dialled.
    pub destination_number: Arc<str>,
    /// The caller's display name.
    pub caller_id_name: Arc<str>,
    /// The caller's number.
    pub caller_id_number: Arc<str>,
    /// The display name as first received.
    pub orig_caller_id_name: Arc<str>,
    /// The number as first received.
    pub orig_caller_id_number: Arc<str>,
    /// The called party's name, once known.
    pub callee_id_name: Arc<str>,
    /// The called party's number, once known.
    pub callee_id_number: Arc<str>,
    /// The number the network vouches for.
    pub ani: Arc<str>,
    /// The address the call came from.
    pub network_addr: Option<IpAddr>,
    /// The destination before a transfer.
    pub rdnis: Arc<str>,
    /// The leg's uuid.
    pub uuid: Arc<str>,
    /// `sofia/internal/1000@example.com`.
    pub chan_name: Arc<str>,
    /// How the leg came to its present destination (`uuid:bl_xfer:…`).
    pub transfer_source: Arc<str>,
    /// The caller wishes the name withheld.
    pub privacy_hide_name: bool,
    /// The caller wishes the number withheld.
    pub privacy_hide_number: bool,
}

impl CallerProfile {
    /// The field called `name` (case-blind), as a condition or `${…}` reads it.
    pub fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = match FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name)).copied()? {
            "username" => &self.username,
            "dialplan" => &self.dialplan,
            "context" => &self.context,
            "destination_number" => &self.destination_number,
            "caller_id_name" => &self.caller_id_name,
            "caller_id_number" => &self.caller_id_number,
            "orig_caller_id_name" => &self.orig_caller_id_name,
            "orig_caller_id_number" => &self.orig_caller_id_number,
            "callee_id_name" => &self.callee_id_name,
            "callee_id_number" => &self.callee_id_number,
            "ani" => &self.ani,
            "network_addr" => return Some(self.network_addr.map_or("".into(), |ip| ip.to_string().into())),
            "rdnis" => &self.rdnis,
            "source" => "mod_sofia", // what FreeSWITCH has for SIP legs
            "uuid" => &self.uuid,
            "chan_name" => &self.chan_name,
            "transfer_source" => &self.transfer_source,
            "privacy_hide_name" => yes_no(self.privacy_hide_name),
            "privacy_hide_number" => yes_no(self.privacy_hide_number),
            _ => return None,
        };
        Some(Cow::Borrowed(text))
    }

    /// Sets the field called `name`; false when there is no such field (`set_profile_var`).
    pub fn set_field(&mut self, name: &str, value: &str) -> bool {
        let field = match name.to_ascii_lowercase().as_str() {
            "username" => &mut self.username,
            "dialplan" => &mut self.dialplan,
            "context" => &mut self.context,
            "caller_id_name" => &mut self.caller_id_name,
            "caller_id_number" => &mut self.caller_id_number,
            "callee_id_name" => &mut self.callee_id_name,
            "callee_id_number" => &mut self.callee_id_number,
            "ani" => &mut self.ani,
            "rdnis" => &mut self.rdnis,
            "destination_number" => &mut self.destination_number,
            "chan_name" => &mut self.chan_name,
            _ => return false,
        };
        *field = value.into();
        true
    }
}

/// The fields there are, those that are asked for most first.
const FIELDS: [&str; 19] = [
    "destination_number",
    "context",
    "caller_id_name",
    "caller_id_number",
    "username",
    "dialplan",
    "orig_caller_id_name",
    "orig_caller_id_number",
    "callee_id_name",
    "callee_id_number",
    "ani",
    "network_addr",
    "rdnis",
    "source",
    "uuid",
    "chan_name",
    "transfer_source",
    "privacy_hide_name",
    "privacy_hide_number",
];

fn yes_no(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_by_its_name_and_others_are_none() {
        let caller = CallerProfile { destination_number: "1001".into(), ..CallerProfile::default() };
        assert_eq!(caller.field("Destination_Number").as_deref(), Some("1001"));
        assert_eq!(caller.field("rdnis").as_deref(), Some(""));
        assert_eq!(caller.field("sip_from_user"), None);
    }
}
