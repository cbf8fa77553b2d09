//! `hangup`: ends the call.

use crate::channel::{Cause, Leg};
use crate::dialplan::Expanded;

/// `[cause]`: a name or a number, NORMAL_CLEARING when there is none.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let data = data.text.as_str();
    leg.hangup(Cause::parse_or_clearing(data.trim()));
}
