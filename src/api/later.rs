//! What is put off: `sched_api`, `sched_hangup`, `sched_transfer`, `sched_broadcast`, `sched_del`, `unsched_api`
//! (mod_commands.c). The table of tasks is [`crate::store::schedule`].

use super::command::{Command, DENIED, now, refused, usage, waits};
use super::desk::{Desk, NO_CHANNEL, OK};
use crate::app;
use crate::channel::{Cause, Leg};
use crate::dialplan::separate;
use crate::store::schedule::{Errand, When};
use jiff::Timestamp;

pub(super) const COMMANDS: &[Command] = &[
    now("sched_api", "[+@]<time> <group_name> <command_string>[&]", "run a command later", sched_api),
    now(
        "sched_broadcast",
        "[[+]<time>|@time] <uuid> <path> [aleg|bleg|both]",
        "run an application in a call later",
        sched_broadcast,
    ),
    now("sched_del", "<task_id>|<group_id>", "call off what was put off", sched_del),
    waits("sched_hangup", "[+]<time> <uuid> [<cause>]", "hang a channel up later", |desk, text| {
        Box::pin(sched_hangup(desk, text))
    }),
    now(
        "sched_transfer",
        "[+]<time> <uuid> <extension> [<dialplan>] [<context>]",
        "send a channel to an extension later",
        sched_transfer,
    ),
    now("unsched_api", "<task_id>", "call off a command that was put off", unsched_api),
];

const FULL: &str = "-ERR too much is scheduled\n";
const NO_TIME: &str = "-ERR this is no time: write +seconds, or seconds since 1970\n";

fn when(word: &str) -> Option<When> {
    let epoch = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    When::read(word, epoch)
}

fn add(desk: &Desk, when: When, group: &str, errand: Errand) -> Option<u32> {
    desk.exchange.stores.schedule.add(Leg::now(), when, group, errand).ok()
}

/// `sched_api [+@]TIME GROUP COMMAND`. A moment that is past is now.
fn sched_api(desk: &Desk, text: &str) -> String {
    let usage = || usage("sched_api").replacen("-USAGE:", "-ERR Invalid syntax. USAGE:", 1);
    let mut words = text.splitn(3, ' ');
    let (Some(time), Some(group), Some(line)) = (words.next(), words.next(), words.next()) else {
        return usage();
    };
    let line = line.trim().trim_end_matches('&').trim_end();
    let Some(mut when) = when(time).filter(|_| !line.is_empty() && !group.is_empty()) else { return usage() };
    if desk.permit.as_ref().is_some_and(|permit| !permit.alone(line)) {
        return DENIED.to_owned();
    }
    if !time.starts_with('@') && when.every.take().is_some() {
        when.after = std::time::Duration::ZERO;
    }
    match add(desk, when, group, Errand::Command(line.into())) {
        Some(id) => format!("+OK Added: {id}\n"),
        None => FULL.to_owned(),
    }
}

/// `unsched_api NUMBER`.
fn unsched_api(desk: &Desk, text: &str) -> String {
    match text.trim().parse::<u32>() {
        Ok(id) if desk.exchange.stores.schedule.cancel(id) => "+OK\n".to_owned(),
        Ok(_) => "-ERR No such id\n".to_owned(),
        Err(_) => usage("unsched_api").replacen("-USAGE:", "-ERR Invalid syntax. USAGE:", 1),
    }
}

/// `sched_del NUMBER|GROUP`.
fn sched_del(desk: &Desk, text: &str) -> String {
    let word = text.trim();
    if word.is_empty() {
        return "-ERR Invalid syntax\n".to_owned();
    }
    let schedule = &desk.exchange.stores.schedule;
    let count = match word.parse::<u32>() {
        Ok(id) => usize::from(schedule.cancel(id)),
        Err(_) => schedule.cancel_group(word),
    };
    format!("+OK Deleted: {count}\n")
}

/// `sched_hangup [+]TIME UUID [CAUSE]`; `+0` is at once.
async fn sched_hangup(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let [time, uuid, rest @ ..] = words.as_slice() else { return usage("sched_hangup") };
    if desk.exchange.legs.by_uuid(uuid).is_none() {
        return NO_CHANNEL.to_owned();
    }
    let cause = rest.first().map_or(Cause::ALLOTTED_TIMEOUT, |word| Cause::parse_or_clearing(word));
    let Some(when) = when(time) else { return NO_TIME.to_owned() };
    if when.after.is_zero() {
        let done = desk.ask(uuid, move |leg| leg.hangup(cause)).await;
        return done.map_or_else(|why| why, |()| OK.to_owned());
    }
    let errand = Errand::Hangup { uuid: uuid.as_str().into(), cause: cause.number(), bleg: false };
    add(desk, When { every: None, ..when }, uuid, errand).map_or(FULL, |_| OK).to_owned()
}

/// `sched_transfer [+]TIME UUID EXTEN [DIALPLAN] [CONTEXT]`.
fn sched_transfer(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 6);
    let [time, uuid, destination, rest @ ..] = words.as_slice() else { return usage("sched_transfer") };
    if desk.exchange.legs.by_uuid(uuid).is_none() {
        return NO_CHANNEL.to_owned();
    }
    let Some(when) = when(time) else { return NO_TIME.to_owned() };
    let word = |n: usize| rest.get(n).map(|word| Box::<str>::from(word.as_str()));
    let errand = Errand::Transfer {
        uuid: uuid.as_str().into(),
        destination: destination.as_str().into(),
        dialplan: word(0),
        context: word(1),
        wire: false,
    };
    add(desk, When { every: None, ..when }, uuid, errand).map_or(FULL, |_| OK).to_owned()
}

/// `sched_broadcast [+]TIME UUID APP[!CAUSE]::ARGS [aleg|bleg|both]`.
fn sched_broadcast(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 5);
    let [time, uuid, what, rest @ ..] = words.as_slice() else { return usage("sched_broadcast") };
    if desk.exchange.legs.by_uuid(uuid).is_none() {
        return NO_CHANNEL.to_owned();
    }
    let Some(when) = when(time) else { return NO_TIME.to_owned() };
    if let Err(why) = app::is_possible(what) {
        return refused(&why);
    }
    let side = rest.first().map(|side| side.to_ascii_lowercase());
    let side = side.as_deref().unwrap_or("aleg");
    let (aleg, bleg) = (matches!(side, "aleg" | "both"), matches!(side, "bleg" | "both"));
    let errand = Errand::Broadcast { uuid: uuid.as_str().into(), what: what.as_str().into(), aleg, bleg };
    add(desk, When { every: None, ..when }, uuid, errand)
        .map_or(FULL, |_| "+OK Message scheduled\n")
        .to_owned()
}
