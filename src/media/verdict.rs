//! The media verdict: what two streams' counts mean, in plain words.
//!
//! ```text
//! A→B flowing 50 pps; B→A none: no packet ever arrived on port 20004, B's SDP said 10.0.0.4:7078
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::stats::Stats;

/// A direction in which nothing came for so long has stopped.
const STOPPED: Duration = Duration::from_secs(2);

/// One side of a call.
#[derive(Copy, Clone, Debug)]
pub struct Side<'a> {
    /// What to call it: "A", "1000".
    pub name: &'a str,
    /// Its stream's counts.
    pub stats: &'a Stats,
    /// Our port for it.
    pub port: u16,
    /// Where its SDP said it listens.
    pub sdp: Option<SocketAddr>,
    /// It is expected to send: its SDP says sendrecv or sendonly and the call is not on hold.
    pub sends: bool,
}

/// How media goes one way.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Packets arrive and are passed on, so many per second on average.
    Flowing(Option<f64>),
    /// They did, and ceased so long ago.
    Stopped {
        /// Packets that came before.
        packets: u64,
        /// Time since the last.
        since: Duration,
    },
    /// They arrive, but do not leave: this is why.
    Blocked(String),
    /// None arrived: this is why, as far as can be told.
    None(String),
    /// None expected: hold, or a direction not agreed.
    Quiet,
}

/// Both ways of a call's media.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    names: [String; 2],
    /// From the first side to the second.
    pub there: Way,
    /// From the second to the first.
    pub back: Way,
}

/// The verdict in one word.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Every direction that should flow does.
    Flowing,
    /// One does and one does not.
    OneWay,
    /// None does.
    None,
}

impl Verdict {
    /// The verdict in one word.
    pub fn summary(&self) -> Summary {
        let bad = [&self.there, &self.back]
            .into_iter()
            .filter(|w| !matches!(w, Way::Flowing(_) | Way::Quiet))
            .count();
        match bad {
            0 => Summary::Flowing,
            1 => Summary::OneWay,
            _ => Summary::None,
        }
    }
}

/// Judges a call by both streams. Works after the streams' end too, on counts taken then.
pub fn verdict(a: Side<'_>, b: Side<'_>) -> Verdict {
    Verdict { names: [a.name.to_owned(), b.name.to_owned()], there: way(a, b), back: way(b, a) }
}

fn way(from: Side<'_>, to: Side<'_>) -> Way {
    let (received, dropped) = (&from.stats.received, &from.stats.dropped);
    let Some(last) = received.last else {
        return if from.sends || dropped.wrong_source + dropped.unknown_payload > 0 {
            Way::None(why_nothing(from))
        } else {
            Way::Quiet
        };
    };
    if last >= STOPPED {
        return if from.sends { Way::Stopped { packets: received.packets, since: last } } else { Way::Quiet };
    }
    if to.stats.sent.packets == 0 {
        let (out, name) = (&to.stats.dropped, to.name);
        let why = if out.send_failed > 0 {
            format!("the system refused all {} packets to {name}", out.send_failed)
        } else if out.not_sent > 0 {
            format!("{name} has no address or does not want to receive")
        } else if dropped.not_mapped > 0 {
            format!("{name} has no payload type for what {} sends", from.name)
        } else if dropped.no_peer > 0 {
            "the legs are not bridged".to_owned()
        } else {
            format!("nothing was sent to {name}")
        };
        return Way::Blocked(why);
    }
    Way::Flowing(received.rate())
}

