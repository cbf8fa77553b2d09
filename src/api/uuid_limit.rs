//! `uuid_limit`, `uuid_limit_release`: what a call counts for, from outside (mod_commands.c).

use super::command::{refused, usage, waiting};
use super::desk::{Desk, NO_CHANNEL};
use crate::app;
use crate::channel::{Cause, Course, Leg, Route};
use crate::dialplan::separate;
use crate::store::limit::Backend;

waiting! {
    "uuid_limit" uuid_limit "<uuid> <backend> <realm> <resource> [<max>[/interval]] [number [dialplan [context]]]",
        "count a call in, and send it away when there is nothing left";
    "uuid_limit_release" uuid_limit_release "<uuid> <backend> [realm] [resource]", "give back what a call counts for";
}

/// FreeSWITCH ends no line here.
const DONE: &str = "+OK";

fn how(name: &str) -> String {
    format!("USAGE: {name} {}", usage(name).trim_start_matches("-USAGE: "))
}

fn backend(name: &str) -> Result<Backend, String> {
    Backend::named(name)
        .ok_or_else(|| refused(&format!("there is no backend {name} (there are hash and db)")))
}

/// What is said of a uuid nobody has.
fn nobody(why: String, uuid: &str) -> String {
    if why == NO_CHANNEL { refused(&format!("Cannot find session with uuid {uuid}")) } else { why }
}

/// `+OK` also when it was sent away: what it asked for has been seen to.
async fn uuid_limit(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 8);
    let [uuid, name, realm, id, rest @ ..] = words.as_slice() else { return how("uuid_limit") };
    if let Err(why) = backend(name) {
        return why;
    }
    let (name, realm, id, rest) = (name.clone(), realm.clone(), id.clone(), rest.to_vec());
    let work = move |leg: &mut Leg| {
        let word = |n: usize| rest.get(n).map(String::as_str);
        if app::count_in(leg, &name, &realm, &id, word(0)) {
            return Ok(());
        }
        let extension = word(1).unwrap_or(app::LIMIT_EXCEEDED);
        if let Some(cause) = extension.strip_prefix('!') {
            leg.hangup(Cause::parse_or_clearing(cause));
        } else if leg.is_dialled() {
            return Err("the limit is reached, and the channel is still being dialled");
        } else {
            let owned = |n| word(n).map(str::to_owned);
            let route = Route { dialplan: owned(2), context: owned(3), ..Route::to(extension) };
            leg.go(Course::Extension(route), Cause::NORMAL_CLEARING);
        }
        Ok(())
    };
    match desk.ask(uuid, work).await {
        Ok(Ok(())) => DONE.to_owned(),
        Ok(Err(why)) => refused(why),
        Err(why) => nobody(why, uuid),
    }
}

/// Without a resource all that the call counts for there.
async fn uuid_limit_release(desk: &Desk, text: &str) -> String {
    let words = separate(text, ' ', 5);
    let [uuid, name, rest @ ..] = words.as_slice() else { return how("uuid_limit_release") };
    let backend = match backend(name) {
        Ok(backend) => backend,
        Err(why) => return why,
    };
    let rest = rest.to_vec();
    let work = move |leg: &mut Leg| match rest.as_slice() {
        [realm, id, ..] => leg.limits.release(backend, realm, id),
        _ => leg.limits.release_every(backend),
    };
    match desk.ask(uuid, work).await {
        Ok(()) => DONE.to_owned(),
        Err(why) => nobody(why, uuid),
    }
}
