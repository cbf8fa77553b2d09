//! The dialplan, its expansions and its functions against answers of a running FreeSWITCH.
//!
//! The rows in `tests/fixtures/freeswitch` need no configuration. Those that need FreeSWITCH's stock trees run when
//! `TANDEM_STOCK_CONF` names the folder with `vanilla`, `minimal` and `sbc`, and `TANDEM_TRUTH` the one with
//! `hunts.jsonl` and `exprs.jsonl`.

mod dial_strings;
mod dialplan;
mod expansion;
mod random;
mod stock;
mod switch;
mod table;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of this folder's fixtures.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/freeswitch").join(name)
}

/// The rows of a file with one JSON object per line.
fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().filter(|l| !l.trim().is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The text under a key.
fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row.get(key).and_then(Value::as_str).unwrap_or("")
}

/// Whether `seen` is `expected`, where `<IP>`, `<UUID>` and the like in it stand for anything.
fn agrees(expected: &str, seen: &str) -> bool {
    let Some((before, rest)) = expected.split_once('<') else { return expected == seen };
    match rest.split_once('>') {
        Some((name, after))
            if !name.is_empty()
                && name.chars().all(|c| c.is_ascii_uppercase() || "-0123456789".contains(c)) =>
        {
            seen.strip_prefix(before).is_some_and(|seen| {
                seen.char_indices().map(|(at, _)| at).chain([seen.len()]).any(|at| agrees(after, &seen[at..]))
            })
        }
        _ => {
            seen.strip_prefix(before).and_then(|s| s.strip_prefix('<')).is_some_and(|seen| agrees(rest, seen))
        }
    }
}
