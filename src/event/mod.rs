//! What happened, told to whoever listens: the events and their bus.
//!
//! Everything below the event socket reports here; nobody waits for a listener. An event that nobody listens
//! to costs one atomic load (see [`Bus::fire`]).

mod bus;
mod names;

pub use bus::{Bus, Event, Headers};
pub use names::EventName;
