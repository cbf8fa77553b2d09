//! What a client may say, and what it is answered (`parse_command`).

use super::client::{Client, Held, Running, one_line};
use super::frame::Request;
use super::message;
use super::rights::{Rights, same};
use crate::api;
use crate::event::{EventName, header_line};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long a wrong password waits for its answer.
const PENANCE: Duration = Duration::from_millis(500);
/// How many commands a client may try before it logs in.
const TRIES: u32 = 20;
/// How many commands may run in the background for all clients together.
const MOST_JOBS: usize = 4096;

/// The most seconds a client may linger for: clocks end somewhere.
const MOST_LINGER: u64 = 365 * 86_400;

/// What is said of a word nobody knows.
const UNKNOWN: &str = "-ERR command not found";

/// Answers one request, or begins what will answer it.
pub(super) async fn answer(client: &mut Client, request: Request) {
    let (verb, words) = request.line.split_once([' ', '\t']).unwrap_or((&request.line, ""));
    let (verb, words) = (verb.to_ascii_lowercase(), words.trim_start());
    if verb == "exit" || verb.starts_with("...") {
        client.out.reply("+OK bye");
        client.ending = true;
        return;
    }
    let Some(rights) = client.rights.clone() else { return login(client, &verb, words) };
    let hands = client.call.as_ref().and_then(|call| call.hands.as_ref());
    let (is_program, is_full) = (hands.is_some(), hands.is_none_or(|hands| hands.is_full));
    if is_program {
        client.deadline = client.deadline.filter(|_| client.call.as_ref().is_some_and(|call| call.over));
    }
    let said = match verb.as_str() {
        "connect" if is_program => return connect(client).await,
        "divert_events" => divert(client, words),
        "filter" if !words.is_empty() => client.choice.filter(words),
        "getvar" if client.call.is_some() => getvar(client, words).await,
        "myevents" => myevents(client, words).await,
        "resume" if client.call.is_some() => resume(client).await,
        "sendmsg" => match message::send(client, &rights, &request, words).await {
            Some(said) => said,
            None => return,
        },
        // A program with one call alone has no more than that.
        _ if !is_full => UNKNOWN.to_owned(),
        "api" if !words.is_empty() => return command(client, &rights, &request, words),
        "bgapi" if !words.is_empty() => return job(client, &rights, &request, words),
        "event" | "events" => return event(client, &rights, words),
        "linger" => linger(client, words),
        "log" => log(client, &rights, words),
        "nixevent" => {
            let said = client.choice.nix(words).to_owned();
            client.listen();
            said
        }
        "noevents" => {
            let had = client.choice.forget();
            client.listen();
            let said =
                if had { "+OK no longer listening for events" } else { "-ERR not listening for events" };
            said.to_owned()
        }
        "nolinger" => match &mut client.call {
            Some(call) => {
                call.linger = None;
                "+OK will not linger".to_owned()
            }
            None => NOT_CONTROLLING.to_owned(),
        },
        "nolog" => match client.logs.take() {
            Some(_) => "+OK no longer logging".to_owned(),
            None => "-ERR not logging".to_owned(),
        },
        "sendevent" => message::event(client, &rights, &request, words).await,
        _ => UNKNOWN.to_owned(),
    };
    client.out.reply(if said.is_empty() { UNKNOWN } else { &said });
}

const NOT_CONTROLLING: &str = "-ERR not controlling a session";

/// `auth PASSWORD`, `userauth USER@DOMAIN:PASSWORD`; anything else is unknown before that.
fn login(client: &mut Client, verb: &str, words: &str) {
    let found = match verb {
        "auth" => same(&client.hall.conf.load().password, words).then(|| (Rights::default(), String::new())),
        "userauth" => Rights::of(&client.hall.desk.exchange.directory.snapshot(), words),
        _ => {
            client.tries += 1;
            client.ending = client.tries >= TRIES;
            return client.out.reply(UNKNOWN);
        }
    };
    match found {
        Some((rights, more)) => {
            client.rights = Some(rights);
            client.deadline = None;
            client.inbox.trust();
            client.place.known();
            client.out.push(format!("Content-Type: command/reply\nReply-Text: +OK accepted\n{more}\n"));
        }
        None => {
            warn!("event socket: wrong password from ip {}", client.peer.ip().to_canonical());
            client.hall.doors.wrong(client.peer.ip().to_canonical(), Instant::now());
            client.running = Some(Running::Penance(Instant::now() + PENANCE));
        }
    }
}

