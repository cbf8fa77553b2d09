//! What happened, told to whoever listens: the events and their bus.
//!
//! Everything below the event socket reports here; nobody waits for a listener. An event that nobody wants costs one atomic
//! load and one count (see [`Bus::fire`]).
//!
//! | file | job |
//! | --- | --- |
//! | `names` | FreeSWITCH's names, and sets of them |
//! | `lines` | the headers of an event, in one text |
//! | `value` | an event as a value, and its frame, written once per format |
//! | `write` | plain, JSON, XML to the letter |
//! | `host` | what every event says of the machine and the time |
//! | `ring` | what was told and is kept, bounded |
//! | `bus` | who tells puts it there, who listens reads it at its own pace |

mod bus;
mod host;
mod lines;
mod names;
mod ring;
mod value;
mod write;

pub use bus::{Bus, Ear, Quiet};
pub use host::Host;
pub use lines::Lines;
pub use names::{EventName, Names};
pub use value::{Event, Format, Headers, SUBCLASS};
pub use write::{header_line, url_encode_into};
