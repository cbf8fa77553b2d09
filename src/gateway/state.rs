//! Where a registration stands.

use std::fmt;

/// The states of `sofia status`, by FreeSWITCH's names (`reg_state_t`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum State {
    /// To be registered as soon as may be.
    Unreged,
    /// A REGISTER is out.
    Trying,
    /// Registered.
    Reged,
    /// The end of a registration is out.
    Unregister,
    /// It failed just now.
    Failed,
    /// It failed, and is tried again when its time has come.
    FailWait,
    /// Nobody answered.
    Timeout,
    /// Not to be registered.
    Noreg,
    /// Gone, or going.
    Down,
}

impl State {
    /// `REGED`, `FAIL_WAIT` …
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Unreged => "UNREGED",
            State::Trying => "TRYING",
            State::Reged => "REGED",
            State::Unregister => "UNREGISTER",
            State::Failed => "FAILED",
            State::FailWait => "FAIL_WAIT",
            State::Timeout => "TIMEOUT",
            State::Noreg => "NOREG",
            State::Down => "DOWN",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
