//! FreeSWITCH's configuration: X-PRE-PROCESS, the XML tree with positions, typed views of each section.
//!
//! Gets a folder; hands typed views to everyone above. Opens files, never sockets (a `stun:` address is
//! asked for through a function the caller passes in).
//!
//! The way of a file: [`load()`] runs the preprocessor over `freeswitch.xml` ([`preprocess`], one flat text whose
//! every character knows the line it came from, [`flat`]), reads that text as XML ([`xml`]) and returns the tree of
//! [`Element`]s, the [`Globals`] and the [`Problem`]s met. The typed views ([`switch`], [`sofia`], …) are taken from the
//! tree; each adds its own problems. Nothing here panics on what a file says, and nothing is fatal before the
//! caller has seen every problem.

pub mod acl;
pub mod cdr;
pub mod changes;
pub mod conf;
pub mod directory;
pub mod element;
pub mod event_socket;
pub mod fifo;
mod flat;
pub mod glob;
pub mod globals;
mod lately;
pub mod load;
pub mod modules;
pub mod position;
pub mod preprocess;
pub mod problem;
pub mod secrets;
pub mod sofia;
pub mod suggest;
pub mod switch;
pub mod value;
pub mod xml;

pub use conf::Conf;
pub use element::{Attribute, Element, configuration, section};
pub use globals::Globals;
pub(crate) use lately::Lately;
pub use load::{Ask, Loaded, Lookup, Options, load, parse};
pub use position::{Position, Source};
pub use problem::{Problem, Severity};