/// `api NAME ARGUMENTS`.
fn command(client: &mut Client, rights: &Rights, request: &Request, line: &str) {
    if !rights.command(line) {
        return client.out.reply("-ERR permission denied");
    }
    let hall = client.hall.clone();
    let line = line.to_owned();
    let mut desk = hall.desk.clone();
    desk.permit = rights.permit();
    desk.said = Arc::new(request.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect());
    // A line of the console may come to other commands than it says: by an alias, or behind `;;`.
    let console = rights.every_command()
        && desk.said.get("console_execute").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    client.running = Some(Running::Command(hall.main.clone().spawn(async move {
        if console { api::run_console(&desk, &line).await } else { api::run(&desk, &line).await }
    })));
}

/// `bgapi NAME ARGUMENTS`, with a `Job-UUID` of the client's choice or ours.
fn job(client: &mut Client, rights: &Rights, request: &Request, line: &str) {
    if !rights.command(line) {
        return client.out.reply("-ERR permission denied");
    }
    let hall = client.hall.clone();
    if hall.jobs() >= MOST_JOBS {
        return client.out.reply("-ERR too many jobs");
    }
    let uuid = request.header("Job-UUID").map(|uuid| one_line(uuid.trim())).filter(|uuid| !uuid.is_empty());
    let uuid = uuid.unwrap_or_else(|| crate::channel::new_uuid().to_string());
    client
        .out
        .push(format!("Content-Type: command/reply\nReply-Text: +OK Job-UUID: {uuid}\nJob-UUID: {uuid}\n\n"));
    let owner = client.call.as_ref().map(|call| call.uuid.to_string());
    let line = line.to_owned();
    let place = hall.job();
    let permit = rights.permit();
    hall.main.clone().spawn(async move {
        let desk = api::Desk { permit, ..hall.desk.clone() };
        let work = {
            let (desk, line) = (desk.clone(), line.clone());
            hall.main.spawn(async move { api::run(&desk, &line).await })
        };
        let said = work.await.unwrap_or_else(|_| "-ERR the command failed\n".to_owned());
        drop(place);
        desk.exchange.events.fire_with(EventName::BackgroundJob, || {
            let (name, arguments) = api::split(&line);
            let mut headers =
                vec![("Job-UUID".into(), uuid.clone()), ("Job-Command".into(), name.to_owned())];
            if !arguments.is_empty() {
                headers.push(("Job-Command-Arg".into(), arguments.to_owned()));
            }
            if let Some(owner) = owner {
                headers.push(("Job-Owner-UUID".into(), owner));
            }
            let said = if said.is_empty() { "-ERR no reply\n".to_owned() } else { said };
            (headers, Some(said))
        });
    });
}

/// `event [FORMAT] NAME… [from SEQUENCE]`. What was lost before SEQUENCE is told behind the reply.
fn event(client: &mut Client, rights: &Rights, words: &str) {
    let asked = match client.choice.add(words, rights) {
        Ok(asked) => asked,
        Err(said) => return client.out.reply(said),
    };
    client.listen();
    client.out.reply(&format!("+OK event listener enabled {}", client.choice.format.as_str()));
    if let (Some(from), Some(ear)) = (asked.from, &mut client.ear)
        && let Some(lost) = ear.replay(from)
    {
        client.tell_lost(lost, from.saturating_add(lost - 1));
    }
}

/// `log [LEVEL]`.
fn log(client: &mut Client, rights: &Rights, words: &str) -> String {
    if !rights.log() {
        return "-ERR permission denied".to_owned();
    }
    let said = words.split_ascii_whitespace().next().unwrap_or("");
    let Some(level) = level(said) else { return "-ERR invalid log level".to_owned() };
    let Some(feed) = &client.hall.feed else { return "-ERR this switch has no log".to_owned() };
    client.logs = Some(feed.listen(level));
    format!("+OK log level {said} [{level}]")
}

/// The number that is no level (`SWITCH_LOG_INVALID`); any above it counts as the one before.
const NO_LEVEL: u64 = 64;

/// The level of that name or number (`switch_log_str2level`); `debug` for nothing.
fn level(word: &str) -> Option<u8> {
    let word = word.to_ascii_lowercase();
    Some(match word.as_str() {
        "console" => 0,
        "alert" => 1,
        "crit" => 2,
        "err" | "error" => 3,
        "warning" | "warn" => 4,
        "notice" => 5,
        "info" => 6,
        "" | "debug" => 7,
        "debug10" => 17,
        word if word.strip_prefix("debug").is_some_and(|n| matches!(n.as_bytes(), [b'1'..=b'9'])) => 8,
        number => match number.parse::<u64>() {
            Ok(number) if number > NO_LEVEL => u8::try_from(NO_LEVEL - 1).ok()?,
            Ok(number) => u8::try_from(number).ok()?,
            Err(_) => return None,
        },
    })
}

