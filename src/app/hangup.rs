//! `hangup`: ends the call.

use crate::channel::{Cause, Leg};

/// `[cause]`: a name or a number, NORMAL_CLEARING when there is none.
pub fn run(leg: &mut Leg, data: &str) {
    leg.hangup(Cause::parse_or_clearing(data.trim()));
}
