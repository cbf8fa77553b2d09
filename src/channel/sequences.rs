//! Sequences of keys that do something (`bind_digit_action`, FreeSWITCH's `switch_ivr_dmachine`): a machine of one
//! direction of one leg.
//!
//! Digits are collected until a sequence of the realm in force fits for certain, or none can fit any more, or time is up.
//! What fits is told with what it is bound to; what does not is given back, to go on as it would have.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest sequence.
const LONGEST: usize = 511;
/// Sequences one machine may have.
const MOST: usize = 256;

/// What an expression makes of digits that fit it: what is told in their place; an empty text leaves them as they are.
pub type Fits = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What is looked for.
#[derive(Clone)]
pub enum Sequence {
    /// These digits.
    Exactly(String),
    /// What an expression finds.
    Matching(Fits),
}

/// One binding.
struct Binding<A> {
    /// As it was written, by which it is found again.
    written: String,
    sequence: Sequence,
    /// `=`: it fits at once, whatever else might.
    first: bool,
    /// `exec[P]:`.
    priority: bool,
    action: A,
    /// What its expression made of the digits.
    made: Option<String>,
}

struct Realm<A> {
    name: String,
    terminators: String,
    bindings: Vec<Binding<A>>,
}

/// What came of a digit, or of time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome<A> {
    /// More may come.
    Nothing,
    /// These digits fit.
    Match(String, A),
    /// These fit nothing.
    NoMatch(String),
}

/// The machine; `A` is what a sequence is bound to.
pub struct Sequences<A> {
    realms: Vec<Realm<A>>,
    /// The realm in force.
    current: Option<usize>,
    longest: usize,
    digits: String,
    /// How many were collected, those cut off by a terminator included.
    count: usize,
    last: Option<Instant>,
    digit_timeout: Duration,
    input_timeout: Option<Duration>,
}

/// How far digits fit.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Fit {
    None,
    Exact,
    Partial,
    Both,
    Never,
}

impl<A: Clone> Sequences<A> {
    /// A machine without a sequence. `input_timeout` runs while nothing is pressed.
    pub fn new(now: Instant, digit_timeout: Duration, input_timeout: Option<Duration>) -> Self {
        Sequences {
            realms: Vec::new(),
            current: None,
            longest: 0,
            digits: String::new(),
            count: 0,
            last: Some(now),
            digit_timeout,
            input_timeout,
        }
    }

    /// Binds a sequence in a realm, which is then in force if the sequence is new. `written` is FreeSWITCH's form:
    /// `[=]123`, `[=]~expression[~~replacement]`. False when it is too long, or there are too many.
    pub fn bind(
        &mut self,
        realm: &str,
        written: &str,
        sequence: Sequence,
        priority: bool,
        action: A,
    ) -> bool {
        let bound = self.realms.iter().map(|realm| realm.bindings.len()).sum::<usize>();
        if written.len() > LONGEST || bound >= MOST {
            return false;
        }
        let realm = if realm.is_empty() { "default" } else { realm };
        let at = match self.realms.iter().position(|r| r.name == realm) {
            Some(at) => at,
            None => {
                let (name, terminators) = (realm.to_owned(), String::new());
                self.realms.push(Realm { name, terminators, bindings: Vec::new() });
                self.realms.len() - 1
            }
        };
        let Some(found) = self.realms.get_mut(at) else { return false };
        if let Some(binding) = found.bindings.iter_mut().find(|b| b.written == written) {
            binding.action = action;
            return true;
        }
        let length = match &sequence {
            Sequence::Exactly(_) => written.len(),
            Sequence::Matching(_) => LONGEST,
        };
        let first = written.starts_with('=');
        let binding = Binding { written: written.to_owned(), sequence, first, priority, action, made: None };
        found.bindings.push(binding);
        self.current = Some(at);
        self.longest = self.longest.max(length);
        true
    }

    /// The keys that end a sequence in the realm in force.
    pub fn set_terminators(&mut self, terminators: &str) {
        if let Some(realm) = self.current.and_then(|at| self.realms.get_mut(at)) {
            realm.terminators = terminators.to_owned();
        }
    }

    /// Puts a realm in force; false when there is none by that name.
    pub fn set_realm(&mut self, name: &str) -> bool {
        let found = self.realms.iter().position(|realm| realm.name == name);
        self.current = found.or(self.current);
        found.is_some()
    }

