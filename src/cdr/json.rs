//! `mod_json_cdr`: a document per leg, in a file of its own (`switch_ivr_generate_json_cdr`).
//!
//! FreeSWITCH's keys, in its order; what tandem does not have (the flags of a channel, the list of applications) is
//! left out.

use super::files::Files;
use crate::api::url_encoded;
use crate::channel::{Leg, Times};
use crate::config::cdr::JsonConf;
use crate::media::Stats;
use jiff::Zoned;
use std::path::PathBuf;
use tracing::warn;

/// The documents as `json_cdr.conf` wants them.
pub(super) struct Json {
    conf: JsonConf,
    pub(super) folder: Option<PathBuf>,
}

impl Json {
    pub(super) fn new(conf: JsonConf) -> Json {
        let folder = conf.folder.clone().map(|folder| match conf.rotate {
            true => folder.join(Zoned::now().strftime("%Y-%m-%d-%H-%M-%S").to_string()),
            false => folder,
        });
        Json { conf, folder }
    }

    /// The same, in a new folder with `rotate`.
    pub(super) fn anew(&self) -> Json {
        Json::new(self.conf.clone())
    }

    /// Goes on in the folder it was written to before, unless another one is wanted.
    pub(super) fn stay_with(&mut self, before: &Json) {
        if (&self.conf.folder, self.conf.rotate) == (&before.conf.folder, before.conf.rotate) {
            self.folder.clone_from(&before.folder);
        }
    }

    pub(super) fn wants(&self, leg: &Leg) -> bool {
        let by_leg = self.conf.b_legs || !leg.is_b_leg() || leg.variables.is_true("force_process_cdr");
        by_leg && (self.folder.is_some() || leg.variables.get("json_cdr_base").is_some())
    }

    pub(super) fn record(&self, leg: &Leg, files: &Files) {
        let own = match leg.variables.get_marked("json_cdr_base") {
            Some((folder, false)) => Some(PathBuf::from(folder)),
            Some((_, true)) => {
                warn!("{}: json_cdr_base comes from the caller and is not used", leg.uuid);
                None
            }
            None => None,
        };
        let Some(folder) = own.or_else(|| self.folder.clone()) else { return };
        if !leg.uuid.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            warn!("{:?} is no name for a file; the leg is not recorded", leg.uuid);
            return;
        }
        let prefix = if self.conf.prefix_a && !leg.is_b_leg() { "a_" } else { "" };
        let path = folder.join([prefix, &leg.uuid, ".cdr.json"].concat());
        files.whole(path.into(), self.document(leg) + "\n");
    }

    fn document(&self, leg: &Leg) -> String {
        let global = |name| leg.exchange.globals.get(name).map(|v| v.to_string()).unwrap_or_default();
        let mut document = Object::default();
        document.text("core-uuid", &global("core_uuid"));
        document.text("switchname", &global("hostname"));
        document.object("channel_data", |channel| {
            channel.text("state", "CS_REPORTING");
            channel.text("direction", leg.direction.as_str());
            channel.text("state_number", "11");
        });
        if let Some(stats) = leg.media_stats() {
            document.object("callStats", |stats_of| stats_of.object("audio", |audio| counts(audio, &stats)));
        }
        document.object("variables", |variables| {
            for (name, value) in leg.variables.sorted() {
                match self.conf.encode_values {
                    true => variables.text(name, &url_encoded(value)),
                    false => variables.text(name, value),
                }
            }
        });
        let mut flow = Object::default();
        flow.text("dialplan", &leg.caller.dialplan);
        flow.object("caller_profile", |profile| {
            for name in PROFILE {
                profile.text(name, &leg.caller.field(name).unwrap_or_default());
            }
        });
        flow.object("times", |times| moments(times, leg.times()));
        document.raw("callflow", &format!("[{}]", flow.close()));
        document.close()
    }
}

/// The fields of a caller profile, as the document has them.
const PROFILE: [&str; 12] = [
    "username",
    "dialplan",
    "caller_id_name",
    "ani",
    "caller_id_number",
    "network_addr",
    "rdnis",
    "destination_number",
    "uuid",
    "source",
    "context",
    "chan_name",
];

fn moments(object: &mut Object, times: &Times) {
    for (name, at) in [
        ("created_time", Some(times.created)),
        ("profile_created_time", times.transferred.or(Some(times.created))),
        ("progress_time", times.progress),
        ("progress_media_time", times.progress_media),
        ("answered_time", times.answered),
        ("bridged_time", times.bridged),
        ("hangup_time", times.ended),
        ("transfer_time", times.transferred),
    ] {
        object.text(name, &times.epoch(at).to_string());
    }
}

fn counts(audio: &mut Object, stats: &Stats) {
    audio.object("inbound", |inbound| {
        inbound.number("raw_bytes", stats.received.bytes);
        inbound.number("media_bytes", stats.received.bytes);
        inbound.number("packet_count", stats.received.packets);
        inbound.number("media_packet_count", stats.received.packets);
        inbound.number("skip_packet_count", u64::try_from(stats.lost).unwrap_or(0));
    });
    audio.object("outbound", |outbound| {
        outbound.number("raw_bytes", stats.sent.bytes);
        outbound.number("media_bytes", stats.sent.bytes);
        outbound.number("packet_count", stats.sent.packets);
        outbound.number("media_packet_count", stats.sent.packets);
        outbound.number("rtcp_packet_count", stats.rtcp.received);
    });
}

/// A JSON object while it is written.
#[derive(Default)]
struct Object(String);

impl Object {
    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.string(key);
        self.0.push(':');
    }

    fn string(&mut self, text: &str) {
        self.0.push_str(&serde_json::Value::from(text).to_string());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push_str(value);
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object)) {
        let mut inner = Object::default();
        fill(&mut inner);
        self.raw(key, &inner.close());
    }

    fn close(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_json_whatever_is_in_it() {
        let mut object = Object::default();
        object.text("a \"key\"", "line\nbreak \\ \u{1}");
        object.number("n", 7);
        object.object("in", |inner| inner.text("x", "y"));
        object.object("empty", |_| {});
        let read: serde_json::Value = serde_json::from_str(&object.close()).expect("JSON");
        assert_eq!(read["a \"key\""], "line\nbreak \\ \u{1}");
        assert_eq!((&read["n"], &read["in"]["x"]), (&7.into(), &"y".into()));
        assert!(read["empty"].as_object().is_some_and(|o| o.is_empty()));
    }
}
