//! Seeded mutation of dial strings: whatever one becomes, it is read or refused with a place in it, within a time that does
//! not grow faster than its length, and what was read says the same when it is written and read again.
//!
//! `dial_strings.txt` is the corpus, replayed first. `MUTATIONS=n` for more of them (20,000 unless said), `SEED=n` for
//! others; a failure names both its seed and its text.

use std::fmt::Write;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tandem::dial::DialString;
use tandem::dial::string::flatten;

use crate::fixture;

/// No text of this size takes longer, in a build without optimisation.
const LONGEST: Duration = Duration::from_secs(2);
/// Pieces that mean something here.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    ",",
    "|",
    ":_:",
    ":",
    "_",
    "'",
    "\\",
    "\\,",
    "\\'",
    "^^",
    "^^:",
    "=",
    "a=b",
    " ",
    "/",
    "user/1",
    "sofia/x/1@h",
    "error/17",
    "loopback/app=x:y",
    "@",
    "%",
    "\u{10ff07}",
    "ż",
    "\n",
    "\u{0}",
    "{a={b}}",
    "[a=|]",
];

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn corpus() -> Vec<String> {
    let text = std::fs::read_to_string(fixture("dial_strings.txt")).expect("the corpus");
    text.lines().map(str::to_owned).collect()
}

fn mutated(rng: &mut SmallRng, corpus: &[String]) -> String {
    let pick = |rng: &mut SmallRng| corpus.choose(rng).cloned().unwrap_or_default();
    let mut characters: Vec<char> = pick(rng).chars().collect();
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=characters.len());
        let until = rng.random_range(at..=characters.len());
        match rng.random_range(0..5) {
            0 => drop(characters.drain(at..until)),
            1 | 2 => {
                let piece = PIECES.choose(rng).copied().unwrap_or("");
                characters.splice(at..at, piece.chars());
            }
            3 => {
                let again: Vec<char> = characters[at..until].to_vec();
                characters.splice(at..at, again);
            }
            _ => {
                let other: Vec<char> = pick(rng).chars().collect();
                characters.splice(at..until, other);
            }
        }
        characters.truncate(4000);
    }
    characters.into_iter().collect()
}

/// Written so that nothing in it can be taken for anything else.
fn written(dial: &DialString) -> String {
    let quoted = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            if matches!(c, '\\' | '\'' | '"' | ',') {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    let block = |open: char, variables: &[(String, String)], close: char| {
        let inner: Vec<_> = variables.iter().map(|(n, v)| format!("{}={}", quoted(n), quoted(v))).collect();
        if inner.is_empty() { String::new() } else { format!("{open}{}{close}", inner.join(",")) }
    };
    let mut out = block('<', &dial.variables, '>');
    for (n, member) in dial.members.iter().enumerate() {
        out.push_str(if n > 0 { ":_:" } else { "" });
        out.push_str(&block('{', &member.variables, '}'));
        for (n, stage) in member.stages.iter().enumerate() {
            out.push_str(if n > 0 { "|" } else { "" });
            for (n, leg) in stage.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                let _ = write!(out, "{}{}", block('[', &leg.variables, ']'), leg.url());
            }
        }
    }
    out
}

/// True when every text in it could be written plainly: no brackets, separators or blanks that need another spelling.
fn is_plain(dial: &DialString) -> bool {
    let free = |text: &str| {
        !text.contains(['{', '}', '[', ']', '<', '>', '|', ':', '\'', '\\', '^', ' ', ',', '=', '"'])
    };
    let spaced = |text: &str| text.trim() == text && !text.is_empty() && !text.contains(['\n', '\r', '\t']);
    let variables =
        |list: &[(String, String)]| list.iter().all(|(n, v)| [n, v].iter().all(|t| free(t) && spaced(t)));
    variables(&dial.variables)
        && dial.members.iter().all(|m| variables(&m.variables))
        && dial
            .legs()
            .all(|leg| variables(&leg.variables) && free(&leg.url()) && spaced(&leg.url()) && !leg.wire)
}

fn holds(text: &str, seed: u64) {
    let shown: String = text.chars().take(300).collect();
    let begun = Instant::now();
    match DialString::parse(text) {
        Ok(dial) => {
            let legs = dial.legs().count();
            assert!((1..=128).contains(&legs), "seed {seed}: {legs} legs: {shown:?}");
            if is_plain(&dial) {
                let again = DialString::parse(&written(&dial));
                assert_eq!(again.as_ref(), Ok(&dial), "seed {seed}: {shown:?}");
            }
        }
        Err(bad) => {
            assert!(bad.at <= text.len() && text.is_char_boundary(bad.at), "seed {seed}: {bad:?}: {shown:?}");
        }
    }
    let flat = flatten(text);
    assert!(flat.len() <= text.len() * 130 + 2, "seed {seed}: {} from {shown:?}", flat.len());
    assert!(begun.elapsed() < LONGEST, "seed {seed}: {:?} for {shown:?}", begun.elapsed());
}

#[test]
fn the_corpus_is_read_or_refused() {
    let mut read = 0;
    for text in corpus() {
        holds(&text, 0);
        read += usize::from(DialString::parse(&text).is_ok());
    }
    assert!(read >= 15, "{read} of the corpus are dial strings");
}

#[test]
fn mutations_are_read_or_refused() {
    let (seed, corpus) = (number("SEED", 1), corpus());
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..number("MUTATIONS", 20_000) {
        holds(&mutated(&mut rng, &corpus), seed);
    }
}

/// Texts of 100,000 characters that a careless reader would go through once for each character.
#[test]
fn long_ones_take_no_longer_than_they_are_long() {
    for piece in
        ["'", "{", "[", "<", "\\", ",", "|", ":_:", "user/1,", "[a=1]user/1|", "{a=1}", "[", "]", "'a", "^^,"]
    {
        let text = piece.repeat(100_000 / piece.len());
        holds(&text, 0);
        holds(&format!("user/1{text}"), 0);
    }
}
