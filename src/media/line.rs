//! One stream as its media thread has it: sockets, latch, numbers, digits, silence.
//!
//! A packet's way: [`receive`](Line::receive) on the line it came to decides whether it counts and where it goes;
//! [`relay`](Line::relay) on the line it leaves from gives it new numbers and sends it. Both work in the thread's one
//! buffer.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::dtmf::{self, Detector, EventPacket, Heard, Press};
use super::engine::{MediaEvent, Sink};
use super::latch::{Admission, Latch, RtcpLatch};
use super::outgoing::{Feed, Outgoing};
use super::payload::{Format, Kind, Mapping};
use super::ports::Pair;
use super::reception::Reception;
use super::rtcp::{self, About, Translation};
use super::rtp::{self, Header};
use super::shared::{Digit, Forward, Shared, StreamId, Timeouts, Wishes, Withheld};
use super::sys;

/// What becomes of a received packet.
pub(super) enum Next {
    /// It ends here.
    Done,
    /// It goes out on another line.
    Relay(Relay),
    /// It does not go out, and the other line should close the gap.
    Skip(Relay),
    /// It was RTCP, to be translated and sent on.
    Report(Report),
    /// It goes on as it is.
    Raw {
        /// The line it leaves from.
        to: StreamId,
        /// From the RTCP port.
        rtcp: bool,
    },
}

/// A packet on its way to another line.
pub(super) struct Relay {
    pub(super) to: StreamId,
    feed: Feed,
    header: Header,
    mapping: Mapping,
    event: bool,
}

/// RTCP on its way to another line.
pub(super) struct Report {
    pub(super) to: StreamId,
    from: StreamId,
    ssrc: Option<u32>,
    about: Option<About>,
}

/// How packets of one payload type are treated.
#[derive(Copy, Clone)]
struct Usual {
    payload_type: u8,
    clock: u32,
    kind: Kind,
    /// The line they go to and their number there; `None` while bridged to nobody.
    onward: Option<(StreamId, Option<Mapping>)>,
}

/// A digit being sent.
struct Sending {
    press: Press,
    payload_type: u8,
    timestamp: u32,
}

pub(super) struct Line {
    pub(super) id: StreamId,
    pub(super) shared: Arc<Shared>,
    sink: Sink,
    pair: Pair,
    /// Connecting is allowed.
    connect: bool,
    connected: Option<SocketAddr>,
    /// The RTP port was empty since it is connected: what waited in it from others is gone.
    only_peer: bool,
    latch: Latch,
    rtcp_latch: RtcpLatch,
    format: Option<Arc<Format>>,
    forward: Option<Forward>,
    /// What format and forward say of the payload type that came last.
    usual: Option<Usual>,
    /// Where on this thread the line was last found that packets go to; checked before use.
    pub(super) peer: usize,
    reception: Reception,
    outgoing: Outgoing,
    detector: Detector,
    sending: Option<Sending>,
    digits: VecDeque<Digit>,
    /// No digit before this.
    pause_until: Instant,
    timeouts: Timeouts,
    held: bool,
    withheld: Withheld,
    /// When the last packet came, or when silence began to count.
    heard: Instant,
    silence_told: bool,
}

impl Line {
    pub(super) fn new(now: Instant, shared: Arc<Shared>, sink: Sink, mut pair: Pair, connect: bool) -> Line {
        let latch = Latch::after(pair.former.take());
        Line {
            id: shared.id,
            shared,
            sink,
            pair,
            connect,
            connected: None,
            only_peer: false,
            latch,
            rtcp_latch: RtcpLatch::default(),
            format: None,
            forward: None,
            usual: None,
            peer: usize::MAX,
            reception: Reception::new(now),
            outgoing: Outgoing::new(rand::random(), rand::random(), rand::random()),
            detector: Detector::default(),
            sending: None,
            digits: VecDeque::new(),
            pause_until: now,
            timeouts: Timeouts::default(),
            held: false,
            withheld: Withheld::default(),
            heard: now,
            silence_told: false,
        }
    }

    /// The next datagram of one of the ports, and who sent it.
    pub(super) fn take(&self, report: bool, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.connected {
            _ if report => self.pair.rtcp.recv_from(buffer),
            Some(peer) if self.only_peer => self.pair.rtp.recv(buffer).map(|len| (len, peer)),
            _ => self.pair.rtp.recv_from(buffer),
        }
    }

