//! `sendmsg`: what a call is to do; `sendevent`: an event of the client's own making.

use super::client::{Client, Running, one_line};
use super::deed;
use super::frame::Request;
use super::rights::Rights;
use crate::channel::{Cause, Course, Execution, Mailbox, Manner, Route, Target};
use crate::config::value::is_true;
use crate::event::{EventName, Headers, SUBCLASS};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// `sendmsg [UUID]`. `None` when the answer comes once it is done.
pub(super) async fn send(
    client: &mut Client,
    rights: &Rights,
    request: &Request,
    words: &str,
) -> Option<String> {
    let named = words.split_ascii_whitespace().next().or_else(|| request.header("session-id"));
    let own = client.call.as_ref().filter(|call| named.is_none_or(|uuid| *uuid == *call.uuid));
    let mailbox = match (own, named) {
        (Some(call), _) => Some(call.mailbox.clone()),
        (None, Some(uuid)) => client.hall.desk.exchange.legs.by_uuid(uuid),
        (None, None) => None,
    };
    let Some(mailbox) = mailbox else {
        return Some(format!("-ERR invalid session id [{}]", named.unwrap_or("")));
    };
    // A program that has a call and does not want to go on at once waits for what it asks.
    let hands = own.and_then(|call| call.hands.as_ref());
    let waits = hands.is_some_and(|hands| !hands.is_async) && !request.header("async").is_some_and(is_true);
    let command = request.header("call-command").unwrap_or("").to_ascii_lowercase();
    let said = match command.as_str() {
        "execute" => match execute(request, rights) {
            Ok((mut execution, mut manner)) => {
                let (done, told) = oneshot::channel();
                manner.done = waits.then_some(done);
                execution.manner = Some(Arc::new(manner));
                let asked = mailbox.ask(move |leg| leg.order(Target::Own, execution)).await;
                if waits && asked.is_ok() {
                    client.running = Some(Running::Application(told));
                    return None;
                }
                asked.map(|()| "+OK".to_owned()).unwrap_or_else(|error| format!("-ERR {error}"))
            }
            Err(said) => said,
        },
        "hangup" => {
            let cause =
                request.header("hangup-cause").map_or(Cause::NORMAL_CLEARING, Cause::parse_or_clearing);
            order(&mailbox, move |leg| leg.hangup(cause)).await
        }
        "xferext" => match inline(request, rights) {
            Ok(destination) => {
                let route = Route { dialplan: Some("inline".to_owned()), ..Route::to(destination) };
                order(&mailbox, move |leg| leg.go(Course::Extension(route), Cause::NORMAL_CLEARING)).await
            }
            Err(said) => said,
        },
        "nomedia" => match request.header("nomedia-uuid") {
            Some(uuid) => match client.hall.desk.exchange.legs.by_uuid(uuid) {
                Some(mailbox) => past(&mailbox).await,
                None => format!("-ERR invalid session id [{uuid}]"),
            },
            None => past(&mailbox).await,
        },
        "" => "-ERR no call-command".to_owned(),
        other => format!("-ERR call-command {other} is not provided"),
    };
    Some(said)
}

async fn order(mailbox: &Mailbox, work: impl FnOnce(&mut crate::channel::Leg) + Send + 'static) -> String {
    mailbox.ask(work).await.map_or_else(|error| format!("-ERR {error}"), |()| "+OK".to_owned())
}

/// The media of both sides go past the switch, if their far ends follow.
async fn past(mailbox: &Mailbox) -> String {
    let sent = mailbox.ask(crate::channel::Leg::send_media_past).await;
    match sent.map(|sent| sent.map_err(str::to_owned)).unwrap_or_else(|error| Err(error.to_string())) {
        Ok(()) => "+OK".to_owned(),
        Err(why) => format!("-ERR {why}"),
    }
}

/// The application of a `call-command: execute`; its data is a header, or the body.
fn execute(request: &Request, rights: &Rights) -> Result<(Execution, Manner), String> {
    let application = request.header("execute-app-name").map(str::trim).filter(|name| !name.is_empty());
    let application = application.ok_or("-ERR no execute-app-name")?.to_owned();
    let argument = request.header("execute-app-arg").filter(|argument| !argument.is_empty());
    let argument = argument.or(request.body.as_deref()).unwrap_or("").to_owned();
    may(rights, &application, &argument)?;
    let loops = match request.header("loops") {
        Some(text) => text.trim().parse().map_err(|_| "-ERR loops is no number")?,
        None => 1,
    };
    // It would have so many frames of sound pass by first; nobody here looks at sound yet.
    if request.header("lead-frames").is_some_and(|frames| !matches!(frames.trim(), "" | "0")) {
        return Err("-ERR lead-frames is not provided".to_owned());
    }
    if request.header("hold-bleg").is_some_and(is_true) {
        info!("sendmsg {application}: hold-bleg: the other leg hears no music meanwhile, none is played yet");
    }
    let uuid = request.header("Event-UUID").map(str::to_owned);
    let lock = ["event-lock", "event-lock-pri"].iter().any(|name| request.header(name).is_some_and(is_true));
    let manner = Manner { uuid, loops, lock, done: None };
    Ok((Execution { application, argument, manner: None }, manner))
}

