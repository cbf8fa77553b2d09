//! Seeded mutation of the tables' texts: whatever an expression, an expansion or a condition becomes, nothing panics, the
//! work is bounded, and text from the wire stays text.
//!
//! The rows of the tables are the corpus, and `odd.txt` holds what was once worth a look; it is replayed first.
//! `MUTATIONS=n` for more of them (20,000 unless said), `SEED=n` for others; a failure names both its seed and its text.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tandem::api;
use tandem::dialplan::{Caller, Template, expand, plain};

use crate::switch::{Channel, Switch, execute};
use crate::{fixture, rows, text};

/// What an expansion may put out (dialplan's own limit), and some for what functions add.
const OUTPUT: usize = (1 << 20) + 4096;
/// No text takes longer, in a build without optimisation.
const LONGEST: Duration = Duration::from_secs(5);
/// The value of a variable that only configuration may read.
const SECRET: &str = "not-for-the-wire";

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Pieces that mean something here.
const PIECES: &[&str] = &[
    "${",
    "$${",
    "}",
    "{",
    "(",
    ")",
    "[",
    "]",
    "\\",
    "\\\\",
    "\\$",
    "'",
    "|",
    ":",
    ",",
    " ",
    "^^",
    "ARRAY::",
    "|:",
    "$1",
    "${1}",
    "%1",
    "m:~",
    "~",
    "0",
    "-1",
    "99999999999999999999",
    "${evil}",
    "${va}",
    "${list[1]}",
    "${vs:-3:2}",
    "toupper",
    "regex",
    "cond",
    "expr",
    "eval",
    "expand",
    "hash(select/a/b)",
    "hash(insert/a/b/${evil})",
    "strftime(%Y)",
    "group_call(sales)",
    "?",
    "==",
    "!=",
    "/",
    "\u{10ff00}",
    "\u{e0ff}",
    "ż",
    "\n",
    "(?=a)",
    "(a+)+",
    ".*",
    "^",
    "$",
    "{2,}",
    "\\1",
    "(?<n>",
    "[^",
    "%[a=b]",
];

/// A text a few steps away from one of the corpus.
fn mutated(rng: &mut SmallRng, corpus: &[String]) -> String {
    let pick = |rng: &mut SmallRng| corpus.choose(rng).cloned().unwrap_or_default();
    let mut characters: Vec<char> = pick(rng).chars().collect();
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=characters.len());
        let until = rng.random_range(at..=characters.len());
        match rng.random_range(0..6) {
            0 => drop(characters.drain(at..until)),
            1 => {
                let piece = PIECES.choose(rng).copied().unwrap_or("");
                characters.splice(at..at, piece.chars());
            }
            2 => {
                let again: Vec<char> = characters[at..until].to_vec();
                characters.splice(at..at, again);
            }
            3 => {
                let other: Vec<char> = pick(rng).chars().collect();
                let from = rng.random_range(0..=other.len());
                characters.splice(at..until, other[from..].iter().copied());
            }
            4 if at < characters.len() => characters[at] = char::from(rng.random_range(b' '..b'~')),
            _ => characters.truncate(until),
        }
        characters.truncate(4000);
    }
    characters.into_iter().collect()
}

/// Works through the corpus as it is, then through mutations of it.
fn through(corpus: Vec<String>, mut work: impl FnMut(&str)) {
    let odd = std::fs::read_to_string(fixture("odd.txt")).unwrap();
    for text in odd.lines().chain(corpus.iter().map(String::as_str)) {
        work(text);
    }
    let seed = number("SEED", 1);
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..number("MUTATIONS", 20_000) {
        let text = mutated(&mut rng, &corpus);
        let begun = Instant::now();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&text)));
        assert!(done.is_ok(), "seed {seed}: {text:?}");
        assert!(begun.elapsed() < LONGEST, "seed {seed}: {:?} for {text:?}", begun.elapsed());
    }
}

fn asks() -> Vec<String> {
    let ours = rows(&fixture("expansions.jsonl")).into_iter().chain(rows(&fixture("functions.jsonl")));
    let called = |ask: &str| match ask.split_once(' ') {
        Some((name, arguments)) => format!("${{{name}({arguments})}}"),
        None => format!("${{{ask}()}}"),
    };
    ours.flat_map(|row| [text(&row, "ask").to_owned(), called(text(&row, "ask"))]).collect()
}

