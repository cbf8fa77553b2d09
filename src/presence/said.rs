//! What somebody has said by an event: of a user (`sip_presence` of FreeSWITCH), and of a call that is none of ours.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Board, Call, Full, Place};

/// What somebody has said of a user or a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// In words; never empty.
    pub status: Box<str>,
    /// What it does (RFC 4480), as FreeSWITCH names it: `busy`, `away`, `unknown`, …
    pub rpid: Box<str>,
    /// Not there, whatever its phones say (`PRESENCE_OUT`).
    pub closed: bool,
}

impl Said {
    /// What was said; a status that is missing is made of `rpid` (`sofia_presence_sub_callback`).
    pub fn new(status: Option<&str>, rpid: Option<&str>, closed: bool) -> Said {
        let rpid = rpid.filter(|rpid| !rpid.is_empty()).unwrap_or("unknown");
        let status = status.filter(|status| !status.is_empty()).unwrap_or({
            match rpid.to_ascii_lowercase().as_str() {
                "busy" => "Busy",
                "unavailable" | "away" => "Idle",
                _ => "Available",
            }
        });
        Said { status: status.into(), rpid: rpid.into(), closed }
    }

    /// The note of a PIDF.
    pub fn note(&self) -> &str {
        let begins =
            |word: &str| self.status.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        match &*self.status {
            _ if self.closed => "Unregistered",
            _ if begins("Registered") => "Available",
            status => status,
        }
    }

    /// Whether it can be reached.
    pub fn is_open(&self) -> bool {
        !self.note().eq_ignore_ascii_case("Unregistered")
    }

    /// What it does, as an element of RFC 4480 (`translate_rpid`).
    pub fn activity(&self) -> Option<&str> {
        if !self.is_open() || self.note().eq_ignore_ascii_case("Available") {
            return None;
        }
        match self.rpid.to_ascii_lowercase().as_str() {
            "unknown" | "null" => None,
            "unavailable" => Some("away"),
            "idle" => Some("busy"),
            // It becomes the name of an element.
            _ => Some(&*self.rpid).filter(|rpid| {
                rpid.starts_with(|c: char| c.is_ascii_alphabetic())
                    && rpid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            }),
        }
    }
}

/// Calls that somebody shows by events: lamps of services that are programs of their own.
#[derive(Default)]
pub struct Lamps(Mutex<HashMap<Key, Place>>);

/// Whose lamp it is, and the id of its call.
type Key = (Arc<str>, Arc<str>);

/// How many there may be.
const MOST: usize = 20_000;

impl Lamps {
    /// Shows a call at `address`, which goes by its id; a call that is shown already is changed.
    pub fn show(&self, board: &Arc<Board>, address: &Arc<str>, call: Call) -> Result<(), Full> {
        let mut lamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.clone(), call.id.clone());
        if lamps.len() >= MOST && !lamps.contains_key(&key) {
            return Err(Full::Said(MOST));
        }
        lamps.entry(key).or_insert_with(|| board.place(address.clone())).show(Arc::new(call));
        Ok(())
    }

    /// A call is over.
    pub fn end(&self, address: &Arc<str>, id: &str) {
        let key = (address.clone(), Arc::from(id));
        let gone = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        drop(gone); // which tells those who watch, outside the lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_told_as_freeswitch_tells_it() {
        for (status, rpid, closed, note, open, activity) in [
            ("Lunch", "away", false, "Lunch", true, Some("away")),
            ("", "busy", false, "Busy", true, Some("busy")),
            ("", "unavailable", false, "Idle", true, Some("away")),
            ("", "", false, "Available", true, None),
            ("In a meeting", "idle", false, "In a meeting", true, Some("busy")),
            ("In a meeting", "unknown", false, "In a meeting", true, None),
            ("Registered(UDP)", "busy", false, "Available", true, None),
            ("unregistered", "busy", false, "unregistered", false, None),
            ("Lunch", "away", true, "Unregistered", false, None),
            ("x", "a/><evil", false, "x", true, None),
        ] {
            let said = Said::new(Some(status), Some(rpid), closed);
            assert_eq!((said.note(), said.is_open(), said.activity()), (note, open, activity), "{said:?}");
        }
    }
}
