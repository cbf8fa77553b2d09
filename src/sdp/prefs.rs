//! FreeSWITCH's codec preference strings: `OPUS,G722,PCMU@8000h@20i@64000b@1c,H264,VP8`.
//!
//! (Profile parameters inbound-codec-prefs and outbound-codec-prefs, variables absolute_codec_string and
//! codec_string; the form is that of `switch_parse_codec_buf` in FreeSWITCH's `switch_loadable_module.c`.)

use std::fmt;

use super::codec::{known, static_pt};
use super::parse::MAX_CLOCK;
use super::{Codec, Kind};

/// Entries of one preference string that are read; the rest is dropped.
const MAX_PREFS: usize = 50;

/// An ordered list of codecs one is willing to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefs {
    /// In order of preference.
    pub list: Vec<Pref>,
    /// The string began with `=`: take it as it is, do not add the other leg's codecs.
    pub exact: bool,
}

/// One entry. What is None does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pref {
    /// Encoding name, compared without case. `*` is any codec the other entries do not name.
    pub name: String,
    /// `@8000h`: clock rate in Hz; for G722 both 8000 and 16000 mean it.
    pub clock: Option<u32>,
    /// `@20i`: packet time in ms.
    pub ptime: Option<u16>,
    /// `@64000b`: bit rate, kept for display.
    pub bitrate: Option<u32>,
    /// `@2c`: channels.
    pub channels: Option<u8>,
    /// `~octet-align=1`: parameters for an offer made from preferences alone.
    pub fmtp: Option<String>,
}

impl Prefs {
    /// Reads a preference string. Entries that make no sense are skipped: a preference names what one would
    /// like, so there is nothing to refuse.
    pub fn parse(text: &str) -> Prefs {
        let text = text.trim();
        let (exact, text) = match text.strip_prefix('=') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let list = text.split([',', ':']).filter_map(Pref::parse).take(MAX_PREFS).collect();
        Prefs { list, exact }
    }

    /// Nothing preferred.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The rank of a codec in the list, None when it is not wanted. `*` ranks where it stands.
    pub fn rank(&self, codec: &Codec) -> Option<usize> {
        let named = self.list.iter().position(|p| p.names(codec));
        named.or_else(|| self.list.iter().position(|p| p.name == "*"))
    }

    /// The codecs an offer made from this list alone holds, for one kind of media. Payload numbers are the
    /// static ones, else from 102 up; `taken` are numbers not to use.
    pub(super) fn codecs(&self, kind: &Kind, taken: &mut Vec<u8>) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = Vec::new();
        for pref in self.list.iter().filter(|p| p.kind() == *kind) {
            let Some(mut codec) = pref.codec() else { continue };
            if codecs.iter().any(|c| c.same_format(&codec) && c.fmtp == codec.fmtp) {
                continue;
            }
            codec.pt = match static_pt(&codec.name, codec.clock, codec.channels) {
                Some(pt) => pt,
                None => match free_number(taken) {
                    Some(pt) => pt,
                    None => continue,
                },
            };
            taken.push(codec.pt);
            codecs.push(codec);
        }
        codecs
    }

    /// The packet time the list asks for with a codec.
    pub(super) fn ptime(&self, codec: &Codec) -> Option<u16> {
        self.list.iter().find(|p| p.names(codec)).and_then(|p| p.ptime)
    }
}

/// The first free dynamic payload number, as FreeSWITCH from 102 up, then 96–100.
pub(super) fn free_number(taken: &[u8]) -> Option<u8> {
    (102..=127).chain(96..=100).find(|pt| !taken.contains(pt))
}

