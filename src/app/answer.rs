//! `answer`: 200 with a description; nothing when the call is answered.

use crate::channel::Leg;

/// No data.
pub fn run(leg: &mut Leg, _data: &str) {
    // A caller that cannot be answered has been hung up with the reason logged.
    let _ = leg.answer(None);
}
