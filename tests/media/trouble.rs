//! Silence, garbage, exhaustion, faults, the end.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use tandem::media::verdict::Summary;
use tandem::media::{
    Engine, EngineConfig, MediaEvent, OpenError, PayloadMap, PortRange, Remote, Side, StreamError, Timeouts,
    verdict,
};

use crate::bed::*;

#[test]
fn silence_is_told_once_and_again_after_a_packet() {
    let engine = engine(1);
    let mut a = Phone::on("127.0.0.2");
    let leg = Leg::with(&engine, &a);
    let limit = Duration::from_millis(300);
    leg.stream.timeouts(Timeouts { media: Some(limit), hold: None });
    let silent = |event| match event {
        MediaEvent::Silent { quiet, held } => (quiet >= limit, held),
        other => panic!("{other:?}"),
    };
    assert_eq!(silent(leg.event()), (true, false));
    assert!(leg.events.recv_timeout(3 * limit).is_err(), "once");
    a.say(&leg, 0, b"x");
    assert!(matches!(leg.event(), MediaEvent::Started { .. }));
    assert_eq!(silent(leg.event()), (true, false));
    // On hold the other limit counts, and there is none.
    a.say(&leg, 0, b"x");
    leg.stream.hold(true);
    leg.settled();
    while leg.events.try_recv().is_ok() {}
    assert!(leg.events.recv_timeout(3 * limit).is_err());
    leg.stream.timeouts(Timeouts { media: None, hold: Some(limit) });
    assert_eq!(silent(leg.event()), (true, true));
    // A peer that is not to send may be silent.
    leg.stream.hold(false);
    leg.stream.timeouts(Timeouts { media: Some(limit), hold: None });
    leg.stream.remote(Remote { receive: false, ..Remote::at(a.at()) });
    leg.settled();
    while leg.events.try_recv().is_ok() {}
    assert!(leg.events.recv_timeout(3 * limit).is_err());
    leg.stream.remote(Remote::at(a.at()));
    assert_eq!(silent(leg.event()), (true, false));
}

#[test]
fn garbage_from_the_true_address_harms_nothing() {
    let engine = engine(2);
    let (mut a, leg_a, _leg_b, b) = call(&engine);
    let mut rng = SmallRng::seed_from_u64(20);
    let mut junk = [0; 600];
    for round in 0..2000 {
        rng.fill_bytes(&mut junk);
        let len = rng.random_range(0..junk.len());
        match round % 4 {
            0 => junk[0] = 0x80 | (junk[0] & 0x3f),
            1 => (junk[0], junk[1]) = (0x80 | (junk[0] & 0x3f), [0, 101][usize::from(junk[1] & 1)]),
            2 => (junk[0], junk[1]) = (0x80 | (junk[0] & 0x1f), 200 + junk[1] % 8),
            _ => {}
        }
        a.send(leg_a.stream.local(), &junk[..len]);
        a.rtcp.send_to(&junk[..len], leg_a.stream.rtcp_local()).unwrap();
        if round % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    until("the call goes on", || {
        a.say(&leg_a, 0, b"still here");
        std::thread::sleep(Duration::from_millis(2));
        b.hear_all().iter().any(|p| p.payload == b"still here")
    });
    assert!(leg_a.stats().dropped.not_rtp > 100);
    assert!(leg_a.stats().rtcp.dropped > 100);
}

#[test]
fn a_peer_whose_port_is_closed_does_not_stop_the_other_way() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    let mut b = b;
    let to_b = b.at();
    // B keeps sending from its port, but every packet to it is answered by an ICMP error.
    let gone = Phone::on("127.0.0.8");
    let closed = gone.at();
    drop(gone);
    leg_b.stream.remote(Remote { rtp: closed, learn: tandem::media::Learn::Never, ..Remote::at(to_b) });
    for _ in 0..50 {
        a.say(&leg_a, 0, b"to nobody");
        std::thread::sleep(Duration::from_micros(200));
    }
    leg_b.stream.remote(Remote::at(to_b));
    leg_b.settled();
    b.say(&leg_b, 0, b"b is back");
    assert_eq!(a.hear().payload, b"b is back");
}

