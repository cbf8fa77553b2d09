//! Commands that tell the far end of a channel something, or read something of it: `uuid_answer`, `uuid_hold`,
//! `uuid_send_dtmf`, `uuid_send_info`, … (mod_commands.c).
//!
//! Texts go into messages as bodies; what becomes part of a header is a token, or refused.

use super::command::{usage, waiting};
use super::desk::{Desk, NO_CHANNEL, OK};
use super::uuid_route::{names_the_channel, uuid_and_text};
use crate::channel::{Direction, Leg, Letter, Order, Visit};
use crate::dialplan::separate;
use crate::sip::Method;
use std::time::Duration;

waiting! {
    "uuid_answer" uuid_answer "<uuid>", "answer a channel";
    "break" uuid_break "<uuid> [all]", "break off what a channel does";
    "uuid_break" uuid_break "<uuid> [all]", "break off what a channel does";
    "uuid_buglist" uuid_buglist "<uuid>", "list what listens to a channel's media";
    "uuid_chat" uuid_chat "<uuid> <text>", "send a channel's far end a text";
    "uuid_flush_dtmf" uuid_flush_dtmf "<uuid>", "forget digits nobody has taken";
    "uuid_hold" uuid_hold "[off|toggle] <uuid> [<display>]", "put a channel on hold";
    "uuid_phone_event" uuid_phone_event "<uuid> [talk|hold]", "have a phone answer or hold";
    "uuid_pre_answer" uuid_pre_answer "<uuid>", "open early media";
    "uuid_recv_dtmf" uuid_recv_dtmf "<uuid> <dtmf_data>", "digits as if the far end had pressed them";
    "uuid_ring_ready" uuid_ring_ready "<uuid> [queued]", "tell a caller that it rings";
    "uuid_send_dtmf" uuid_send_dtmf "<uuid> <dtmf_data>", "send digits to the far end";
    "uuid_send_info" uuid_send_info "<uuid> [<mime_type> <mime_subtype>] <message>", "send INFO";
    "uuid_send_message" uuid_send_message "<uuid> <message>", "send MESSAGE inside the call";
    "uuid_session_heartbeat" uuid_session_heartbeat "<uuid> [sched] [0|<seconds>]", "have a channel say every so often that it is there";
}

pub(super) const SUCCESS: &str = "+OK Success\n";
pub(super) const FAILED: &str = "-ERR Operation failed\n";
pub(super) const FAILED_TOO: &str = "-ERR Operation Failed\n";
/// What a few commands say of a uuid nobody has, and of every failure.
const ERROR: &str = "-ERROR\n";

//------------ Answer -------------------------------------------------------------------------------------------

async fn uuid_answer(desk: &Desk, uuid: &str) -> String {
    let answered = desk.ask(uuid, |leg| leg.answer(None).is_ok() && leg.is_answered()).await;
    if answered == Ok(true) { OK } else { ERROR }.to_owned()
}

async fn uuid_pre_answer(desk: &Desk, uuid: &str) -> String {
    let opened = desk.ask(uuid, |leg| leg.pre_answer(None).is_ok()).await;
    if opened == Ok(true) { OK } else { ERROR }.to_owned()
}

async fn uuid_ring_ready(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let (uuid, status) = match words.as_slice() {
        [uuid] if !uuid.is_empty() => (uuid, 180),
        [uuid, word] if word.eq_ignore_ascii_case("queued") => (uuid, 182),
        _ => return usage("uuid_ring_ready"),
    };
    if desk.ask(uuid, move |leg| leg.ring(status)).await.is_ok() { OK } else { ERROR }.to_owned()
}

//------------ Hold ---------------------------------------------------------------------------------------------

/// `uuid_hold [off|toggle] UUID`: the far end is told by a re-INVITE. It hears nothing meanwhile: no music is played yet.
async fn uuid_hold(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let (uuid, wanted) = match words.as_slice() {
        [word, uuid, ..] if word.eq_ignore_ascii_case("off") => (uuid, Some(false)),
        [word, uuid, ..] if word.eq_ignore_ascii_case("toggle") => (uuid, None),
        [uuid, ..] if !uuid.is_empty() => (uuid, Some(true)),
        _ => return usage("uuid_hold") + FAILED,
    };
    let held = desk.ask(uuid, move |leg| leg.hold(wanted.unwrap_or(!leg.holds()))).await;
    match held {
        Ok(Ok(())) => SUCCESS,
        _ => FAILED,
    }
    .to_owned()
}

//------------ Digits -------------------------------------------------------------------------------------------

/// How long a digit lasts when nobody says, in ms (FreeSWITCH's 2000 samples).
const DIGIT: u32 = 250;
/// Digits one command may send.
const DIGITS: usize = 64;

/// A digit, or a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Digit(char, u32),
    Pause(Duration),
}

