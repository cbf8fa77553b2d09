//! What the hot path costs in instructions, counted by valgrind's callgrind on the optimised benches: the same to a few
//! per cent on any machine, however loaded. The bounds are generous (about twice what was counted when they were set):
//! they are there so that a change that doubles a cost is seen, and is then mended or, with a reason, allowed.
//!
//! Each bench has a mode `count N [WHAT]` that does its work N times. Two runs are compared, so that what the program
//! does once does not count.
//!
//! Needs valgrind and the built benches: `tests/run` sees to both and sets `TANDEM_COST`. Skipped by name otherwise.

use std::process::{Command, Stdio};

/// One thing that is counted.
struct Cost {
    bench: &'static str,
    /// Which row of the bench; empty when it has one only.
    what: &'static str,
    /// How often it is done.
    times: u64,
    /// Instructions that one may take.
    bound: u64,
}

const COSTS: [Cost; 7] = [
    Cost { bench: "sip", what: "parse INVITE", times: 2_000, bound: 30_000 },
    Cost { bench: "sip", what: "print the INVITE of the other leg", times: 2_000, bound: 15_000 },
    Cost { bench: "call", what: "", times: 200, bound: 500_000 },
    Cost { bench: "dialplan", what: "hunt", times: 500, bound: 90_000 },
    Cost { bench: "dialplan", what: "expand", times: 500, bound: 21_000 },
    Cost { bench: "registrar", what: "", times: 2_000, bound: 270_000 },
    Cost { bench: "media", what: "", times: 2_000, bound: 3_500 },
];

fn instructions(cost: &Cost, times: u64) -> u64 {
    let runner = "valgrind --tool=callgrind --callgrind-out-file=/dev/null";
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--quiet", "--profile", "cost", "--bench", cost.bench, "--", "count"]);
    command.arg(times.to_string()).args(Some(cost.what).filter(|what| !what.is_empty()));
    let output = command
        .env_remove("TANDEM_STOCK_CONF") // the bounds are those of the shipped tree
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner)
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("bench {} {}: no count in\n{said}", cost.bench, cost.what))
}

/// What one costs.
fn each(cost: &Cost) -> u64 {
    let (few, many) = (instructions(cost, cost.times), instructions(cost, 3 * cost.times));
    many.saturating_sub(few) / (2 * cost.times)
}

fn skipped() -> bool {
    let skipped = std::env::var_os("TANDEM_COST").is_none();
    if skipped {
        eprintln!("skipped: needs valgrind and the built benches (tests/run sets TANDEM_COST)");
    }
    skipped
}

/// To find a user and what a call wants of it costs the same however many there are.
#[test]
fn a_user_is_found_as_soon_among_100_000_as_among_100() {
    if skipped() {
        return;
    }
    let find = |what| each(&Cost { bench: "registrar", what, times: 20_000, bound: 0 });
    let (few, many) = (find("find among 100"), find("find among 100000"));
    println!("{few} instructions among 100, {many} among 100,000");
    assert!(few > 0 && many <= few * 5 / 4, "{few} among 100, {many} among 100,000");
}

#[test]
fn nothing_costs_twice_what_it_did() {
    if skipped() {
        return;
    }
    let mut dearer = Vec::new();
    for cost in &COSTS {
        let each = each(cost);
        let line = format!("{} {}: {each} instructions, bound {}", cost.bench, cost.what, cost.bound);
        println!("{line}");
        assert!(each > 0, "{line}: it did nothing");
        if each > cost.bound {
            dearer.push(line);
        }
    }
    assert!(dearer.is_empty(), "{dearer:#?}");
}