#[test]
fn exhaustion_is_an_error_and_all_ports_come_back() {
    // Below those that the system chooses from.
    let ports = PortRange::new(20_000, 20_039);
    let engine = Engine::start(EngineConfig { threads: 2, ports, ..EngineConfig::default() }).unwrap();
    for _ in 0..3 {
        let mut legs = Vec::new();
        let refused = loop {
            match engine.open(here(), Arc::new(|_, _| {})) {
                Ok(stream) => legs.push(stream),
                Err(e) => break e,
            }
        };
        assert!(matches!(refused, OpenError::Exhausted { .. } | OpenError::Busy { .. }), "{refused}");
        assert!(legs.len() > 10, "{}", legs.len());
        let mut seen: Vec<_> = legs.iter().map(|s| s.local().port()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((seen.len(), engine.streams()), (legs.len(), legs.len()));
        assert!(seen.iter().all(|p| p % 2 == 0));
        legs.windows(2).for_each(|w| w[0].bridge_matching(w[1].id()).unwrap());
        drop(legs);
        assert_eq!(engine.streams(), 0);
        until("all ports come back", || engine.ports_in_use() == 0);
    }
}

#[test]
fn a_fault_in_one_stream_is_its_own() {
    let engine = engine(1);
    let (mut a, leg_a, _leg_b, b) = call(&engine);
    let mut c = Phone::on("127.0.0.4");
    let bad = engine.open(ip("127.0.0.1"), Arc::new(|_, _| panic!("a fault on purpose"))).unwrap();
    bad.format(pcmu(101));
    bad.remote(Remote::at(c.at()));
    until("settled", || bad.settled());
    c.send(bad.local(), &c.packet(0, b"x"));
    c.sequence += 1;
    until("its ports are closed", || engine.ports_in_use() == 2);
    a.say(&leg_a, 0, b"alive");
    assert_eq!(b.hear().payload, b"alive");
    assert!(bad.bridge_matching(leg_a.stream.id()).is_ok(), "commands to it are in vain, but no error");
}

#[test]
fn handles_outlive_the_engine_and_threads_end() {
    let engine = engine(3);
    let leg = Leg::open(&engine);
    engine.stop();
    engine.stop();
    until("the ports come back with the threads", || engine.ports_in_use() == 0);
    leg.stream.echo(true);
    leg.stream.send_dtmf('1', 100).unwrap_err();
    assert_eq!(leg.stats().received.packets, 0);
    let late = engine.open(ip("127.0.0.1"), Arc::new(|_, _| {})).unwrap();
    assert_eq!(late.bridge(leg.stream.id(), PayloadMap::new(), PayloadMap::new()), Ok(()));
    let id = leg.stream.id();
    drop(leg);
    assert_eq!(late.bridge(id, PayloadMap::new(), PayloadMap::new()), Err(StreamError::Gone));
    drop((engine, late));
}

#[test]
fn a_stream_takes_two_descriptors() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let engine = engine(1);
    let before = count();
    let legs: Vec<_> = (0..20).map(|_| Leg::open(&engine)).collect();
    // Other tests of this process open and close some, too, when it runs them in threads.
    assert!(count() - before <= 40 + 60);
    drop(legs);
}

#[test]
fn the_verdict_names_the_side_that_is_silent() {
    let engine = engine(1);
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let (leg_a, leg_b) = (Leg::with(&engine, &a), Leg::with(&engine, &b));
    leg_a.bridge(&leg_b);
    until("some packets cross", || {
        a.say(&leg_a, 0, b"x");
        std::thread::sleep(Duration::from_millis(2));
        leg_b.stats().sent.packets > 3
    });
    let (sa, sb) = (leg_a.stats(), leg_b.stats());
    let side = |name, stats, leg: &Leg, sdp| Side {
        name,
        stats,
        port: leg.stream.local().port(),
        sdp: Some(sdp),
        sends: true,
    };
    let v = verdict(side("A", &sa, &leg_a, a.at()), side("B", &sb, &leg_b, b.at()));
    let text = v.to_string();
    assert_eq!(v.summary(), Summary::OneWay, "{text}");
    assert!(text.starts_with("A→B flowing "), "{text}");
    let port = leg_b.stream.local().port();
    let end = format!("; B→A none: no packet ever arrived on port {port}, B's SDP said {}", b.at());
    assert!(text.ends_with(&end), "{text}");
}
