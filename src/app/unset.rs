//! `unset`: takes a variable of the leg away.

use crate::channel::Leg;

/// `name`.
pub fn run(leg: &mut Leg, data: &str) {
    leg.variables.unset(data.trim());
}
