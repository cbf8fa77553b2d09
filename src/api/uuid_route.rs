//! Commands that send a channel somewhere: `uuid_transfer`, `uuid_dual_transfer`, `uuid_bridge`, `uuid_park`,
//! `uuid_broadcast`, `uuid_deflect`, `uuid_redirect` (mod_commands.c).

use super::command::{refused, usage, waiting};
use super::desk::{Desk, NO_CHANNEL, OK};
use crate::app;
use crate::channel::{Cause, Course, Deflected, Leg, Letter, Order, Route};
use crate::dialplan::separate;
use crate::sip::Uri;
use std::time::Duration;
use tokio::sync::oneshot;

waiting! {
    "uuid_bridge" uuid_bridge "<uuid> <other_uuid>", "bridge two channels";
    "uuid_broadcast" uuid_broadcast "<uuid> <path> [aleg|bleg|holdb|both]", "run an application in the middle of a call";
    "uuid_deflect" uuid_deflect "<uuid> <uri>", "have the far end call somebody else";
    "uuid_dual_transfer" uuid_dual_transfer "<uuid> <A-dest-exten>[/<A-dialplan>][/<A-context>] <B-dest-exten>[/<B-dialplan>][/<B-context>]", "send both sides of a call to extensions";
    "uuid_park" uuid_park "<uuid>", "park a channel";
    "uuid_redirect" uuid_redirect "<uuid> <uri>", "answer a caller with 302";
    "uuid_transfer" uuid_transfer "<uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]", "send a channel to an extension";
}

/// What is said of a channel that cannot be sent anywhere yet.
const DIALLED: &str = "-ERR the channel is still being dialled\n";

/// How long the far end may take to tell what became of a REFER.
const REFERRED: Duration = Duration::from_secs(10);

/// Sends a leg away from what it does.
fn send(leg: &mut Leg, course: Course) -> &'static str {
    if leg.is_dialled() {
        return DIALLED;
    }
    leg.go(course, Cause::NORMAL_CLEARING);
    OK
}

/// Sends the leg this one is bridged with.
fn send_partner(leg: &Leg, course: Course) -> bool {
    let order = Order::Go { course, variables: Vec::new() };
    leg.partner().is_some_and(|partner| partner.post(Letter::Order(order)))
}

fn said(answer: Result<&'static str, String>) -> String {
    answer.map_or_else(|why| why, str::to_owned)
}

/// `uuid_transfer UUID [-bleg|-both] EXTEN [DIALPLAN] [CONTEXT]`. (With `-bleg` FreeSWITCH sends the leg itself when there
/// is no other; here that is an error.)
async fn uuid_transfer(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 5);
    let (uuid, which, rest) = match words.as_slice() {
        [uuid, which, rest @ ..] if which.starts_with('-') => (uuid, which.to_ascii_lowercase(), rest),
        [uuid, rest @ ..] => (uuid, String::new(), rest),
        [] => return usage("uuid_transfer"),
    };
    let [destination, more @ ..] = rest else { return usage("uuid_transfer") };
    if destination.is_empty() || !matches!(&*which, "" | "-bleg" | "-both") {
        return usage("uuid_transfer");
    }
    let route = Route {
        dialplan: more.first().cloned(),
        context: more.get(1).cloned(),
        ..Route::to(destination.clone())
    };
    let work = move |leg: &mut Leg| {
        let other = match &*which {
            "" => true,
            _ => send_partner(leg, Course::Extension(route.clone())),
        };
        match &*which {
            _ if !other => "-ERR the channel is not bridged\n",
            "-bleg" => OK,
            _ => send(leg, Course::Extension(route)),
        }
    };
    said(desk.ask(uuid, work).await)
}

/// `uuid_dual_transfer UUID A-EXTEN[/DIALPLAN[/CONTEXT]] B-EXTEN[/DIALPLAN[/CONTEXT]]`.
async fn uuid_dual_transfer(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let [uuid, first, second] = words.as_slice() else { return usage("uuid_dual_transfer") };
    let (first, second) = (dual_route(first), dual_route(second));
    let work = move |leg: &mut Leg| {
        send_partner(leg, Course::Extension(second));
        send(leg, Course::Extension(first))
    };
    said(desk.ask(uuid, work).await)
}

/// `EXTEN[/DIALPLAN[/CONTEXT]]`; what ends in `/inline` may have slashes of its own.
fn dual_route(text: &str) -> Route {
    let (destination, dialplan, context) = match text.strip_suffix("/inline") {
        Some(list) => (list, Some("inline"), None),
        None => {
            let mut parts = text.splitn(3, '/');
            (parts.next().unwrap_or(""), parts.next(), parts.next())
        }
    };
    let owned = |word: &str| word.to_owned();
    Route { dialplan: dialplan.map(owned), context: context.map(owned), ..Route::to(destination) }
}

/// `uuid_bridge UUID OTHER [OTHER2]`: the first leaves what it does and is joined with the second or, when that cannot be,
/// with the third.
async fn uuid_bridge(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let [uuid, others @ ..] = words.as_slice() else { return usage("uuid_bridge") };
    if others.is_empty() {
        return usage("uuid_bridge");
    }
    for other in others.iter().take(2).filter(|other| *other != uuid) {
        // Both must be there, and one must have media to be answered with.
        let ready = |leg: &mut Leg| (!leg.is_dialled() && !leg.is_leaving()).then(|| leg.can_be_joined());
        let found = (desk.ask(uuid, ready).await, desk.ask(other, ready).await);
        let (Ok(Some(one)), Ok(Some(two))) = found else { continue };
        let Some(peer) = desk.exchange.legs.by_uuid(other).filter(|_| one || two) else { continue };
        let sent = desk.ask(uuid, move |leg| send(leg, Course::Join(peer))).await;
        if sent == Ok(OK) {
            return format!("+OK {other}\n");
        }
    }
    "-ERR Invalid uuid\n".to_owned()
}