/// `DIGITS[@MS][+DIGITS[@MS]]…` with `w` for half a second and `W` for a second. `None` when there is anything else.
fn keys(text: &str) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    for part in text.split('+').filter(|part| !part.is_empty()) {
        let (digits, ms) = match part.split_once('@') {
            Some((digits, ms)) => (digits, ms.parse::<u32>().ok()?.clamp(50, 24_000)),
            None => (part, DIGIT),
        };
        for c in digits.strip_prefix('~').unwrap_or(digits).chars() {
            keys.push(match c {
                '0'..='9' | '*' | '#' => Key::Digit(c, ms),
                'A'..='D' | 'a'..='d' => Key::Digit(c.to_ascii_uppercase(), ms),
                'w' => Key::Pause(Duration::from_millis(500)),
                'W' => Key::Pause(Duration::from_secs(1)),
                _ => return None,
            });
        }
    }
    (!keys.is_empty() && keys.len() <= DIGITS).then_some(keys)
}

const NO_SESSION: &str = "-ERR Cannot locate session!\n";

async fn uuid_send_dtmf(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let [uuid, digits, ..] = words.as_slice() else { return usage("uuid_send_dtmf") };
    let Some(leg) = desk.exchange.legs.by_uuid(uuid) else { return NO_SESSION.to_owned() };
    let Some(keys) = keys(digits) else { return FAILED.to_owned() };
    // One after the other, with the pauses that were asked for; the leg sends them in that order.
    let sent = tokio::spawn(async move {
        for key in keys {
            match key {
                Key::Pause(pause) => tokio::time::sleep(pause).await,
                Key::Digit(digit, duration_ms) => {
                    if !leg.post(Letter::Order(Order::Digit { digit, duration_ms })) {
                        return false;
                    }
                }
            }
        }
        true
    });
    match sent.await {
        Ok(true) => format!("+OK {uuid} sent DTMF {digits}.\n"),
        _ => FAILED.to_owned(),
    }
}

async fn uuid_recv_dtmf(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let [uuid, digits, ..] = words.as_slice() else { return usage("uuid_recv_dtmf") };
    if desk.exchange.legs.by_uuid(uuid).is_none() {
        return NO_SESSION.to_owned();
    }
    let Some(keys) = keys(digits) else { return usage("uuid_recv_dtmf") };
    let work = move |leg: &mut Leg| {
        for key in keys {
            if let Key::Digit(digit, duration_ms) = key {
                leg.press(digit, duration_ms);
            }
        }
    };
    match desk.ask(uuid, work).await {
        Ok(()) => format!("+OK {uuid} received DTMF {digits}.\n"),
        Err(why) if why == NO_CHANNEL => NO_SESSION.to_owned(),
        Err(why) => why,
    }
}

async fn uuid_flush_dtmf(desk: &Desk, uuid: &str) -> String {
    let flushed = desk.ask(uuid, |leg| leg.flush_digits()).await;
    if flushed.is_ok() { OK } else { "-ERR No such session\n" }.to_owned()
}

//------------ Requests inside the call -------------------------------------------------------------------------

async fn request(desk: &Desk, uuid: &str, method: Method, kind: String, text: String) -> Result<(), String> {
    let sent = desk.ask(uuid, move |leg| leg.send_request(method, &[], Some((&kind, text)))).await?;
    sent.map_err(|why| format!("-ERR Operation Failed: {why}\n"))
}

/// A part of a media type (RFC 3261 §25.1, token).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// `uuid_send_info UUID [TYPE SUBTYPE] TEXT`.
async fn uuid_send_info(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let (uuid, kind, body) = match words.as_slice() {
        [uuid, body] => (uuid, "freeswitch/data".to_owned(), body),
        [uuid, first, second, body] if is_token(first) && is_token(second) => {
            (uuid, format!("{first}/{second}"), body)
        }
        [_, _, _, _] => return FAILED_TOO.to_owned(),
        _ => return usage("uuid_send_info"),
    };
    match request(desk, uuid, Method::Info, kind, body.clone()).await {
        Ok(()) => SUCCESS.to_owned(),
        Err(why) if why == NO_CHANNEL => FAILED_TOO.to_owned(),
        Err(why) => why,
    }
}

/// `uuid_send_message UUID TEXT`.
async fn uuid_send_message(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 2);
    let [uuid, body] = words.as_slice() else { return usage("uuid_send_message") };
    match request(desk, uuid, Method::Message, "text/plain".to_owned(), body.clone()).await {
        Ok(()) => SUCCESS.to_owned(),
        Err(why) if why == NO_CHANNEL => "-ERR Unable to find session for UUID\n".to_owned(),
        Err(why) => why,
    }
}

