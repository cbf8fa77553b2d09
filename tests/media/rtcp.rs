//! RTCP across the bridge.

use std::net::SocketAddr;

use tandem::media::Remote;

use crate::bed::*;

fn words(packet: &[u8]) -> Vec<u32> {
    packet.chunks_exact(4).map(|w| u32::from_be_bytes(w.try_into().unwrap())).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// A sender report of `own` with one block about `about`.
fn report(own: u32, timestamp: u32, about: u32, highest: u32) -> Vec<u8> {
    bytes(&[0x81c8_000c, own, 1, 2, timestamp, 10, 1600, about, 0x8000_0002, highest, 40, 0, 0])
}

#[test]
fn reports_speak_of_the_streams_each_side_knows() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, mut b) = call(&engine);
    a.say(&leg_a, 0, b"x");
    let at_b = b.hear().header; // A's stream as B sees it
    b.say(&leg_b, 0, b"y");
    let at_a = a.hear().header; // B's stream as A sees it
    let sent = report(a.ssrc, a.timestamp - 160, at_a.ssrc, at_a.sequence.into());
    a.rtcp.send_to(&sent, leg_a.stream.rtcp_local()).unwrap();
    let mut buf = [0; 1500];
    let (n, from) = b.rtcp.recv_from(&mut buf).unwrap();
    assert_eq!(from, leg_b.stream.rtcp_local());
    let got = words(&buf[..n]);
    assert_eq!(got[1], at_b.ssrc, "the sender, as B knows it");
    assert_eq!(got[4], at_b.timestamp, "the moment, in B's numbers");
    assert_eq!(got[7], b.ssrc, "the stream reported on, as B sends it");
    assert_eq!(got[9] as u16, b.sequence.wrapping_sub(1), "and its number");
    let told = leg_a.stats().told.unwrap();
    assert_eq!((told.lost, told.jitter_units), (2, 40));
    assert!((told.fraction - 0.5).abs() < 1e-9);
    assert_eq!(leg_a.stats().rtcp.received, 1);
    until("counted", || leg_b.stats().rtcp.sent == 1);
}

#[test]
fn malformed_and_foreign_reports_are_dropped() {
    let engine = engine(1);
    let (a, leg_a, _leg_b, b) = call(&engine);
    let good = report(a.ssrc, 0, 1, 1);
    let evil = Phone::on("127.0.0.66");
    evil.rtcp.send_to(&good, leg_a.stream.rtcp_local()).unwrap();
    a.rtcp.send_to(&good[..good.len() - 4], leg_a.stream.rtcp_local()).unwrap();
    a.rtcp.send_to(b"", leg_a.stream.rtcp_local()).unwrap();
    until("three dropped", || leg_a.stats().rtcp.dropped == 3);
    a.rtcp.send_to(&good, leg_a.stream.rtcp_local()).unwrap();
    let mut buf = [0; 1500];
    assert_eq!(b.rtcp.recv_from(&mut buf).unwrap().0, good.len());
    assert_eq!(leg_a.stats().rtcp.received, 1);
}

#[test]
fn a_shared_port_on_one_side_only() {
    let engine = engine(1);
    let (a, leg_a, leg_b, b) = call(&engine);
    leg_b.stream.remote(Remote { rtcp_mux: true, ..Remote::at(b.at()) });
    leg_b.settled();
    a.rtcp.send_to(&report(a.ssrc, 0, 1, 1), leg_a.stream.rtcp_local()).unwrap();
    let mut buf = [0; 1500];
    let (n, from) = b.rtp.recv_from(&mut buf).unwrap();
    assert_eq!((buf[1], from), (200, leg_b.stream.local()));
    b.send(leg_b.stream.local(), &buf[..n]);
    let (_, from) = a.rtcp.recv_from(&mut buf).unwrap();
    assert_eq!(from, leg_a.stream.rtcp_local());
    // Without the agreement it is just not RTP that was negotiated.
    let before = leg_a.stats();
    a.send(leg_a.stream.local(), &report(a.ssrc, 0, 1, 1));
    until("dropped", || leg_a.stats().dropped.unknown_payload > before.dropped.unknown_payload);
}

#[test]
fn the_signalled_rtcp_address_is_used() {
    let engine = engine(1);
    let (a, leg_a, leg_b, b) = call(&engine);
    let elsewhere = Phone::on("127.0.0.5");
    let at: SocketAddr = elsewhere.rtcp_at();
    leg_b.stream.remote(Remote { rtcp: Some(at), ..Remote::at(b.at()) });
    leg_b.settled();
    a.rtcp.send_to(&report(a.ssrc, 0, 1, 1), leg_a.stream.rtcp_local()).unwrap();
    let mut buf = [0; 1500];
    elsewhere.rtcp.recv_from(&mut buf).unwrap();
}
