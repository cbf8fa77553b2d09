//! Whatever comes in whatever order: no panic, everything bounded, and it ends.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::stage::*;
use tandem::dialog::{Event, SessionConfig};
use tandem::sip::{Message, Method};

const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "INFO",
    "UPDATE",
    "PRACK",
    "MESSAGE",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "REGISTER",
    "WHAT",
];
const MORE: [&str; 16] = [
    "",
    "",
    "",
    "Require: 100rel\r\nRSeq: 1\r\n",
    "Require: 100rel\r\nRSeq: 2\r\n",
    "RSeq: 99999999999\r\nRequire: 100rel\r\n",
    "RAck: 1 1 INVITE\r\n",
    "RAck: x\r\n",
    "Session-Expires: 4294967295;refresher=uac\r\nSupported: timer\r\n",
    "Session-Expires: 90;refresher=uas\r\nMin-SE: 4000000000\r\nSupported: timer\r\n",
    "Retry-After: 4294967295\r\n",
    "Record-Route: <sip:a;lr>, <sip:b>\r\n",
    "Contact: *\r\n",
    "Contact: <tel:+123>\r\n",
    "Content-Type: multipart/mixed;boundary=x\r\n",
    "Allow: INVITE\r\nMin-SE: 1800\r\n",
];
const BODIES: [&str; 4] = ["", OFFER, ANSWER, "--x\r\n\r\n--x--"];

fn pick<'a>(rng: &mut SmallRng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

fn blind_alley(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let config = SessionConfig {
        reliable_provisional: rng.random_bool(0.5),
        sticky: rng.random_bool(0.5),
        session_expires: rng.random_bool(0.5).then_some(90),
        update_refresher: rng.random_bool(0.5),
        ..config()
    };
    let mut s = match rng.random_range(0..4) {
        0 => Stage::calling(config, rng.random()),
        1 => Stage::up(config),
        2 => Stage::up_calling(SessionConfig { session_expires: None, ..config }, ""),
        _ => {
            let (more, body) = (pick(&mut rng, &MORE[..10]), pick(&mut rng, &BODIES[..2]));
            Stage::called(config, more, body)
        }
    };
    let mut last: Option<Message> = None;
    for _ in 0..rng.random_range(5..60) {
        while let Some((message, _)) = s.sent.pop_front() {
            if message.is_request() && rng.random_bool(0.7) {
                last = Some(message);
            }
        }
        assert!(s.sent.len() < 1000);
        let sdp = rng.random_bool(0.6).then(|| Bytes::from_static(OFFER.as_bytes()));
        let now = s.now;
        match rng.random_range(0..22) {
            0..=7 => {
                let (method, more, body) =
                    (pick(&mut rng, &METHODS), pick(&mut rng, &MORE), pick(&mut rng, &BODIES));
                let cseq = if rng.random_bool(0.7) {
                    s.cseq + rng.random_range(0..3)
                } else {
                    rng.random_range(0..1 << 31)
                };
                s.cseq = s.cseq.max(cseq.min(1 << 20));
                let from = pick(&mut rng, &["theirs", "theirs", "theirs", "a", ""]);
                let to = pick(&mut rng, &["ours", "ours", "ours", "b", ""]);
                let text = s.text(method, cseq, from, to, more, body);
                if let Ok(message) = Message::parse(Bytes::from(text), &Default::default()) {
                    s.hear(message);
                }
            }
            8..=12 => {
                if let Some(request) = &last {
                    let status =
                        [100, 180, 183, 199, 200, 202, 302, 401, 408, 422, 481, 487, 488, 491, 500, 503, 603];
                    let status = status[rng.random_range(0..status.len())];
                    let (tag, more, body) = (
                        pick(&mut rng, &["theirs", "a", "b", ""]),
                        pick(&mut rng, &MORE[..12]),
                        pick(&mut rng, &BODIES[..3]),
                    );
                    s.hear(response(request, status, tag, more, body));
                }
            }
            13 => {
                let _ = s.session.provisional(now, rng.random_range(90..210), sdp, &[]);
            }
            14 => {
                let _ = s.session.answer(now, sdp, &[]);
            }
            15 => {
                let _ = s.session.offer(now, sdp, &[]);
            }
            16 => {
                let _ = s.session.update(now, sdp, &[]);
            }
            17 => {
                let _ = s.session.acknowledge(now, sdp);
            }
            18 => {
                let told: Vec<Event> = s.events.drain(..).collect();
                for event in told {
                    match event {
                        Event::Offer { id, .. } if rng.random_bool(0.7) => {
                            let _ = s.session.accept_offer(now, id, sdp.clone(), &[]);
                        }
                        Event::Offer { id, .. } => {
                            let _ = s.session.refuse_offer(now, id, 488, &[]);
                        }
                        Event::Request { id, .. } => {
                            let _ = s.session.respond(now, id, 200, &[], None);
                        }
                        _ => {}
                    }
                }
            }
            19 => {
                let _ = s.session.request(now, Method::Info, &[], None);
            }
            20 if rng.random_bool(0.3) => match rng.random_range(0..3) {
                0 => {
                    let _ = s.session.bye(now, &[]);
                }
                1 => {
                    let _ = s.session.cancel(now, &[]);
                }
                _ => {
                    let _ = s.session.reject(now, 486, None, &[]);
                }
            },
            _ => s.pass(Duration::from_millis(rng.random_range(0..20_000))),
        }
        s.drain();
    }
    let now = s.now;
    let _ = s.session.cancel(now, &[]);
    let _ = s.session.reject(now, 486, None, &[]);
    let _ = s.session.bye(now, &[]);
    s.drain();
    for _ in 0..40 {
        s.seconds(60);
        s.sent.clear();
    }
    assert!(s.session.is_over(), "seed {seed}: {:?}", s.session);
    let ended = s.events.iter().position(|e| matches!(e, Event::Ended));
    assert!(ended.is_none_or(|at| at + 1 == s.events.len()), "seed {seed}: told after Ended");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn anything_in_any_order(seed: u64) {
        blind_alley(seed);
    }
}

#[test]
fn one_seed() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|s| s.parse().ok()) {
        blind_alley(seed);
    }
}
