//! `set_profile_var`: a field of the caller profile.

use crate::channel::Leg;
use crate::dialplan::Expanded;
use tracing::warn;

/// `name=value`; nothing empties the field.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let (name, value) = data.text.split_once('=').unwrap_or((&data.text, ""));
    if !leg.caller.set_field(name, value) {
        warn!(
            "{} {}: set_profile_var({}): the caller profile has no field {name} that can be set; for a variable use set",
            leg.uuid,
            leg.name(),
            data.text
        );
    }
}
