//! Whose packets a stream takes, and where it sends (comedia, strict).
//!
//! Signalling names an address; a phone behind NAT sends from another one; and anybody may throw packets at an open
//! port (RTP bleed). Every source has a **rank**, given by what signalling vouches for:
//!
//! | rank | the source is |
//! | --- | --- |
//! | `Exact` | the address and port of the SDP |
//! | `Address` | the SDP's IP address with another port, or the IP address the peer's SIP comes from |
//! | `Stranger` | anything else |
//!
//! [`Learn`] says which ranks count at all: `Never` takes `Exact`; `Port` takes `Address` too; `Nat` takes also
//! strangers, for `window` after signalling named (or changed) the address. A packet counts only when it is valid RTP
//! of a negotiated payload type; the caller sees to that. Then:
//!
//! | state | packet from | what happens |
//! | --- | --- | --- |
//! | nothing latched | `Exact` or `Address` | latched, at any time |
//! | nothing latched | `Stranger` within the window | latched |
//! | nothing latched | `Stranger` after the window | dropped: only who signalling vouches for may come late |
//! | latched | the latched source | taken |
//! | latched | a higher rank | followed after [`PROBATION`] packets in a row, at any time: an attacker who came first loses its hold within 60 ms of the true party's first packet |
//! | latched, less than `window` ago, silent for [`PAUSE`] | the same or a lower rank that counts | followed after [`PROBATION`] packets: a spray that hit the port first is forgotten when it stops |
//! | latched, silent for [`SILENCE`] | any rank that counts, with the SSRC of the latched stream | followed after [`PROBATION`] packets: the NAT gave the phone another port; a third party does not know the SSRC, since the relay never shows it to the other side |
//! | latched | anything else | dropped and counted |
//! | any | `Address` or `Stranger`, with the source and the SSRC of the call that had the port pair a short while before | dropped: it goes on as if that call had not ended |
//! | any | signalling names another address, or another SIP source | unlatched, the window opens anew |
//! | any | signalling repeats the same addresses (session refresh) | nothing changes |
//!
//! Behind NAT two strangers of the same rank who both keep sending cannot be told apart by anything in the packets: the
//! first holds until it stops or signalling says otherwise ([`Stream::unlatch`](super::Stream::unlatch)). This is why
//! the leg should always pass the IP address its SIP comes from: then the phone ranks above every stranger
//! ([`Remote::seen_from`] is the rule for that).
//!
//! Sending goes to the latched source, else to the signalled address. When signalling changes the port but not the IP
//! address of a peer that was latched elsewhere, sending stays with the old source until the new one is heard: what is
//! in the SDP of a phone behind NAT is an address nobody can reach.
//!
//! Known limit: who can forge the source address of the signalled party can inject, as with every plain RTP relay;
//! SRTP is the answer to that.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// So many packets in a row (no other candidate between) before another source is followed: 40–60 ms of speech.
pub const PROBATION: u8 = 3;
/// While learning, a latched source that is quiet for so long may be replaced.
pub const PAUSE: Duration = Duration::from_millis(200);
/// Later, a source that is quiet for so long may be replaced by one with the same SSRC.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Which sources may be learned.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Learn {
    /// None: only the address and port of the SDP.
    Never,
    /// The signalled IP addresses with any port: peers that send from another port than they listen on.
    Port,
    /// Any source, for so long after signalling named the address: peers behind NAT.
    Nat {
        /// How long a stranger may be the first to be heard.
        window: Duration,
    },
}

/// The peer of a stream as signalling describes it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Address and port of the SDP's c= and m= lines.
    pub rtp: SocketAddr,
    /// a=rtcp, when the SDP has one; else RTCP goes to the RTP port + 1.
    pub rtcp: Option<SocketAddr>,
    /// RTP and RTCP share the RTP port (RFC 5761), agreed by both.
    pub rtcp_mux: bool,
    /// The IP address the peer's SIP messages come from, when it is the peer itself (not a proxy that carries no media).
    pub signalling: Option<IpAddr>,
    /// Which sources may be learned.
    pub learn: Learn,
    /// The peer is expected to send (its direction is sendrecv or sendonly, and ours allows it).
    pub receive: bool,
    /// We may send to it.
    pub send: bool,
}

