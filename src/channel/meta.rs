//! A key before a key: `*1` does something (`bind_meta_app`, FreeSWITCH's `meta_on_dtmf`).
//!
//! The machine of one direction: the digits a leg's far end presses, or those that are to go to it. The meta key itself
//! is kept back, and so is the key after it, bound or not; pressed twice, one of the two goes on.

use std::time::{Duration, Instant};

/// After so long the key that follows is a digit like any other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keys that may be bound, counted as FreeSWITCH does: 0–9, then A–D. (`*` and `#` count as 0.)
const KEYS: usize = 14;

/// Which leg runs what is bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Where {
    /// The one it was bound on.
    Here,
    /// The one that one is bridged with.
    There,
    /// The one whose far end has pressed the key.
    Presser,
    /// The other.
    Opposite,
}

/// What a key does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetaApp {
    /// `application::argument`.
    pub text: String,
    /// Which leg runs it.
    pub runs: Where,
    /// It is forgotten once it was pressed.
    pub once: bool,
}

/// What becomes of a digit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pressed {
    /// It goes on.
    Pass,
    /// It goes on: the meta key before it was too long ago.
    TooLate,
    /// It is kept back.
    Kept,
    /// It is kept back, and nothing is bound to it.
    Unbound,
    /// It is kept back, and this is to run.
    Run(MetaApp),
}

/// The keys of one direction.
#[derive(Debug, Default)]
pub struct MetaKeys {
    key: Option<char>,
    /// The meta key was pressed, then.
    armed: Option<Instant>,
    apps: [Option<Box<MetaApp>>; KEYS],
}

/// The place of a key (`switch_dtmftoi`); a number of two digits is one of the letters.
pub fn key_index(text: &str) -> usize {
    let digits = text.trim_start().bytes().take_while(u8::is_ascii_digit).count();
    let number: usize = text.trim_start().get(..digits).and_then(|d| d.parse().ok()).unwrap_or(0);
    match (number, text.bytes().next().map(|b| b.to_ascii_lowercase())) {
        (0, Some(letter @ b'a'..=b'd')) => usize::from(letter - b'a') + 10,
        (number, _) => number,
    }
}

impl MetaKeys {
    /// Binds a key, behind the meta key `meta`. False when there is no such key.
    pub fn bind(&mut self, meta: char, index: usize, app: MetaApp) -> bool {
        let Some(place) = self.apps.get_mut(index) else { return false };
        self.key = Some(meta);
        *place = Some(Box::new(app));
        true
    }

    /// Takes a binding away.
    pub fn unbind(&mut self, index: usize) {
        if let Some(place) = self.apps.get_mut(index) {
            *place = None;
        }
    }

    /// True once a key was bound. (The meta key is kept back even when all were unbound one by one, as there.)
    pub fn is_on(&self) -> bool {
        self.key.is_some()
    }

    /// A digit.
    pub fn press(&mut self, now: Instant, digit: char) -> Pressed {
        let Some(key) = self.key else { return Pressed::Pass };
        let armed = self.armed.take();
        if armed.is_some_and(|at| now.saturating_duration_since(at) > PATIENCE) {
            return Pressed::TooLate;
        }
        match (digit == key, armed) {
            (true, Some(_)) | (false, None) => Pressed::Pass,
            (true, None) => {
                self.armed = Some(now);
                Pressed::Kept
            }
            (false, Some(_)) => {
                let index = key_index(digit.encode_utf8(&mut [0; 4]));
                let Some(place) = self.apps.get_mut(index) else { return Pressed::Unbound };
                let once = place.as_ref().is_some_and(|app| app.once);
                let app = if once { place.take() } else { place.clone() };
                app.map_or(Pressed::Unbound, |app| Pressed::Run(*app))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(text: &str, once: bool) -> MetaApp {
        MetaApp { text: text.to_owned(), runs: Where::Here, once }
    }

    fn outcomes(keys: &mut MetaKeys, now: Instant, digits: &str) -> String {
        let name = |pressed| match pressed {
            Pressed::Pass => "+".to_owned(),
            Pressed::TooLate => "late".to_owned(),
            Pressed::Kept => "-".to_owned(),
            Pressed::Unbound => "none".to_owned(),
            Pressed::Run(app) => app.text,
        };
        digits.chars().map(|digit| name(keys.press(now, digit))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_key_after_the_meta_key() {
        let now = Instant::now();
        let mut keys = MetaKeys::default();
        assert_eq!(outcomes(&mut keys, now, "*1"), "+ +", "nothing is bound");
        assert!(keys.bind('*', 1, app("dx", false)) && keys.bind('*', 2, app("once", true)));
        assert!(keys.bind('*', 13, app("d", false)) && !keys.bind('*', 14, app("x", false)));
        assert_eq!(outcomes(&mut keys, now, "1*1*1"), "+ - dx - dx");
        assert_eq!(outcomes(&mut keys, now, "*2*2"), "- once - none");
        assert_eq!(outcomes(&mut keys, now, "**1#"), "- + + +", "pressed twice, it is a key like others");
        assert_eq!(outcomes(&mut keys, now, "*9*D*#"), "- none - d - none");
        keys.unbind(1);
        assert_eq!(outcomes(&mut keys, now, "*1"), "- none");
    }

    #[test]
    fn a_key_that_comes_late_is_one_like_others() {
        let now = Instant::now();
        let mut keys = MetaKeys::default();
        assert!(keys.bind('#', 1, app("dx", false)));
        assert_eq!(outcomes(&mut keys, now, "#"), "-");
        assert_eq!(outcomes(&mut keys, now + Duration::from_secs(5), "1"), "dx");
        assert_eq!(outcomes(&mut keys, now, "#"), "-");
        assert_eq!(outcomes(&mut keys, now + Duration::from_millis(5001), "1"), "late");
    }

    #[test]
    fn keys_are_counted_as_there() {
        for (text, index) in [
            ("1", 1),
            ("9", 9),
            ("0", 0),
            ("*", 0),
            ("#", 0),
            ("a", 10),
            ("D", 13),
            ("12", 12),
            ("e", 0),
            ("", 0),
        ] {
            assert_eq!(key_index(text), index, "{text}");
        }
    }
}
