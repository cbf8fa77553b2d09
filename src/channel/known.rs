//! The names of variables that tandem itself sets or reads, each with its number.
//!
//! A leg keeps a number instead of a name, and finds a variable by comparing numbers. The names have no other meaning:
//! one that is missing here works the same.

use std::sync::LazyLock;

/// A name as a number: its place in [`NAMES`], or one of the others by hash, which several names may share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Id(pub(super) u8);

/// Numbers from here on, the last 64, are hashes of unknown names.
const UNKNOWN: u8 = 192;

impl Id {
    /// Nobody else has this number.
    pub fn is_known(self) -> bool {
        self.0 < UNKNOWN
    }

    /// How tandem writes the name.
    pub fn spelling(self) -> Option<&'static str> {
        NAMES.get(usize::from(self.0)).copied()
    }
}

/// The numbers that ever were put in, one bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen([u64; 4]);

impl Seen {
    pub fn put(&mut self, Id(id): Id) {
        if let Some(word) = self.0.get_mut(usize::from(id >> 6)) {
            *word |= 1 << (id & 63);
        }
    }

    /// Whether any of a name without a number of its own was.
    pub fn has_unknown(&self) -> bool {
        let [.., last] = self.0;
        last != 0
    }

    pub fn has(&self, Id(id): Id) -> bool {
        self.0.get(usize::from(id >> 6)).is_some_and(|word| word & 1 << (id & 63) != 0)
    }
}

/// The number of a name, whatever its case.
pub(super) fn id(name: &str) -> Id {
    let hash = hash(name);
    let mut slot = hash as usize % SLOTS;
    loop {
        match TABLE.get(slot).copied().unwrap_or_default() {
            0 => return Id(UNKNOWN | (hash & 63) as u8),
            n if NAMES.get(usize::from(n) - 1).is_some_and(|known| same(known, name)) => return Id(n - 1),
            _ => slot = (slot + 1) % SLOTS,
        }
    }
}

/// A hash of the length and of eight bytes, without their case: names tell themselves apart by the end and the middle.
fn hash(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let part = |at: usize| match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(four) => u32::from_le_bytes(*four) | 0x2020_2020,
        None => bytes.iter().fold(0, |h, b| h << 8 | u32::from(b | 0x20)),
    };
    let (middle, end) = (part(bytes.len() / 2), part(bytes.len().saturating_sub(4)));
    let hash = (u64::from(middle) << 32 | u64::from(end)) ^ (bytes.len() as u64) << 16;
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u32
}

/// Equal but for case; nearly always they are equal to the letter.
fn same(known: &str, name: &str) -> bool {
    known == name || known.eq_ignore_ascii_case(name)
}

const SLOTS: usize = 512;

/// Open addressing: 0, or a place in [`NAMES`] and one.
static TABLE: LazyLock<[u8; SLOTS]> = LazyLock::new(|| {
    const { assert!(NAMES.len() < UNKNOWN as usize) };
    let mut table = [0; SLOTS];
    for (n, name) in (1u8..).zip(NAMES) {
        let mut slot = hash(name) as usize % SLOTS;
        while table.get(slot).is_some_and(|held| *held != 0) {
            slot = (slot + 1) % SLOTS;
        }
        if let Some(free) = table.get_mut(slot) {
            *free = n;
        }
    }
    table
});