fn why_nothing(side: Side<'_>) -> String {
    let (name, port, dropped) = (side.name, side.port, &side.stats.dropped);
    let said = match side.sdp {
        Some(sdp) => format!("{name}'s SDP said {sdp}"),
        None => format!("{name} sent no SDP"),
    };
    if dropped.wrong_source > 0 {
        let from = side.stats.stranger.map_or_else(String::new, |s| format!(" from {s}"));
        format!("{} packets{from} on port {port} were refused, {said}", dropped.wrong_source)
    } else if dropped.unknown_payload > 0 {
        format!(
            "{} packets on port {port} had a payload type that was not negotiated",
            dropped.unknown_payload
        )
    } else if dropped.not_rtp > 0 {
        format!("{} packets on port {port} were no RTP, {said}", dropped.not_rtp)
    } else {
        format!("no packet ever arrived on port {port}, {said}")
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Flowing(Some(rate)) => write!(f, "flowing {rate:.0} pps"),
            Way::Flowing(None) => write!(f, "flowing"),
            Way::Stopped { packets, since } => {
                write!(f, "stopped {:.1} s ago after {packets} packets", since.as_secs_f64())
            }
            Way::Blocked(why) => write!(f, "arrives but goes no further: {why}"),
            Way::None(why) => write!(f, "none: {why}"),
            Way::Quiet => write!(f, "quiet, as agreed"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.names;
        write!(f, "{a}→{b} {}; {b}→{a} {}", self.there, self.back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::stats::{Dropped, Flow};

    fn flow(packets: u64, first_s: u64, last_ms: u64) -> Flow {
        Flow {
            packets,
            bytes: packets * 172,
            first: Some(Duration::from_secs(first_s)),
            last: Some(Duration::from_millis(last_ms)),
        }
    }

    fn talking() -> Stats {
        Stats { received: flow(151, 3, 0), sent: flow(151, 3, 0), ..Stats::default() }
    }

    fn side<'a>(name: &'a str, stats: &'a Stats) -> Side<'a> {
        let sdp = Some(SocketAddr::from(([10, 0, 0, 4], 7078)));
        Side { name, stats, port: 20_004, sdp, sends: true }
    }

    #[test]
    fn in_plain_words() {
        let deaf = |dropped| Stats { sent: flow(151, 3, 0), dropped, ..Stats::default() };
        let strange = Some(SocketAddr::from(([203, 0, 113, 9], 4000)));
        let table: &[(Stats, Stats, Summary, &str)] = &[
            (talking(), talking(), Summary::Flowing, "A→B flowing 50 pps; B→A flowing 50 pps"),
            (
                talking(),
                deaf(Dropped::default()),
                Summary::OneWay,
                "A→B flowing 50 pps; B→A none: no packet ever arrived on port 20004, B's SDP said 10.0.0.4:7078",
            ),
            (
                talking(),
                Stats { stranger: strange, ..deaf(Dropped { wrong_source: 150, ..Dropped::default() }) },
                Summary::OneWay,
                "A→B flowing 50 pps; B→A none: 150 packets from 203.0.113.9:4000 on port 20004 were refused, B's SDP said \
                 10.0.0.4:7078",
            ),
            (
                talking(),
                deaf(Dropped { unknown_payload: 9, ..Dropped::default() }),
                Summary::OneWay,
                "A→B flowing 50 pps; B→A none: 9 packets on port 20004 had a payload type that was not negotiated",
            ),
            (
                talking(),
                deaf(Dropped { not_rtp: 9, ..Dropped::default() }),
                Summary::OneWay,
                "A→B flowing 50 pps; B→A none: 9 packets on port 20004 were no RTP, B's SDP said 10.0.0.4:7078",
            ),
            (
                talking(),
                Stats { received: flow(100, 9, 4500), ..talking() },
                Summary::OneWay,
                "A→B flowing 50 pps; B→A stopped 4.5 s ago after 100 packets",
            ),
            (
                talking(),
                Stats { dropped: Dropped { not_sent: 5, ..Dropped::default() }, ..Stats::default() },
                Summary::None,
                "A→B arrives but goes no further: B has no address or does not want to receive; B→A none: no packet ever \
                 arrived on port 20004, B's SDP said 10.0.0.4:7078",
            ),
        ];
        for (a, b, summary, text) in table {
            let v = verdict(side("A", a), side("B", b));
            assert_eq!((v.summary(), v.to_string().as_str()), (*summary, *text));
        }
    }

    #[test]
    fn hold_is_no_fault() {
        let (a, b) = (talking(), Stats { received: flow(100, 60, 30_000), ..talking() });
        let v = verdict(side("A", &a), Side { sends: false, ..side("B", &b) });
        assert_eq!((v.summary(), v.back), (Summary::Flowing, Way::Quiet));
        let never = Stats::default();
        let v =
            verdict(Side { sends: false, ..side("A", &never) }, Side { sends: false, ..side("B", &never) });
        assert_eq!(v.to_string(), "A→B quiet, as agreed; B→A quiet, as agreed");
    }
}
