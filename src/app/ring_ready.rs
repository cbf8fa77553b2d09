//! `ring_ready`: 180, or with `queued` 182.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// `[queued]`.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let data = data.text.as_str();
    leg.ring(if data.trim().eq_ignore_ascii_case("queued") { 182 } else { 180 });
}
