//! `transfer`: the call goes to another extension; the rest of this one is dropped.

use super::call::Call;
use crate::channel::{Cause, Course, Letter, Order, Route};
use crate::dialplan::{Expanded, plain};
use tracing::warn;

/// `[-aleg|-bleg|-both] exten [dialplan] [context]`: this leg, the one it is bridged with, or both. (A leg that runs its
/// dialplan is in no bridge; an application bound to digits runs in one.)
pub async fn run(call: &mut Call, data: &Expanded) {
    let words: Vec<_> = data.guarded().split_whitespace().map(plain).collect();
    let mut words = words.iter().map(AsRef::as_ref).peekable();
    let which = words.next_if(|word| matches!(*word, "-aleg" | "-bleg" | "-both"));
    if words.peek().is_none() && which.is_none() {
        warn!("{} {}: transfer without an extension does nothing", call.leg.uuid, call.leg.name());
        return;
    }
    let which = which.unwrap_or("-aleg");
    let destination = words.next().unwrap_or("service");
    let (dialplan, context) = (words.next(), words.next());
    let owned = |word: &str| word.to_owned();
    let route = Route {
        dialplan: dialplan.map(owned),
        context: context.map(owned),
        wire: data.wire,
        ..Route::to(destination)
    };
    if which != "-aleg" {
        let order = Order::Go { course: Course::Extension(route.clone()), variables: Vec::new() };
        let sent = call.leg.partner().is_some_and(|partner| partner.post(Letter::Order(order)));
        if !sent {
            warn!("{} {}: transfer {which}: there is no other leg", call.leg.uuid, call.leg.name());
        }
    }
    match which {
        "-bleg" => {}
        _ if call.is_performing() => call.leg.go(Course::Extension(route), Cause::NORMAL_CLEARING),
        _ => call.transfer(destination, dialplan, context),
    }
}