    /// A port was found empty.
    pub(super) fn empty(&mut self, report: bool) {
        self.only_peer |= !report && self.connected.is_some();
    }

    pub(super) fn sockets(&self) -> (&UdpSocket, &UdpSocket) {
        (&self.pair.rtp, &self.pair.rtcp)
    }

    /// Ends it; its port pair may stay open for another call. Not that of a peer that had fallen silent or was held: it
    /// may not know that the call is over, and come back at any time.
    pub(super) fn retire(self, now: Instant) {
        let may_return = self.held || self.silence_told || self.latch.is_silent(now);
        // A socket that goes on hearing the old peer only is of no use to another call.
        if !may_return && (self.connected.is_none() || sys::disconnect(&self.pair.rtp).is_ok()) {
            self.pair.keep(now, self.latch.last_heard());
        }
    }

    pub(super) fn tell(&self, event: MediaEvent) {
        (self.sink)(self.id, event);
    }

    //------------ Wishes of the owner ---------------------------------------

    /// Takes over what the owner wants.
    pub(super) fn apply(&mut self, now: Instant, wishes: Wishes) {
        let mut opened = wishes.unlatch;
        if let Some(format) = wishes.format {
            self.format = Some(format);
            self.usual = None;
        }
        if let Some(remote) = wishes.remote {
            let received = self.latch.remote().is_some_and(|r| r.receive);
            opened |= self.latch.signalled(now, remote);
            if remote.receive && !received {
                self.restart_silence(now);
            }
        }
        if wishes.unlatch {
            self.latch.unlatch(now);
        }
        if let Some(forward) = wishes.forward {
            self.forward = forward;
            self.usual = None;
        }
        if let Some(timeouts) = wishes.timeouts {
            self.timeouts = timeouts;
            self.restart_silence(now);
        }
        if let Some(held) = wishes.hold {
            self.held = held;
            self.restart_silence(now);
        }
        self.withheld = wishes.withheld.unwrap_or(self.withheld);
        let room = dtmf::QUEUE.saturating_sub(self.digits.len());
        self.digits.extend(wishes.digits.into_iter().take(room));
        if opened {
            self.disconnect();
            self.rtcp_latch.unlatch();
            self.shared.counters.latched(None);
        }
    }

    /// Something was agreed on: from now on its media thread has to listen, and to watch the time.
    pub(super) fn has_work(&self) -> bool {
        self.format.is_some() || self.latch.remote().is_some() || self.timeouts.hold.is_some()
    }

    /// Throws away what came before anything was agreed on; nobody was to be heard then.
    pub(super) fn forget_early(&self) {
        let early = sys::discard(&self.pair.rtp);
        self.shared.counters.unknown_payload.add(early);
        self.shared.counters.rtcp_dropped.add(sys::discard(&self.pair.rtcp));
    }

    fn restart_silence(&mut self, now: Instant) {
        self.heard = now;
        self.silence_told = false;
    }

    //------------ Receiving -------------------------------------------------

