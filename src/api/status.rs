//! `status`, `version`, `uptime` (mod_commands.c, switch_core.c); HEARTBEAT says the same.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::command::{Command, now, usage};
use super::desk::Desk;
use crate::channel::{Exchange, Figures, Leg};
use crate::event::Headers;

pub(super) const COMMANDS: &[Command] = &[
    now("status", "", "tell how the switch is", |desk, _| status(&desk.exchange)),
    now(
        "uptime",
        "[us|ms|s|m|h|d|microseconds|milliseconds|seconds|minutes|hours|days]",
        "tell how long the switch has been up",
        uptime,
    ),
    now("version", "[short]", "tell the version", version),
];

/// The FreeSWITCH whose commands and events tandem speaks; clients look at it.
const FREESWITCH: &str = "1.10.12";

/// `1.10.12+tandem-0.1.0~64bit`.
fn full_version() -> String {
    format!("{FREESWITCH}+tandem-{}~64bit", env!("CARGO_PKG_VERSION"))
}

fn readable_version() -> String {
    format!("{FREESWITCH} tandem {} 64bit", env!("CARGO_PKG_VERSION"))
}

/// `version [short]`.
fn version(_: &Desk, text: &str) -> String {
    match text.contains("short") {
        true => format!("{FREESWITCH}\n"),
        false => format!("FreeSWITCH Version {} ({})\n", full_version(), readable_version()),
    }
}

/// `uptime [UNIT]`: whole units, seconds when none is named.
fn uptime(desk: &Desk, text: &str) -> String {
    let unit = match text.to_ascii_lowercase().as_str() {
        "us" | "microseconds" => 1,
        "ms" | "milliseconds" => 1000,
        "" | "s" | "seconds" => 1_000_000,
        "m" | "minutes" => 60_000_000,
        "h" | "hours" => 3_600_000_000,
        "d" | "days" => 86_400_000_000,
        _ => return usage("uptime"),
    };
    format!("{}\n", desk.exchange.events.host.started.elapsed().as_micros() / unit)
}

/// `0 years, 0 days, 1 hour, …`.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [
        (seconds / 31_536_000, "year"),
        (seconds / 86_400 % 365, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
        (u64::from(span.subsec_millis()), "millisecond"),
        (u64::from(span.subsec_micros() % 1000), "microsecond"),
    ];
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    parts.map(|(n, word)| format!("{n} {word}{}", plural(n))).join(", ")
}

fn figures(exchange: &Exchange) -> (usize, Figures, u64, (u32, u32)) {
    let legs = exchange.legs.len();
    let (since_start, _) = exchange.gate.counts();
    (legs, exchange.gate.figures(legs, Leg::now()), since_start, exchange.gate.limits())
}

/// The text of `status`.
pub fn status(exchange: &Exchange) -> String {
    let up = exchange.events.host.started.elapsed();
    let (legs, f, since_start, (most, rate)) = figures(exchange);
    let ready = if exchange.gate.is_draining() { "not ready" } else { "ready" };
    format!(
        "UP {}\nFreeSWITCH (Version {}) is {ready}\n{since_start} session(s) since startup\n\
         {legs} session(s) - peak {}, last 5min {} \n\
         {} session(s) per Sec out of max {rate}, peak {}, last 5min {} \n\
         {most} session(s) max\nmin idle cpu 0.00/{:.2}\n{}",
        span(up),
        readable_version(),
        f.peak,
        f.peak_lately,
        f.rate,
        f.rate_peak,
        f.rate_peak_lately,
        idle_cpu(),
        stack_sizes()
            .map(|(now, most)| format!("Current Stack Size/Max {now}K/{most}K\n"))
            .unwrap_or_default(),
    )
}

