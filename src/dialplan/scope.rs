//! What the dialplan asks of the leg it works for. The leg (or a test) implements these traits, so nothing here
//! knows how variables are kept.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A text that may end up in an expansion, and whether its content came from the wire.
///
/// DESIGN §5: what came from the wire is data, so a `${…}` inside it is never expanded. What configuration or the
/// dialplan wrote may hold further `${…}`, which FreeSWITCH expands and so does tandem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The text itself. An array reads `ARRAY::first|:second`.
    pub text: Cow<'a, str>,
    /// True when any part of it came from a message, a digit, a file or another program.
    pub wire: bool,
}

impl<'a> Value<'a> {
    /// A text written by configuration, the dialplan or tandem itself: a `${…}` in it is expanded.
    pub fn ours(text: impl Into<Cow<'a, str>>) -> Self {
        Value { text: text.into(), wire: false }
    }

    /// A text from outside: never expanded again.
    pub fn wire(text: impl Into<Cow<'a, str>>) -> Self {
        Value { text: text.into(), wire: true }
    }

    /// The same without borrowing.
    pub fn into_owned(self) -> Value<'static> {
        Value { text: Cow::Owned(self.text.into_owned()), wire: self.wire }
    }
}

/// What an expansion can read. Names are compared without regard to case, as in FreeSWITCH.
pub trait Scope {
    /// A variable of the running application (`%[a=b]`) or else of the channel.
    fn variable(&self, name: &str) -> Option<Value<'_>>;

    /// A field of the caller profile (`destination_number`, `ani`, …; also `aleg_x` and `bleg_x`). The condition
    /// attribute `field` without `$` reads nothing but this.
    fn profile_field(&self, name: &str) -> Option<Value<'_>>;

    /// A global variable.
    fn global(&self, name: &str) -> Option<Cow<'_, str>>;

    /// Runs an API function. `wire` says that the arguments hold text from the wire. `None` is an unknown or failed
    /// function, which expands to nothing. An answer of both kinds of text has what is from the wire
    /// [`guarded`](super::guarded).
    fn call(&self, function: &str, arguments: &str, wire: bool) -> Option<Value<'static>>;
}

/// What the hunt needs beside reading: it sets `DP_MATCH`, executes inline actions and asks for the time.
pub trait Caller: Scope {
    /// Sets a channel variable; the empty text unsets it. `wire`: the text came from the wire.
    fn set(&mut self, name: &str, value: &str, wire: bool);

    /// Unsets every channel variable whose name begins with `prefix`.
    fn unset_prefix(&mut self, prefix: &str);

    /// Runs an application at hunt time. Only those of [`INLINE`](super::words::INLINE) are asked for. The data is
    /// for the callee to expand, as with a queued action.
    fn execute_inline(&mut self, application: &str, data: &super::Template);

    /// The time the conditions see.
    fn now(&self) -> Timestamp;

    /// The zone of the machine, for time conditions when neither `timezone` nor `tod_tz_offset` is set.
    fn time_zone(&self) -> TimeZone {
        TimeZone::system()
    }

    /// The channel's name, for the log.
    fn channel_name(&self) -> Cow<'_, str>;

    /// Whether anyone reads the account of the hunt; it is not written otherwise.
    fn wants_trace(&self) -> bool {
        tracing::enabled!(target: "dialplan", tracing::Level::DEBUG)
    }

    /// One line of the account, in FreeSWITCH's shape (`Dialplan: … Regex (PASS) …`).
    fn trace(&self, line: fmt::Arguments<'_>) {
        tracing::debug!(target: "dialplan", "{line}");
    }
}
