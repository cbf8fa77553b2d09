//! `unset`: takes a variable of the leg away.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// `name`.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let data = data.text.as_str();
    leg.variables.unset(data.trim());
}
