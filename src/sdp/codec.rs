//! A codec as a session description names it: payload type, encoding name, clock, channels, parameters.
//!
//! A relay need not implement a codec to pass it on, so any name is allowed here. What is known about well
//! known ones (RFC 3551 §6 static numbers, clocks of dynamic ones) is in two tables.

use std::borrow::Cow;
use std::fmt;

use super::Kind;

/// One payload format of an m-line (`a=rtpmap` + `a=fmtp`, or a static payload type without either).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// RTP payload type, 0–127.
    pub pt: u8,
    /// Encoding name as spelled by who wrote it; compare with [`Codec::is`].
    pub name: Cow<'static, str>,
    /// RTP clock rate in Hz as signalled (8000 for G722, though it samples at 16000: RFC 3551 §4.5.2).
    pub clock: u32,
    /// Audio channels, 1 when the rtpmap names none.
    pub channels: u8,
    /// The text of `a=fmtp` after the payload type.
    pub fmtp: Option<String>,
}

impl Codec {
    /// A codec without parameters.
    pub fn new(pt: u8, name: impl Into<Cow<'static, str>>, clock: u32, channels: u8) -> Codec {
        Codec { pt, name: name.into(), clock, channels, fmtp: None }
    }

    /// The codec a static payload type stands for (RFC 3551 table 4 and 5), known without rtpmap.
    pub fn of_static(pt: u8) -> Option<Codec> {
        STATIC.iter().find(|s| s.0 == pt).map(|s| Codec::new(pt, s.1, s.2, s.3))
    }

    /// An encoding name as spelled, without a copy where everybody spells it so.
    pub(super) fn spelled(name: &str) -> Cow<'static, str> {
        let own = match name {
            "PCMU" => "PCMU",
            "PCMA" => "PCMA",
            "G722" => "G722",
            "G729" => "G729",
            "GSM" => "GSM",
            "CN" => "CN",
            "opus" => "opus",
            "telephone-event" => "telephone-event",
            "H264" => "H264",
            "VP8" => "VP8",
            other => return Cow::Owned(other.to_owned()),
        };
        Cow::Borrowed(own)
    }

    /// Is this its name? Encoding names are compared without regard to case (RFC 8866 §6.6).
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// RFC 4733 telephone-event: carries DTMF beside a codec, is never the codec of a call.
    pub fn is_event(&self) -> bool {
        self.is("telephone-event")
    }

    /// RFC 3389 comfort noise.
    pub fn is_noise(&self) -> bool {
        self.is("CN")
    }

    /// Retransmission and redundancy formats, which only wrap another payload type.
    pub fn is_wrapper(&self) -> bool {
        ["rtx", "red", "ulpfec", "flexfec", "flexfec-03", "parityfec"].iter().any(|n| self.is(n))
    }

    /// Can this be the codec of a call: not events, noise, or a wrapper.
    pub fn is_primary(&self) -> bool {
        !(self.is_event() || self.is_noise() || self.is_wrapper())
    }

    /// Samples per second of the sound itself: the clock, except G722 (16000 at a clock of 8000).
    pub fn sample_rate(&self) -> u32 {
        if self.is("G722") { 16000 } else { self.clock }
    }

    /// The value of one `name=value` parameter of the fmtp.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.as_deref()?.split(';').find_map(|p| {
            let (n, v) = p.split_once('=')?;
            n.trim().eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    /// Same name, clock and channels, whatever payload number and parameters.
    pub fn same_format(&self, other: &Codec) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock == other.clock
            && self.channels == other.channels
    }

    /// Can packets of one be read as the other's without change: [`Codec::same_format`], and those
    /// parameters agree which change the bytes on the wire (AMR's octet alignment, H.264's packetisation
    /// mode and profile, iLBC's and G.722.1's frame).
    pub fn interworks(&self, other: &Codec) -> bool {
        self.same_format(other)
            && WIRE_PARAMETERS.iter().filter(|w| self.is(w.0)).all(|&(_, parameter, default)| {
                let of = |c: &Codec| c.parameter(parameter).unwrap_or(default).to_ascii_lowercase();
                let (a, b) = (of(self), of(other));
                if parameter == "profile-level-id" { profile(&a) == profile(&b) } else { a == b }
            })
    }

    /// Must the rtpmap be written: not for a static payload type in its own meaning.
    pub(super) fn needs_rtpmap(&self) -> bool {
        Codec::of_static(self.pt).is_none_or(|s| !s.same_format(self))
    }
}

/// The value of an rtpmap after the payload type: `opus/48000/2`.
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock)?;
        if self.channels > 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

/// The H.264 profile within a profile-level-id (RFC 6184 §8.1): profile_idc, and of the constraint flags
/// only those that tell the constrained baseline profile apart. The level may differ.
fn profile(id: &str) -> &str {
    match id.get(..2) {
        Some("42") => "42",
        Some("4d") => "4d",
        Some(p) => p,
        None => id,
    }
}

/// Parameters that change what is on the wire: codec, parameter, default.
const WIRE_PARAMETERS: &[(&str, &str, &str)] = &[
    ("AMR", "octet-align", "0"),
    ("AMR-WB", "octet-align", "0"),
    ("H264", "packetization-mode", "0"),
    ("H264", "profile-level-id", "420010"),
    ("iLBC", "mode", "30"),
    ("G7221", "bitrate", "32000"),
];

