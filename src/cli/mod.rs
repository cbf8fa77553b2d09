//! The console, `tandem cli`: a client of the event socket, as FreeSWITCH's `fs_cli` is. It knows nothing of the switch but
//! what goes over that socket, and works with a FreeSWITCH at the other end, too.
//!
//! | file | job |
//! | --- | --- |
//! | `flags` | the command line, and where the rest is said |
//! | `wire` | the frames of the event socket, read and written |
//! | `session` | a connection: log in, ask, be told |
//! | `console` | what a line typed means; how answers, log and events look |
//! | `terminal` | editing, history, completion, keys |

mod console;
mod flags;
mod session;
#[cfg(feature = "cli")]
mod terminal;
mod wire;

pub use console::{Manner, execute, plain};
pub use flags::{Flags, Local, Section, Wishes};
pub use session::{Session, Told};
#[cfg(feature = "cli")]
pub use terminal::talk;

/// Where the switch is, and how to log in there.
#[derive(Clone, Debug)]
pub struct Place {
    /// Name or address.
    pub host: String,
    /// Port of the event socket.
    pub port: u16,
    /// `user@domain` of the directory; nobody logs in with the password of the socket itself.
    pub user: Option<String>,
    /// The password.
    pub password: String,
    /// How long connecting and logging in may take.
    pub patience: std::time::Duration,
}
