//! `verbose_events`: from now on every event of this leg has all its variables.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// No data.
pub fn run(leg: &mut Leg, _data: &Expanded) {
    leg.variables.set("verbose_events", "true");
}
