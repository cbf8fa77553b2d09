//! A leg as the dialplan sees it: its variables, caller profile, the globals, API functions.

use super::{Caller, Scope, Template, Value};
use crate::channel::{Glimpse, Leg};
use jiff::Timestamp;
use std::borrow::Cow;
use std::fmt;

impl Scope for Leg {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        match self.variables.get_marked(name) {
            Some((text, wire)) => Some(Value { text: Cow::Borrowed(text), wire }),
            None => self.codec_variable(name).map(|text| Value { text: Cow::Owned(text), wire: true }),
        }
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        let name = name.strip_prefix("aleg_").unwrap_or(name);
        self.caller.field(name).map(|text| Value { text, wire: true })
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.exchange.globals.get(name).map(|text| Cow::Owned(text.to_string()))
    }

    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        let (text, wire) = self.exchange.functions.get()?.call(self, function, arguments, wire)?;
        Some(Value { text: Cow::Owned(text), wire })
    }
}

/// Another leg as it was seen a moment ago.
impl Scope for Glimpse {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        let (text, wire) = self.variables.get_marked(name)?;
        Some(Value { text: Cow::Borrowed(text), wire })
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        let name = name.strip_prefix("aleg_").unwrap_or(name);
        self.caller.field(name).map(|text| Value { text, wire: true })
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.globals.get(name).map(|text| Cow::Owned(text.to_string()))
    }

    fn call(&self, _function: &str, _arguments: &str, _wire: bool) -> Option<Value<'static>> {
        None
    }
}

/// A leg in a hunt. `inline` runs applications at hunt time.
pub struct Hunter<'a, F> {
    /// The leg.
    pub leg: &'a mut Leg,
    /// Runs an inline application: name and data.
    pub inline: F,
}

impl<F> Scope for Hunter<'_, F> {
    fn variable(&self, name: &str) -> Option<Value<'_>> {
        self.leg.variable(name)
    }

    fn profile_field(&self, name: &str) -> Option<Value<'_>> {
        self.leg.profile_field(name)
    }

    fn global(&self, name: &str) -> Option<Cow<'_, str>> {
        self.leg.global(name)
    }

    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>> {
        self.leg.call(function, arguments, wire)
    }
}

impl<F: FnMut(&mut Leg, &str, &Template)> Caller for Hunter<'_, F> {
    fn set(&mut self, name: &str, value: &str, wire: bool) {
        if wire {
            self.leg.variables.set_wire(name, value);
        } else {
            self.leg.variables.set(name, value);
        }
    }

    fn unset_prefix(&mut self, prefix: &str) {
        self.leg.variables.unset_prefix(prefix);
    }

    fn execute_inline(&mut self, application: &str, data: &Template) {
        (self.inline)(self.leg, application, data);
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn channel_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.leg.name())
    }

    fn trace(&self, line: fmt::Arguments<'_>) {
        tracing::debug!(target: "dialplan", "{} {line}", self.leg.uuid);
    }
}