/// RFC 3551 tables 4 and 5.
const STATIC: &[(u8, &str, u32, u8)] = &[
    (0, "PCMU", 8000, 1),
    (3, "GSM", 8000, 1),
    (4, "G723", 8000, 1),
    (5, "DVI4", 8000, 1),
    (6, "DVI4", 16000, 1),
    (7, "LPC", 8000, 1),
    (8, "PCMA", 8000, 1),
    (9, "G722", 8000, 1),
    (10, "L16", 44100, 2),
    (11, "L16", 44100, 1),
    (12, "QCELP", 8000, 1),
    (13, "CN", 8000, 1),
    (14, "MPA", 90000, 1),
    (15, "G728", 8000, 1),
    (16, "DVI4", 11025, 1),
    (17, "DVI4", 22050, 1),
    (18, "G729", 8000, 1),
    (25, "CelB", 90000, 1),
    (26, "JPEG", 90000, 1),
    (28, "nv", 90000, 1),
    (31, "H261", 90000, 1),
    (32, "MPV", 90000, 1),
    (33, "MP2T", 90000, 1),
    (34, "H263", 90000, 1),
];

/// What a codec looks like that only a preference names: name as written on the wire, clock, channels,
/// is it video, the fmtp an offer carries.
pub(super) struct Known {
    pub name: &'static str,
    pub clock: u32,
    pub channels: u8,
    pub video: bool,
    pub fmtp: Option<&'static str>,
}

const fn audio(name: &'static str, clock: u32, channels: u8, fmtp: Option<&'static str>) -> Known {
    Known { name, clock, channels, video: false, fmtp }
}

const fn video(name: &'static str, fmtp: Option<&'static str>) -> Known {
    Known { name, clock: 90000, channels: 1, video: true, fmtp }
}

/// Codecs with dynamic payload numbers. The first of a name is its usual clock.
const DYNAMIC: &[Known] = &[
    audio("opus", 48000, 2, Some("useinbandfec=1")),
    audio("speex", 8000, 1, None),
    audio("iLBC", 8000, 1, None),
    audio("AMR", 8000, 1, None),
    audio("AMR-WB", 16000, 1, None),
    audio("G7221", 16000, 1, Some("bitrate=32000")),
    audio("G726-16", 8000, 1, None),
    audio("G726-24", 8000, 1, None),
    audio("G726-32", 8000, 1, None),
    audio("G726-40", 8000, 1, None),
    audio("CODEC2", 8000, 1, None),
    audio("SILK", 8000, 1, None),
    audio("L16", 8000, 1, None),
    video("H264", Some("profile-level-id=42e01f;packetization-mode=1")),
    video("H265", None),
    video("VP8", None),
    video("VP9", None),
    video("AV1", None),
    video("H263-1998", None),
    video("H263-2000", None),
    video("MP4V-ES", None),
];

/// Looks a name up in the tables; None for a codec nobody here has heard of.
pub(super) fn known(name: &str) -> Option<(&'static str, u32, u8, Kind, Option<&'static str>)> {
    if let Some(k) = DYNAMIC.iter().find(|k| k.name.eq_ignore_ascii_case(name)) {
        let kind = if k.video { Kind::Video } else { Kind::Audio };
        return Some((k.name, k.clock, k.channels, kind, k.fmtp));
    }
    let s = STATIC.iter().find(|s| s.1.eq_ignore_ascii_case(name))?;
    let kind = if s.2 == 90000 && s.0 != 14 { Kind::Video } else { Kind::Audio };
    Some((s.1, s.2, s.3, kind, None))
}

/// The static payload number of a codec, when it has one.
pub(super) fn static_pt(name: &str, clock: u32, channels: u8) -> Option<u8> {
    STATIC.iter().find(|s| s.1.eq_ignore_ascii_case(name) && s.2 == clock && s.3 == channels).map(|s| s.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(pt: u8, fmtp: &str) -> Codec {
        Codec { fmtp: Some(fmtp.into()), ..Codec::new(pt, "H264", 90000, 1) }
    }

    #[test]
    fn static_numbers_are_known_without_rtpmap() {
        for (pt, text) in
            [(0, "PCMU/8000"), (8, "PCMA/8000"), (9, "G722/8000"), (18, "G729/8000"), (10, "L16/44100/2")]
        {
            assert_eq!(Codec::of_static(pt).unwrap().to_string(), text);
        }
        assert_eq!(Codec::of_static(96), None);
        assert_eq!(Codec::of_static(1), None);
    }

    #[test]
    fn g722_samples_at_twice_its_clock() {
        assert_eq!(Codec::of_static(9).unwrap().sample_rate(), 16000);
        assert_eq!(Codec::of_static(0).unwrap().sample_rate(), 8000);
    }

    #[test]
    fn names_are_compared_without_case_and_numbers_ignored() {
        assert!(Codec::new(96, "OPUS", 48000, 2).same_format(&Codec::new(111, "opus", 48000, 2)));
        assert!(!Codec::new(96, "opus", 48000, 2).same_format(&Codec::new(96, "opus", 48000, 1)));
    }

    #[test]
    fn parameters_that_change_the_wire_must_agree() {
        let a = h264(126, "profile-level-id=42e00b;cif=1;fps=10");
        assert!(a.interworks(&h264(96, "profile-level-id=42801F")));
        assert!(!a.interworks(&h264(96, "profile-level-id=42e00b;packetization-mode=1")));
        assert!(!a.interworks(&h264(96, "profile-level-id=640028")));
        let amr = |f: &str| Codec { fmtp: Some(f.into()), ..Codec::new(114, "AMR", 8000, 1) };
        assert!(amr("mode-set=0").interworks(&amr("octet-align=0")));
        assert!(!amr("mode-set=0").interworks(&amr("octet-align=1")));
    }

    #[test]
    fn rtpmap_is_needed_only_where_the_number_does_not_say_it() {
        assert!(!Codec::new(0, "PCMU", 8000, 1).needs_rtpmap());
        assert!(Codec::new(96, "PCMU", 8000, 1).needs_rtpmap());
        assert!(Codec::new(0, "PCMU", 16000, 1).needs_rtpmap());
    }
}
