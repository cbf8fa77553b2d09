//! What goes through a bridge: payload types, numbers, sizes, changes of partner, threads.

use tandem::media::{Format, MediaEvent, Payload, Remote};

use crate::bed::*;

#[test]
fn both_ways_with_payloads_untouched_and_numbers_continuous() {
    let engine = engine(2);
    let (mut a, leg_a, leg_b, mut b) = call(&engine);
    assert_eq!(leg_a.event(), MediaEvent::Started { from: a.at() });
    a.say(&leg_a, 0, b"first");
    let first = b.hear();
    for i in 1..50u16 {
        a.say(&leg_a, 0, &i.to_be_bytes());
        let p = b.hear();
        assert_eq!(p.payload, i.to_be_bytes());
        assert_eq!(p.header.sequence, first.header.sequence.wrapping_add(i));
        assert_eq!(p.header.timestamp, first.header.timestamp.wrapping_add(u32::from(i) * 160));
        assert_eq!((p.header.ssrc, p.header.marker), (first.header.ssrc, false));
        b.say(&leg_b, 0, b"back");
        assert_eq!(a.hear().payload, b"back");
    }
    assert_ne!(first.header.ssrc, a.ssrc, "the other side never learns it");
    let stats = leg_a.stats();
    assert_eq!((stats.lost, stats.expected, stats.ssrc), (0, stats.received.packets, Some(a.ssrc)));
    assert_eq!((stats.source, stats.mos), (Some(a.at()), None));
}

#[test]
fn payload_types_are_mapped_and_others_leave_no_gap() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    let opus = |pt| Payload { channels: 2, ..Payload::new("opus", pt, 48_000) };
    leg_a.stream.format(Format::of([opus(111), Payload::new("PCMU", 0, 8000), Payload::new("GSM", 3, 8000)]));
    leg_b.stream.format(Format::of([opus(96), Payload::new("PCMU", 0, 8000)]));
    leg_a.bridge(&leg_b);
    a.say(&leg_a, 111, b"x");
    let first = b.hear().header;
    assert_eq!(first.payload_type, 96);
    a.say(&leg_a, 3, b"not mapped");
    a.say(&leg_a, 9, b"not negotiated");
    a.say(&leg_a, 0, b"y");
    let second = b.hear().header;
    assert_eq!(second.payload_type, 0);
    // The packet of an unknown type never counted as received, so its number stays a gap.
    assert_eq!(second.sequence, first.sequence.wrapping_add(2));
    let dropped = leg_a.stats().dropped;
    assert_eq!((dropped.not_mapped, dropped.unknown_payload), (1, 1));
}

#[test]
fn large_packets_and_unknown_codecs_pass() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, b) = call(&engine);
    let video = |pt| Format::of([Payload::new("H264", pt, 90_000)]);
    leg_a.stream.format(video(97));
    leg_b.stream.format(video(126));
    leg_a.bridge(&leg_b);
    for size in [0, 1, 1460, 1600, 2048, 9000, 30_000] {
        let picture = vec![size as u8; size];
        a.say(&leg_a, 97, &picture);
        let p = b.hear();
        assert_eq!((p.header.payload_type, p.payload == picture), (126, true), "{size} bytes");
    }
}

#[test]
fn proxied_media_is_not_touched() {
    let engine = engine(1);
    let (a, leg_a, leg_b, b) = call(&engine);
    leg_a.stream.format(Format::any());
    leg_b.stream.format(Format::any());
    leg_a.bridge(&leg_b);
    let (rtp, mut buf) = (a.packet(77, b"encrypted"), [0; 1500]);
    for bytes in [&rtp[..], b"T.38 has no RTP header", &[0, 1, 0, 0], &[0x80, 200, 9, 9, 1]] {
        a.send(leg_a.stream.local(), bytes);
        let (n, from) = b.rtp.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], from), (bytes, leg_b.stream.local()));
        a.rtcp.send_to(bytes, leg_a.stream.rtcp_local()).unwrap();
        let (n, from) = b.rtcp.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..n], from), (bytes, leg_b.stream.rtcp_local()));
    }
    let evil = Phone::on("127.0.0.66");
    evil.send(leg_a.stream.local(), b"evil");
    a.send(leg_a.stream.local(), b"good");
    let (n, _) = b.rtp.recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..n], b"good");
}

#[test]
fn another_partner_goes_on_in_the_same_stream() {
    let engine = engine(2);
    let (a, leg_a, leg_b, mut b) = call(&engine);
    b.say(&leg_b, 0, b"b");
    let last = a.hear().header;
    let mut c = Phone::on("127.0.0.4");
    let leg_c = Leg::with(&engine, &c);
    leg_c.bridge(&leg_a);
    assert_eq!(leg_a.stream.bridged_with(), Some(leg_c.stream.id()));
    assert_eq!(leg_b.stream.bridged_with(), None, "released");
    leg_b.settled();
    c.say(&leg_c, 0, b"c");
    let first = a.hear();
    assert_eq!(first.payload, b"c");
    assert_eq!(first.header.sequence, last.sequence.wrapping_add(1));
    assert_eq!(first.header.ssrc, last.ssrc);
    assert!(first.header.marker);
    assert!((first.header.timestamp.wrapping_sub(last.timestamp) as i32) > 0);

    b.say(&leg_b, 0, b"nobody hears this");
    until("B is alone", || leg_b.stats().dropped.no_peer > 0);
    assert!(a.hear_all().iter().all(|p| p.payload == b"c"));
    drop(leg_c);
    assert_eq!(leg_a.stream.bridged_with(), None);
}