#[test]
fn expansions() {
    let switch = Switch::parse("");
    let mut channel = Channel::new(&switch, "1000");
    for (name, value) in
        [("va", "alpha"), ("vs", "hello world"), ("list", "ARRAY::a|:b|:c"), ("loop", "${loop}")]
    {
        channel.put(name, value);
    }
    channel.put("secret", SECRET);
    switch.globals.set("secret", SECRET);
    channel.set("evil", "${secret}'),(|{[\\$${SECRET} ${eval(${secret})}", true);
    channel.profile.insert("caller_id_name", "${secret}${expand(eval ${secret})}".to_owned());
    through(asks(), |ask| {
        // What the text itself asks for it may have; what a function makes of its own arguments as well.
        let asks_itself = ask.to_ascii_lowercase().contains("ecret")
            || ask.contains("decode")
            || ask.contains("global_getvar");
        let done = Template::new(ask).expand(&channel);
        assert!(done.text.len() <= OUTPUT, "{} bytes", done.text.len());
        assert_eq!(plain(done.guarded()), done.text, "the guarded form is the text");
        let alone = expand(ask, &channel);
        assert!(alone.len() <= OUTPUT, "{} bytes", alone.len());
        for text in [&done.text, &alone] {
            assert!(asks_itself || !text.contains(SECRET), "text from the wire was expanded: {text}");
        }
        let mut copy = Channel::new(&switch, "1000");
        execute(&mut copy, "set", &done);
    });
}

#[test]
fn commands() {
    let switch = Switch::parse("");
    let corpus = rows(&fixture("expansions.jsonl")).iter().map(|row| text(row, "ask").to_owned()).collect();
    through(corpus, |ask| {
        let answer = api::command(&switch, ask);
        assert!(answer.len() <= OUTPUT, "{} bytes", answer.len());
    });
}

/// The dialplans of the table with their texts changed, and hunted through with a changed number.
#[test]
fn conditions() {
    let rows = rows(&fixture("hunts.jsonl"));
    let plans: Vec<String> = rows.iter().map(|row| text(row, "xml").to_owned()).collect();
    let numbers: Vec<String> = rows.iter().map(|row| text(row, "dest").to_owned()).collect();
    let mut rng = SmallRng::seed_from_u64(number("SEED", 1));
    through(plans, |xml| {
        let switch = Switch::parse(&format!(
            "<section name=\"dialplan\">\n<context name=\"default\">\n{xml}\n</context>\n</section>"
        ));
        let number = mutated(&mut rng, &numbers);
        let mut channel = Channel::new(&switch, &number);
        channel.traced = false;
        channel.set("evil", "^(a+)+$", true);
        if let tandem::dialplan::Hunt::Route(route) = switch.plan.hunt("default", &number, &mut channel) {
            assert!(route.actions.len() <= 10_000);
            for action in &route.actions {
                let done = action.data.expand(&channel);
                execute(&mut channel, &action.application, &done);
            }
        }
    });
}

#[test]
fn expressions() {
    let rows = rows(&fixture("hunts.jsonl"));
    let attribute = |row: &serde_json::Value| {
        let xml = text(row, "xml").to_owned();
        let (_, rest) = xml.split_once("expression=\"")?;
        Some(rest.split_once('"')?.0.replace("&lt;", "<").replace("&amp;", "&"))
    };
    let subjects: Vec<String> =
        rows.iter().map(|row| text(row, "dest").to_owned()).chain(["a".repeat(200)]).collect();
    let mut rng = SmallRng::seed_from_u64(number("SEED", 1));
    through(rows.iter().filter_map(attribute).collect(), |expression| {
        let Ok(pattern) = tandem::dialplan::Pattern::compile_at_hunt(expression) else { return };
        for subject in [mutated(&mut rng, &subjects), "żółw\n".repeat(20), "a".repeat(300)] {
            let Ok(found) = pattern.all_captures(&subject) else { continue };
            assert_eq!(pattern.is_match(&subject), Ok(found.is_some()), "{expression} over {subject:?}");
        }
    });
}
