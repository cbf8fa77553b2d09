//! telephone-event across the bridge and from us.

use tandem::media::dtmf::EventPacket;
use tandem::media::{Format, MediaEvent, Payload, StreamError};

use crate::bed::*;

/// Presses a digit: three packets, three end packets.
fn press(phone: &mut Phone, leg: &Leg, payload_type: u8, event: u8) {
    let timestamp = phone.timestamp;
    for i in 1..=6u16 {
        phone.timestamp = timestamp;
        let p = EventPacket { event, end: i > 3, volume: 10, duration: i.min(4) * 160 };
        phone.say(leg, payload_type, &p.bytes());
    }
    phone.timestamp = timestamp.wrapping_add(6 * 160);
}

#[test]
fn a_digit_is_told_once_and_relayed_with_the_other_number() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    leg_b.stream.format(pcmu(96));
    leg_a.bridge(&leg_b);
    leg_a.event();
    press(&mut a, &leg_a, 101, 11);
    assert_eq!(leg_a.event(), MediaEvent::Dtmf { digit: '#', duration_ms: 80 });
    let packets: Vec<_> = (0..6).map(|_| b.hear()).collect();
    assert!(packets.iter().all(|p| p.header.payload_type == 96));
    assert!(packets.iter().all(|p| p.header.timestamp == packets[0].header.timestamp));
    let ends = packets.iter().filter(|p| EventPacket::read(&p.payload).unwrap().end).count();
    assert_eq!(ends, 3);
    press(&mut a, &leg_a, 101, 5);
    assert_eq!(leg_a.event(), MediaEvent::Dtmf { digit: '5', duration_ms: 80 });
    assert_eq!(leg_a.stats().digits, 2);
}

#[test]
fn without_telephone_event_on_the_other_side_it_is_told_but_not_relayed() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    leg_b.stream.format(Format::of([Payload::new("PCMU", 0, 8000)]));
    leg_a.bridge(&leg_b);
    leg_a.event();
    a.say(&leg_a, 0, b"before");
    let before = b.hear().header;
    press(&mut a, &leg_a, 101, 1);
    assert_eq!(leg_a.event(), MediaEvent::Dtmf { digit: '1', duration_ms: 80 });
    a.say(&leg_a, 0, b"after");
    let after = b.hear();
    assert_eq!(after.payload, b"after");
    assert_eq!(after.header.sequence, before.sequence.wrapping_add(1), "no gap");
    assert_eq!(leg_a.stats().dropped.not_mapped, 0, "that is no fault");
    assert_eq!(leg_b.stream.send_dtmf('1', 100), Err(StreamError::NoEvents));
}

#[test]
fn a_digit_without_end_packets_is_told_after_a_while() {
    let engine = engine(1);
    let (mut a, leg_a, _leg_b, _b) = call(&engine);
    leg_a.event();
    let p = EventPacket { event: 9, end: false, volume: 10, duration: 800 };
    a.say(&leg_a, 101, &p.bytes());
    assert_eq!(leg_a.event(), MediaEvent::Dtmf { digit: '9', duration_ms: 100 });
}

#[test]
fn durations_are_rescaled_between_clocks() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    leg_b
        .stream
        .format(Format::of([Payload::new("PCMU", 0, 8000), Payload::new("telephone-event", 96, 48_000)]));
    leg_a.bridge(&leg_b);
    press(&mut a, &leg_a, 101, 3);
    let first = EventPacket::read(&b.hear().payload).unwrap();
    assert_eq!((first.event, first.duration), (3, 960));
}

#[test]
fn our_digits_go_out_in_order_in_the_running_stream() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    a.say(&leg_a, 0, b"audio");
    let before = b.hear().header;
    assert_eq!(leg_b.stream.send_dtmf('x', 100), Err(StreamError::NotADigit));
    leg_b.stream.send_dtmf('4', 100).unwrap();
    leg_b.stream.send_dtmf('2', 60).unwrap();
    let mut digits = String::new();
    let mut last = before;
    for (event, count) in [(4, 7), (2, 5)] {
        let packets: Vec<_> = (0..count).map(|_| b.hear()).collect();
        for (i, p) in packets.iter().enumerate() {
            let e = EventPacket::read(&p.payload).unwrap();
            assert_eq!((e.event, e.end), (event, i + 3 >= count));
            assert_eq!((p.header.payload_type, p.header.marker), (101, i == 0));
            assert_eq!(p.header.ssrc, before.ssrc);
            assert_eq!(p.header.sequence, last.sequence.wrapping_add(1));
            assert_eq!(p.header.timestamp, packets[0].header.timestamp);
            last = p.header;
        }
        digits.push(char::from(b'0' + event));
    }
    assert_eq!(digits, "42");
    until("audio goes on", || {
        a.say(&leg_a, 0, b"audio");
        std::thread::sleep(std::time::Duration::from_millis(2));
        leg_b.stats().sent.packets > 12 + 2
    });
    let after = b.hear().header;
    assert_eq!((after.sequence, after.marker), (last.sequence.wrapping_add(1), true));
    assert!((after.timestamp.wrapping_sub(last.timestamp) as i32) > 0);
    for _ in 0..64 {
        leg_b.stream.send_dtmf('1', 40).unwrap();
    }
    let more: Vec<_> = (0..64).map(|_| leg_b.stream.send_dtmf('1', 40)).collect();
    assert!(more.iter().all(|r| matches!(r, Ok(()) | Err(StreamError::Full))));
}