impl Remote {
    /// Both directions, the signalled address only, RTCP on the next port.
    pub fn at(rtp: SocketAddr) -> Remote {
        Remote {
            rtp,
            rtcp: None,
            rtcp_mux: false,
            signalling: None,
            learn: Learn::Never,
            receive: true,
            send: true,
        }
    }

    /// The same with learning behind NAT: strangers for ten seconds after signalling.
    #[must_use]
    pub fn behind_nat(self) -> Remote {
        Remote { learn: Learn::Nat { window: Duration::from_secs(10) }, ..self }
    }

    /// What to expect of a peer whose SDP names `rtp` and whose SIP comes from `signalling`. The same IP address: no NAT
    /// between, or one that keeps it, so no stranger counts, only another port. Different ones: behind NAT, or media
    /// elsewhere than signalling, and what comes first counts.
    pub fn seen_from(rtp: SocketAddr, signalling: IpAddr) -> Remote {
        let remote = Remote { signalling: Some(signalling), ..Remote::at(rtp) };
        if rtp.ip() == signalling { Remote { learn: Learn::Port, ..remote } } else { remote.behind_nat() }
    }

    fn rank(&self, from: SocketAddr) -> Rank {
        if from == self.rtp {
            Rank::Exact
        } else if from.ip() == self.rtp.ip() || Some(from.ip()) == self.signalling {
            Rank::Address
        } else {
            Rank::Stranger
        }
    }

    fn counts(&self, rank: Rank) -> bool {
        match self.learn {
            Learn::Never => rank == Rank::Exact,
            Learn::Port => rank >= Rank::Address,
            Learn::Nat { .. } => true,
        }
    }

    fn window(&self) -> Duration {
        match self.learn {
            Learn::Nat { window } => window,
            Learn::Never | Learn::Port => Duration::ZERO,
        }
    }
}

/// How much signalling vouches for a source.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Named nowhere in signalling.
    Stranger,
    /// Its IP address is known from the SDP or from SIP.
    Address,
    /// The SDP names it with its port.
    Exact,
}

/// The answer to one packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It comes from the latched source.
    Taken,
    /// It is the first: its source is now latched.
    Latched,
    /// The source changed; this was the old one.
    Moved(SocketAddr),
    /// Drop it.
    Refused,
}

struct Held {
    source: SocketAddr,
    rank: Rank,
    ssrc: Option<u32>,
    since: Instant,
    last: Instant,
}

struct Candidate {
    source: SocketAddr,
    ssrc: Option<u32>,
    packets: u8,
}

/// A stream that was heard on a port pair in the call before: whoever still sends it means that call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Where it came from.
    pub source: SocketAddr,
    /// Its SSRC. A phone that calls again from the same port has another one.
    pub ssrc: u32,
}

/// The latch of one stream's RTP.
#[derive(Default)]
pub struct Latch {
    remote: Option<(Remote, Instant)>,
    former: Option<Former>,
    held: Option<Held>,
    candidate: Option<Candidate>,
    /// Where to send while nothing is latched, when that is better than the signalled address.
    old: Option<SocketAddr>,
}

impl Latch {
    /// The latch of a stream on a port pair that `former` may still send to.
    pub fn after(former: Option<Former>) -> Latch {
        Latch { former, ..Latch::default() }
    }

    /// What the next call on the same port pair has to know of this one.
    pub fn last_heard(&self) -> Option<Former> {
        let heard = self.held.as_ref().and_then(|h| Some(Former { source: h.source, ssrc: h.ssrc? }));
        heard.or(self.former)
    }