/// `linger [SECONDS]`.
fn linger(client: &mut Client, words: &str) -> String {
    let Some(call) = &mut client.call else { return NOT_CONTROLLING.to_owned() };
    let seconds = words.split_ascii_whitespace().next().map(|n| n.parse().unwrap_or(0).min(MOST_LINGER));
    call.linger = Some(seconds);
    match seconds {
        Some(seconds) => format!("+OK will linger {seconds} seconds"),
        None => "+OK will linger".to_owned(),
    }
}

/// `divert_events on|off`.
fn divert(client: &mut Client, words: &str) -> String {
    let Some(call) = &client.call else { return "-ERR not controlling a session.".to_owned() };
    let on = match words.trim().to_ascii_lowercase().as_str() {
        "" => return "-ERR missing value.".to_owned(),
        word => word == "on",
    };
    client.choice.divert(on.then(|| call.uuid.clone()));
    client.listen();
    if on { "+OK events diverted" } else { "+OK events not diverted" }.to_owned()
}

/// `getvar NAME`, of the client's own call. Nothing is never answered with nothing.
async fn getvar(client: &Client, words: &str) -> String {
    let Some(call) = &client.call else { return UNKNOWN.to_owned() };
    let name = words.trim().to_owned();
    let asked = call.mailbox.ask(move |leg| leg.variables.get(&name).map(str::to_owned)).await;
    match asked {
        Ok(Some(value)) if !value.is_empty() => value,
        Ok(_) => "-ERR no such variable".to_owned(),
        Err(error) => format!("-ERR {error}"),
    }
}

/// `myevents [UUID] [FORMAT]`.
async fn myevents(client: &mut Client, words: &str) -> String {
    let mut words: Vec<&str> = words.split_ascii_whitespace().collect();
    if client.call.is_none() {
        if words.is_empty() {
            return UNKNOWN.to_owned();
        }
        let uuid: Arc<str> = words.remove(0).into();
        let Some(mailbox) = client.hall.desk.exchange.legs.by_uuid(&uuid) else {
            return "-ERR invalid uuid".to_owned();
        };
        match mailbox.ask(|leg| (leg.caller.chan_name.clone(), leg.follow())).await {
            Ok((channel, gone)) => client.call = Some(Held::new(uuid, channel, mailbox, gone)),
            Err(_) => return "-ERR invalid uuid".to_owned(),
        }
    }
    if let Some(format) = words.iter().find_map(|word| crate::event::Format::find(word)) {
        client.choice.format = format;
    }
    let uuid = client.call.as_ref().map(|call| call.uuid.clone()).unwrap_or_default();
    if !client.choice.only(uuid) {
        return "-ERR already enabled.".to_owned();
    }
    client.listen();
    "+OK Events Enabled".to_owned()
}

/// `resume`: the dialplan goes on when the program has gone.
async fn resume(client: &Client) -> String {
    let Some(call) = &client.call else { return UNKNOWN.to_owned() };
    match call.mailbox.ask(|leg| leg.variables.set("socket_resume", "true")).await {
        Ok(()) => "+OK".to_owned(),
        Err(error) => format!("-ERR {error}"),
    }
}

/// `connect`: all that is known of the call, as one block of headers.
async fn connect(client: &mut Client) {
    let Some(call) = &client.call else { return };
    let Some(hands) = &call.hands else { return };
    let dumped = call.mailbox.ask(|leg| (leg.dump(), leg.profile_headers("Channel"))).await;
    let (event, profile) = match dumped {
        Ok(dumped) => dumped,
        Err(error) => {
            info!("event socket {}: {}: {error}", client.peer, call.uuid);
            return client.out.reply(&format!("-ERR {error}"));
        }
    };
    let mut text = String::with_capacity(8192);
    let at = event.headers.iter().position(|(name, _)| name == "Channel-State").unwrap_or(0);
    let (general, of_call) = (event.headers.iter().take(at), event.headers.iter().skip(at));
    for (name, value) in general.chain(profile.iter()).chain(of_call) {
        header_line(&mut text, name, value, true);
    }
    for (name, value) in [
        ("Content-Type", "command/reply"),
        ("Reply-Text", "+OK\n"),
        ("Socket-Mode", if hands.is_async { "async" } else { "static" }),
        ("Control", if hands.is_full { "full" } else { "single-channel" }),
    ] {
        header_line(&mut text, name, value, true);
    }
    text.push('\n');
    client.out.push(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_a_name_or_a_number() {
        for (word, number) in
            [("", 7), ("CONSOLE", 0), ("Err", 3), ("debug", 7), ("debug3", 8), ("debug10", 17)]
        {
            assert_eq!(level(word), Some(number), "{word}");
        }
        for (word, number) in [("0", 0), ("6", 6), ("64", 64), ("65", 63), ("99999999999", 63)] {
            assert_eq!(level(word), Some(number), "{word}");
        }
        for word in ["loud", "debugx", "-x", "debug11", "99999999999999999999999"] {
            assert_eq!(level(word), None, "{word}");
        }
    }
}
