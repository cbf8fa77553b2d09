//! Whose packets count, over sockets; the table itself is tested beside it.

use std::time::Duration;

use tandem::media::{Learn, MediaEvent, Remote};

use crate::bed::*;

#[test]
fn a_third_party_is_dropped_and_counted() {
    let engine = engine(1);
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let mut evil = Phone::on("127.0.0.66");
    let (leg_a, leg_b) = (Leg::with(&engine, &a), Leg::with(&engine, &b));
    leg_a.bridge(&leg_b);
    for _ in 0..10 {
        evil.say(&leg_a, 0, b"evil");
    }
    leg_a.refused(10);
    assert_eq!(leg_a.stats().stranger, Some(evil.at()));
    for i in 0..20u8 {
        a.say(&leg_a, 0, &[i]);
        assert_eq!(b.hear().payload, [i]);
        // Connected by now: the kernel refuses it.
        evil.say(&leg_a, 0, b"evil");
    }
    assert!(b.hear_all().is_empty() && evil.hear_all().is_empty());
    assert_eq!(leg_a.stats().received.packets, 20);
    assert_eq!(leg_a.event(), MediaEvent::Started { from: a.at() });
}

#[test]
fn behind_nat_the_first_source_is_learned_and_held() {
    let engine = engine(1);
    let (mut nat, b) = (Phone::on("127.0.0.9"), Phone::on("127.0.0.3"));
    let mut evil = Phone::on("127.0.0.66");
    let (leg_a, leg_b) = (Leg::open(&engine), Leg::with(&engine, &b));
    leg_a.stream.format(pcmu(101));
    // The address in its SDP leads nowhere.
    leg_a.stream.remote(Remote::at("10.255.255.1:9".parse().unwrap()).behind_nat());
    leg_a.bridge(&leg_b);
    nat.say(&leg_a, 0, b"one");
    assert_eq!(b.hear().payload, b"one");
    let mut b = b;
    b.say(&leg_b, 0, b"to the nat");
    assert_eq!(nat.hear().payload, b"to the nat");
    for _ in 0..10 {
        evil.say(&leg_a, 0, b"evil");
        nat.say(&leg_a, 0, b"more");
    }
    leg_a.received(11);
    leg_a.refused(10);
    for _ in 0..10 {
        assert_eq!(b.hear().payload, b"more");
    }
    assert!(evil.hear_all().is_empty());
}

#[test]
fn an_attacker_who_came_first_loses_its_hold_within_three_packets() {
    let engine = engine(1);
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let mut evil = Phone::on("127.0.0.66");
    let (leg_a, leg_b) = (Leg::with(&engine, &a), Leg::with(&engine, &b));
    leg_a.stream.remote(Remote::at(a.at()).behind_nat());
    leg_a.bridge(&leg_b);
    for _ in 0..20 {
        evil.say(&leg_a, 0, b"evil");
    }
    leg_a.received(20);
    for _ in 0..10 {
        a.say(&leg_a, 0, b"good");
        evil.say(&leg_a, 0, b"evil");
    }
    until("the phone is heard", || leg_a.stats().source == Some(a.at()));
    for _ in 0..5 {
        a.say(&leg_a, 0, b"good");
    }
    until("it is heard on", || leg_a.stats().received.packets >= 20 + 8 + 5 + 2);
    assert_eq!(leg_a.event(), MediaEvent::Started { from: evil.at() });
    assert_eq!(leg_a.event(), MediaEvent::Moved { from: evil.at(), to: a.at() });
    let tail: Vec<_> = b.hear_all().into_iter().rev().take(10).map(|p| p.payload).collect();
    assert!(tail.iter().all(|p| p == b"good"), "{tail:?}");
}

#[test]
fn a_new_port_of_the_nat_is_followed_after_silence_with_the_same_ssrc_only() {
    let engine = engine(1);
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let (leg_a, leg_b) = (Leg::with(&engine, &a), Leg::with(&engine, &b));
    leg_a.stream.remote(Remote::at(a.at()).behind_nat());
    leg_a.bridge(&leg_b);
    a.say(&leg_a, 0, b"one");
    b.hear();
    let (mut moved, mut evil) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.66"));
    (moved.ssrc, moved.sequence, moved.timestamp) = (a.ssrc, a.sequence, a.timestamp);
    // The socket is connected to the old port: it opens again when that has been silent for a while. The window for
    // strangers is over, so that only the SSRC can speak for a source.
    leg_a.stream.remote(Remote { learn: Learn::Nat { window: Duration::ZERO }, ..Remote::at(a.at()) });
    until("the new port is followed", || {
        evil.say(&leg_a, 0, b"evil");
        moved.say(&leg_a, 0, b"moved");
        std::thread::sleep(Duration::from_millis(20));
        leg_a.stats().source == Some(moved.at())
    });
    assert!(b.hear_all().iter().all(|p| p.payload == b"moved"));
}

#[test]
fn re_signalling_moves_at_once() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, mut b) = call(&engine);
    let mut a2 = Phone::on("127.0.0.7");
    leg_a.stream.remote(Remote::at(a2.at()));
    leg_a.settled();
    b.say(&leg_b, 0, b"to the new one");
    assert_eq!(a2.hear().payload, b"to the new one");
    let before = leg_a.stats().dropped.wrong_source;
    a.say(&leg_a, 0, b"old");
    leg_a.refused(before + 1);
    a2.say(&leg_a, 0, b"new");
    assert_eq!(b.hear().payload, b"new");
    a2.say(&leg_a, 0, b"newer");
    assert_eq!(b.hear().payload, b"newer");
    assert_eq!(leg_a.stats().source, Some(a2.at()));
}

#[test]
fn nothing_counts_before_signalling() {
    let engine = engine(1);
    let mut a = Phone::on("127.0.0.2");
    let leg = Leg::open(&engine);
    leg.stream.format(pcmu(101));
    leg.settled();
    a.say(&leg, 0, b"early");
    leg.refused(1);
    let other = Leg::open(&engine);
    other.stream.remote(Remote::at(a.at()));
    other.settled();
    a.say(&other, 0, b"of what type?");
    until("unknown payload", || other.stats().dropped.unknown_payload == 1);
    assert_eq!(leg.stats().received.packets + other.stats().received.packets, 0);
}