    /// Forgets a realm; false when there is none by that name. When it was in force, none is.
    pub fn clear_realm(&mut self, name: &str) -> bool {
        let Some(at) = self.realms.iter().position(|realm| realm.name == name) else { return false };
        self.realms.remove(at);
        self.current = match self.current {
            Some(current) if current > at => Some(current - 1),
            Some(current) if current == at => None,
            other => other,
        };
        true
    }

    /// A digit.
    pub fn press(&mut self, now: Instant, digit: char) -> Outcome<A> {
        if self.count >= self.longest {
            return Outcome::NoMatch(digit.to_string());
        }
        self.digits.push(digit);
        self.count += 1;
        self.last = Some(now);
        self.look(false)
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        let patience = if self.count > 0 { Some(self.digit_timeout) } else { self.input_timeout };
        Some(self.last? + patience.filter(|patience| !patience.is_zero())?)
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) -> Outcome<A> {
        match self.next_timeout() {
            Some(due) if due <= now => {
                self.last = Some(now);
                self.look(true)
            }
            _ => Outcome::Nothing,
        }
    }

    fn look(&mut self, timeout: bool) -> Outcome<A> {
        let (fit, found) = self.fit(timeout);
        let outcome = match (fit, found) {
            (Fit::Exact, Some((digits, action))) => Outcome::Match(digits, action),
            _ if timeout || fit == Fit::Never || (fit == Fit::None && self.count == self.longest) => {
                Outcome::NoMatch(std::mem::take(&mut self.digits))
            }
            _ => return Outcome::Nothing,
        };
        self.digits.clear();
        self.count = 0;
        outcome
    }