/// The applications of an `xferext`, each a header `application: name data`, as an inline destination.
fn inline(request: &Request, rights: &Rights) -> Result<String, String> {
    let named = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("application"));
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut items = Vec::new();
    for (_, value) in named {
        let (name, data) = value.split_once(' ').unwrap_or((value, ""));
        may(rights, name, data)?;
        items.push(format!("'{}:{}'", quoted(name), quoted(data)));
    }
    if items.is_empty() { Err("-ERR no application".to_owned()) } else { Ok(items.join(",")) }
}

/// Whether the client may have that run.
fn may(rights: &Rights, application: &str, data: &str) -> Result<(), String> {
    rights.application(application, data).map_err(|why| {
        warn!("sendmsg {application}: {}", one_line(&why));
        format!("-ERR permission denied: {why}")
    })
}

/// `sendevent NAME`: told to all who want such events; what it asks for is done.
pub(super) async fn event(client: &Client, rights: &Rights, request: &Request, words: &str) -> String {
    let name = EventName::find(words.trim()).unwrap_or(EventName::Clone);
    if !rights.sends(name, request.header(SUBCLASS).unwrap_or_default()) {
        return "-ERR permission denied".to_owned();
    }
    let uuid = crate::channel::new_uuid();
    let mut headers: Headers = vec![("Command".into(), request.line.clone())];
    for (name, value) in &request.headers {
        // Of two headers of a name the last counts.
        match headers.iter_mut().find(|(held, _)| held.eq_ignore_ascii_case(name)) {
            Some((_, held)) => held.clone_from(value),
            None => headers.push((name.clone().into(), value.clone())),
        }
    }
    if let (EventName::Custom(_), Some(at)) =
        (name, headers.iter().position(|(name, _)| name.eq_ignore_ascii_case(SUBCLASS)))
    {
        let subclass = headers.remove(at);
        headers.insert(0, subclass);
    }
    headers.push(("Event-UUID".into(), uuid.to_string()));
    let desk = &client.hall.desk;
    let done = match deed::inside(desk, name, request).await {
        Some(done) => done,
        None => {
            // What it begins goes on on the switch's own threads.
            let _main = client.hall.main.enter();
            desk.house.act_on(name, &headers, request.body.as_deref())
        }
    };
    let is_unheard = deed::is_unheard(name, request.header(SUBCLASS).unwrap_or_default());
    desk.exchange.events.relay(name, headers, request.body.clone());
    if is_unheard {
        let name = name.as_str();
        warn!("event socket {}: sendevent {name}: told to listeners; nothing else comes of it", client.peer);
    }
    match done {
        Ok(()) => format!("+OK {uuid}"),
        Err(why) => {
            warn!("event socket {}: sendevent {}: {}", client.peer, name.as_str(), one_line(&why));
            format!("-ERR {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Request { line: "sendmsg".to_owned(), headers, body: Some("from the body".to_owned()) }
    }

    fn read(headers: &[(&str, &str)]) -> Result<(Execution, Manner), String> {
        execute(&request(headers), &Rights::default())
    }

    #[test]
    fn an_application_has_its_data_in_a_header_or_in_the_body() {
        let wanted = read(&[("execute-app-name", "set"), ("execute-app-arg", "a=b"), ("loops", "3")]);
        let (wanted, manner) = wanted.expect("well said");
        assert_eq!((&*wanted.application, &*wanted.argument, manner.loops), ("set", "a=b", 3));
        let (wanted, manner) = read(&[("execute-app-name", "log")]).expect("well said");
        assert_eq!((&*wanted.argument, manner.loops), ("from the body", 1));
        assert!(read(&[]).is_err());
        assert!(read(&[("execute-app-name", "x"), ("loops", "many")]).is_err());
        assert!(read(&[("execute-app-name", "x"), ("lead-frames", "5")]).is_err());
    }

    #[test]
    fn applications_in_a_row_are_an_inline_destination() {
        let every = Rights::default();
        let destination =
            inline(&request(&[("application", "set a='b,c'"), ("application", "hangup")]), &every);
        let parsed = crate::dialplan::inline::parse(&destination.expect("two"));
        let seen: Vec<_> = parsed.iter().map(|a| (&*a.application, a.data.as_written())).collect();
        assert_eq!(seen, [("set", "a='b,c'".into()), ("hangup", "".into())]);
        assert!(inline(&request(&[]), &every).is_err());
    }
}
