//! `echo`: the caller hears (and sees) itself until it hangs up.

use super::call::Call;
use crate::channel::Happening;
use crate::dialplan::Expanded;

/// No data.
pub async fn run(call: &mut Call, _data: &Expanded) {
    call.leg.echo(true);
    while !matches!(call.next().await, Happening::Over) {}
    call.leg.echo(false);
}