    /// How far the digits fit, and with what: `switch_ivr_dmachine_check_match`.
    fn fit(&mut self, mut timeout: bool) -> (Fit, Option<(String, A)>) {
        let longest = self.longest;
        let Some(realm) = self.current.and_then(|at| self.realms.get_mut(at)) else {
            return (Fit::None, None);
        };
        if self.count == 0 {
            return (Fit::None, None);
        }
        let (mut partial, mut exact, mut expressions) = (0, 0, 0);
        for binding in &mut realm.bindings {
            match &binding.sequence {
                Sequence::Matching(fits) => {
                    binding.made = fits(&self.digits);
                    expressions += 1;
                    partial += 1;
                    if binding.made.is_some() && binding.first {
                        break;
                    }
                }
                Sequence::Exactly(digits) => {
                    if digits.starts_with(&self.digits) {
                        partial += 1;
                        exact += usize::from(digits.len() == self.count);
                    }
                }
            }
        }
        if let Some(end) = realm.terminators.chars().find_map(|t| self.digits.rfind(t)) {
            self.digits.truncate(end);
            timeout = true;
        }
        let alone = realm.bindings.len() == 1;
        let mut best = Fit::None;
        let mut found: Option<&Binding<A>> = None;
        let (mut both, mut part) = (false, false);
        for binding in &realm.bindings {
            match &binding.sequence {
                Sequence::Matching(_) if binding.made.is_some() => {
                    if binding.first || (binding.priority && exact == 0) || timeout || alone {
                        (best, found) = (Fit::Exact, Some(binding));
                        break;
                    }
                    best = Fit::Partial;
                }
                Sequence::Matching(_) => {}
                Sequence::Exactly(digits) => {
                    let begins = digits.starts_with(&self.digits);
                    let may = binding.first || expressions == 0 || binding.priority || timeout;
                    if found.is_none() && may && *digits == self.digits {
                        (best, found) = (Fit::Exact, Some(binding));
                        if binding.first || binding.priority || self.count == longest {
                            break;
                        }
                    }
                    if !(both && part) && begins && digits.len() != self.digits.len() {
                        if found.is_some() {
                            (best, both) = (Fit::Both, true);
                        } else {
                            (best, part) = (Fit::Partial, true);
                        }
                    }
                    if both && part && found.is_some() {
                        break;
                    }
                }
            }
        }
        if partial == 0 {
            best = Fit::Never;
        }
        let certain = best == Fit::Exact || (timeout && both);
        let told = found.filter(|_| certain).map(|binding| {
            let made = binding.made.clone().filter(|made| !made.is_empty());
            (made.unwrap_or_else(|| self.digits.clone()), binding.action.clone())
        });
        (if told.is_some() { Fit::Exact } else { best }, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Machine = Sequences<&'static str>;

    fn machine(bindings: &[(&str, &'static str)]) -> (Machine, Instant) {
        let now = Instant::now();
        let mut machine = Machine::new(now, Duration::from_millis(1500), None);
        for (written, action) in bindings {
            let digits = written.trim_start_matches('=');
            // A stand-in for expressions: so many digits.
            let sequence = match digits.strip_prefix('~') {
                Some(count) => {
                    let count: usize = count.parse().unwrap();
                    Sequence::Matching(Arc::new(move |d: &str| (d.len() == count).then(|| format!("<{d}>"))))
                }
                None => Sequence::Exactly(digits.to_owned()),
            };
            assert!(machine.bind("r", written, sequence, false, action));
        }
        (machine, now)
    }

    fn press(machine: &mut Machine, now: Instant, digits: &str) -> Vec<String> {
        let text = |outcome| match outcome {
            Outcome::Nothing => "…".to_owned(),
            Outcome::Match(digits, action) => format!("{action}:{digits}"),
            Outcome::NoMatch(digits) => format!("!{digits}"),
        };
        let mut told: Vec<String> = digits.chars().map(|d| text(machine.press(now, d))).collect();
        if let Some(due) = machine.next_timeout() {
            assert_eq!(machine.timeout(due - Duration::from_millis(1)), Outcome::Nothing);
            told.push(text(machine.timeout(due)));
        }
        told
    }

    #[test]
    fn what_fits_and_what_does_not() {
        for (bindings, digits, told) in [
            (&[("12", "a")][..], "12", &["…", "a:12"][..]),
            (&[("12", "a")], "1", &["…", "!1"]),
            (&[("12", "a")], "13", &["…", "!13"]),
            (&[("12", "a")], "4", &["!4"]),
            (&[("1", "a"), ("12", "b")], "1", &["…", "a:1"]),
            (&[("1", "a"), ("12", "b")], "12", &["…", "b:12"]),
            (&[("=1", "a"), ("12", "b")], "1", &["a:1"]),
            (&[("~3", "x")], "123", &["…", "…", "x:<123>"]),
            (&[("~3", "x"), ("77", "a")], "77", &["…", "…", "a:77"]),
            (&[("~2", "x"), ("~3", "y")], "123", &["…", "…", "…", "y:<123>"]),
            (&[("~2", "x"), ("~3", "y")], "12", &["…", "…", "x:<12>"]),
            (&[("=~2", "x"), ("~3", "y")], "12", &["…", "x:<12>"]),
        ] {
            let (mut machine, now) = machine(bindings);
            assert_eq!(press(&mut machine, now, digits), told, "{digits} in {bindings:?}");
        }
    }

    #[test]
    fn realms_and_terminators() {
        let (mut machine, now) = machine(&[("1", "r1")]);
        assert!(machine.bind("s", "1", Sequence::Exactly("1".into()), false, "s1"));
        assert!(machine.bind("s", "~9", Sequence::Matching(Arc::new(|_| Some(String::new()))), false, "any"));
        assert_eq!(press(&mut machine, now, "5"), ["…", "any:5"]);
        machine.set_terminators("#");
        assert_eq!(press(&mut machine, now, "56#"), ["…", "…", "any:56"]);
        assert!(machine.set_realm("r") && !machine.set_realm("t"));
        assert_eq!(press(&mut machine, now, "1"), ["r1:1"]);
        assert!(machine.clear_realm("r") && !machine.clear_realm("r"));
        assert_eq!(press(&mut machine, now, "1"), ["…", "!1"], "no realm is in force");
        assert!(machine.set_realm("s"));
        assert_eq!(press(&mut machine, now, "1"), ["…", "any:1"], "an expression behind it comes before it");
    }

    #[test]
    fn an_input_timeout_runs_while_nothing_is_pressed() {
        let now = Instant::now();
        let mut machine = Machine::new(now, Duration::from_millis(100), Some(Duration::from_secs(5)));
        assert!(machine.bind("", "1", Sequence::Exactly("1".into()), false, "a"));
        assert_eq!(machine.timeout(now + Duration::from_secs(5)), Outcome::NoMatch(String::new()));
        assert_eq!(machine.next_timeout(), Some(now + Duration::from_secs(10)));
        assert!(!machine.bind("", &"1".repeat(512), Sequence::Exactly("1".repeat(512)), false, "a"));
    }
}
