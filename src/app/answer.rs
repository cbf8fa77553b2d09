//! `answer`: 200 with a description; nothing when the call is answered.

use crate::channel::Leg;
use crate::dialplan::Expanded;

/// No data.
pub fn run(leg: &mut Leg, _data: &Expanded) {
    // A caller that cannot be answered has been hung up with the reason logged.
    let _ = leg.answer(None);
}
