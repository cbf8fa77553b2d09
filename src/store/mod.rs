//! What calls leave for each other: the memory behind `hash`, `db` and `group`, and the counters of `limit`.
//!
//! | module | job | after a restart |
//! | --- | --- | --- |
//! | [`hash`] | values by realm and key | gone |
//! | [`db`] | the same, and groups of dial strings | there: `journal` writes every change to a file |
//! | [`limit`] | who uses how much of what; a leg gives back what it holds when it is dropped | gone |
//! | [`pickup`] | who may be picked up while it rings | gone |
//! | [`schedule`] | what is to be done later | gone |
//! | [`fifo`] | who waits in which queue, and who serves it | gone, but for what `fifo.conf` says |
//! | [`valet`] | who is parked where | gone |
//! | [`words`] | aliases and completions of the console | gone |
//!
//! Keys and values come from callers, so every store has a bound; what does not fit is refused and logged, nothing is
//! thrown out for it. None of them waits.

pub mod db;
pub mod fifo;
pub mod hash;
mod journal;
pub mod limit;
pub mod pickup;
pub mod schedule;
pub mod valet;
pub mod words;

use std::path::Path;
use std::sync::Arc;

pub use db::Db;
pub use fifo::Fifos;
pub use hash::Hash;
pub use limit::{Held, Limits};
pub use pickup::Pickups;
pub use schedule::{Schedule, Task};
pub use valet::Lots;
pub use words::Words;

/// The stores of one switch.
#[derive(Debug)]
pub struct Stores {
    /// `hash`.
    pub hash: Hash,
    /// `db` and `group`.
    pub db: Db,
    /// `limit`.
    pub limits: Arc<Limits>,
    /// `sched_…`.
    pub schedule: Schedule,
    /// `valet_park`.
    pub lots: Arc<Lots>,
    /// `alias` and `complete`.
    pub words: Words,
    /// `fifo`.
    pub fifos: Arc<Fifos>,
    /// `pickup`.
    pub pickups: Arc<Pickups>,
}

impl Stores {
    /// Stores whose `db` is kept in `folder`. What is there already is read; nothing is written before something is
    /// stored.
    pub fn open(folder: &Path) -> Stores {
        Stores { db: Db::open(folder), ..Stores::in_memory() }
    }

    /// Stores that are all gone after a restart.
    pub fn in_memory() -> Stores {
        Stores {
            hash: Hash::default(),
            db: Db::in_memory(),
            limits: Arc::default(),
            schedule: Schedule::default(),
            lots: Arc::default(),
            words: Words::default(),
            fifos: Arc::default(),
            pickups: Arc::default(),
        }
    }
}

/// A store is full. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is full")]
pub struct Full;