const NAMES: &[&str] = &[
    "absolute_codec_string",
    "accountcode",
    "alert_info",
    "auto_hunt",
    "billsec",
    "bridge_channel",
    "bridge_hangup_cause",
    "bridge_uuid",
    "call_timeout",
    "call_uuid",
    "channel_name",
    "codec_string",
    "continue_on_fail",
    "current_application",
    "current_application_data",
    "default_areacode",
    "dialed_domain",
    "dialed_extension",
    "dialed_user",
    "DIALSTATUS",
    "direction",
    "disable_q850_reason",
    "domain_name",
    "DP_MATCH",
    "dtmf_type",
    "duration",
    "early_use_180",
    "effective_caller_id_name",
    "effective_caller_id_number",
    "endpoint_disposition",
    "export_vars",
    "failure_causes",
    "force_transfer_context",
    "force_transfer_dialplan",
    "hangup_after_bridge",
    "hangup_cause",
    "ignore_early_media",
    "inbound_dialplan",
    "is_outbound",
    "last_bridge_hangup_cause",
    "last_bridge_proto_specific_hangup_cause",
    "last_bridge_to",
    "leg_timeout",
    "local_media_ip",
    "local_media_port",
    "max_forwards",
    "media_hold_timeout",
    "media_timeout",
    "originate_causes",
    "originate_continue_on_timeout",
    "originate_disposition",
    "originate_endpoint",
    "originate_failed_cause",
    "originate_timeout",
    "originated_legs",
    "originating_leg_uuid",
    "origination_caller_id_name",
    "origination_caller_id_number",
    "origination_privacy",
    "origination_uuid",
    "originator",
    "outbound_caller_id_name",
    "outbound_caller_id_number",
    "outbound_redirect_fatal",
    "park_timeout",
    "presence_id",
    "proto_specific_hangup_cause",
    "record_stereo",
    "rtp_hold_timeout_sec",
    "rtp_timeout_sec",
    "signal_bond",
    "sip_acl_authed_by",
    "sip_acl_token",
    "sip_allow",
    "sip_auth_realm",
    "sip_auth_username",
    "sip_authorized",
    "sip_call_id",
    "sip_cid_type",
    "sip_contact_host",
    "sip_contact_port",
    "sip_contact_uri",
    "sip_contact_user",
    "sip_copy_custom_headers",
    "sip_cseq",
    "sip_from_display",
    "sip_from_host",
    "sip_from_params",
    "sip_from_port",
    "sip_from_tag",
    "sip_from_uri",
    "sip_from_user",
    "sip_from_user_stripped",
    "sip_full_from",
    "sip_full_to",
    "sip_full_via",
    "sip_hangup_disposition",
    "sip_hangup_phrase",
    "sip_ignore_remote_cause",
    "sip_invite_call_id",
    "sip_invite_domain",
    "sip_invite_failure_phrase",
    "sip_invite_failure_status",
    "sip_network_ip",
    "sip_network_port",
    "sip_received_ip",
    "sip_received_port",
    "sip_profile_name",
    "sip_redirected_to",
    "sip_req_host",
    "sip_req_params",
    "sip_req_port",
    "sip_req_uri",
    "sip_req_user",
    "sip_subject",
    "sip_term_cause",
    "sip_term_status",
    "sip_to_host",
    "sip_to_params",
    "sip_to_port",
    "sip_to_tag",
    "sip_to_uri",
    "sip_to_user",
    "sip_user_agent",
    "sip_via_host",
    "sip_via_port",
    "sip_via_protocol",
    "sofia_profile_domain_name",
    "sofia_profile_name",
    "switch_r_sdp",
    "timezone",
    "tod_tz_offset",
    "toll_allow",
    "transfer_after_bridge",
    "transfer_fallback_extension",
    "user_context",
    "user_name",
    "uuid",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_what_was_put_in_was_seen() {
        let mut seen = Seen::default();
        for id in (0..=255).step_by(3) {
            seen.put(Id(id));
        }
        for id in 0..=255 {
            assert_eq!(seen.has(Id(id)), id % 3 == 0, "{id}");
        }
        for id in [0, UNKNOWN - 1, UNKNOWN, 255] {
            let mut seen = Seen::default();
            seen.put(Id(id));
            assert_eq!(seen.has_unknown(), !Id(id).is_known(), "{id}");
        }
    }

    #[test]
    fn each_name_is_found_whatever_its_case() {
        for name in NAMES {
            assert_eq!(id(name).spelling(), Some(*name));
            assert_eq!(id(&name.to_ascii_uppercase()), id(name));
        }
        let long = TABLE
            .iter()
            .fold((0, 0), |(most, run), n| if *n == 0 { (most, 0) } else { (most.max(run + 1), run + 1) });
        assert!(long.0 < 12, "{long:?}");
        assert!(!id("no_such_name").is_known() && !id("").is_known());
        assert_eq!(id("Sip_H_X-Some"), id("sip_h_x-some"));
    }
}
