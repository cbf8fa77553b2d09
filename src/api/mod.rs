//! API functions and commands, one file per family, all alike.
//!
//! There are two kinds, and a command line finds both by one name ([`run`]):
//!
//! | | a *function* | a *command* |
//! | --- | --- | --- |
//! | who calls it | `${name(arguments)}` in an expansion ([`call`]), and a command line | a command line: event socket, console, `sched_api` |
//! | what it is | text in, text out, done at once | the same, but it may wait |
//! | what it asks | the [`World`]: the switch as the leg that expands sees it | the [`Desk`]: the switch, any leg, the switch as a whole |
//! | its table | `function` | `command` |
//!
//! ## To add a family of commands
//!
//! 1. A file of its own, with its list: `pub(super) const COMMANDS: &[Command] = &[…]`. A row is [`now`](command::now)`(name,
//!    usage, about, function)` for what is done at once, or [`waits`](command::waits)`(…, |desk, text| Box::pin(name(desk,
//!    text)))` for an `async fn name(desk: &Desk, text: &str) -> String`. `usage` is FreeSWITCH's; `about` a few words.
//! 2. `mod family;` here, and `family::COMMANDS` in the list `FAMILIES` of `command`. That is all: `help`, `show api`, the
//!    event socket, `bgapi`, permissions find it by the table.
//! 3. What it answers is FreeSWITCH's text to the letter, with its line break: `+OK…`, `-ERR …`, `-USAGE: …`
//!    ([`usage`](command::usage)). What is not there is `-ERR` and says so. An empty answer becomes `-ERR no reply` on the
//!    event socket, as in FreeSWITCH.
//!
//! A command reaches
//!
//! * a leg: `desk.ask(uuid, |leg| …).await` has the closure run by the leg's own task (it may read and change anything of the
//!   leg, but not wait) and brings back what it returns; a uuid nobody has is answered for you. `desk.ask_all` asks every leg.
//!   An order that must reach even a leg with a full mailbox is a letter ([`Order`](crate::channel::Order));
//! * what all legs share: `desk.exchange` (directory, registrar, gateways, gate, stores, events);
//! * the switch as a whole: `desk.house` ([`House`]); what is missing there is added to the trait and to `switch/house.rs`;
//! * functions: `desk.world()`.
//!
//! A table (`show …`) is a [`Rows`], printed as text, JSON or XML alike; a subject of `show` is a row of `SUBJECTS` in `show`.
//! Arguments are split by [`separate`](crate::dialplan::separate), which knows quotes. Whatever came from the wire and goes into
//! an answer stays one line ([`Rows`] sees to that).

mod application_rows;
mod beside;
mod channel;
mod channel_rows;
mod channels;
mod clock;
mod command;
mod complete;
mod cond;
mod console;
mod desk;
mod directory;
mod doubt;
mod eval;
mod exchange;
mod expr;
mod fifo;
mod fsctl;
mod function;
mod globals;
mod help;
mod interface_rows;
mod later;
mod limit;
mod machine;
mod network;
mod originate;
mod permit;
mod presence;
mod regex;
mod registration;
mod rows;
mod say;
mod show;
mod sofia;
mod sofia_global;
mod sofia_lookup;
mod sofia_status;
mod status;
mod stored;
mod stored_rows;
mod system;
mod text;
mod tree;
mod unprovided;
mod uuid_limit;
mod uuid_media;
mod uuid_route;
mod uuid_signal;
mod valet;
mod world;

pub use beside::put_off;
pub use command::{Command, Serve, commands, is_command, listed, run, split};
pub use console::run_console;
pub use desk::{Desk, House, ProfileWork, Shutdown, Work};
pub use exchange::OnLegs;
pub use function::{Function, Origin, Run, call, command, find, names};
pub use permit::Permit;
pub use rows::{As, Rows, escaped};
pub use status::{heartbeat, status};
pub use text::url_encoded;
pub use world::{ContactQuery, Reach, World};