#[test]
fn echo_and_then_a_bridge() {
    let engine = engine(1);
    let (mut a, mut b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let (leg_a, leg_b) = (Leg::with(&engine, &a), Leg::with(&engine, &b));
    leg_a.stream.echo(true);
    leg_a.settled();
    a.say(&leg_a, 0, b"one");
    let one = a.hear();
    a.say(&leg_a, 0, b"two");
    let two = a.hear();
    assert_eq!((&one.payload[..], &two.payload[..]), (&b"one"[..], &b"two"[..]));
    assert_eq!(two.header.sequence, one.header.sequence.wrapping_add(1));

    leg_a.bridge(&leg_b);
    b.say(&leg_b, 0, b"from b");
    let three = a.hear();
    assert_eq!((three.payload, three.header.marker), (b"from b".to_vec(), true));
    assert_eq!(three.header.sequence, two.header.sequence.wrapping_add(1));

    leg_a.stream.unbridge();
    leg_a.settled();
    a.say(&leg_a, 0, b"echo again");
    assert_eq!(a.hear().payload, b"echo again");
    leg_a.stream.echo(false);
    leg_a.settled();
    a.say(&leg_a, 0, b"silence");
    until("no peer", || leg_a.stats().dropped.no_peer == 1);
    assert!(a.hear_all().is_empty());
}

#[test]
fn directions_are_kept() {
    let engine = engine(1);
    let (mut a, leg_a, leg_b, mut b) = call(&engine);
    // B is on hold: we may not send to it and expect nothing from it.
    leg_b.stream.remote(Remote { send: false, receive: false, ..Remote::at(b.at()) });
    leg_b.settled();
    a.say(&leg_a, 0, b"to nobody");
    until("not sent", || leg_b.stats().dropped.not_sent == 1);
    let before = leg_b.stats().received.packets;
    b.say(&leg_b, 0, b"unheard");
    leg_b.received(before + 1);
    assert!(b.hear_all().is_empty() && a.hear_all().is_empty());
    leg_b.stream.remote(Remote::at(b.at()));
    leg_b.settled();
    b.say(&leg_b, 0, b"back");
    assert_eq!(a.hear().payload, b"back");
}

#[test]
fn streams_change_threads_under_traffic() {
    const PACKETS: u16 = 3000;
    let engine = engine(4);
    let (mut a, b) = (Phone::on("127.0.0.2"), Phone::on("127.0.0.3"));
    let (leg_a, leg_b) = (Leg::with(&engine, &a), Leg::with(&engine, &b));
    let others: Vec<Leg> = (0..6).map(|_| Leg::open(&engine)).collect();
    leg_a.bridge(&leg_b);
    let mut heard = Vec::new();
    for i in 0..PACKETS {
        a.say(&leg_a, 0, &i.to_be_bytes());
        // B goes elsewhere and comes back, wherever there is room.
        if i % 100 == 50 {
            let other = &others[usize::from(i / 100) % others.len()].stream;
            leg_b.stream.bridge_matching(other.id()).unwrap();
            leg_a.stream.bridge_matching(leg_b.stream.id()).unwrap();
        }
        // Never more on the way than the sockets hold.
        leg_a.received(u64::from(i).saturating_sub(32));
        heard.extend(b.hear_all());
    }
    leg_a.received(u64::from(PACKETS));
    // A packet that came while the other line was on its way, or while A was alone, is dropped and counted; no other
    // is missing.
    until("every packet is accounted for", || {
        heard.extend(b.hear_all());
        heard.len() as u64 + leg_a.stats().dropped.no_peer == u64::from(PACKETS)
    });
    assert!(heard.len() > usize::from(PACKETS) / 2, "{} heard", heard.len());
    assert_eq!(leg_a.stats().lost, 0, "nothing is lost on the way in");
    let order: Vec<_> = heard.iter().map(|p| p.payload.clone()).collect();
    assert!(order.is_sorted(), "and nothing is put out of order");
    // Numbers only grow, and by no more than the packets that were said: how many of them fell into one move depends on
    // how busy the machine is.
    let steps: Vec<u16> =
        heard.windows(2).map(|w| w[1].header.sequence.wrapping_sub(w[0].header.sequence)).collect();
    assert!(steps.iter().all(|step| *step >= 1), "numbers grow");
    assert!(steps.iter().map(|s| u32::from(*s)).sum::<u32>() <= u32::from(PACKETS), "and do not leap");
    let before = heard.last().unwrap().header.ssrc;
    assert!(heard.iter().all(|p| p.header.ssrc == before), "one SSRC throughout");
}
