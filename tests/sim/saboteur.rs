//! Makes a leg panic without any hook in the switch: a log subscriber that panics when a leg says a certain thing.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// What it waits for. A panic disarms it; where the leg cannot bear a second one is for [`Trap::Twice`] to show.
#[derive(Clone, Debug)]
pub enum Trap {
    /// A leg says something with these words in it.
    Words(&'static str),
    /// The same, and once more while the first panic unwinds.
    Twice(&'static str),
    /// A leg says anything for the so many-th time.
    Count(u32),
}

/// Its wire. Clones are the same one.
#[derive(Clone, Default)]
pub struct Saboteur(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    trap: Option<Trap>,
    sprung: u32,
}

/// Where legs speak: their own layers, and those that run in their tasks.
const LAYERS: [&str; 4] = ["tandem::channel", "tandem::app", "tandem::dial", "tandem::dialplan"];

impl Saboteur {
    /// Listens to everything said on this thread while the guard lives.
    pub fn listen(&self) -> DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    pub fn set(&self, trap: Trap) {
        self.0.lock().unwrap().trap = Some(trap);
    }

    pub fn disarm(&self) {
        self.0.lock().unwrap().trap = None;
    }

    /// How often it made something panic.
    pub fn sprung(&self) -> u32 {
        self.0.lock().unwrap().sprung
    }
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{value:?} ");
    }
}

impl Subscriber for Saboteur {
    fn enabled(&self, what: &Metadata<'_>) -> bool {
        LAYERS.iter().any(|layer| what.target().starts_with(layer))
    }

    fn event(&self, event: &Event<'_>) {
        let mut state = self.0.lock().unwrap();
        let Some(trap) = state.trap.take() else { return };
        let mut said = Words(String::new());
        event.record(&mut said);
        let (springs, next) = match trap {
            Trap::Words(words) if said.0.contains(words) => (true, None),
            Trap::Twice(words) if said.0.contains(words) => (true, Some(Trap::Count(0))),
            Trap::Count(0) => (true, None),
            Trap::Count(n) => (false, Some(Trap::Count(n - 1))),
            other => (false, Some(other)),
        };
        state.trap = next;
        if springs {
            state.sprung += 1;
            drop(state);
            panic!("sabotage: {}", said.0);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
