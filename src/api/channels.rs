//! Commands on channels by their uuid: `uuid_getvar`, `uuid_setvar`, `uuid_setvar_multi`, `uuid_dump`, `uuid_kill`, and
//! `hupall` (mod_commands.c). `uuid_exists` is a function.

use super::channel::{look_up, setvar_multi_changes};
use super::command::{usage, waiting};
use super::desk::{Desk, NO_CHANNEL, OK};
use crate::channel::{Cause, Letter, Order};
use crate::dialplan::separate;
use crate::event::Format;

waiting! {
    "hupall" hupall "<cause> [<var> <value>] [<var2> <value2>]", "hang up every channel, or those with these variables";
    "uuid_dump" uuid_dump "<uuid> [format]", "tell all that is known of a channel";
    "uuid_getvar" uuid_getvar "<uuid> <var>", "tell a variable of a channel";
    "uuid_kill" uuid_kill "<uuid> [cause]", "hang a channel up";
    "uuid_setvar" uuid_setvar "<uuid> <var> [value]", "set a variable of a channel";
    "uuid_setvar_multi" uuid_setvar_multi "<uuid> <var>=<value>;<var>=<value>...", "set several variables of a channel";
}

/// `uuid_getvar UUID NAME`: a variable, an element of one, a field of the caller profile or a global; `_undef_` for none.
async fn uuid_getvar(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let [uuid, name, ..] = words.as_slice() else { return usage("uuid_getvar") };
    if name.is_empty() {
        return "-ERR No variable name specified!\n".to_owned();
    }
    let name = name.clone();
    match desk.ask(uuid, move |leg| look_up(leg, &name)).await {
        Ok(value) => value.unwrap_or_else(|| "_undef_".to_owned()),
        Err(said) => said,
    }
}

/// `uuid_setvar UUID NAME [VALUE]`; without a value the variable goes. Done when it answers.
async fn uuid_setvar(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let (uuid, name, value) = match words.as_slice() {
        [uuid, name] => (uuid, name.clone(), String::new()),
        [uuid, name, value] => (uuid, name.clone(), value.clone()),
        _ => return usage("uuid_setvar"),
    };
    if name.is_empty() {
        let there = desk.exchange.legs.by_uuid(uuid).is_some();
        return if there { "-ERR No variable specified\n" } else { NO_CHANNEL }.to_owned();
    }
    let set = desk.ask(uuid, move |leg| leg.variables.assign(&name, &value, true)).await;
    set.map_or_else(|said| said, |()| OK.to_owned())
}

/// `uuid_setvar_multi UUID NAME=VALUE;NAME=VALUE…`.
async fn uuid_setvar_multi(desk: &Desk, text: &str) -> String {
    let Some((uuid, list)) = text.split_once(' ') else { return usage("uuid_setvar_multi") };
    let (changes, said) = setvar_multi_changes(list);
    if changes.is_empty() {
        return said + &usage("uuid_setvar_multi");
    }
    let work = move |leg: &mut crate::channel::Leg| {
        changes.iter().for_each(|(name, value)| leg.variables.assign(name, value, true));
    };
    match desk.ask(uuid, work).await {
        Ok(()) => said + OK,
        Err(none) => none + &usage("uuid_setvar_multi"),
    }
}

/// `uuid_dump UUID [plain|json|xml]`: the event CHANNEL_DATA; without a word its values are percent-encoded.
async fn uuid_dump(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 2);
    let Some(uuid) = words.first().filter(|uuid| !uuid.is_empty()) else { return usage("uuid_dump") };
    let event = match desk.ask(uuid, |leg| leg.dump()).await {
        Ok(event) => event,
        Err(said) => return said,
    };
    match words.get(1).map(|format| format.to_ascii_lowercase()).as_deref() {
        Some("xml") => event.text(Format::Xml),
        Some("json") => event.text(Format::Json),
        Some("plain") => event.readable(),
        _ => event.text(Format::Plain),
    }
}

/// `uuid_kill UUID [CAUSE]`: the channel is gone within two seconds.
async fn uuid_kill(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 2);
    let Some(uuid) = words.first().filter(|uuid| !uuid.is_empty()) else { return usage("uuid_kill") };
    let cause = match words.get(1).map(String::as_str).unwrap_or("") {
        "" => Cause::NORMAL_CLEARING,
        word => Cause::parse_or_clearing(word),
    };
    // The letter that a full mailbox takes, too.
    let mailbox = desk.exchange.legs.by_uuid(uuid);
    match mailbox.is_some_and(|mailbox| mailbox.post(Letter::Order(Order::Hangup(cause)))) {
        true => OK,
        false => NO_CHANNEL,
    }
    .to_owned()
}

/// `hupall [CAUSE] [NAME VALUE]…`: with variables only the channels that have them all.
async fn hupall(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 11);
    let cause = words.first().and_then(|word| Cause::parse(word)).unwrap_or(Cause::MANAGER_REQUEST);
    let wanted: Vec<(String, String)> = words
        .get(1..)
        .unwrap_or_default()
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [name, value] if !name.is_empty() && !value.is_empty() => Some((name.clone(), value.clone())),
            _ => None,
        })
        .collect();
    let name = cause.name();
    // What was asked for goes back in one line.
    let said = match wanted.as_slice() {
        [] => format!("with cause {name}"),
        [(variable, value)] => format!("matching [{variable}]=[{value}] with cause: {name}"),
        [(variable, value), ..] => format!("matching [{variable}]=[{value}]... with cause: {name}"),
    };
    let said = format!("+OK hangup all channels {}\n", said.replace(char::is_control, " "));
    if wanted.is_empty() {
        for mailbox in desk.exchange.legs.mailboxes() {
            mailbox.post(Letter::Order(Order::Hangup(cause)));
        }
    } else {
        let work = move |leg: &mut crate::channel::Leg| {
            if wanted.iter().all(|(name, value)| leg.variables.get(name) == Some(value)) {
                leg.hangup(cause);
            }
        };
        desk.ask_all(work).await;
    }
    said
}
