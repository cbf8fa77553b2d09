//! Moments in a leg's life at which its variables may have something done: `execute_on_ring`, `api_on_answer_2`, …
//!
//! FreeSWITCH's `switch_channel_execute_on` and `switch_channel_api_on`: every variable whose name begins so counts, in the
//! order of their names, each element of an array for itself. The value is `app args`, `app:args` or `app::args`; the
//! arguments are expanded when the moment has come. Where FreeSWITCH runs an application that takes its time inside
//! whatever the channel does (or, with `::`, beside it), that application is left out here with a line: only those that
//! are done at once are run, and `transfer`, which ends what the leg does.

use super::leg::Leg;
use tracing::{info, warn};

/// A moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// The leg is about to call.
    PreOriginate,
    /// The leg has been called into being by another.
    Originate,
    /// Calling is over, whatever came of it.
    PostOriginate,
    /// It rings.
    Ring,
    /// Early media begin.
    PreAnswer,
    /// Media begin, early or with the answer.
    Media,
    /// It is answered.
    Answer,
    /// It is about to be bridged.
    PreBridge,
    /// Its bridge is over.
    PostBridge,
}

impl Moment {
    /// Its name in a variable.
    fn name(self) -> &'static str {
        match self {
            Moment::PreOriginate => "pre_originate",
            Moment::Originate => "originate",
            Moment::PostOriginate => "post_originate",
            Moment::Ring => "ring",
            Moment::PreAnswer => "pre_answer",
            Moment::Media => "media",
            Moment::Answer => "answer",
            Moment::PreBridge => "pre_bridge",
            Moment::PostBridge => "post_bridge",
        }
    }
}

/// How the names of variables begin that may have something done.
pub(super) const HOOKS: [&str; 5] =
    ["execute_on_", "api_on_", "api_before_bridge", "api_after_bridge", "bridge_pre_execute_"];

/// The most that one moment may have done.
const MOST: usize = 32;

impl Leg {
    /// Does what the leg's variables want done at this moment.
    pub fn reaches(&mut self, moment: Moment) {
        if !self.variables.has_hooks() {
            return;
        }
        for value in self.wanted(&format!("execute_on_{}", moment.name())) {
            let (name, argument) = application(&value);
            info!("{} {}: execute_on_{}: {value}", self.uuid, self.name(), moment.name());
            self.execute(name, argument);
        }
        let api = match moment {
            Moment::PreBridge => "api_before_bridge".to_owned(),
            Moment::PostBridge => "api_after_bridge".to_owned(),
            other => format!("api_on_{}", other.name()),
        };
        for value in self.wanted(&api) {
            let (name, arguments) = value.split_once(' ').unwrap_or((&value, ""));
            if let Some(router) = self.exchange.router.get() {
                router.command(self, name, arguments);
            }
        }
        if moment == Moment::PreBridge {
            self.execute_before_bridge();
        }
    }

    /// Runs an application that is done at once.
    pub fn execute(&mut self, name: &str, argument: &str) {
        if let Some(router) = self.exchange.router.get().cloned() {
            router.execute(self, name, argument);
        }
    }

    fn execute_before_bridge(&mut self) {
        // The side that called has two names for it; the called side got its own when it was called.
        for which in ["bridge_pre_execute_aleg", "bridge_pre_execute"] {
            if let Some(name) = self.own_word(&format!("{which}_app")) {
                let argument = self.own_word(&format!("{which}_data")).unwrap_or_default();
                return self.execute(&name, &argument);
            }
        }
    }

    /// A value that no peer has a part in.
    fn own_word(&self, name: &str) -> Option<String> {
        match self.variables.get_marked(name)? {
            (value, false) => Some(value.to_owned()),
            (value, true) => {
                warn!("{} {}: {name}={value} has text from the wire in it, not run", self.uuid, self.name());
                None
            }
        }
    }

    /// The values of all variables whose name begins with `prefix`, arrays taken apart.
    fn wanted(&self, prefix: &str) -> Vec<String> {
        let found = self.variables.with_prefix(prefix);
        let mut wanted = Vec::new();
        for (name, value) in found {
            if self.variables.is_wire(name) {
                warn!(
                    "{} {}: {name}={value} has text from the wire in it, not run; write \\${{…}} to have it expanded \
                     when it runs",
                    self.uuid,
                    self.name()
                );
                continue;
            }
            match value.strip_prefix("ARRAY::") {
                Some(list) => wanted.extend(list.split("|:").map(str::to_owned)),
                None => wanted.push(value.to_owned()),
            }
        }
        wanted.truncate(MOST);
        wanted
    }
}

/// `app args`, `app:args`, `app::args`.
fn application(value: &str) -> (&str, &str) {
    match value.find([' ', ':']) {
        Some(at) => {
            let (name, rest) = value.split_at(at);
            let rest = rest.strip_prefix("::").or(rest.get(1..)).unwrap_or("");
            (name, rest)
        }
        None => (value, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_and_its_arguments_in_three_forms() {
        for (value, name, argument) in [
            ("set a=b:c", "set", "a=b:c"),
            ("log:INFO hello", "log", "INFO hello"),
            ("record_session::/tmp/x.wav", "record_session", "/tmp/x.wav"),
            ("hangup", "hangup", ""),
            ("", "", ""),
            (":x", "", "x"),
        ] {
            assert_eq!(application(value), (name, argument), "{value}");
        }
    }
}
