//! An engine, phones, and what they say to each other.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tandem::media::rtp::{self, Header};
use tandem::media::{
    Engine, EngineConfig, Format, MediaEvent, Payload, PortRange, Remote, Sink, Stats, Stream, StreamId,
};

pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The switch's address: one of the loopback network that is this process's own, so that no port of it is taken by
/// others, whatever runs beside.
pub fn here() -> IpAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    IpAddr::from([127, 64 | b & 63, c, d])
}

pub fn engine(threads: usize) -> Engine {
    let ports = PortRange::new(33_000, 60_999);
    Engine::start(EngineConfig { threads, ports, ..EngineConfig::default() }).unwrap()
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A stream of the engine with the events it told.
pub struct Leg {
    pub stream: Stream,
    pub events: Receiver<MediaEvent>,
}

impl Leg {
    pub fn open(engine: &Engine) -> Leg {
        let (tx, events) = channel();
        let tx = Mutex::new(tx);
        let sink: Sink = Arc::new(move |_: StreamId, e| tx.lock().unwrap().send(e).unwrap_or(()));
        Leg { stream: engine.open(here(), sink).unwrap(), events }
    }

    /// A leg for a phone that speaks PCMU and telephone-event 101 and sends from where it listens.
    pub fn with(engine: &Engine, phone: &Phone) -> Leg {
        let leg = Leg::open(engine);
        leg.stream.format(pcmu(101));
        leg.stream.remote(Remote::at(phone.at()));
        leg.settled();
        leg
    }

    /// Waits until the thread has taken over what was wanted.
    pub fn settled(&self) -> &Leg {
        until("settled", || self.stream.settled());
        self
    }

    /// Bridges with another leg and waits until that is so.
    pub fn bridge(&self, other: &Leg) {
        self.stream.bridge_matching(other.stream.id()).unwrap();
        self.settled();
        other.settled();
    }

    pub fn stats(&self) -> Stats {
        self.stream.stats()
    }

    pub fn received(&self, packets: u64) {
        until("so many packets received", || self.stats().received.packets >= packets);
    }

    pub fn refused(&self, packets: u64) {
        until("so many packets refused", || self.stats().dropped.wrong_source >= packets);
    }

    pub fn event(&self) -> MediaEvent {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }
}

pub fn pcmu(event: u8) -> Format {
    Format::of([Payload::new("PCMU", 0, 8000), Payload::new("telephone-event", event, 8000)])
}

/// One RTP packet as a phone sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub header: Header,
    pub payload: Vec<u8>,
}

/// A phone: a socket for RTP and one for RTCP, and a stream of its own numbers.
pub struct Phone {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

impl Phone {
    pub fn on(host: &str) -> Phone {
        loop {
            let rtp = UdpSocket::bind((host, 0)).unwrap();
            let next = rtp.local_addr().unwrap().port().wrapping_add(1);
            if let Ok(rtcp) = UdpSocket::bind((host, next)) {
                for s in [&rtp, &rtcp] {
                    s.set_read_timeout(Some(PATIENCE)).unwrap();
                }
                return Phone { rtp, rtcp, ssrc: u32::from(next) << 8, sequence: next, timestamp: 77 };
            }
        }
    }

    pub fn at(&self) -> SocketAddr {
        self.rtp.local_addr().unwrap()
    }

    pub fn rtcp_at(&self) -> SocketAddr {
        self.rtcp.local_addr().unwrap()
    }

    pub fn packet(&self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x80; 12];
        rtp::rewrite(&mut p, false, payload_type, self.sequence, self.timestamp, self.ssrc);
        p.extend_from_slice(payload);
        p
    }

    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        self.rtp.send_to(bytes, to).unwrap();
    }

    /// Sends the next packet of 20 ms.
    pub fn say(&mut self, leg: &Leg, payload_type: u8, payload: &[u8]) {
        self.send(leg.stream.local(), &self.packet(payload_type, payload));
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }

    /// The next datagram, as RTP.
    pub fn hear(&self) -> Packet {
        let mut buf = [0; 65_536];
        let (n, _) = self.rtp.recv_from(&mut buf).expect("a packet");
        let header = Header::read(&buf[..n]).expect("RTP");
        Packet { header, payload: buf[header.payload_at..header.payload_end].to_vec() }
    }

    /// All that waits.
    pub fn hear_all(&self) -> Vec<Packet> {
        self.rtp.set_nonblocking(true).unwrap();
        let mut buf = [0; 65_536];
        let mut all = Vec::new();
        while let Ok((n, _)) = self.rtp.recv_from(&mut buf) {
            let header = Header::read(&buf[..n]).expect("RTP");
            all.push(Packet { header, payload: buf[header.payload_at..header.payload_end].to_vec() });
        }
        self.rtp.set_nonblocking(false).unwrap();
        all
    }
}

/// Two phones on two legs, bridged, both heard once.
pub fn call(engine: &Engine) -> (Phone, Leg, Leg, Phone) {
    let (mut a, mut b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let (leg_a, leg_b) = (Leg::with(engine, &a), Leg::with(engine, &b));
    leg_a.bridge(&leg_b);
    a.say(&leg_a, 0, b"hello");
    b.hear();
    b.say(&leg_b, 0, b"hello");
    a.hear();
    (a, leg_a, leg_b, b)
}