    /// Signalling names the peer. Returns whether the latch was opened.
    pub fn signalled(&mut self, now: Instant, remote: Remote) -> bool {
        let before = self.remote.map(|(r, _)| r);
        let same = before.is_some_and(|b| b.rtp == remote.rtp && b.signalling == remote.signalling);
        let still_counts = self.held.as_ref().is_none_or(|h| remote.counts(h.rank));
        if same && still_counts {
            let since = self.remote.map_or(now, |(_, s)| s);
            self.remote = Some((remote, since));
            return false;
        }
        self.old = self.target().filter(|_| {
            let same_host = before.is_some_and(|b| b.rtp.ip() == remote.rtp.ip());
            same_host && remote.counts(Rank::Stranger)
        });
        self.remote = Some((remote, now));
        self.unlatch(now);
        true
    }

    /// Forgets the latched source and opens the learning window anew.
    pub fn unlatch(&mut self, now: Instant) {
        if let Some((_, since)) = &mut self.remote {
            *since = now;
        }
        self.held = None;
        self.candidate = None;
    }

    /// Decides on one valid packet. What has no SSRC (a proxied datagram that is no RTP) cannot vouch for its source by
    /// it.
    pub fn admit(&mut self, now: Instant, from: SocketAddr, ssrc: Option<u32>) -> Admission {
        if let Some(held) = &mut self.held
            && held.source == from
        {
            held.last = now;
            held.ssrc = ssrc.or(held.ssrc);
            return Admission::Taken;
        }
        let Some((remote, since)) = &self.remote else { return Admission::Refused };
        let rank = remote.rank(from);
        let former = || ssrc.is_some_and(|ssrc| self.former == Some(Former { source: from, ssrc }));
        if !remote.counts(rank) || (rank < Rank::Exact && former()) {
            return Admission::Refused;
        }
        let window = remote.window();
        let Some(held) = &self.held else {
            if rank == Rank::Stranger && now.saturating_duration_since(*since) > window {
                return Admission::Refused;
            }
            self.hold(now, from, rank, ssrc);
            return Admission::Latched;
        };
        let quiet = now.saturating_duration_since(held.last);
        let learning = now.saturating_duration_since(held.since) < window;
        let follow = rank > held.rank
            || (learning && quiet >= PAUSE)
            || (quiet >= SILENCE && ssrc.is_some() && ssrc == held.ssrc);
        if !follow {
            return Admission::Refused;
        }
        let packets = match &self.candidate {
            Some(c) if c.source == from && c.ssrc == ssrc => c.packets.saturating_add(1),
            _ => 1,
        };
        if packets < PROBATION {
            self.candidate = Some(Candidate { source: from, ssrc, packets });
            return Admission::Refused;
        }
        let old = held.source;
        self.hold(now, from, rank, ssrc);
        Admission::Moved(old)
    }

    fn hold(&mut self, now: Instant, source: SocketAddr, rank: Rank, ssrc: Option<u32>) {
        self.held = Some(Held { source, rank, ssrc, since: now, last: now });
        self.candidate = None;
        self.old = None;
    }

    /// The latched source.
    pub fn source(&self) -> Option<SocketAddr> {
        self.held.as_ref().map(|h| h.source)
    }

    /// The latched source, when it is the very address signalling named: nobody ranks above it, so the socket may be
    /// connected to it as long as it is heard.
    pub fn certain(&self) -> Option<SocketAddr> {
        self.held.as_ref().filter(|h| h.rank == Rank::Exact).map(|h| h.source)
    }

    /// Nothing came from the latched source for [`SILENCE`].
    pub fn is_silent(&self, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|h| now.saturating_duration_since(h.last) >= SILENCE)
    }

    /// Where to send: the latched source, else where the peer was last heard (see the module's text), else the
    /// signalled address.
    pub fn target(&self) -> Option<SocketAddr> {
        self.source().or(self.old).or(self.remote.map(|(r, _)| r.rtp))
    }

    /// The peer as signalling described it last.
    pub fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref().map(|(r, _)| r)
    }
}

/// The latch of a stream's RTCP port: the signalled address or the port after the RTP source; with learning also any
/// port of the RTP source's IP address, the first one heard. Never a stranger.
#[derive(Copy, Clone, Default)]
pub struct RtcpLatch {
    held: Option<SocketAddr>,
}

