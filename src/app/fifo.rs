//! `fifo`: callers wait in a queue, consumers serve them, members are called for them (mod_fifo.c). They wait in silence:
//! music and announcements are not provided yet.
//!
//! | file | what |
//! | --- | --- |
//! | `fifo.rs` | what the words mean; events and variables |
//! | `fifo/caller.rs` | `in`: a caller waits, and members are called for it |
//! | `fifo/consumer.rs` | `out`: a consumer serves callers |

mod caller;
mod consumer;

use super::call::Call;
use crate::channel::Leg;
use crate::dialplan::{Expanded, plain, separate};
use crate::event::{EventName, Headers};
use tracing::warn;

const EVENT: EventName = EventName::Custom("fifo::info");
/// Queues one consumer may serve.
const MOST: usize = 25;

/// `name[!importance] in [announce|undef] [music|undef] [noans|early]`, or
/// `name[!importance][,name…] out [wait|nowait] [announce] [music]`.
pub async fn run(call: &mut Call, data: &Expanded) {
    let words: Vec<String> =
        separate(data.guarded(), ' ', 5).iter().map(|word| plain(word).into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [names, way, rest @ ..] = words.as_slice() else { return usage(&call.leg, data) };
    let names: Vec<(String, u32)> =
        names.split(',').filter(|name| !name.is_empty()).take(MOST).map(named).collect();
    let way = way.to_ascii_lowercase();
    let announced = rest.get(usize::from(way == "out")).or(None);
    if let Some(file) =
        announced.filter(|file| !matches!(file.to_ascii_lowercase().as_str(), "undef" | "silence"))
    {
        warn!(
            "{} {}: fifo: announcing {file} is not provided yet and left out",
            call.leg.uuid,
            call.leg.name()
        );
    }
    match (way.as_str(), names.as_slice()) {
        ("in", [(name, importance)]) => {
            let answers = !rest.get(2).is_some_and(|word| matches!(*word, "noans" | "early"));
            caller::run(call, name, *importance, answers).await;
        }
        ("out", [_, ..]) => match rest.first().map(|word| word.to_ascii_lowercase()).as_deref() {
            None | Some("wait") => consumer::run(call, &names, true).await,
            Some("nowait") => consumer::run(call, &names, false).await,
            _ => usage(&call.leg, data),
        },
        _ => usage(&call.leg, data),
    }
}

fn usage(leg: &Leg, data: &Expanded) {
    warn!(
        "{} {}: fifo({}): <name>[!<importance>] in [<announce>|undef] [<music>|undef] | out [wait|nowait]",
        leg.uuid,
        leg.name(),
        data.text
    );
}

/// `name!importance`.
fn named(text: &str) -> (String, u32) {
    match text.rsplit_once('!') {
        Some((name, importance)) => (name.to_owned(), importance.parse().unwrap_or(0)),
        None => (text.to_owned(), 0),
    }
}

/// Tells what happens, in FreeSWITCH's words.
fn tell(leg: &Leg, name: &str, action: &str, more: impl FnOnce() -> Headers) {
    leg.fire(EVENT, || {
        let mut headers: Headers =
            vec![("FIFO-Name".into(), name.to_owned()), ("FIFO-Action".into(), action.to_owned())];
        headers.extend(more());
        headers
    });
}

/// How it stands with a leg (`fifo_status`), and since when.
fn stands(leg: &mut Leg, status: &str) {
    leg.variables.set("fifo_status", status);
    leg.variables.set("fifo_timestamp", now());
}

/// The time as mod_fifo writes it.
fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_may_have_an_importance() {
        for (text, name, importance) in
            [("a@x", "a@x", 0), ("a@x!5", "a@x", 5), ("a!b!2", "a!b", 2), ("a!", "a", 0), ("a!-3", "a", 0)]
        {
            assert_eq!(named(text), (name.to_owned(), importance), "{text}");
        }
    }
}
