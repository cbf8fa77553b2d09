//! `pre_answer`: 183 with a description, early media begin.

use crate::channel::Leg;

/// No data.
pub fn run(leg: &mut Leg, _data: &str) {
    // A caller that cannot get media has been hung up with the reason logged.
    let _ = leg.pre_answer(None);
}
