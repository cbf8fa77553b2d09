//! The machine underneath: `system`, `bg_system`, `getenv`, `msleep`, `time_test`, and `xml_wrap` (mod_commands.c).
//!
//! Commands of the machine run only where `switch.conf` has `allow-system`; they are never held up for, and none holds the
//! switch up: each has its time, and there is room for so many.

use super::command::{self, Command, now, usage, waits};
use super::desk::{Desk, OK};
use super::rows::escaped;
use super::text::url_encoded;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tracing::{info, warn};

pub(super) const COMMANDS: &[Command] = &[
    waits("bg_spawn", "<command>", "run a command of the machine, beside", |desk, text| {
        Box::pin(beside(desk, text, "bg_spawn"))
    }),
    waits("bg_system", "<command>", "run a command of the machine, beside", |desk, text| {
        Box::pin(beside(desk, text, "bg_system"))
    }),
    now("getenv", "<name>", "tell a variable of the environment", getenv),
    waits("msleep", "<milliseconds>", "wait", |_, text| Box::pin(msleep(text))),
    waits("spawn", "<command>", "run a command of the machine, beside", |desk, text| {
        Box::pin(beside(desk, text, "spawn"))
    }),
    waits("spawn_stream", "<command>", "run a command of the machine", |desk, text| {
        Box::pin(system(desk, text, "spawn_stream"))
    }),
    waits("system", "<command>", "run a command of the machine", |desk, text| {
        Box::pin(system(desk, text, "system"))
    }),
    waits("time_test", "<mss> [count]", "tell how exact waiting is", |_, text| Box::pin(time_test(text))),
    waits("xml_wrap", "<command> <args>", "put what a command says into XML", |desk, text| {
        Box::pin(xml_wrap(desk, text))
    }),
];

/// How long a command of the machine may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Commands of the machine at a time.
static PLACES: Semaphore = Semaphore::const_new(16);
/// How much of what one says is told.
const MOST: u64 = 1 << 20;
/// The longest wait anybody may ask for.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Why it may not run, if so.
fn refusal(desk: &Desk, text: &str, name: &str) -> Option<String> {
    if text.is_empty() {
        return Some(usage(name));
    }
    if !desk.exchange.allow_system.load(Ordering::Relaxed) {
        warn!("{name} {text} is refused: switch.conf has no <param name=\"allow-system\" value=\"true\"/>");
        return Some(format!("-ERR {name} is not allowed: switch.conf has no allow-system=true\n"));
    }
    None
}

/// Runs it, and answers what it says on standard output.
async fn execute(text: &str) -> Result<String, String> {
    let _place = PLACES.try_acquire().map_err(|_| "too many commands are running".to_owned())?;
    info!("Executing command: {text}");
    let mut shell = tokio::process::Command::new("/bin/sh");
    shell.arg("-c").arg(text).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = shell.kill_on_drop(true).spawn().map_err(|error| error.to_string())?;
    let mut output = Vec::new();
    let work = async {
        if let Some(stdout) = child.stdout.take() {
            let _ = stdout.take(MOST).read_to_end(&mut output).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(LIMIT, work).await {
        Ok(Ok(_)) => Ok(String::from_utf8_lossy(&output).into_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not done after {} s, killed", LIMIT.as_secs())),
    }
}

async fn system(desk: &Desk, text: &str, name: &'static str) -> String {
    if let Some(refusal) = refusal(desk, text, name) {
        return refusal;
    }
    execute(text).await.unwrap_or_else(|why| {
        warn!("Failed to execute command: {text}: {why}");
        format!("-ERR {why}\n")
    })
}

async fn beside(desk: &Desk, text: &str, name: &'static str) -> String {
    if let Some(refusal) = refusal(desk, text, name) {
        return refusal;
    }
    if PLACES.available_permits() == 0 {
        return "-ERR too many commands are running\n".to_owned();
    }
    let text = text.to_owned();
    tokio::spawn(async move {
        if let Err(why) = execute(&text).await {
            warn!("Failed to execute command: {text}: {why}");
        }
    });
    OK.to_owned()
}

/// `getenv NAME`; `_undef_` for none.
fn getenv(_: &Desk, name: &str) -> String {
    let plain = !name.is_empty() && !name.contains(['=', '\0']);
    let value = plain.then(|| std::env::var_os(name)).flatten();
    value.map_or_else(|| "_undef_".to_owned(), |value| value.to_string_lossy().into_owned())
}

/// `msleep MS`.
async fn msleep(text: &str) -> String {
    let ms = text.trim().parse().unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(ms).min(LONGEST)).await;
    "+OK".to_owned()
}

/// `time_test MICROSECONDS [COUNT]`.
async fn time_test(text: &str) -> String {
    let mut words = text.split_whitespace();
    let Some(wanted) = words.next() else { return "parameter missing\n".to_owned() };
    let wanted = wanted.parse::<u64>().unwrap_or(0).min(1_000_000);
    let count = words.next().and_then(|n| n.parse::<u32>().ok()).filter(|n| *n > 0).unwrap_or(10).min(100);
    let (mut said, mut total) = (String::new(), 0);
    for n in 1..=count {
        let begun = now_of_machine();
        tokio::time::sleep(Duration::from_micros(wanted)).await;
        let took = begun.elapsed().as_micros();
        total += took;
        said.push_str(&format!("test {n} sleep {wanted} {took}\n"));
    }
    said + &format!("avg {}\n", total / u128::from(count))
}

/// The machine's clock, which no simulation holds: it is what is tested.
fn now_of_machine() -> Instant {
    Instant::now()
}

/// `xml_wrap [encoded ]COMMAND ARGS`. (What the command says is escaped, which FreeSWITCH forgets.)
async fn xml_wrap(desk: &Desk, text: &str) -> String {
    if text.is_empty() {
        return "-ERR Invalid syntax\n".to_owned();
    }
    let encoded = text.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("encoded "));
    let line = if encoded { text.get(8..).unwrap_or("") } else { text };
    // A wrapped command that wraps another one: boxed, for it has no size else.
    let said = Box::pin(command::run_within(desk, line)).await;
    let said = match (encoded, said.is_empty()) {
        (_, true) => "ERROR".to_owned(),
        (true, _) => url_encoded(&said),
        (false, _) => escaped(&said),
    };
    format!("<result>\n  <row id=\"1\">\n    <data>{said}</data>\n  </row>\n</result>\n")
}
