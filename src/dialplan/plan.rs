//! The compiled dialplan.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::TimeTest;
use super::pattern::{BadPattern, Pattern};
use crate::config::Position;

/// Expressions made at hunt time that are kept compiled.
const KEPT: usize = 256;

/// Every context of the dialplan section, compiled. Never changed: a reload compiles a new one.
#[derive(Debug, Default)]
pub struct Dialplan {
    pub(super) contexts: Vec<Context>,
    /// Lower-case name to index; the first of a name wins.
    pub(super) by_name: HashMap<String, usize>,
    pub(super) made: Made,
}

#[derive(Debug)]
pub(super) struct Context {
    pub name: Box<str>,
    pub extensions: Vec<Extension>,
    /// Lower-case name to index, for `auto_hunt`; the first of a name wins.
    pub by_name: HashMap<String, usize>,
    pub at: Position,
}

#[derive(Debug)]
pub(super) struct Extension {
    pub name: Box<str>,
    /// The attribute as written, for the log.
    pub continue_text: Box<str>,
    pub continues: bool,
    pub conditions: Vec<Condition>,
    pub at: Position,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub test: Test,
    pub rule: Option<Rule>,
    pub stop: Break,
    /// The attribute as written, for the log.
    pub stop_text: Box<str>,
    pub actions: Vec<Do>,
    pub anti_actions: Vec<Do>,
    pub nested: Vec<Condition>,
    /// Whether a failing nested condition fails the extension.
    pub require_nested: bool,
}

/// What `<condition>` and `<regex>` have in common.
#[derive(Debug)]
pub(super) struct Test {
    pub field: Option<Field>,
    pub expression: Expression,
    pub time: Option<TimeTest>,
}

/// `<condition regex="…">` with its `<regex>` children.
#[derive(Debug)]
pub(super) struct Rule {
    pub kind: RuleKind,
    pub tests: Vec<Test>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleKind {
    All,
    Any,
    Xor,
}

#[derive(Debug)]
pub(super) enum Field {
    /// A caller-profile field.
    Profile(Box<str>),
    /// A text with `$`, to be expanded.
    Text(Box<str>),
}

impl Field {
    pub fn as_str(&self) -> &str {
        match self {
            Field::Profile(text) | Field::Text(text) => text,
        }
    }
}

#[derive(Debug)]
pub(super) enum Expression {
    /// Compiled at load. One that cannot be compiled never matches.
    Fixed { text: Box<str>, pattern: Result<Pattern, BadPattern> },
    /// Holds `${…}`: compiled when it is reached.
    Made(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    OnTrue,
    OnFalse,
    Always,
    Never,
}

/// An `<action>` or `<anti-action>`.
#[derive(Debug)]
pub(super) struct Do {
    pub application: Box<str>,
    pub data: Box<str>,
    pub inline: bool,
    pub times: u32,
    /// Whether tandem has the application.
    pub provided: bool,
    pub at: Position,
}

/// The expressions compiled at hunt time, a bounded number of them.
#[derive(Debug, Default)]
pub(super) struct Made(Mutex<HashMap<String, Arc<Result<Pattern, BadPattern>>>>);

impl Made {
    /// The compiled form of an expanded expression.
    pub fn get(&self, expression: &str) -> Arc<Result<Pattern, BadPattern>> {
        if let Some(found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(expression) {
            return Arc::clone(found);
        }
        let compiled = Arc::new(Pattern::compile_at_hunt(expression));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        if expression.len() <= 4096 {
            kept.insert(expression.to_owned(), Arc::clone(&compiled));
        }
        compiled
    }
}

impl Dialplan {
    /// The names of the contexts, in order.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|c| &*c.name)
    }

    /// Whether a hunt in this context would find it or the `global` one.
    pub fn has_context(&self, name: &str) -> bool {
        self.context(name).is_some()
    }

    /// How many extensions there are in all contexts.
    pub fn extensions(&self) -> usize {
        self.contexts.iter().map(|c| c.extensions.len()).sum()
    }

    pub(super) fn context(&self, name: &str) -> Option<&Context> {
        let find =
            |name: &str| self.by_name.get(&name.to_ascii_lowercase()).and_then(|i| self.contexts.get(*i));
        find(name).or_else(|| find("global"))
    }
}
