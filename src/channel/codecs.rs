//! Which codecs a leg takes, and what its variables tell of them (inventory §8.9, `switch_core_media_prepare_codecs`).
//!
//! Nothing is translated, so both ends of a bridge must meet on one codec: the called side is offered what the caller has
//! offered and its own list takes, and the caller is answered with what the called side chose. The lists only narrow and
//! order that: `absolute_codec_string`, `codec_string`, else the profile's.

use super::leg::{Direction, Leg};
use super::user_agent::UserAgent;
use super::variables::Variables;
use crate::sdp::{Codec, Kind, Negotiation, Prefs};
use std::fmt::Write;
use std::sync::Arc;

/// `absolute_codec_string`, else `codec_string`.
fn said(variables: &Variables) -> Option<&str> {
    let get = |name| variables.get(name).filter(|text| !text.trim().is_empty());
    get("absolute_codec_string").or_else(|| get("codec_string"))
}

/// What a leg's variables say it takes, else the profile's list for that direction.
pub fn prefs(agent: &UserAgent, variables: &Variables, direction: Direction) -> Arc<Prefs> {
    match (said(variables), direction) {
        (Some(text), _) => Arc::new(Prefs::parse(text)),
        (None, Direction::Inbound) => agent.inbound_prefs(),
        (None, Direction::Outbound) => agent.outbound_prefs(),
    }
}

impl Leg {
    /// What this leg takes.
    pub fn own_prefs(&self) -> Arc<Prefs> {
        prefs(&self.agent, &self.variables, self.direction)
    }

    /// The same, less kinds of media that the far end has not, or has switched off.
    pub(super) fn prefs_of_its_kinds(&self) -> Prefs {
        let mut prefs = (*self.own_prefs()).clone();
        if let Some(remote) = self.media.remote() {
            prefs.list.retain(|pref| remote.media.iter().any(|m| m.port != 0 && m.kind == pref.kind()));
        }
        prefs
    }

    /// Whose order decides where we answer for ourselves: `rtp_codec_negotiation`, else the profile's.
    pub fn negotiation(&self) -> Negotiation {
        let said = self.variables.get("rtp_codec_negotiation").and_then(Negotiation::named);
        said.unwrap_or_else(|| self.agent.negotiation())
    }

    /// The variables that FreeSWITCH makes of a leg's codecs. They are made when they are asked for; the names in them come
    /// from the far end.
    pub fn codec_variable(&self, name: &str) -> Option<String> {
        let used = || self.agreed().iter().find(|media| media.kind == Kind::Audio);
        match name {
            "ep_codec_string" => self.ep_codec_string(),
            "rtp_use_codec_string" => {
                let lines = self.agreed().iter();
                let list: Vec<String> = lines.map(|m| written(&m.codec, m.ptime)).collect();
                (!list.is_empty()).then(|| list.join(","))
            }
            "read_codec" | "write_codec" | "rtp_use_codec_name" => Some(used()?.codec.name.to_string()),
            "read_rate" | "write_rate" => Some(used()?.codec.sample_rate().to_string()),
            "rtp_use_codec_rate" => Some(used()?.codec.clock.to_string()),
            "rtp_use_codec_ptime" => Some(used()?.ptime.unwrap_or(20).to_string()),
            "rtp_use_codec_channels" => Some(used()?.codec.channels.to_string()),
            "rtp_use_codec_fmtp" => used()?.codec.fmtp.clone(),
            _ => None,
        }
    }

    /// What the far end offers and this leg takes, in the far end's order.
    fn ep_codec_string(&self) -> Option<String> {
        let (prefs, said) = (self.own_prefs(), self.offered()?);
        let mut list: Vec<String> = Vec::new();
        for media in said.media.iter().filter(|media| media.port != 0) {
            let taken = |codec: &&Codec| codec.is_primary() && prefs.rank(codec).is_some();
            list.extend(media.codecs().iter().filter(taken).map(|codec| written(codec, media.ptime())));
        }
        (!list.is_empty()).then(|| list.join(","))
    }
}

/// `PCMU@8000h@20i@64000b`, as in codec strings.
fn written(codec: &Codec, ptime: Option<u16>) -> String {
    let mut text = format!("{}@{}h", codec.name, codec.clock);
    if codec.clock != 90_000 {
        let _ = write!(text, "@{}i", ptime.unwrap_or(20));
    }
    if codec.is("PCMU") || codec.is("PCMA") || codec.is("G722") {
        text.push_str("@64000b");
    }
    if codec.channels > 1 {
        let _ = write!(text, "@{}c", codec.channels);
    }
    text
}
