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
mod tests;
