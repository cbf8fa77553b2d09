//! The generator's own names inside messages: which run, which side, which call. A server hands them back in the Via
//! branch of responses, in our tag of requests, so no table of strings is needed to find a call again.

use crate::text::Text;

/// A call's place: slot of the table and generation of the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The slot.
    pub slot: u32,
    /// How often the slot was used before.
    pub generation: u32,
}

/// The name of one side of one run.
#[derive(Clone, Copy)]
pub struct Mark(pub u32);

impl Mark {
    /// Writes run and place.
    pub fn write(self, text: &mut Text, place: Place) {
        text.hex8(self.0).s("-").n(u64::from(place.slot)).s("-").n(u64::from(place.generation));
    }

    /// Reads them back; none when this is not of this run and side.
    pub fn read(self, value: &[u8]) -> Option<Place> {
        let mut parts = value.split(|byte| *byte == b'-');
        let run = std::str::from_utf8(parts.next()?).ok()?;
        if run.len() != 8 || u32::from_str_radix(run, 16) != Ok(self.0) {
            return None;
        }
        Some(Place {
            slot: crate::wire::number(parts.next()?)? as u32,
            generation: crate::wire::number(parts.next()?)? as u32,
        })
    }
}