/// The same as JSON (`json {"command":"status"}`).
pub fn status_json(exchange: &Exchange) -> serde_json::Value {
    use serde_json::json;
    let up = exchange.events.host.started.elapsed();
    let seconds = up.as_secs();
    let (legs, f, since_start, (most, rate)) = figures(exchange);
    let mut said = json!({
        "systemStatus": if exchange.gate.is_draining() { "not ready" } else { "ready" },
        "uptime": {
            "years": seconds / 31_536_000, "days": seconds / 86_400 % 365, "hours": seconds / 3600 % 24,
            "minutes": seconds / 60 % 60, "seconds": seconds % 60, "milliseconds": up.subsec_millis(),
            "microseconds": up.subsec_micros() % 1000,
        },
        "version": readable_version(),
        "sessions": {
            "count": {
                "total": since_start, "active": legs, "peak": f.peak, "peak5Min": f.peak_lately, "limit": most,
            },
            "rate": { "current": f.rate, "max": rate, "peak": f.rate_peak, "peak5Min": f.rate_peak_lately },
        },
        // FreeSWITCH has these two the wrong way round.
        "idleCPU": { "used": idle_cpu(), "allowed": 0 },
    });
    if let (Some((current, max)), Some(said)) = (stack_sizes(), said.as_object_mut()) {
        said.insert("stackSizeKB".to_owned(), json!({ "current": current, "max": max }));
    }
    said
}

/// The process's limits of a stack, in KiB: what it has, what it may have. An unlimited one is what it has.
fn stack_sizes() -> Option<(u64, u64)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let mut sizes = limits.lines().find_map(|line| line.strip_prefix("Max stack size"))?.split_whitespace();
    let now = sizes.next()?.parse::<u64>().ok()?;
    let most = sizes.next().and_then(|n| n.parse().ok()).unwrap_or(now);
    Some((now / 1024, most / 1024))
}

/// What a HEARTBEAT says.
pub fn heartbeat(exchange: &Exchange) -> Headers {
    let up = exchange.events.host.started.elapsed();
    let (legs, f, since_start, (most, rate)) = figures(exchange);
    let ready = if exchange.gate.is_draining() { "System Not Ready" } else { "System Ready" };
    vec![
        ("Event-Info".into(), ready.to_owned()),
        ("Up-Time".into(), span(up)),
        ("FreeSWITCH-Version".into(), full_version()),
        ("Uptime-msec".into(), up.as_millis().to_string()),
        ("Session-Count".into(), legs.to_string()),
        ("Max-Sessions".into(), most.to_string()),
        ("Session-Per-Sec".into(), rate.to_string()),
        ("Session-Per-Sec-Last".into(), f.rate.to_string()),
        ("Session-Per-Sec-Max".into(), f.rate_peak.to_string()),
        ("Session-Per-Sec-FiveMin".into(), f.rate_peak_lately.to_string()),
        ("Session-Since-Startup".into(), since_start.to_string()),
        ("Session-Peak-Max".into(), f.peak.to_string()),
        ("Session-Peak-FiveMin".into(), f.peak_lately.to_string()),
        ("Idle-CPU".into(), format!("{:.6}", idle_cpu())),
    ]
}

/// Per cent of the machine's processors that were idle since somebody last asked, a second ago or more.
fn idle_cpu() -> f64 {
    static LAST: Mutex<Option<Sample>> = Mutex::new(None);
    let Some((idle, all)) = processor_times() else { return 100.0 };
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let now = Instant::now();
    let before = last.take();
    let sample = match before {
        Some(sample) if now.saturating_duration_since(sample.at) < Duration::from_secs(1) => sample,
        before => {
            // The first one tells of all the time the machine is up.
            let (was_idle, was_all) = before.map_or((0, 0), |s| (s.idle, s.all));
            let (part, whole) = (idle.saturating_sub(was_idle), all.saturating_sub(was_all));
            let share = if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 };
            Sample { at: now, idle, all, share }
        }
    };
    let share = sample.share;
    *last = Some(sample);
    share
}

struct Sample {
    at: Instant,
    idle: u64,
    all: u64,
    share: f64,
}

/// Idle and all time of all processors, in ticks.
fn processor_times() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    Some((*times.get(3)?, times.iter().take(8).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_no_plural() {
        let up = Duration::new(3_601 + 86_400, 4_001_005);
        assert_eq!(span(up), "0 years, 1 day, 1 hour, 0 minutes, 1 second, 4 milliseconds, 1 microsecond");
    }

    #[test]
    fn the_processors_are_idle_for_some_part() {
        assert!((0.0..=100.0).contains(&idle_cpu()));
    }
}
