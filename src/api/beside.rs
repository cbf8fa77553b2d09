//! Commands that nobody waits for: `bgapi`, and those that `sched_api` has put off.

use super::command::{self, Command, now};
use super::desk::Desk;
use crate::channel::new_uuid;
use crate::event::{EventName, Headers};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

pub(super) const COMMANDS: &[Command] =
    &[now("bgapi", "<command>[ <arg>]", "run a command, and tell by an event what it said", bgapi)];

/// Commands that nobody waits for, at a time.
static PLACES: Semaphore = Semaphore::const_new(5_000);

/// `bgapi [uuid:JOB ]COMMAND`: what it says comes as the event BACKGROUND_JOB.
fn bgapi(desk: &Desk, text: &str) -> String {
    let wished = text.get(..5).filter(|word| word.eq_ignore_ascii_case("uuid:")).and_then(|_| text.get(5..));
    let (job, line) = match wished.map(|rest| rest.split_once(' ').unwrap_or((rest, ""))) {
        Some((job, line)) => (job.to_owned(), line),
        None => (new_uuid().to_string(), text),
    };
    if line.trim().is_empty() || job.is_empty() || job.contains(char::is_control) {
        return "-ERR Invalid syntax\n".to_owned();
    }
    let Ok(place) = PLACES.try_acquire() else {
        return "-ERR too many commands are running\n".to_owned();
    };
    let said = format!("+OK Job-UUID: {job}\n");
    let (desk, line) = (desk.clone(), line.to_owned());
    tokio::spawn(async move {
        let _place = place;
        let answer = command::run(&desk, &line).await;
        tell(&desk, job, &line, answer);
    });
    said
}

fn tell(desk: &Desk, job: String, line: &str, answer: String) {
    let answer = if answer.is_empty() { "Command returned no output!".to_owned() } else { answer };
    let (name, arguments) = command::split(line);
    desk.exchange.events.fire_with(EventName::BackgroundJob, || {
        let mut headers: Headers = vec![("Job-UUID".into(), job), ("Job-Command".into(), name.to_owned())];
        if !arguments.is_empty() {
            headers.push(("Job-Command-Arg".into(), arguments.to_owned()));
        }
        (headers, Some(answer))
    });
}

/// Who runs the commands that `sched_api` has put off, when they are due.
pub fn put_off(desk: Desk) -> Box<dyn Fn(Box<str>) + Send + Sync> {
    Box::new(move |line| {
        let Ok(place) = PLACES.try_acquire() else {
            return warn!("{line}: was to run now, but too many commands are running");
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let _place = place;
            let answer = command::run(&desk, &line).await;
            debug!("Command {line}:\n{answer}");
        });
    })
}