impl RtcpLatch {
    /// Decides on one valid compound packet that came to the RTCP port.
    pub fn admit(&mut self, from: SocketAddr, latch: &Latch) -> bool {
        let Some(remote) = latch.remote() else { return false };
        let signalled = remote.rtcp.unwrap_or_else(|| next_port(remote.rtp));
        let beside = latch.source().map(next_port);
        if from == signalled || Some(from) == beside {
            self.held = Some(from);
            return true;
        }
        if remote.learn == Learn::Never {
            return false;
        }
        let host = latch.source().unwrap_or(remote.rtp).ip();
        let free = self.held.is_none_or(|h| h == from || h.ip() != host);
        let former = latch.former.is_some_and(|f| from == next_port(f.source));
        let taken = from.ip() == host && free && !former;
        if taken {
            self.held = Some(from);
        }
        taken
    }

    /// Where RTCP goes when it does not share the RTP port.
    pub fn target(&self, latch: &Latch) -> Option<SocketAddr> {
        self.held.or_else(|| {
            let remote = latch.remote()?;
            let moved = latch.target().filter(|t| *t != remote.rtp);
            match (moved, remote.rtcp) {
                (None, Some(rtcp)) => Some(rtcp),
                (moved, _) => Some(next_port(moved.unwrap_or(remote.rtp))),
            }
        })
    }

    /// Forgets the source.
    pub fn unlatch(&mut self) {
        self.held = None;
    }
}

