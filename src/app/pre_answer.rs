//! `pre_answer`: 183 with a description, early media begin.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// No data.
pub fn run(leg: &mut Leg, _data: &Expanded) {
    // A caller that cannot get media has been hung up with the reason logged.
    let _ = leg.pre_answer(None);
}
