//! X-PRE-PROCESS: line by line, includes in place, `$${name}` from the globals known at that line.
//!
//! Follows FreeSWITCH's `switch_xml.c` with its quirks, for stock trees lean on them: a line that holds
//! `<include>`, `</include>` or `<?` is dropped whole; a directive is found anywhere on a line and the rest of that
//! line is lost; XML comments do not protect a directive. Each quirk that bites earns a warning.
//!
//! `line` reads lines, `scan` finds what they hold, `include` finds the files of an include, `ahead` reads many of them ahead, `ask` gets values from outside (commands, STUN), `path`
//! is about paths and bytes of files.

mod ahead;
mod ask;
mod include;
mod line;
mod path;
mod scan;

pub use include::MAX_NESTING;
pub use line::{Done, run, run_text};
pub(crate) use path::normal;
