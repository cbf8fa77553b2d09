//! Commands that change the media of a call that is up, or what its far end shows: `uuid_media`, `uuid_media_reneg`,
//! `uuid_display` (mod_commands.c).

use super::command::{usage, waiting};
use super::desk::Desk;
use super::uuid_signal::{FAILED, FAILED_TOO, SUCCESS};
use crate::channel::Leg;
use crate::dialplan::separate;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

waiting! {
    "uuid_display" uuid_display "<uuid> <display>", "have a phone show another name";
    "uuid_media" uuid_media "[off] <uuid>", "lead media past the switch, or back";
    "uuid_media_reneg" uuid_media_reneg "<uuid>[ <codec_string>]", "offer other codecs";
}

/// How long far ends may take to follow.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// FreeSWITCH's word for a failure, and why.
fn failed(word: &str, why: &str) -> String {
    let why: String = why.chars().filter(|c| !c.is_control()).collect();
    format!("{}: {why}\n", word.trim_end())
}

/// `uuid_display UUID NAME|NUMBER`.
async fn uuid_display(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 2);
    let [uuid, display] = words.as_slice() else { return usage("uuid_display") };
    let (name, number) = display.split_once('|').unwrap_or((display, ""));
    let (name, number) = (name.to_owned(), number.to_owned());
    match desk.ask(uuid, move |leg| leg.display(&name, &number)).await {
        Ok(Ok(())) => SUCCESS.to_owned(),
        Ok(Err(why)) => failed(FAILED, why),
        Err(_) => FAILED.to_owned(),
    }
}

/// `uuid_media [off] UUID`.
async fn uuid_media(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 4);
    let (uuid, past) = match words.as_slice() {
        [word, uuid, ..] if word.eq_ignore_ascii_case("off") => (uuid, true),
        [uuid, ..] if !uuid.is_empty() && !uuid.eq_ignore_ascii_case("off") => (uuid, false),
        _ => return usage("uuid_media") + FAILED,
    };
    let (reply, answer) = oneshot::channel();
    let work = move |leg: &mut Leg| match past {
        true => leg.send_media_past().map(|()| {
            let _ = reply.send(Ok(()));
        }),
        false => leg.take_media_back(reply),
    };
    match desk.ask(uuid, work).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return failed(FAILED, why),
        Err(_) => return FAILED.to_owned(),
    }
    let deadline = Instant::now() + PATIENCE;
    match tokio::time::timeout_at(deadline, answer).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(why))) => return failed(FAILED, &why),
        _ => return failed(FAILED, "the far end does not answer"),
    }
    match both_go(desk, uuid, deadline).await {
        Some(so) if so == past => SUCCESS.to_owned(),
        Some(_) => failed(FAILED, "a far end refused"),
        None => failed(FAILED, "the far ends do not follow"),
    }
}

/// Whether the media of both sides go past the switch, once that is settled; `None` when it is not in time, or the call ends.
async fn both_go(desk: &Desk, uuid: &str, deadline: Instant) -> Option<bool> {
    while Instant::now() < deadline {
        let look = |leg: &mut Leg| (leg.media_goes_past(), leg.partner_uuid().cloned());
        let (ours, partner) = desk.ask(uuid, look).await.ok()?;
        let theirs = match partner {
            Some(partner) => desk.ask(&partner, |leg| leg.media_goes_past()).await.ok()?,
            None => ours,
        };
        if ours.is_some() && ours == theirs {
            return ours;
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// `uuid_media_reneg [+]UUID [[=]CODECS]`; with a plus the other side of the bridge too. (FreeSWITCH offers what the far end
/// once offered when the list does not begin with `=`; here it is offered as it is, and binds the leg no longer than that.)
async fn uuid_media_reneg(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 2);
    let Some(uuid) = words.first().filter(|uuid| !uuid.is_empty()) else {
        return usage("uuid_media_reneg") + FAILED_TOO;
    };
    let list = words.get(1).cloned();
    let (uuid, both) = match uuid.strip_prefix('+') {
        Some(uuid) => (uuid, true),
        None => (uuid.as_str(), false),
    };
    let partner = match both {
        true => desk.ask(uuid, |leg| leg.partner_uuid().cloned()).await.ok().flatten(),
        false => None,
    };
    if let (Some(partner), Some(list)) = (&partner, list.clone()) {
        // What the first settles on must be good for the other, too.
        let _ = desk.ask(partner, move |leg| leg.restrict_codecs(&list)).await;
    }
    let first = renew(desk, uuid, list.clone()).await;
    let second = match partner.filter(|_| first.is_ok()) {
        Some(partner) => renew(desk, &partner, list).await,
        None => Ok(()),
    };
    match first.and(second) {
        Ok(()) => SUCCESS.to_owned(),
        Err(Some(why)) => failed(FAILED_TOO, &why),
        Err(None) => FAILED_TOO.to_owned(),
    }
}

/// Offers a far end these codecs; an error says why that failed, if there is such a leg.
async fn renew(desk: &Desk, uuid: &str, list: Option<String>) -> Result<(), Option<String>> {
    let (reply, answer) = oneshot::channel();
    let work = move |leg: &mut Leg| leg.renew_codecs(list.as_deref(), reply);
    desk.ask(uuid, work).await.map_err(|_| None)?.map_err(|why| Some(why.to_owned()))?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(came)) => came.map_err(Some),
        _ => Err(Some("the far end does not answer".to_owned())),
    }
}
