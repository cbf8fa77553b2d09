//! Does what was put off: serves the table of [`crate::store::schedule`].

use super::sched::{self, epoch};
use crate::channel::{Cause, Course, Exchange, Execution, Leg, Letter, Order, Route};
use crate::event::{EventName, Headers};
use crate::store::schedule::{Errand, Notice, Task};
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// Who runs commands; in a layer above. Never waits.
pub type Runs = Box<dyn Fn(Box<str>) + Send + Sync>;

/// Does what is due and tells what happens to tasks; never ends. One task of the switch runs it.
pub async fn serve(exchange: Arc<Exchange>, command: Runs) {
    let schedule = &exchange.stores.schedule;
    loop {
        let now = Leg::now();
        while let Some(errand) = schedule.take_due(now) {
            run(&exchange, errand, &command);
            tell(&exchange, now);
        }
        tell(&exchange, now);
        match schedule.next_timeout() {
            Some(due) => tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = schedule.changed() => {}
            },
            None => schedule.changed().await,
        }
    }
}

fn tell(exchange: &Exchange, now: Instant) {
    for notice in exchange.stores.schedule.take_notices() {
        let (name, task) = match notice {
            Notice::Added(task) => (EventName::AddSchedule, task),
            Notice::Again(task) => (EventName::ReSchedule, task),
            Notice::Gone(task) => (EventName::DelSchedule, task),
        };
        exchange.events.fire(name, || headers(&task, now));
    }
}

fn headers(task: &Task, now: Instant) -> Headers {
    let ahead = task.due.saturating_duration_since(now).as_secs();
    vec![
        ("Task-ID".into(), task.id.to_string()),
        ("Task-Desc".into(), task.errand.description().to_owned()),
        ("Task-Group".into(), task.group.to_string()),
        ("Task-Runtime".into(), (epoch() + ahead).to_string()),
    ]
}

/// Does one thing. Who is gone meanwhile is not looked for further.
fn run(exchange: &Arc<Exchange>, errand: Errand, command: &Runs) {
    match errand {
        Errand::Hangup { uuid, cause, bleg } => {
            let order = Order::Hangup(Cause::from_number(cause));
            post(exchange, &uuid, if bleg { Order::Across(Box::new(order)) } else { order });
        }
        Errand::Transfer { uuid, destination, dialplan, context, wire } => {
            let owned = |text: Option<Box<str>>| text.map(String::from);
            let route =
                Route { dialplan: owned(dialplan), context: owned(context), wire, ..Route::to(destination) };
            post(exchange, &uuid, Order::Go { course: Course::Extension(route), variables: Vec::new() });
        }
        Errand::Broadcast { uuid, what, aleg, bleg } => {
            if let Err(why) = broadcast(exchange, &uuid, &what, aleg, bleg) {
                warn!("{uuid}: broadcast: {why}; left out");
            }
        }
        Errand::Command(line) => command(line),
    }
}

/// Runs `application[!cause]::arguments` on a leg, on the one it is bridged with, or on both.
///
/// # Errors
/// Why it cannot be run: it is a file, or no application there is.
pub fn broadcast(exchange: &Exchange, uuid: &str, what: &str, aleg: bool, bleg: bool) -> Result<(), String> {
    sched::is_possible(what)?;
    let (head, arguments) = what.split_once("::").unwrap_or((what, ""));
    let (application, cause) = head.split_once('!').map_or((head, None), |(name, cause)| (name, Some(cause)));
    let execution =
        || Execution { application: application.to_owned(), argument: arguments.to_owned(), manner: None };
    let order = || Order::Execute(Box::new(execution()));
    info!("{uuid}: broadcast of {application}");
    if bleg {
        post(exchange, uuid, Order::Across(Box::new(order())));
    }
    if aleg {
        post(exchange, uuid, order());
    }
    if let Some(cause) = cause {
        post(exchange, uuid, Order::Hangup(Cause::parse_or_clearing(cause)));
    }
    Ok(())
}

fn post(exchange: &Exchange, uuid: &str, order: Order) {
    let posted = exchange.legs.by_uuid(uuid).is_some_and(|leg| leg.post(Letter::Order(order)));
    if !posted {
        info!("{uuid} is gone: what was scheduled for it is not done");
    }
}