/// `uuid_park UUID`.
async fn uuid_park(desk: &Desk, uuid: &str) -> String {
    if uuid.is_empty() {
        return usage("uuid_park");
    }
    let course = Course::Application { name: "park".into(), arguments: "".into() };
    said(desk.ask(uuid, |leg| send(leg, course)).await)
}

/// `uuid_broadcast UUID APP[!CAUSE]::ARGS [aleg|bleg|both]`. A file is refused: nothing is played yet.
async fn uuid_broadcast(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let [uuid, what, rest @ ..] = words.as_slice() else { return usage("uuid_broadcast") };
    if desk.exchange.legs.by_uuid(uuid).is_none() {
        return "-ERR invalid uuid\n".to_owned();
    }
    let side = rest.first().map_or_else(|| "aleg".to_owned(), |side| side.to_ascii_lowercase());
    let both = side.contains("both");
    let (aleg, bleg) = (both || side.contains("aleg"), both || side.contains("bleg"));
    match app::broadcast(&desk.exchange, uuid, what, aleg, bleg) {
        Ok(()) => "+OK Message sent\n".to_owned(),
        Err(why) => refused(&why),
    }
}

/// `UUID REST`, the rest as it is.
pub(super) fn uuid_and_text(text: &str) -> Option<(&str, &str)> {
    let (uuid, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    (!uuid.is_empty() && !rest.is_empty()).then_some((uuid, rest))
}

/// What is said of a uuid nobody has, where the command names it.
pub(super) fn no_such(uuid: &str) -> String {
    let uuid: String = uuid.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("-ERR No such channel {uuid}!\n")
}

pub(super) fn names_the_channel(why: String, uuid: &str) -> String {
    if why == NO_CHANNEL { no_such(uuid) } else { why }
}

/// A URI as it goes into a header; `None` for what is none.
fn uri_of(text: &str) -> Option<String> {
    let text = text.trim_matches(['<', '>']);
    let text = if text.contains(':') { text.to_owned() } else { format!("sip:{text}") };
    text.parse::<Uri>().ok().map(|uri| uri.to_string())
}

const NO_URI: &str = "-ERR this is no SIP URI\n";

/// `uuid_deflect UUID URI`: REFER; answers what the far end tells of it, and hangs up when that is a success.
async fn uuid_deflect(desk: &Desk, text: &str) -> String {
    let Some((uuid, target)) = uuid_and_text(text) else { return usage("uuid_deflect") };
    let Some(uri) = uri_of(target) else { return NO_URI.to_owned() };
    let (reply, answer) = oneshot::channel();
    match desk.ask(uuid, move |leg| leg.deflect(&uri, reply)).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return format!("-ERR {why}\n"),
        Err(why) => return names_the_channel(why, uuid),
    }
    match tokio::time::timeout(REFERRED, answer).await {
        Ok(Ok(Deflected::Taken(line))) => format!("+OK:{line}\n"),
        Ok(Ok(Deflected::Refused(line))) => format!("-ERR {line}\n"),
        // It hung up without a word, as many do once they have taken a REFER.
        Ok(Err(_)) => "+OK:no reply\n".to_owned(),
        Err(_) => "-ERR no reply\n".to_owned(),
    }
}

/// `uuid_redirect UUID URI`: a caller who is not answered yet gets 302.
async fn uuid_redirect(desk: &Desk, text: &str) -> String {
    let Some((uuid, target)) = uuid_and_text(text) else { return usage("uuid_redirect") };
    let Some(uri) = uri_of(target) else { return NO_URI.to_owned() };
    let work = move |leg: &mut Leg| {
        if leg.is_answered() || leg.direction == crate::channel::Direction::Outbound {
            return "-ERR only a caller who is not answered yet can be redirected; use uuid_deflect\n";
        }
        let headers = [("Contact".to_owned(), format!("<{uri}>"))];
        leg.respond(302, None, &headers, Cause::REDIRECTION_TO_NEW_DESTINATION);
        "+OK:302 Moved Temporarily\n"
    };
    match desk.ask(uuid, work).await {
        Ok(answer) => answer.to_owned(),
        Err(why) => names_the_channel(why, uuid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_a_dual_transfer() {
        for (text, destination, dialplan, context) in [
            ("5000", "5000", None, None),
            ("5000/XML", "5000", Some("XML"), None),
            ("5000/XML/public", "5000", Some("XML"), Some("public")),
            ("bridge:user/1000/inline", "bridge:user/1000", Some("inline"), None),
        ] {
            let route = dual_route(text);
            assert_eq!(
                (route.destination.as_str(), route.dialplan.as_deref(), route.context.as_deref()),
                (destination, dialplan, context),
                "{text}"
            );
        }
    }

    #[test]
    fn a_uri_has_no_line_breaks() {
        assert_eq!(uri_of("1000@example.com").as_deref(), Some("sip:1000@example.com"));
        assert_eq!(uri_of("<sip:1000@example.com>").as_deref(), Some("sip:1000@example.com"));
        for text in ["sip:a@b\r\nX: y", "sip:a@b\nX: y", "sip:a b@c", ""] {
            assert_eq!(uri_of(text), None, "{text:?}");
        }
        // Escaped line breaks are what they are: characters of a user, sent escaped.
        assert_eq!(uri_of("sip:a%0d%0aX@b").as_deref(), Some("sip:a%0d%0aX@b"));
    }
}