impl Pref {
    fn parse(text: &str) -> Option<Pref> {
        let text = text.trim();
        let (text, fmtp) = match text.split_once('~') {
            Some((text, fmtp)) => (
                text,
                Some(fmtp.trim().to_owned()).filter(|f| !f.is_empty() && !f.contains(char::is_control)),
            ),
            None => (text, None),
        };
        let mut parts = text.split('@');
        // `mod_opus.OPUS` names the module that should provide it
        let name = parts.next()?.rsplit('.').next()?.trim();
        let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '*');
        if name.is_empty() || name.len() > 32 || !name.chars().all(token) {
            return None;
        }
        let mut pref =
            Pref { name: name.to_owned(), clock: None, ptime: None, bitrate: None, channels: None, fmtp };
        for part in parts {
            let Some((at, unit)) = part.char_indices().next_back() else { continue };
            let Some(number) = part.get(..at) else { continue };
            match unit {
                'h' => pref.clock = number.parse().ok().filter(|n| (1..=MAX_CLOCK).contains(n)),
                'i' => pref.ptime = number.parse().ok().filter(|n| (1..=1000).contains(n)),
                'b' => pref.bitrate = number.parse().ok(),
                'c' => pref.channels = number.parse().ok().filter(|n| *n != 0),
                _ => {}
            }
        }
        Some(pref)
    }

    /// Does this entry name that codec (name, clock, channels)?
    pub fn names(&self, codec: &Codec) -> bool {
        codec.is(&self.name)
            && self.clock.is_none_or(|c| c == codec.clock || c == codec.sample_rate())
            && self.channels.is_none_or(|c| c == codec.channels || codec.is("opus"))
    }

    /// The kind of m-line it belongs to; a name nobody knows is audio.
    pub fn kind(&self) -> Kind {
        known(&self.name).map_or(Kind::Audio, |k| k.3)
    }

    fn codec(&self) -> Option<Codec> {
        if self.name == "*" {
            return None;
        }
        let fallback = (self.clock.unwrap_or(8000), self.channels.unwrap_or(1));
        let mut codec = match known(&self.name) {
            Some((name, clock, channels, _, fmtp)) => {
                let fixed = name == "G722" || name == "opus" || clock == 90000;
                let clock = if fixed { clock } else { self.clock.unwrap_or(clock) };
                let channels = if fixed { channels } else { self.channels.unwrap_or(channels) };
                Codec { fmtp: fmtp.map(str::to_owned), ..Codec::new(0, name, clock, channels) }
            }
            None => Codec::new(0, self.name.clone(), fallback.0, fallback.1),
        };
        if self.fmtp.is_some() {
            codec.fmtp = self.fmtp.clone();
        }
        Some(codec)
    }
}

impl fmt::Display for Prefs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exact {
            f.write_str("=")?;
        }
        self.list.iter().enumerate().try_for_each(|(i, p)| write!(f, "{}{p}", if i == 0 { "" } else { "," }))
    }
}

impl fmt::Display for Pref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.clock.map_or(Ok(()), |n| write!(f, "@{n}h"))?;
        self.ptime.map_or(Ok(()), |n| write!(f, "@{n}i"))?;
        self.bitrate.map_or(Ok(()), |n| write!(f, "@{n}b"))?;
        self.channels.map_or(Ok(()), |n| write!(f, "@{n}c"))?;
        self.fmtp.as_ref().map_or(Ok(()), |p| write!(f, "~{p}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_all_their_marks() {
        let p = Prefs::parse("OPUS,G722, PCMU@8000h@20i@64000b@1c ,H264,mod_amr.AMR~octet-align=1,,x y,@20i");
        assert_eq!(
            p.list.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            ["OPUS", "G722", "PCMU", "H264", "AMR"]
        );
        assert_eq!(p.to_string(), "OPUS,G722,PCMU@8000h@20i@64000b@1c,H264,AMR~octet-align=1");
        assert!(Prefs::parse("=PCMA").exact);
        assert!(Prefs::parse("").is_empty());
        assert_eq!(Prefs::parse("PCMU@xh@99999999999b@é").list[0].clock, None);
    }

    #[test]
    fn rank_is_the_place_in_the_list_and_star_takes_the_rest() {
        let p = Prefs::parse("G722@16000h,pcmu,*");
        assert_eq!(p.rank(&Codec::new(9, "G722", 8000, 1)), Some(0));
        assert_eq!(p.rank(&Codec::new(0, "PCMU", 8000, 1)), Some(1));
        assert_eq!(p.rank(&Codec::new(114, "AMR", 8000, 1)), Some(2));
        assert_eq!(Prefs::parse("PCMU@16000h").rank(&Codec::new(0, "PCMU", 8000, 1)), None);
    }

    #[test]
    fn an_offer_from_preferences_alone_has_numbers() {
        let p = Prefs::parse("OPUS,G722,PCMU,PCMA@20i,speex@16000h,speex,FOO@16000h,H264,VP8,PCMU,*");
        let mut taken = vec![101];
        let audio: Vec<_> =
            p.codecs(&Kind::Audio, &mut taken).iter().map(|c| format!("{} {c}", c.pt)).collect();
        assert_eq!(
            audio,
            [
                "102 opus/48000/2",
                "9 G722/8000",
                "0 PCMU/8000",
                "8 PCMA/8000",
                "103 speex/16000",
                "104 speex/8000",
                "105 FOO/16000"
            ]
        );
        let video: Vec<_> =
            p.codecs(&Kind::Video, &mut vec![]).iter().map(|c| format!("{} {c}", c.pt)).collect();
        assert_eq!(video, ["102 H264/90000", "103 VP8/90000"]);
    }
}
