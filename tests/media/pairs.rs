//! Port pairs that stay open between two calls: what they save, and what they must not carry over.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tandem::media::{Engine, EngineConfig, MediaEvent, PortRange, Remote};

use crate::bed::*;

/// Longer than an open pair must be silent.
const SILENCE: Duration = Duration::from_millis(400);

/// An engine that has only so many pairs, on ports that are free now.
fn small(pairs: u16) -> Engine {
    let base = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() & 0xff00;
    let ports = PortRange::new(base, base + 2 * pairs - 1);
    Engine::start(EngineConfig { threads: 1, ports, ..EngineConfig::default() }).unwrap()
}

/// A call of one leg that was heard; ends when it is dropped.
fn heard(engine: &Engine, phone: &mut Phone) -> Leg {
    let leg = Leg::with(engine, phone);
    phone.say(&leg, 0, b"x");
    leg.received(1);
    leg
}

fn ended(engine: &Engine, leg: Leg) {
    drop(leg);
    until("the pair is given back", || engine.ports_in_use() == 0);
}

#[test]
fn an_ended_calls_pair_serves_another_and_remembers_nothing() {
    let engine = small(64);
    let (mut a, mut b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let first = heard(&engine, &mut a);
    let at = first.stream.local();
    ended(&engine, first);
    assert!(UdpSocket::bind(at).is_err(), "it stays open");
    std::thread::sleep(SILENCE);
    let second = Leg::with(&engine, &b);
    assert_eq!(second.stream.local(), at, "the pair that is open is drawn before one that is not");
    a.say(&second, 0, b"late");
    second.refused(1);
    b.say(&second, 0, b"x");
    assert_eq!(second.event(), MediaEvent::Started { from: b.at() });
    assert_eq!(second.stats().source, Some(b.at()));
    assert_eq!(second.stats().received.packets, 1);
}

#[test]
fn a_pair_that_still_hears_the_old_peer_is_not_drawn() {
    let engine = small(64);
    let mut a = Phone::on("127.0.0.2");
    let first = heard(&engine, &mut a);
    let at = first.stream.local();
    ended(&engine, first);
    let (start, mut others) = (Instant::now(), Vec::new());
    while start.elapsed() < 4 * SILENCE {
        for _ in 0..5 {
            a.send(at, &a.packet(0, b"still talking"));
            std::thread::sleep(Duration::from_millis(20));
        }
        // Kept, so that the noisy one is the only open one.
        others.push(Leg::open(&engine));
        assert!(others.iter().all(|l| l.stream.local() != at), "after {:?}", start.elapsed());
    }
    assert!(UdpSocket::bind(at).is_ok(), "given up, closed, and resting");
}

#[test]
fn a_few_late_packets_are_thrown_away() {
    let engine = small(64);
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let first = heard(&engine, &mut a);
    let at = first.stream.local();
    ended(&engine, first);
    for _ in 0..3 {
        a.send(at, &a.packet(0, b"late"));
        a.rtcp.send_to(b"late", ("127.0.0.1", at.port() + 1)).unwrap();
    }
    std::thread::sleep(SILENCE);
    assert_ne!(Leg::open(&engine).stream.local(), at, "it heard something");
    std::thread::sleep(SILENCE);
    let all: Vec<Leg> = (0..2).map(|_| Leg::open(&engine)).collect();
    let leg = all.into_iter().find(|l| l.stream.local() == at).expect("and was silent then");
    leg.stream.format(pcmu(101));
    leg.stream.remote(Remote::at(b.at()).behind_nat());
    leg.settled();
    let dropped = leg.stats().dropped;
    assert_eq!((leg.stats().source, dropped.wrong_source, dropped.unknown_payload), (None, 0, 0));
}

#[test]
fn open_pairs_close_with_the_range_with_time_and_with_the_engine() {
    let free = |at| UdpSocket::bind(at).is_ok();
    let mut a = Phone::on("127.0.0.2");

    let engine = small(64);
    let leg = heard(&engine, &mut a);
    let at = leg.stream.local();
    ended(&engine, leg);
    assert!(!free(at));
    engine.set_ports(PortRange::new(at.port() ^ 0x4000, (at.port() ^ 0x4000) + 40));
    assert!(free(at), "not of the range any more");

    let engine = small(64);
    let leg = heard(&engine, &mut a);
    let at = leg.stream.local();
    ended(&engine, leg);
    engine.stop();
    assert!(free(at), "the engine is stopped");

    let base = at.port() & 0xff00;
    let ports = PortRange::new(base, base + 127);
    let rest = Duration::from_millis(500);
    let engine = Engine::start(EngineConfig { threads: 1, ports, rest, ..EngineConfig::default() }).unwrap();
    let leg = heard(&engine, &mut a);
    let at = leg.stream.local();
    ended(&engine, leg);
    assert!(!free(at));
    until("nobody drew it", || free(at));
}

#[test]
fn the_last_pairs_are_used_however_short_they_rested() {
    let engine = small(8);
    let mut seen = HashSet::new();
    for _ in 0..4 {
        let legs: Vec<Leg> = (0..8).map(|_| Leg::open(&engine)).collect();
        legs.iter().for_each(|l| l.stream.format(pcmu(101)));
        seen.extend(legs.iter().map(|l| l.stream.local().port()));
        drop(legs);
        until("all come back", || engine.ports_in_use() == 0);
    }
    assert_eq!(seen.len(), 8);
}
