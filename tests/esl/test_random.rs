//! Seeded mutation of whole conversations over the socket: nothing takes the switch down, every frame it sends is one, and
//! what is still understood is answered in order.
//!
//! `tests/fixtures/esl/odd.jsonl` is the corpus, and is replayed first. `CONVERSATIONS=n` for more (150 unless said), `SEED=n`
//! for others; a failure names its seed.

use crate::bed::{Bed, Client};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::io::Write;

const CORPUS: &str = include_str!("../fixtures/esl/odd.jsonl");

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn corpus() -> Vec<Vec<u8>> {
    CORPUS.lines().map(|line| serde_json::from_str::<String>(line).expect("JSON").into_bytes()).collect()
}

/// A few conversations in a row, bent here and there; between them commands whose answers are known.
fn conversation(rng: &mut SmallRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\0",
        b":",
        b" ",
        b"%0a",
        b"Content-Length: 7\n",
        b"call-command: execute\n",
        b"\xff",
        b"A: b\n",
    ];
    let mut text = Vec::new();
    for n in 0..rng.random_range(1..12) {
        let mut part = corpus.choose(rng).cloned().unwrap_or_default();
        for _ in 0..rng.random_range(0..3) {
            let at = rng.random_range(0..=part.len());
            let until = rng.random_range(at..=part.len());
            match rng.random_range(0..4) {
                0 => drop(part.drain(at..until)),
                1 | 2 => {
                    drop(part.splice(at..at, PIECES.choose(rng).copied().unwrap_or_default().iter().copied()))
                }
                _ => drop(part.splice(at..at, vec![b'x'; rng.random_range(0..20_000)])),
            }
        }
        text.extend_from_slice(&part);
        text.extend_from_slice(format!("\n\napi echo marker {n:05}\n\n").as_bytes());
    }
    text
}

/// Says it in pieces, reads all that comes, and looks at its order. True when the connection lived to the end.
fn say(client: &mut Client, rng: &mut SmallRng, text: &[u8], which: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rng.random_range(1..=rest.len().min(3_000)));
        if client.stream.write_all(piece).is_err() {
            break; // it has been dismissed
        }
        rest = after;
    }
    let last = "api echo this is the end";
    let _ = client.stream.write_all(format!("\n\n{last}\n\n").as_bytes());
    let _ = client.stream.shutdown(std::net::Shutdown::Write);
    let (mut markers, mut lived) = (Vec::new(), false);
    while let Some(frame) = client.try_frame() {
        match frame.kind() {
            "api/response" => {
                lived |= frame.body == "this is the end";
                let marker = frame.body.strip_prefix("marker ").and_then(|n| n.get(..5)?.parse::<u32>().ok());
                markers.extend(marker);
            }
            "command/reply" | "text/disconnect-notice" | "log/data" => {}
            kind if kind.starts_with("text/event-") => {}
            kind => panic!("{which}: a frame of kind {kind:?}: {}", frame.head),
        }
        assert!(!frame.head.contains('\r'), "{which}: {:?}", frame.head);
    }
    assert!(markers.is_sorted(), "{which}: {markers:?}");
    lived
}

#[test]
fn nothing_a_client_says_harms_the_switch() {
    let bed = Bed::new();
    let mut good = bed.client();
    let (corpus, seed) = (corpus(), number("SEED", 1));
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut lived = 0;
    for odd in &corpus {
        lived += u32::from(say(&mut bed.client(), &mut rng, odd, "odd.jsonl"));
    }
    assert!(lived > 15, "most end well: {lived}");
    for n in 0..number("CONVERSATIONS", 150) {
        let text = conversation(&mut rng, &corpus);
        say(&mut bed.client(), &mut rng, &text, &format!("seed {seed}, conversation {n}"));
        if n % 16 == 0 {
            // Strangers may say it, too; they are not heard.
            let mut stranger = bed.stranger();
            stranger.frame();
            assert!(!say(&mut stranger, &mut rng, &text, &format!("seed {seed}, stranger {n}")));
        }
    }
    assert_eq!(good.api("echo still here"), "still here");
    assert_eq!(bed.legs(), 0);
}
