//! The whole switch on a virtual network, under a paused clock: simulated phones register and call each other while
//! datagrams are lost, doubled and overtaken. Every world follows from one seed; a failing one prints it, and
//! `TANDEM_SEED=n cargo test --test sim NAME -- --nocapture` repeats that world and shows its messages. (The chances the
//! switch takes itself, tags and glare times, are its own; each datagram's fate depends on its two ends alone.)
//!
//! | file | what |
//! | --- | --- |
//! | `net.rs` | the network |
//! | `office.rs` | a switch, its configuration, its phones, and the census at the end |
//! | `dns.rs` | a name server |
//! | `phone.rs` | one phone: sessions, digest, what it does when |
//! | `sdp.rs` | its session descriptions |
//! | `script.rs` | what both sides of a call are going to do |
//! | `saboteur.rs` | makes a leg panic |
//! | `record.rs` | what became of a call, and whether both sides say the same |
//! | `watcher.rs` | one who watches a user |
//! | `test_….rs` | the tests |

mod dns;
#[path = "../golden/reader.rs"]
mod golden;
mod net;
mod office;
mod phone;
mod record;
mod saboteur;
mod script;
mod sdp;
mod watcher;

mod test_alone;
mod test_applications;
mod test_calls;
mod test_commands;
mod test_console;
mod test_events;
mod test_fifo;
mod test_forks;
mod test_gateway;
mod test_golden;
mod test_injection;
mod test_keys;
mod test_kill;
mod test_originate;
mod test_pickup;
mod test_readers;
mod test_reload;
mod test_renewal;
mod test_schedule;
mod test_show;
mod test_sofia;
mod test_sofia_events;
mod test_transfers;
mod test_valet;
mod test_watch;
mod test_ways;
mod test_weather;