/// `uuid_chat UUID TEXT`. (FreeSWITCH sends it outside the call, as `text/html`; here it is a part of the call.)
async fn uuid_chat(desk: &Desk, text: &str) -> String {
    let Some((uuid, body)) = uuid_and_text(text) else { return usage("uuid_chat") };
    match request(desk, uuid, Method::Message, "text/plain".to_owned(), body.to_owned()).await {
        Ok(()) => OK.to_owned(),
        Err(why) if why == NO_CHANNEL => names_the_channel(why, uuid),
        Err(_) => "-ERR Send failed\n".to_owned(),
    }
}

/// `uuid_phone_event UUID [talk|hold]`: NOTIFY; a phone that knows it answers, or holds.
async fn uuid_phone_event(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 3);
    let Some(uuid) = words.first().filter(|uuid| !uuid.is_empty()) else { return usage("uuid_phone_event") };
    let hold = words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("hold"));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers =
        [header("Event", if hold { "hold" } else { "talk" }), header("Subscription-State", "active")];
    let work = move |leg: &mut Leg| {
        if !leg.is_answered() && leg.direction == Direction::Inbound {
            return Err("a caller who is not answered".to_owned());
        }
        leg.send_request(Method::Notify, &headers, None)
    };
    match desk.ask(uuid, work).await {
        Ok(Ok(())) => SUCCESS,
        _ => FAILED,
    }
    .to_owned()
}

//------------ What a channel does by itself --------------------------------------------------------------------

/// `uuid_session_heartbeat UUID [sched] SECONDS|true|false`.
async fn uuid_session_heartbeat(desk: &Desk, text: &str) -> String {
    let usage = || {
        format!(
            "-USAGE: uuid_session_heartbeat {}",
            usage("uuid_session_heartbeat").replacen("-USAGE: ", "", 1)
        )
    };
    let words = separate(text, ' ', 4);
    let (uuid, word) = match words.as_slice() {
        [uuid, word, value, ..] if word.eq_ignore_ascii_case("sched") => (uuid, value),
        [uuid, word, ..] if !uuid.is_empty() => (uuid, word),
        _ => return usage(),
    };
    let seconds = match word.parse::<u32>() {
        Ok(0) => 60,
        Ok(seconds) => seconds,
        Err(_) if crate::channel::variables::is_true(word) => 60,
        Err(_) => 0,
    };
    // A plain 0 ends it; there it is taken for "as usual", which nobody can have meant.
    let seconds = if word == "0" { 0 } else { seconds };
    match desk.ask(uuid, move |leg| leg.beat(Duration::from_secs(seconds.into()))).await {
        Ok(()) => OK.to_owned(),
        Err(why) if why == NO_CHANNEL => {
            format!("-ERR Cannot locate session. {}", usage().trim_start_matches('-'))
        }
        Err(why) => why,
    }
}

/// `uuid_break UUID [all] [both]`. `+OK` also when there was nothing to break off.
async fn uuid_break(desk: &Desk, text: &str) -> String {
    let (uuid, flags) = text.split_once(' ').unwrap_or((text, ""));
    if uuid.is_empty() {
        return usage("uuid_break");
    }
    let (all, both) = (flags.contains("all"), flags.contains("both"));
    let work = move |leg: &mut Leg| {
        leg.break_off(all);
        if let Some(partner) = leg.partner().filter(|_| both) {
            partner.post(Letter::Visit(Visit::new(move |other| other.break_off(all))));
        }
    };
    desk.ask(uuid, work).await.map_or_else(|why| why, |()| OK.to_owned())
}

/// `uuid_buglist UUID`: what listens to its media, which is nobody yet.
async fn uuid_buglist(desk: &Desk, text: &str) -> String {
    let Some(uuid) = text.split(' ').next().filter(|uuid| !uuid.is_empty()) else {
        return usage("uuid_buglist");
    };
    match desk.exchange.legs.by_uuid(uuid) {
        Some(_) => "<media-bugs></media-bugs>\n",
        None => NO_CHANNEL,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_pauses() {
        let digits = |text: &str, ms: u32| text.chars().map(|c| Key::Digit(c, ms)).collect::<Vec<_>>();
        assert_eq!(keys("12#"), Some(digits("12#", 250)));
        assert_eq!(keys("ab*@100"), Some(digits("AB*", 100)));
        assert_eq!(keys("1@100+2"), Some([digits("1", 100), digits("2", 250)].concat()));
        assert_eq!(
            keys("~1wW"),
            Some(vec![
                Key::Digit('1', 250),
                Key::Pause(Duration::from_millis(500)),
                Key::Pause(Duration::from_secs(1))
            ])
        );
        let many = "1".repeat(65);
        for text in ["", "x", "1\r\n2", "1@", "1@x", "+", "1%0a", &many] {
            assert_eq!(keys(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_media_type_has_no_line_breaks() {
        assert!(is_token("x-vnd.a+b"));
        for text in ["", "a/b", "a\r\nb", "a b", "a;b"] {
            assert!(!is_token(text), "{text:?}");
        }
    }
}
