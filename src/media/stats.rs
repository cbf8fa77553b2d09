//! What a stream counted: written by its media thread alone, read by anyone without a lock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A number one thread writes and any may read. (A stream changes its thread only through a queue, which orders the
/// writes.)
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A moment, as nanoseconds since the stream was opened plus one; 0 is never.
#[derive(Default)]
pub(super) struct Moment(Count);

impl Moment {
    pub(super) fn mark(&self, opened: Instant, now: Instant) {
        self.0.set(nanos(now.saturating_duration_since(opened)) + 1);
    }

    pub(super) fn is_never(&self) -> bool {
        self.0.get() == 0
    }

    fn age(&self, opened: Instant, now: Instant) -> Option<Duration> {
        let at = self.0.get().checked_sub(1)?;
        Some(Duration::from_nanos(nanos(now.saturating_duration_since(opened)).saturating_sub(at)))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX - 1)
}

#[derive(Default)]
pub(super) struct Traffic {
    pub(super) packets: Count,
    pub(super) bytes: Count,
    pub(super) first: Moment,
    pub(super) last: Moment,
}

impl Traffic {
    pub(super) fn packet(&self, bytes: usize, opened: Instant, now: Instant) {
        self.packets.add(1);
        self.bytes.add(bytes as u64);
        self.last.mark(opened, now);
        if self.first.is_never() {
            self.first.mark(opened, now);
        }
    }

    fn read(&self, opened: Instant, now: Instant) -> Flow {
        Flow {
            packets: self.packets.get(),
            bytes: self.bytes.get(),
            first: self.first.age(opened, now),
            last: self.last.age(opened, now),
        }
    }
}

/// In the order of use: what every packet touches lies together.
#[repr(C)]
pub(super) struct Counters {
    pub(super) opened: Instant,
    pub(super) received: Traffic,
    pub(super) expected: Count,
    pub(super) lost: AtomicI64,
    pub(super) jitter: Count,
    pub(super) ssrc: Count,
    pub(super) sent: Traffic,
    pub(super) wrong_source: Count,
    pub(super) not_rtp: Count,
    pub(super) unknown_payload: Count,
    pub(super) not_mapped: Count,
    pub(super) no_peer: Count,
    pub(super) not_sent: Count,
    pub(super) send_failed: Count,
    pub(super) late: Count,
    pub(super) rtcp_received: Count,
    pub(super) rtcp_sent: Count,
    pub(super) rtcp_dropped: Count,
    pub(super) digits: Count,
    pub(super) told_lost: AtomicI64,
    pub(super) told_fraction: Count,
    pub(super) told_jitter: Count,
    pub(super) told: Moment,
    /// Written only when it changes, never per packet.
    places: Mutex<Places>,
}

#[derive(Copy, Clone, Default)]
struct Places {
    source: Option<SocketAddr>,
    stranger: Option<SocketAddr>,
}

impl Counters {
    pub(super) fn new(opened: Instant) -> Counters {
        Counters {
            opened,
            received: Traffic::default(),
            sent: Traffic::default(),
            wrong_source: Count::default(),
            not_rtp: Count::default(),
            unknown_payload: Count::default(),
            not_mapped: Count::default(),
            no_peer: Count::default(),
            not_sent: Count::default(),
            send_failed: Count::default(),
            late: Count::default(),
            rtcp_received: Count::default(),
            rtcp_sent: Count::default(),
            rtcp_dropped: Count::default(),
            digits: Count::default(),
            expected: Count::default(),
            lost: AtomicI64::default(),
            jitter: Count::default(),
            ssrc: Count::default(),
            told_lost: AtomicI64::default(),
            told_fraction: Count::default(),
            told_jitter: Count::default(),
            told: Moment::default(),
            places: Mutex::default(),
        }
    }

