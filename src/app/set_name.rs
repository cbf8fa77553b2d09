//! `set_name`: the channel's name, as logs and events have it.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// The name.
pub fn run(leg: &mut Leg, data: &Expanded) {
    let name: String = data.text.chars().filter(|c| !c.is_control()).take(256).collect();
    if !name.is_empty() {
        leg.caller.chan_name = name.as_str().into();
        leg.variables.set_wire("channel_name", &name);
    }
}
