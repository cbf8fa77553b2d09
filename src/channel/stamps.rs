//! What a leg's variables tell of it once it is over: stamps, durations, counted packets
//! (`switch_channel_set_timestamps`, `switch_core_media_set_stats`).
//!
//! They are written when somebody is going to read them: a listener of events, a writer of records.

use super::leg::Leg;
use super::times::micros;
use crate::media::Stats;
use crate::sdp::Kind;
use jiff::{Timestamp, tz::TimeZone};
use std::fmt::Write;
use std::time::Instant;

/// A span in FreeSWITCH's three units. Each is the difference of two points cut to that unit.
struct Span {
    from: u64,
    to: u64,
}

impl Span {
    fn seconds(&self) -> u64 {
        (self.to / 1_000_000).saturating_sub(self.from / 1_000_000)
    }

    fn millis(&self) -> u64 {
        (self.to / 1000).saturating_sub(self.from / 1000)
    }

    fn micros(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

impl Leg {
    /// Sets every variable a record of the leg may ask for.
    pub(super) fn stamp(&mut self) {
        self.stamp_applications();
        self.stamp_times();
        self.stamp_media();
    }

    fn stamp_applications(&mut self) {
        for (last, current) in [("last_app", "current_application"), ("last_arg", "current_application_data")]
        {
            let Some((value, wire)) = self.variables.get_marked(current) else { continue };
            let value = value.to_owned();
            match wire {
                true => self.variables.set_wire(last, value),
                false => self.variables.set(last, value),
            }
        }
        let (name, number) = (&self.caller.caller_id_name, &self.caller.caller_id_number);
        match name.is_empty() {
            true => self.variables.set_wire("caller_id", number),
            false => self.variables.print_wire("caller_id", format_args!("\"{name}\" <{number}>")),
        }
        if let Some(cause) = self.cause() {
            self.variables.print("hangup_cause_q850", cause.number());
        }
    }

    fn stamp_times(&mut self) {
        let times = self.times.clone();
        let zone = TimeZone::system();
        let created = times.epoch(Some(times.created));
        let routed = times.epoch(times.transferred).max(created);
        let answered = times.epoch(times.answered);
        let bridged = times.epoch(times.bridged);
        let progress = times.epoch(times.progress);
        let progress_media = times.epoch(times.progress_media);
        let held = times.epoch(times.last_hold());
        let ended = times.epoch(times.ended.or_else(|| Some(Self::now())));
        for (name, at) in [
            ("start_stamp", created),
            ("profile_start_stamp", routed),
            ("answer_stamp", answered),
            ("bridge_stamp", bridged),
            ("hold_stamp", held),
            ("progress_stamp", progress),
            ("progress_media_stamp", progress_media),
            ("end_stamp", ended),
        ] {
            if at > 0 {
                self.variables.set(name, local_time(at, &zone));
            }
        }
        for (name, at) in [
            ("start", created),
            ("profile_start", routed),
            ("answer", answered),
            ("bridge", bridged),
            ("last_hold", held),
            ("resurrect", 0),
            ("progress", progress),
            ("progress_media", progress_media),
            ("end", ended),
        ] {
            self.variables.print(&[name, "_epoch"].concat(), at / 1_000_000);
            self.variables.print(&[name, "_uepoch"].concat(), at);
        }
        let total = times.hold_total();
        self.variables.print("hold_accum_seconds", total.as_secs());
        self.variables.print("hold_accum_ms", total.as_millis());
        self.variables.print("hold_accum_usec", micros(total));
        if !times.each_hold().is_empty() {
            let epoch = |at: Instant| times.epoch(Some(at));
            let each = times.each_hold().iter().fold(String::new(), |mut list, (on, off)| {
                let _ = write!(
                    list,
                    "{}{{{},{}}}",
                    if list.is_empty() { "" } else { "," },
                    epoch(*on),
                    epoch(*off)
                );
                list
            });
            self.variables.print("hold_events", format_args!("{{{each}}}"));
        }
        // From something that never was, or to it, is no time.
        let since = |from: u64, to: u64| Span {
            from: if to > 0 { from } else { 0 },
            to: if from > 0 { to } else { 0 },
        };
        for (name, span) in [
            ("duration", since(created, ended)),
            ("billsec", since(answered, ended)),
            ("progresssec", since(created, progress)),
            ("answersec", since(created, answered)),
            ("waitsec", since(created, bridged)),
            ("progress_mediasec", since(created, progress_media)),
            ("flow_billsec", since(created, if answered > 0 { ended } else { 0 })),
        ] {
            self.variables.print(name, span.seconds());
            let (milli, micro) = match name.strip_suffix("sec") {
                Some(name) => ([name, "msec"].concat(), [name, "usec"].concat()),
                None => ("mduration".to_owned(), "uduration".to_owned()),
            };
            self.variables.print(&milli, span.millis());
            self.variables.print(&micro, span.micros());
        }
    }

    fn stamp_media(&mut self) {
        let Some((media, stats)) = self.media.main_line() else {
            // Past us: where the far end listens is all that is known.
            let remote = self.media.remote().filter(|_| self.media.goes_past());
            let told = remote.and_then(|remote| remote.rtp_address(remote.first(&Kind::Audio)?));
            if let Some(told) = told {
                self.variables.print("remote_media_ip", told.ip());
                self.variables.print("remote_media_port", told.port());
            }
            return;
        };
        let (codec, port, told) = (media.codec.name.clone(), media.local_port, media.remote_rtp);
        self.variables.set("read_codec", &codec);
        self.variables.set("write_codec", &codec);
        let address = self.media.address();
        self.variables.print("local_media_ip", address.bind);
        self.variables.print("local_media_port", port);
        self.variables.print("advertised_media_ip", address.advertised);
        if let Some(remote) = stats.source.or(told) {
            self.variables.print("remote_media_ip", remote.ip());
            self.variables.print("remote_media_port", remote.port());
        }
        self.stamp_counts(&stats);
    }

    fn stamp_counts(&mut self, stats: &Stats) {
        for (name, value) in [
            ("rtp_audio_in_raw_bytes", stats.received.bytes),
            ("rtp_audio_in_media_bytes", stats.received.bytes),
            ("rtp_audio_in_packet_count", stats.received.packets),
            ("rtp_audio_in_media_packet_count", stats.received.packets),
            ("rtp_audio_in_skip_packet_count", u64::try_from(stats.lost).unwrap_or(0)),
            ("rtp_audio_out_raw_bytes", stats.sent.bytes),
            ("rtp_audio_out_media_bytes", stats.sent.bytes),
            ("rtp_audio_out_packet_count", stats.sent.packets),
            ("rtp_audio_out_media_packet_count", stats.sent.packets),
            ("rtp_audio_rtcp_packet_count", stats.rtcp.received),
        ] {
            self.variables.print(name, value);
        }
        if let Some(mos) = stats.mos {
            self.variables.print("rtp_audio_in_mos", format_args!("{mos:.2}"));
        }
    }
}

/// `%Y-%m-%d %T` where the machine is.
fn local_time(micros: u64, zone: &TimeZone) -> String {
    let at =
        i64::try_from(micros).ok().and_then(|at| Timestamp::from_microsecond(at).ok()).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_cut_in_each_unit_by_itself() {
        let span = Span { from: 1_999_999, to: 2_000_001 };
        assert_eq!((span.seconds(), span.millis(), span.micros()), (1, 1, 2));
    }

    #[test]
    fn a_stamp_is_the_time_of_the_place() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(local_time(1_795_211_453_443_979, &zone), "2026-11-20 22:50:53");
    }
}
