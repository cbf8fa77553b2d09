//! Variables of FreeSWITCH's that change how a call goes there and are not acted on here, found in a tree beforehand: so that
//! nobody learns of them from a call.

use std::collections::HashMap;

use crate::config::value::is_false;
use crate::config::{Element, Position, Problem, configuration, section};

/// The name, and what happens instead.
const UNHEEDED: &[(&str, &str)] = &[
    ("bridge_early_media", "early media of the called are ignored"),
    ("enable_heartbeat_events", "no heartbeats are told"),
    ("fax_enable_t38", "there is no fax"),
    ("fax_enable_t38_request", "there is no fax"),
    ("group_confirm_file", "a leg with group_confirm_key is not called"),
    ("group_confirm_key", "a leg with it is not called"),
    ("inherit_codec", "the called are offered what the caller offered"),
    ("jitterbuffer_msec", "packets are relayed as they come"),
    ("media_webrtc", "there is no WebRTC"),
    ("monitor_early_media_fail", "early media are ignored"),
    ("monitor_early_media_ring", "early media are ignored"),
    ("ringback", "no tone is played: the caller gets 180"),
    ("rtp_autofix_timing", "packets are relayed as they come"),
    ("rtp_jitter_buffer_plc", "packets are relayed as they come"),
    ("rtp_manual_rtp_bugs", "no bug is worked around"),
    ("rtp_secure_media", "RTP is not encrypted"),
    ("rtp_secure_media_inbound", "RTP is not encrypted"),
    ("rtp_secure_media_outbound", "RTP is not encrypted"),
    ("sip_append_audio_sdp", "the description is not changed"),
    ("sip_execute_on_image", "there is no fax"),
    ("sip_hangup_on_park", "the call goes on"),
    ("t38_passthru", "there is no fax"),
    ("transfer_ringback", "no tone is played: the caller gets 180"),
    ("zrtp_secure_media", "RTP is not encrypted"),
];

/// A warning for each of these variables that the tree sets: in the data of actions, in dial strings, for users and gateways.
pub fn unheeded(root: &Element) -> Vec<Problem> {
    let mut seen = Seen { names: UNHEEDED.iter().copied().collect(), found: Vec::new() };
    let places = [section(root, "dialplan"), section(root, "directory"), configuration(root, "sofia.conf")];
    places.into_iter().flatten().for_each(|place| seen.walk(place));
    let told = |(name, at, uses): (&str, Position, usize)| {
        let uses = match uses {
            1 => String::new(),
            2 => " (and in one more place)".to_owned(),
            more => format!(" (and in {} more places)", more - 1),
        };
        let effect = seen.names.get(name).copied().unwrap_or_default();
        Problem::warning(&at, format!("variable {name} is not provided yet{uses}")).hint(effect)
    };
    std::mem::take(&mut seen.found).into_iter().map(told).collect()
}

struct Seen<'a> {
    names: HashMap<&'a str, &'a str>,
    /// Name, first place, number of uses.
    found: Vec<(&'a str, Position, usize)>,
}

impl<'a> Seen<'a> {
    fn walk(&mut self, element: &Element) {
        let attribute = match &*element.name {
            "action" | "anti-action" => Some("data"),
            "param" if element.attr("name").is_some_and(|n| n.ends_with("dial-string")) => Some("value"),
            _ => None,
        };
        if let Some(attribute) = attribute {
            let written = element.attr(attribute).unwrap_or(&element.text);
            self.text(written, element.attr_at(attribute));
        } else if &*element.name == "variable" {
            let (name, value) = (element.attr("name").unwrap_or(""), element.attr("value").unwrap_or(""));
            self.set(name, value, &element.at);
        }
        element.children.iter().for_each(|child| self.walk(child));
    }

    /// Every `name=value` in it.
    fn text(&mut self, text: &str, at: &Position) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        for (equals, _) in text.match_indices('=') {
            let (before, after) = (text.get(..equals).unwrap_or(""), text.get(equals + 1..).unwrap_or(""));
            let before = before.trim_end();
            let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
            let end = after.find([',', ';', '}', ']', '>', '|']).unwrap_or(after.len());
            self.set(before.get(start..).unwrap_or(""), after.get(..end).unwrap_or(""), at);
        }
    }

    fn set(&mut self, name: &str, value: &str, at: &Position) {
        let Some((&name, _)) = self.names.get_key_value(name) else { return };
        if is_false(value.trim()) {
            return;
        }
        match self.found.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, uses)) => *uses += 1,
            None => self.found.push((name, at.clone(), 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, parse};

    #[test]
    fn each_is_told_once_at_its_first_place() {
        let text = r#"<document><section name="dialplan"><context name="c"><extension name="x"><condition>
<action application="export" data="nolocal:rtp_secure_media=true"/>
<action application="bridge" data="{ringback='%(1,2,3)',rtp_secure_media=false}[group_confirm_key=1,leg_timeout=20]user/1"/>
<action application="set" data="my_ringback=1"/>
<action application="set"><![CDATA[t38_passthru = true]]></action>
</condition></extension></context></section>
<section name="directory"><domain name="d"><params><param name="dial-string" value="{jitterbuffer_msec=60}x"/></params>
<user id="1"><variables><variable name="rtp_secure_media" value="mandatory"/></variables></user></domain></section>
</document>"#;
        let loaded = parse("x.xml", text, &Options::new("/nowhere"));
        let told: Vec<String> = unheeded(&loaded.root).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "x.xml:2:36: warning: variable rtp_secure_media is not provided yet (and in one more place); RTP is not encrypted",
                "x.xml:3:36: warning: variable ringback is not provided yet; no tone is played: the caller gets 180",
                "x.xml:3:36: warning: variable group_confirm_key is not provided yet; a leg with it is not called",
                "x.xml:5:1: warning: variable t38_passthru is not provided yet; there is no fax",
                "x.xml:7:85: warning: variable jitterbuffer_msec is not provided yet; packets are relayed as they come",
            ]
        );
        assert!(UNHEEDED.is_sorted_by_key(|(name, _)| *name));
    }
}