    pub(super) fn latched(&self, source: Option<SocketAddr>) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).source = source;
    }

    /// Counts a packet of a third party; its address is kept for the 1st, 2nd, 4th, 8th …
    pub(super) fn refused(&self, from: SocketAddr) {
        self.wrong_source.add(1);
        if self.wrong_source.get().is_power_of_two() {
            self.places.lock().unwrap_or_else(PoisonError::into_inner).stranger = Some(from);
        }
    }

    pub(super) fn read(&self, now: Instant) -> Stats {
        let places = *self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.told.age(self.opened, now).map(|age| Told {
            lost: self.told_lost.load(Relaxed),
            fraction: self.told_fraction.get() as f64 / 256.0,
            jitter_units: u32::try_from(self.told_jitter.get()).unwrap_or(u32::MAX),
            age,
        });
        Stats {
            received: self.received.read(self.opened, now),
            sent: self.sent.read(self.opened, now),
            dropped: Dropped {
                wrong_source: self.wrong_source.get(),
                not_rtp: self.not_rtp.get(),
                unknown_payload: self.unknown_payload.get(),
                not_mapped: self.not_mapped.get(),
                no_peer: self.no_peer.get(),
                not_sent: self.not_sent.get(),
                send_failed: self.send_failed.get(),
                late: self.late.get(),
            },
            expected: self.expected.get(),
            lost: self.lost.load(Relaxed),
            jitter: Duration::from_micros(self.jitter.get()),
            ssrc: u32::try_from(self.ssrc.get()).ok().filter(|_| !self.received.first.is_never()),
            digits: self.digits.get(),
            rtcp: Rtcp {
                received: self.rtcp_received.get(),
                sent: self.rtcp_sent.get(),
                dropped: self.rtcp_dropped.get(),
            },
            told,
            source: places.source,
            stranger: places.stranger,
            mos: None,
        }
    }
}

/// Packets one way.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// RTP packets.
    pub packets: u64,
    /// Bytes of them, RTP headers included.
    pub bytes: u64,
    /// How long ago the first was; `None` when there was none.
    pub first: Option<Duration>,
    /// How long ago the last was.
    pub last: Option<Duration>,
}

impl Flow {
    /// Packets per second over the time from the first to the last; `None` with fewer than two.
    pub fn rate(&self) -> Option<f64> {
        let span = self.first?.saturating_sub(self.last?).as_secs_f64();
        (self.packets > 1 && span > 0.0).then(|| (self.packets - 1) as f64 / span)
    }
}

/// Packets that came or should have gone, and did not pass, by reason.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Received from an address that is not the peer's (see [`latch`](super::latch)). Once a stream is connected to its
    /// peer the kernel refuses third parties before they can be counted.
    pub wrong_source: u64,
    /// Received, and no RTP of version 2 with a sound header.
    pub not_rtp: u64,
    /// Received with a payload type that was not negotiated.
    pub unknown_payload: u64,
    /// Received, but the partner has no number for the payload type. telephone-event that only goes out by INFO is not
    /// counted.
    pub not_mapped: u64,
    /// Received while bridged to nobody (or to a stream that has just gone).
    pub no_peer: u64,
    /// To be sent, but the peer's address is not known or it does not want to receive.
    pub not_sent: u64,
    /// To be sent, and the system refused.
    pub send_failed: u64,
    /// To be sent, but from before a change of source.
    pub late: u64,
}

/// RTCP compound packets.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Rtcp {
    /// Accepted from the peer.
    pub received: u64,
    /// Sent to the peer.
    pub sent: u64,
    /// Malformed, or from a wrong source.
    pub dropped: u64,
}

/// What the peer's last report says of the stream we send to it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Told {
    /// Cumulative packets lost.
    pub lost: i64,
    /// Part lost since its report before, 0–1.
    pub fraction: f64,
    /// Interarrival jitter in units of the payload's clock.
    pub jitter_units: u32,
    /// How long ago it was said.
    pub age: Duration,
}

/// What a stream counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// RTP accepted from the peer.
    pub received: Flow,
    /// RTP sent to the peer.
    pub sent: Flow,
    /// What did not pass.
    pub dropped: Dropped,
    /// Packets that should have come, by extended sequence numbers (RFC 3550 A.3).
    pub expected: u64,
    /// Packets that did not; negative when duplicates outweigh them.
    pub lost: i64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter: Duration,
    /// SSRC of what arrives.
    pub ssrc: Option<u32>,
    /// Digits heard as telephone-event.
    pub digits: u64,
    /// RTCP.
    pub rtcp: Rtcp,
    /// The peer's last receiver report about us.
    pub told: Option<Told>,
    /// The latched source.
    pub source: Option<SocketAddr>,
    /// A third party whose packets were refused.
    pub stranger: Option<SocketAddr>,
    /// Not measured, so not told.
    pub mos: Option<f64>,
}
