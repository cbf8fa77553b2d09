//! Seeded mutation of what clients say: however it is cut, the same requests come out, and no more is kept than may be.
//!
//! `tests/fixtures/esl/odd.jsonl` is the corpus, and is replayed first. `MUTATIONS=n` for more (6,000 unless said), `SEED=n`
//! for others; a failure names both its seed and its text.

use super::*;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const CORPUS: &str = include_str!("../../../tests/fixtures/esl/odd.jsonl");

/// Pieces that mean something here.
const PIECES: [&[u8]; 20] = [
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\r\n\r\n",
    b"\n\r\n",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"Content-Length: 3\n",
    b"Content-Length: 4194304\n",
    b"Content-Length: 4194305\n",
    b"content-length:-1\n",
    b"Content-Length: 1e3\n",
    b"api echo x\n\n",
    b"sendevent CUSTOM\n",
    b"A: b\n",
    b"\xff\xfe",
    "\u{fffd}ż".as_bytes(),
];

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn corpus() -> Vec<Vec<u8>> {
    let read = |line: &str| serde_json::from_str::<String>(line).expect("a JSON string").into_bytes();
    CORPUS.lines().map(read).collect()
}

fn mutated(rng: &mut SmallRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let pick = |rng: &mut SmallRng| corpus.choose(rng).cloned().unwrap_or_default();
    let mut bytes = pick(rng);
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=bytes.len());
        let until = rng.random_range(at..=bytes.len());
        match rng.random_range(0..7) {
            0 => drop(bytes.drain(at..until)),
            1 | 2 => {
                drop(bytes.splice(at..at, PIECES.choose(rng).copied().unwrap_or_default().iter().copied()))
            }
            3 => drop(bytes.splice(at..at, bytes[at..until].to_vec())),
            4 => drop(bytes.splice(at..until, pick(rng))),
            5 => {
                // Long lines, and long requests.
                let long = vec![*b"a\n:\0".choose(rng).unwrap_or(&b'a'); rng.random_range(0..5_000)];
                drop(bytes.splice(at..at, long));
            }
            _ => bytes.truncate(until),
        }
    }
    bytes
}

/// Everything that comes of it when it comes in these pieces: the requests, and why it was refused.
fn cut<'b>(pieces: impl Iterator<Item = &'b [u8]>, trusted: bool) -> (Vec<Request>, Option<Refused>) {
    let mut inbox = Inbox::default();
    if trusted {
        inbox.trust();
    }
    let mut found = Vec::new();
    for piece in pieces {
        inbox.push(piece);
        loop {
            match inbox.next() {
                Ok(Some(request)) => {
                    assert!(request.headers.len() <= MOST_HEADERS);
                    assert!(!request.line.contains('\n'), "{:?}", request.line);
                    assert!(request.headers.iter().all(|(n, v)| !n.contains('\n') && !v.contains('\n')));
                    found.push(request);
                }
                Ok(None) => break,
                Err(refused) => return (found, Some(refused)),
            }
        }
        let most = if trusted { MOST_BODY } else { MOST_BEFORE_LOGIN + 2 };
        assert!(inbox.len() <= most, "{} bytes are kept", inbox.len());
    }
    (found, None)
}

#[test]
fn however_it_is_cut_the_same_comes_out() {
    let (corpus, seed) = (corpus(), number("SEED", 1));
    let mut rng = SmallRng::seed_from_u64(seed);
    let mutations = number("MUTATIONS", 6_000);
    for n in 0..corpus.len() as u64 + mutations {
        let bytes = match corpus.get(n as usize) {
            Some(odd) => odd.clone(),
            None => mutated(&mut rng, &corpus),
        };
        for trusted in [true, false] {
            let whole = cut(std::iter::once(&bytes[..]), trusted);
            let size = rng.random_range(1..=bytes.len().clamp(1, 64));
            let cut = cut(bytes.chunks(size), trusted);
            let text: String = String::from_utf8_lossy(&bytes).chars().take(2_000).collect();
            let came = [&cut, &whole].map(|(requests, refused)| (requests.len(), refused));
            assert!(cut == whole, "seed {seed}, pieces of {size}: {came:?} of {text:?}");
        }
    }
}
