//! `eval` and `stop`: the data is expanded for its effects, nothing else.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// Anything.
pub fn run(_leg: &mut Leg, _data: &Expanded) {}
