//! An RTP port that talks and listens: numbered packets out, and a record of what came.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::PATIENCE;

/// A packet that came.
#[derive(Clone, Debug)]
pub struct Packet {
    pub pt: u8,
    pub sequence: u16,
    pub ssrc: u32,
    pub payload: Vec<u8>,
    pub from: SocketAddr,
}

pub struct RtpPort {
    socket: UdpSocket,
    pub local: SocketAddr,
    got: Arc<Mutex<Vec<Packet>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl RtpPort {
    pub fn new(ip: IpAddr) -> RtpPort {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        let local = socket.local_addr().expect("its address");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let (got, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (reader, sink, end) = (socket.try_clone().expect("the socket"), got.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !end.load(Ordering::Relaxed) {
                if let Ok((n, from)) = reader.recv_from(&mut buffer) {
                    let packet = buffer.get(..n).and_then(|b| parse(b, from));
                    sink.lock().expect("the packets").extend(packet);
                }
            }
        });
        RtpPort { socket, local, got, stop, threads: vec![thread] }
    }

    /// Sends a packet every 20 ms until the value is dropped; the payload says who and which.
    pub fn talk(&mut self, to: SocketAddr, pt: u8, step: u32, word: &'static str) {
        let (socket, end) = (self.socket.try_clone().expect("the socket"), self.stop.clone());
        self.threads.push(std::thread::spawn(move || {
            let ssrc = word.bytes().fold(7u32, |h, b| h.wrapping_mul(31) + u32::from(b));
            for n in 0u32.. {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let mut packet = vec![0x80, pt];
                packet.extend_from_slice(&(1000 + n as u16).to_be_bytes());
                packet.extend_from_slice(&(n * step).to_be_bytes());
                packet.extend_from_slice(&ssrc.to_be_bytes());
                packet.extend_from_slice(format!("{word} {n:06}").as_bytes());
                let _ = socket.send_to(&packet, to);
                std::thread::sleep(Duration::from_millis(20));
            }
        }));
    }

    pub fn packets(&self) -> Vec<Packet> {
        self.got.lock().expect("the packets").clone()
    }

    /// Waits until so many packets with that word have come.
    #[track_caller]
    pub fn expect_words(&self, word: &str, count: usize) -> Vec<Packet> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut packets = self.packets();
            packets.retain(|p| p.payload.starts_with(word.as_bytes()));
            if packets.len() >= count {
                return packets;
            }
            if Instant::now() >= until {
                panic!(
                    "{} got {} packets of {word}, {} in all",
                    self.local,
                    packets.len(),
                    self.packets().len()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn parse(bytes: &[u8], from: SocketAddr) -> Option<Packet> {
    let be32 = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    Some(Packet {
        pt: bytes.get(1)? & 0x7f,
        sequence: u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?),
        ssrc: be32(8)?,
        payload: bytes.get(12..)?.to_vec(),
        from,
    })
}

impl Drop for RtpPort {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| {
            let _ = t.join();
        });
    }
}
