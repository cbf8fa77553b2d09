//! The caller profile: who calls, whom, and where the call is routed (`switch_caller_profile_t`).

use std::borrow::Cow;

/// What the dialplan knows of a call besides its variables. Field names are those of a `<condition field=…>`.
#[derive(Clone, Debug, Default)]
pub struct CallerProfile {
    /// Who authenticated, or the From user.
    pub username: String,
    /// The dialplan to ask, `XML` unless configured.
    pub dialplan: String,
    /// The dialplan context.
    pub context: String,
    /// What was dialled.
    pub destination_number: String,
    /// The caller's display name.
    pub caller_id_name: String,
    /// The caller's number.
    pub caller_id_number: String,
    /// The display name as first received.
    pub orig_caller_id_name: String,
    /// The number as first received.
    pub orig_caller_id_number: String,
    /// The called party's name, once known.
    pub callee_id_name: String,
    /// The called party's number, once known.
    pub callee_id_number: String,
    /// The number the network vouches for.
    pub ani: String,
    /// The address the call came from.
    pub network_addr: String,
    /// The destination before a transfer.
    pub rdnis: String,
    /// `mod_sofia`, as FreeSWITCH has it for SIP legs.
    pub source: String,
    /// The leg's uuid.
    pub uuid: String,
    /// `sofia/internal/1000@example.com`.
    pub chan_name: String,
    /// How the leg came to its present destination (`uuid:bl_xfer:…`).
    pub transfer_source: String,
    /// The caller wishes the name withheld.
    pub privacy_hide_name: bool,
    /// The caller wishes the number withheld.
    pub privacy_hide_number: bool,
}

impl CallerProfile {
    /// The field called `name` (case-blind), as a condition or `${…}` reads it.
    pub fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = match name.to_ascii_lowercase().as_str() {
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
            "network_addr" => &self.network_addr,
            "rdnis" => &self.rdnis,
            "source" => &self.source,
            "uuid" => &self.uuid,
            "chan_name" => &self.chan_name,
            "transfer_source" => &self.transfer_source,
            "privacy_hide_name" => return Some(Cow::Borrowed(yes_no(self.privacy_hide_name))),
            "privacy_hide_number" => return Some(Cow::Borrowed(yes_no(self.privacy_hide_number))),
            _ => return None,
        };
        Some(Cow::Borrowed(text.as_str()))
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
            _ => return false,
        };
        value.clone_into(field);
        true
    }
}

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