fn next_port(mut at: SocketAddr) -> SocketAddr {
    at.set_port(at.port().wrapping_add(1));
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "10.0.0.4:7078";
    const PHONE: &str = "203.0.113.7:40000"; // the phone as its NAT shows it
    const PHONE2: &str = "203.0.113.7:40022"; // after the NAT gave it another port
    const EVIL: &str = "198.51.100.66:9";

    fn at(s: &str) -> SocketAddr {
        s.parse().unwrap()
    }

    fn nat(signalling: Option<&str>) -> Remote {
        Remote { signalling: signalling.map(|s| at(s).ip()), ..Remote::at(at(SDP)).behind_nat() }
    }

    /// Plays `(milliseconds, source, ssrc, expected)`; a letter stands for the admission:
    /// L latched, T taken, M moved, - refused.
    fn play(latch: &mut Latch, t0: Instant, script: &[(u64, &str, u32, char)]) {
        for (i, (ms, from, ssrc, want)) in script.iter().enumerate() {
            let got = match latch.admit(t0 + Duration::from_millis(*ms), at(from), Some(*ssrc)) {
                Admission::Latched => 'L',
                Admission::Taken => 'T',
                Admission::Moved(_) => 'M',
                Admission::Refused => '-',
            };
            assert_eq!(got, *want, "step {i}: {from} at {ms} ms");
        }
    }

    #[test]
    fn the_table() {
        type Script<'a> = &'a [(u64, &'a str, u32, char)];
        let never = Remote::at(at(SDP));
        let port = Remote { learn: Learn::Port, ..never };
        let table: &[(&str, Remote, Script<'_>)] = &[
            (
                "never: exact only",
                never,
                &[(0, PHONE, 1, '-'), (20, "10.0.0.4:9", 1, '-'), (40, SDP, 1, 'L')],
            ),
            (
                "never: a silent source is not replaced",
                never,
                &[
                    (0, SDP, 1, 'L'),
                    (9000, PHONE, 1, '-'),
                    (9020, PHONE, 1, '-'),
                    (9040, PHONE, 1, '-'),
                    (9060, SDP, 2, 'T'),
                ],
            ),
            ("port: another port of the same host", port, &[(0, PHONE, 1, '-'), (20, "10.0.0.4:9", 1, 'L')]),
            (
                "nat: first stranger in the window, then hold",
                nat(None),
                &[
                    (100, PHONE, 1, 'L'),
                    (120, EVIL, 2, '-'),
                    (140, PHONE, 1, 'T'),
                    (160, EVIL, 2, '-'),
                    (180, EVIL, 2, '-'),
                    (200, EVIL, 2, '-'),
                    (220, PHONE, 1, 'T'),
                ],
            ),
            (
                "nat: no stranger after the window",
                nat(None),
                &[(10_001, PHONE, 1, '-'), (10_020, SDP, 1, 'L')],
            ),
            (
                "nat: the SIP source's host may come late",
                nat(Some(PHONE)),
                &[(60_000, EVIL, 2, '-'), (60_020, PHONE, 1, 'L')],
            ),
            (
                "attacker first, phone sends from the signalled address",
                nat(None),
                &[
                    (0, EVIL, 2, 'L'),
                    (20, SDP, 1, '-'),
                    (30, EVIL, 2, 'T'),
                    (40, SDP, 1, '-'),
                    (60, SDP, 1, 'M'),
                    (70, EVIL, 2, '-'),
                    (80, SDP, 1, 'T'),
                ],
            ),
            (
                "attacker first and long before, phone behind NAT known by its SIP",
                nat(Some(PHONE)),
                &[
                    (0, EVIL, 2, 'L'),
                    (30_000, EVIL, 2, 'T'),
                    (30_020, PHONE, 1, '-'),
                    (30_040, PHONE, 1, '-'),
                    (30_060, PHONE, 1, 'M'),
                    (30_080, EVIL, 2, '-'),
                ],
            ),
            (
                "attacker sprayed once, phone unknown to signalling",
                nat(None),
                &[
                    (0, EVIL, 2, 'L'),
                    (100, PHONE, 1, '-'),
                    (220, PHONE, 1, '-'),
                    (240, PHONE, 1, '-'),
                    (260, PHONE, 1, 'M'),
                ],
            ),
            (
                "two strangers who both keep sending: the first holds",
                nat(None),
                &[
                    (0, EVIL, 2, 'L'),
                    (20, PHONE, 1, '-'),
                    (40, EVIL, 2, 'T'),
                    (60, PHONE, 1, '-'),
                    (80, EVIL, 2, 'T'),
                    (100, PHONE, 1, '-'),
                ],
            ),
            (
                "NAT rebinding: same SSRC after silence",
                nat(None),
                &[
                    (0, PHONE, 1, 'L'),
                    (20_000, PHONE, 1, 'T'),
                    (20_500, PHONE2, 1, '-'),
                    (21_000, PHONE2, 1, '-'),
                    (21_020, PHONE2, 1, '-'),
                    (21_040, PHONE2, 1, 'M'),
                ],
            ),
            (
                "silence does not let a stranger with another SSRC in",
                nat(None),
                &[
                    (0, PHONE, 1, 'L'),
                    (20_000, PHONE, 1, 'T'),
                    (40_000, EVIL, 2, '-'),
                    (40_020, EVIL, 2, '-'),
                    (40_040, EVIL, 2, '-'),
                    (40_060, EVIL, 2, '-'),
                    (40_080, PHONE, 3, 'T'),
                ],
            ),
            (
                "attackers taking turns never pass probation",
                nat(None),
                &[
                    (0, PHONE, 1, 'L'),
                    (300, EVIL, 2, '-'),
                    (320, "198.51.100.67:9", 2, '-'),
                    (340, EVIL, 2, '-'),
                    (360, "198.51.100.67:9", 2, '-'),
                    (380, PHONE, 1, 'T'),
                ],
            ),
        ];
        for (what, remote, script) in table {
            println!("{what}");
            let t0 = Instant::now();
            let mut latch = Latch::default();
            assert_eq!(latch.admit(t0, at(SDP), Some(1)), Admission::Refused, "nobody before signalling");
            assert!(latch.signalled(t0, *remote));
            play(&mut latch, t0, script);
        }
    }

    #[test]
    fn signalling_opens_the_latch_only_when_it_changes_something() {
        let t0 = Instant::now();
        let mut latch = Latch::default();
        latch.signalled(t0, nat(None));
        assert_eq!(latch.target(), Some(at(SDP)));
        play(&mut latch, t0, &[(0, EVIL, 2, 'L')]);
        assert!(!latch.signalled(t0, nat(None)), "a session refresh");
        assert_eq!(latch.source(), Some(at(EVIL)));
        latch.unlatch(t0);
        play(&mut latch, t0, &[(0, PHONE, 1, 'L'), (20, EVIL, 2, '-')]);

        let new_port = Remote { rtp: at("10.0.0.4:7080"), ..nat(None) };
        assert!(latch.signalled(t0, new_port));
        assert_eq!(
            (latch.source(), latch.target()),
            (None, Some(at(PHONE))),
            "never back to a private address"
        );
        let new_host = Remote { rtp: at("192.0.2.1:5000"), ..nat(None) };
        assert!(latch.signalled(t0, new_host));
        assert_eq!(latch.target(), Some(at("192.0.2.1:5000")));

        play(&mut latch, t0, &[(0, PHONE, 1, 'L')]);
        let strict = Remote { learn: Learn::Never, ..new_host };
        assert!(latch.signalled(t0, strict), "what is held would not count any more");
        assert_eq!(latch.target(), Some(at("192.0.2.1:5000")));
    }

    #[test]
    fn without_ssrc_nobody_is_followed_after_silence() {
        let (t0, mut latch) = (Instant::now(), Latch::default());
        latch.signalled(t0, nat(None));
        assert_eq!(latch.admit(t0, at(PHONE), None), Admission::Latched);
        for s in 20..30 {
            assert_eq!(latch.admit(t0 + Duration::from_secs(s), at(EVIL), None), Admission::Refused);
        }
    }

    #[test]
    fn what_to_expect_follows_from_sdp_and_sip() {
        assert_eq!(Remote::seen_from(at(SDP), at(SDP).ip()).learn, Learn::Port);
        let behind = Remote::seen_from(at(SDP), at(PHONE).ip());
        assert_eq!((behind.learn, behind.signalling), (nat(None).learn, Some(at(PHONE).ip())));
    }

    #[test]
    fn only_the_signalled_address_is_certain() {
        let t0 = Instant::now();
        let mut latch = Latch::default();
        latch.signalled(t0, nat(Some(PHONE)));
        play(&mut latch, t0, &[(0, PHONE, 1, 'L')]);
        assert_eq!(latch.certain(), None);
        play(&mut latch, t0, &[(20, SDP, 1, '-'), (40, SDP, 1, '-'), (60, SDP, 1, 'M')]);
        assert_eq!(latch.certain(), Some(at(SDP)));
        assert!(!latch.is_silent(t0 + Duration::from_millis(1059)));
        assert!(latch.is_silent(t0 + Duration::from_millis(1060)));
    }

    #[test]
    fn rtcp_follows_rtp() {
        let t0 = Instant::now();
        let mut latch = Latch::default();
        let mut rtcp = RtcpLatch::default();
        assert!(!rtcp.admit(at(SDP), &latch));
        latch.signalled(t0, nat(None));
        assert!(!rtcp.admit(at(EVIL), &latch), "never a stranger");
        assert_eq!(rtcp.target(&latch), Some(at("10.0.0.4:7079")));
        assert!(rtcp.admit(at("10.0.0.4:7079"), &latch));
        rtcp.unlatch();
        play(&mut latch, t0, &[(0, PHONE, 1, 'L')]);
        assert_eq!(rtcp.target(&latch), Some(at("203.0.113.7:40001")));
        assert!(rtcp.admit(at("203.0.113.7:51000"), &latch), "a NAT picks any port");
        assert!(!rtcp.admit(at("203.0.113.7:51002"), &latch), "the first holds");
        assert_eq!(rtcp.target(&latch), Some(at("203.0.113.7:51000")));
        assert!(rtcp.admit(at("203.0.113.7:40001"), &latch), "port + 1 is better");

        let mut strict = Latch::default();
        strict.signalled(t0, Remote { rtcp: Some(at("10.0.0.5:99")), ..Remote::at(at(SDP)) });
        let mut rtcp = RtcpLatch::default();
        assert_eq!(rtcp.target(&strict), Some(at("10.0.0.5:99")));
        assert!(!rtcp.admit(at("10.0.0.4:7079"), &strict));
        assert!(rtcp.admit(at("10.0.0.5:99"), &strict));
    }
}
