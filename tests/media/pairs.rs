//! Port pairs that stay open between two calls: what they save, and what they must not carry over.
//!
//! A pair is lent again only when many are kept; the engines of most tests keep one, which then is many.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tandem::media::{Engine, EngineConfig, Learn, MediaEvent, PortRange, Remote};

use crate::bed::*;

/// Longer than an open pair must be silent.
const SILENCE: Duration = Duration::from_millis(400);

/// An engine that has only so many pairs, on ports that are free now, and keeps one open.
fn small(pairs: u16) -> Engine {
    keeping(1, pairs)
}

fn keeping(kept: usize, pairs: u16) -> Engine {
    let base = UdpSocket::bind((here(), 0)).unwrap().local_addr().unwrap().port() & 0xff00;
    let ports = PortRange::new(base, base + 2 * pairs - 1);
    Engine::start(EngineConfig { threads: 1, ports, kept, ..EngineConfig::default() }).unwrap()
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
    second.received(1); // It is counted just after it is told.
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
        a.rtcp.send_to(b"late", (at.ip(), at.port() + 1)).unwrap();
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

#[test]
fn where_calls_are_few_no_pair_is_lent_before_its_whole_rest() {
    let ports = PortRange::new(33_000, 60_999);
    let engine = Engine::start(EngineConfig { threads: 1, ports, ..EngineConfig::default() }).unwrap();
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.2"));
    let mut old = HashSet::new();
    for _ in 0..20 {
        let leg = heard(&engine, &mut a);
        let at = leg.stream.local();
        assert!(old.insert(at), "{at} serves again");
        // Each ends, and is silent for longer than a peer that still sends ever is.
        ended(&engine, leg);
        std::thread::sleep(SILENCE / 4);
    }
    std::thread::sleep(SILENCE);
    let legs: Vec<Leg> = (0..50).map(|_| Leg::with(&engine, &b)).collect();
    assert!(legs.iter().all(|l| !old.contains(&l.stream.local())), "the others were free");
    old.iter().for_each(|at| a.send(*at, &a.packet(0, b"old")));
    assert!(legs.iter().all(|l| l.stats().received.packets + l.stats().dropped.wrong_source == 0));
}

#[test]
fn of_many_kept_pairs_the_one_that_was_silent_longest_is_lent() {
    let engine = keeping(8, 64);
    let mut ends = Vec::new();
    let mut legs: Vec<Leg> = (0..8).map(|_| Leg::open(&engine)).collect();
    while let Some(leg) = legs.pop() {
        leg.stream.format(pcmu(101));
        ends.push(leg.stream.local());
        drop(leg);
        until("the pair is given back", || engine.ports_in_use() == legs.len());
    }
    std::thread::sleep(SILENCE);
    let lent: Vec<Leg> = (0..8).map(|_| Leg::open(&engine)).collect();
    let lent: Vec<_> = lent.iter().map(|l| l.stream.local()).collect();
    assert_eq!(lent[..4], ends[..4], "the first that ended, in this order");
    assert!(lent[4..].iter().all(|at| !ends.contains(at)), "the half that stays rests on");
}

/// The old party was silent for a while and then goes on, from the new party's IP address but another port, before the
/// new one says anything: such a packet must neither be relayed nor draw the new call's sound to it.
#[test]
fn who_goes_on_in_an_ended_call_is_not_taken_for_the_new_party() {
    for learn in [Learn::Port, Learn::Nat { window: Duration::from_secs(10) }] {
        let engine = small(64);
        let (mut old, mut new) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.2"));
        let mut other = Phone::on("127.0.0.3");
        let first = heard(&engine, &mut old);
        let at = first.stream.local();
        ended(&engine, first);
        std::thread::sleep(SILENCE);
        let (leg, far) = (Leg::open(&engine), Leg::with(&engine, &other));
        assert_eq!(leg.stream.local(), at, "lent");
        leg.stream.format(pcmu(101));
        // What its SDP names is not where it sends from, as behind NAT.
        let named = Remote { learn, ..Remote::at("127.0.0.2:9".parse().unwrap()) };
        leg.stream.remote(named);
        leg.bridge(&far);
        for _ in 0..20 {
            old.say(&leg, 0, b"old");
        }
        leg.refused(20);
        new.say(&leg, 0, b"new");
        assert_eq!(other.hear().payload, b"new", "{learn:?}");
        other.say(&far, 0, b"to the new party");
        assert_eq!(new.hear().payload, b"to the new party");
        for _ in 0..20 {
            old.say(&leg, 0, b"old");
        }
        leg.refused(40);
        assert!(other.hear_all().is_empty() && old.hear_all().is_empty());
    }
}

#[test]
fn who_calls_again_from_the_same_port_is_heard() {
    let engine = small(64);
    let mut phone = Phone::on("127.0.0.2");
    for learn in [Learn::Never, Learn::Port] {
        let first = heard(&engine, &mut phone);
        let at = first.stream.local();
        ended(&engine, first);
        std::thread::sleep(SILENCE);
        let leg = Leg::open(&engine);
        assert_eq!(leg.stream.local(), at, "lent");
        leg.stream.format(pcmu(101));
        let named = if learn == Learn::Never {
            phone.at() // With the very SSRC it had: signalling names it.
        } else {
            phone.ssrc += 1;
            "127.0.0.2:9".parse().unwrap()
        };
        leg.stream.remote(Remote { learn, ..Remote::at(named) });
        leg.settled();
        phone.say(&leg, 0, b"x");
        assert_eq!(leg.event(), MediaEvent::Started { from: phone.at() }, "{learn:?}");
        ended(&engine, leg);
        std::thread::sleep(SILENCE);
    }
}

#[test]
fn the_pair_that_hears_an_old_party_is_the_last_to_be_used() {
    let engine = keeping(8, 3);
    let mut old = Phone::on("127.0.0.2");
    let first = heard(&engine, &mut old);
    let at = first.stream.local();
    ended(&engine, first);
    for round in 0..30 {
        old.send(at, &old.packet(0, b"old"));
        let legs: Vec<Leg> = (0..2).map(|_| Leg::open(&engine)).collect();
        assert!(
            legs.iter().all(|l| l.stream.local() != at),
            "round {round}: the others are free, and silent"
        );
        legs.iter().for_each(|l| l.stream.format(pcmu(101)));
        drop(legs);
        until("all come back", || engine.ports_in_use() == 0);
        std::thread::sleep(SILENCE / 20);
    }
    let all: Vec<Leg> = (0..3).map(|_| Leg::open(&engine)).collect();
    assert!(all.iter().any(|l| l.stream.local() == at), "nothing else is left");
}
