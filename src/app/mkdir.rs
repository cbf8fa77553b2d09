//! `mkdir` is refused: a dialplan makes no folders.

use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::warn;

/// A path.
pub fn run(leg: &mut Leg, data: &Expanded) {
    warn!(
        "{} {}: mkdir({}) is refused: what a dialplan says may hold text from a caller, and that must not become a \
         path; recordings make their folders themselves",
        leg.uuid,
        leg.name(),
        data.text
    );
}