    /// Decides on one datagram of the RTP port.
    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, packet: &mut [u8]) -> Next {
        if self.is_raw() {
            return self.receive_raw(now, from, packet);
        }
        let counters = &self.shared.counters;
        let muxed = self.latch.remote().is_some_and(|r| r.rtcp_mux);
        if muxed && rtp::looks_like_rtcp(packet) {
            return self.muxed_rtcp(now, from, packet);
        }
        let Some(header) = Header::read(packet) else {
            counters.not_rtp.add(1);
            return Next::Done;
        };
        let Some(usual) = self.usual(header.payload_type) else {
            self.shared.counters.unknown_payload.add(1);
            return Next::Done;
        };
        let Usual { clock, kind, .. } = usual;
        if !self.admitted(now, from, Some(header.ssrc)) {
            return Next::Done;
        }
        self.count(now, &header, packet.len(), (kind == Kind::Coded).then_some(clock));
        if !self.latch.remote().is_some_and(|r| r.receive) {
            return Next::Done;
        }
        let event = kind == Kind::Event;
        if event
            && let Some(p) = packet.get(header.payload_at..header.payload_end).and_then(EventPacket::read)
        {
            let heard = self.detector.packet(now, header.ssrc, header.timestamp, clock, p);
            heard.into_iter().flatten().for_each(|h| self.heard_digit(h));
        }
        self.onward(header, event, usual)
    }

    /// What was agreed on for a payload type; most packets have that of the one before.
    fn usual(&mut self, payload_type: u8) -> Option<Usual> {
        if let Some(usual) = self.usual.filter(|u| u.payload_type == payload_type) {
            return Some(usual);
        }
        let payload = self.format.as_ref()?.received(payload_type)?;
        let onward = self.forward.as_ref().map(|f| (f.to, f.map.find(payload_type)));
        self.usual = Some(Usual { payload_type, clock: payload.clock, kind: payload.kind, onward });
        self.usual
    }

    /// The content is not ours to know.
    fn is_raw(&self) -> bool {
        self.format.as_ref().is_some_and(|f| f.any)
    }

    /// Whether the packet comes from the right source; latches, tells, connects.
    fn admitted(&mut self, now: Instant, from: SocketAddr, ssrc: Option<u32>) -> bool {
        let counters = &self.shared.counters;
        match self.latch.admit(now, from, ssrc) {
            Admission::Taken => {}
            Admission::Latched => {
                counters.latched(Some(from));
                self.tell(MediaEvent::Started { from });
            }
            Admission::Moved(old) => {
                counters.latched(Some(from));
                self.rtcp_latch.unlatch();
                self.disconnect();
                self.tell(MediaEvent::Moved { from: old, to: from });
            }
            Admission::Refused => {
                counters.refused(from);
                return false;
            }
        }
        if self.connected.is_none() && self.connect {
            self.connect_if_certain();
        }
        self.restart_silence(now);
        true
    }

    /// Decides on one datagram of a stream whose content is not ours to know.
    fn receive_raw(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) -> Next {
        let header = Header::read(packet).filter(|_| !rtp::looks_like_rtcp(packet));
        if !self.admitted(now, from, header.map(|h| h.ssrc)) {
            return Next::Done;
        }
        match header {
            Some(header) => self.count(now, &header, packet.len(), None),
            None => {
                let counters = &self.shared.counters;
                counters.received.packet(packet.len(), counters.opened, now);
            }
        }
        if !self.latch.remote().is_some_and(|r| r.receive) {
            return Next::Done;
        }
        self.raw(false)
    }

    fn raw(&self, rtcp: bool) -> Next {
        let counters = &self.shared.counters;
        match &self.forward {
            Some(forward) if forward.map.is_unchanged() => return Next::Raw { to: forward.to, rtcp },
            Some(_) => counters.not_mapped.add(1),
            None => counters.no_peer.add(1),
        }
        Next::Done
    }

    fn count(&mut self, now: Instant, header: &Header, bytes: usize, clock: Option<u32>) {
        let counters = &self.shared.counters;
        counters.received.packet(bytes, counters.opened, now);
        self.reception.packet(now, header.ssrc, header.sequence, header.timestamp, clock);
        counters.ssrc.set(header.ssrc.into());
        counters.expected.set(self.reception.expected());
        counters.lost.store(self.reception.lost(), Relaxed);
        counters.jitter.set(self.reception.jitter_micros());
    }

    fn onward(&self, header: Header, event: bool, usual: Usual) -> Next {
        let counters = &self.shared.counters;
        let Some((to, mapping)) = usual.onward else {
            counters.no_peer.add(1);
            return Next::Done;
        };
        let feed = Feed { stream: self.id.0, ssrc: header.ssrc };
        let pt = header.payload_type;
        match mapping {
            Some(mapping) if event && self.withheld.pressed => {
                Next::Skip(Relay { to, feed, header, mapping, event })
            }
            Some(mapping) => Next::Relay(Relay { to, feed, header, mapping, event }),
            None => {
                if !event {
                    counters.not_mapped.add(1);
                }
                let mapping = Mapping { from: pt, to: pt, from_clock: 8000, to_clock: 8000 };
                Next::Skip(Relay { to, feed, header, mapping, event })
            }
        }
    }

    fn heard_digit(&self, heard: Heard) {
        self.shared.counters.digits.add(1);
        self.tell(MediaEvent::Dtmf { digit: heard.digit, duration_ms: heard.duration_ms });
    }

    pub(super) fn no_peer(&self) {
        self.shared.counters.no_peer.add(1);
    }

    fn connect_if_certain(&mut self) {
        if let Some(peer) = self.latch.certain()
            && self.pair.rtp.connect(peer).is_ok()
        {
            self.connected = Some(peer);
        }
    }

    fn disconnect(&mut self) {
        self.only_peer = false;
        if self.connected.take().is_some() {
            // With a good address this cannot fail. Should it, the socket goes on hearing the old peer only, and no
            // other: sending is by address anyway.
            drop(sys::disconnect(&self.pair.rtp));
        }
    }

    //------------ Sending ---------------------------------------------------

    /// Sends a packet that came on another line (or this one) to this line's peer.
    pub(super) fn relay(&mut self, now: Instant, packet: &mut [u8], relay: &Relay) {
        if self.sending.is_some() {
            return; // A digit of ours has the stream.
        }
        let Relay { feed, header, mapping, event, .. } = relay;
        if *event && self.withheld.relayed {
            return self.skip(relay);
        }
        // Events keep the timestamps of the audio beside them, whatever clock their rtpmap names.
        let clock = if *event { self.outgoing.clock() } else { mapping.to_clock };
        let Some(n) = self.outgoing.relay(now, *feed, header.sequence, header.timestamp, clock) else {
            self.shared.counters.late.add(1);
            return;
        };
        rtp::rewrite(
            packet,
            header.marker || n.fresh,
            mapping.to,
            n.sequence,
            n.timestamp,
            self.outgoing.ssrc(),
        );
        if *event {
            let payload = packet.get_mut(header.payload_at..header.payload_end);
            dtmf::rescale(payload.unwrap_or_default(), mapping.from_clock, mapping.to_clock);
        }
        self.send(now, packet);
    }

    /// Sends a packet as it is.
    pub(super) fn relay_raw(&self, now: Instant, packet: &[u8], rtcp: bool) {
        if rtcp {
            self.send_rtcp(packet);
        } else {
            self.send(now, packet);
        }
    }

    pub(super) fn skip(&mut self, relay: &Relay) {
        self.outgoing.skip(relay.feed, relay.header.sequence);
    }

    fn send(&self, now: Instant, packet: &[u8]) {
        let counters = &self.shared.counters;
        let willing = self.latch.remote().is_some_and(|r| r.send);
        let Some(to) =
            self.latch.target().filter(|to| willing && to.port() != 0 && !to.ip().is_unspecified())
        else {
            counters.not_sent.add(1);
            return;
        };
        let once = || match self.connected {
            Some(peer) if peer == to => self.pair.rtp.send(packet),
            _ => self.pair.rtp.send_to(packet, to),
        };
        // A connected socket first reports what became of an earlier packet; the second try sends.
        let sent = match once() {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => once(),
            other => other,
        };
        match sent {
            Ok(_) => counters.sent.packet(packet.len(), counters.opened, now),
            Err(_) => counters.send_failed.add(1),
        }
    }

    //------------ RTCP ------------------------------------------------------

    fn muxed_rtcp(&mut self, now: Instant, from: SocketAddr, packet: &mut [u8]) -> Next {
        // Reports do not latch: only RTP proves the source.
        let known = self.latch.source().or(self.latch.remote().map(|r| r.rtp)) == Some(from);
        self.report(now, known, packet)
    }

    /// Decides on one datagram of the RTCP port.
    pub(super) fn receive_rtcp(&mut self, now: Instant, from: SocketAddr, packet: &mut [u8]) -> Next {
        if self.is_raw() {
            if self.rtcp_latch.admit(from, &self.latch) {
                self.shared.counters.rtcp_received.add(1);
                return self.raw(true);
            }
            self.shared.counters.rtcp_dropped.add(1);
            return Next::Done;
        }
        let sound = rtcp::check(packet);
        let known = sound && self.rtcp_latch.admit(from, &self.latch);
        self.report(now, known, packet)
    }

    fn report(&mut self, now: Instant, known: bool, packet: &mut [u8]) -> Next {
        let counters = &self.shared.counters;
        if !known || !rtcp::check(packet) {
            counters.rtcp_dropped.add(1);
            return Next::Done;
        }
        counters.rtcp_received.add(1);
        let seen = self.outgoing.ssrc();
        if let Some(told) = rtcp::report_on(packet, seen) {
            counters.told_lost.store(told.lost.into(), Relaxed);
            counters.told_fraction.set(told.fraction.into());
            counters.told_jitter.set(told.jitter.into());
            counters.told.mark(counters.opened, now);
        }
        let Some(forward) = &self.forward else { return Next::Done };
        let about = self.outgoing.fed_by(forward.to.0).map(|original| About {
            seen,
            original,
            sequence_offset: self.outgoing.sequence_offset(),
        });
        Next::Report(Report { to: forward.to, from: self.id, ssrc: self.reception.ssrc(), about })
    }

    /// Sends a report that came on another line to this line's peer.
    pub(super) fn relay_rtcp(&mut self, packet: &mut [u8], report: &Report) {
        let fed = self.outgoing.fed_by(report.from.0);
        let timestamp_offset =
            if fed.is_some() && fed == report.ssrc { self.outgoing.timestamp_offset() } else { 0 };
        let with = Translation { own: self.outgoing.ssrc(), timestamp_offset, about: report.about };
        if let Some(packet) = rtcp::translate(packet, &with).and_then(|len| packet.get(..len)) {
            self.send_rtcp(packet);
        }
    }

    fn send_rtcp(&self, packet: &[u8]) {
        let Some(remote) = self.latch.remote() else { return };
        let (socket, to) = if remote.rtcp_mux {
            (&self.pair.rtp, self.latch.target())
        } else {
            (&self.pair.rtcp, self.rtcp_latch.target(&self.latch))
        };
        let Some(to) = to.filter(|to| to.port() != 0 && !to.ip().is_unspecified()) else { return };
        if socket.send_to(packet, to).is_ok() {
            self.shared.counters.rtcp_sent.add(1);
        }
    }

    //------------ Time ------------------------------------------------------

    /// Something here has to be looked at from time to time.
    pub(super) fn needs_tick(&self) -> bool {
        self.connected.is_some() || self.detector.is_pending() || self.patience().is_some()
    }

    /// How much silence is borne now; `None` when it was told or does not matter.
    fn patience(&self) -> Option<Duration> {
        if self.silence_told {
            None
        } else if self.held {
            self.timeouts.hold
        } else {
            self.timeouts.media.filter(|_| self.latch.remote().is_some_and(|r| r.receive))
        }
    }

    /// The look from time to time.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.connected.is_some() && self.latch.is_silent(now) {
            // Somebody else may be the right one now, and a connected socket would not hear it.
            self.disconnect();
        }
        if let Some(heard) = self.detector.flush(now) {
            self.heard_digit(heard);
        }
        let quiet = now.saturating_duration_since(self.heard);
        if self.patience().is_some_and(|p| quiet >= p) {
            self.silence_told = true;
            self.tell(MediaEvent::Silent { quiet, held: self.held });
        }
    }

    /// When the next packet of a digit is due.
    pub(super) fn digit_due(&self) -> Option<Instant> {
        match &self.sending {
            Some(s) => s.press.next(),
            None => self.digits.front().map(|_| self.pause_until),
        }
    }

    /// Sends what is due of the digits.
    pub(super) fn send_digits(&mut self, now: Instant) {
        if self.sending.is_none() && now >= self.pause_until {
            let Some(digit) = self.digits.pop_front() else { return };
            // Without telephone-event any more (re-negotiated meanwhile) the digit is gone.
            let clock = self.outgoing.clock();
            let Some(payload) = self.format.as_ref().and_then(|f| f.event_for(clock)) else { return };
            self.sending = Some(Sending {
                press: Press::new(now, digit.event, digit.duration_ms, payload.clock),
                payload_type: payload.send,
                timestamp: self.outgoing.timestamp_at(now),
            });
        }
        let Some(sending) = &mut self.sending else { return };
        let (payload_type, timestamp) = (sending.payload_type, sending.timestamp);
        let due = sending.press.due(now);
        let over = sending.press.next().is_none();
        if let Some(due) = due {
            let mut packet = [0x80; rtp::FIXED + 4];
            let (sequence, ssrc) = (self.outgoing.own(now), self.outgoing.ssrc());
            rtp::rewrite(&mut packet, due.first, payload_type, sequence, timestamp, ssrc);
            if let Some(payload) = packet.last_chunk_mut() {
                *payload = due.packet.bytes();
            }
            self.send(now, &packet);
        }
        if over {
            self.sending = None;
            self.pause_until = now + dtmf::GAP;
        }
    }
}

#[cfg(test)]
mod tests {
    /// Ten thousand calls are twenty thousand lines.
    #[test]
    fn a_line_is_small() {
        let shared = size_of::<super::Shared>();
        let line = size_of::<super::Line>();
        assert!(line <= 896 && shared <= 448, "line {line}, shared {shared} bytes");
    }
}
