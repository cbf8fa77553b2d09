//! `transfer`: the call goes to another extension; the rest of this one is dropped.

use super::call::Call;
use crate::dialplan::{Expanded, plain};
use tracing::warn;

/// `exten [dialplan] [context]`. Transfer of the other leg (`-bleg`, `-both`) is refused here: while this
/// application runs there is none.
pub async fn run(call: &mut Call, data: &Expanded) {
    let words: Vec<_> = data.guarded().split_whitespace().map(plain).collect();
    let mut words = words.iter().map(AsRef::as_ref);
    let first = words.next().unwrap_or("service");
    if matches!(first, "-bleg" | "-both") {
        warn!("{} {}: transfer {first} is not provided yet", call.leg.uuid, call.leg.name());
        return;
    }
    let destination = if first == "-aleg" { words.next().unwrap_or("service") } else { first };
    call.transfer(destination, words.next(), words.next());
}
