//! Which events a client wants: names, subclasses, filters, one call alone.

use super::rights::Rights;
use crate::event::{Event, EventName, Format, Names};
use fancy_regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most filters, and the most subclasses, of one client.
const MOST: usize = 1000;
/// The most filters of one client that are patterns, how many bytes each may take once it is built, and how far it may go
/// back: clients build them on a thread that serves all.
const MOST_PATTERNS: usize = 64;
const PATTERN_SIZE: usize = 128 << 10;
const BACKTRACKS: usize = 10_000;

/// What `myevents` brings.
const OF_A_CALL: [EventName; 25] = [
    EventName::ChannelAnswer,
    EventName::ChannelApplication,
    EventName::ChannelBridge,
    EventName::ChannelCreate,
    EventName::ChannelData,
    EventName::ChannelDestroy,
    EventName::ChannelExecute,
    EventName::ChannelExecuteComplete,
    EventName::ChannelHangup,
    EventName::ChannelHangupComplete,
    EventName::ChannelHold,
    EventName::ChannelOriginate,
    EventName::ChannelUuid,
    EventName::ChannelOutgoing,
    EventName::ChannelPark,
    EventName::ChannelProgress,
    EventName::ChannelProgressMedia,
    EventName::ChannelState,
    EventName::ChannelUnbridge,
    EventName::ChannelUnhold,
    EventName::ChannelUnpark,
    EventName::DetectedSpeech,
    EventName::Dtmf,
    EventName::Notalk,
    EventName::Talk,
];

/// What `divert_events` brings of the call, whatever else is wanted.
const DIVERTED: [EventName; 4] =
    [EventName::DetectedSpeech, EventName::DetectedTone, EventName::Dtmf, EventName::Message];

/// A client's choice.
#[derive(Debug, Default)]
pub struct Choice {
    /// How events are written.
    pub format: Format,
    names: Names,
    /// Every subclass but those in `without`; else those in `subclasses`.
    every_subclass: bool,
    subclasses: BTreeSet<String>,
    without: BTreeSet<String>,
    filters: Vec<Filter>,
    /// Only events of this call.
    call: Option<Arc<str>>,
    /// What concerns this call comes even when it is not wanted.
    diverted: Option<Arc<str>>,
}

#[derive(Debug)]
struct Filter {
    header: String,
    value: String,
    /// The value as it is compared: a word or a pattern.
    test: Test,
    /// What it finds is not wanted.
    excludes: bool,
}

#[derive(Debug)]
enum Test {
    Word(String),
    Pattern(Box<Regex>),
}

impl Test {
    fn finds(&self, value: &str) -> bool {
        match self {
            Test::Word(word) => word.eq_ignore_ascii_case(value),
            Test::Pattern(pattern) => pattern.is_match(value).unwrap_or(false),
        }
    }
}

/// What `event …` asks beside names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `from SEQUENCE`: what was told since then, too.
    pub from: Option<u64>,
}

impl Choice {
    /// `event [plain|json|xml] NAME… [CUSTOM subclass…] [from SEQUENCE]`: adds these. An error is the answer; then no
    /// event more is wanted.
    pub fn add(&mut self, words: &str, rights: &Rights) -> Result<Asked, &'static str> {
        let mut words: Vec<&str> = words.split_ascii_whitespace().collect();
        let mut asked = Asked::default();
        if let [.., from, number] = words.as_slice()
            && from.eq_ignore_ascii_case("from")
            && let Ok(number) = number.parse()
        {
            asked.from = Some(number);
            words.truncate(words.len() - 2);
        }
        let format = words.first().and_then(|word| Format::find(word));
        let words = words.get(usize::from(format.is_some())..).unwrap_or_default();
        let (mut names, mut every, mut subclasses) = (Names::NONE, false, BTreeSet::new());
        let (mut custom, mut found) = (false, false);
        for word in words {
            if custom {
                if !rights.subclass(word) {
                    return Err("-ERR permission denied");
                }
                subclasses.insert((*word).to_owned());
            } else if word.eq_ignore_ascii_case("ALL") {
                if !rights.every_event() {
                    return Err("-ERR permission denied");
                }
                (names, every, found) = (Names::ALL, true, true);
            } else if let Some(name) = EventName::find(word) {
                if !rights.event(name) {
                    return Err("-ERR permission denied");
                }
                names.add(name);
                found = true;
                custom = matches!(name, EventName::Custom(_));
            }
        }
        if !found {
            // The form stays all the same: who says `event json` and then `myevents` has JSON.
            self.format = format.unwrap_or(self.format);
            return Err("-ERR no keywords supplied");
        }
        if self.subclasses.len() + subclasses.len() > MOST {
            return Err("-ERR too many subclasses");
        }
        if let Some(format) = format {
            self.format = format;
        }
        self.names = self.names.with(names);
        self.every_subclass |= every;
        if every {
            self.without.clear();
        }
        for subclass in &subclasses {
            self.without.remove(subclass);
        }
        self.subclasses.extend(subclasses);
        Ok(asked)
    }

    /// `nixevent NAME… [CUSTOM subclass…]`: takes these out again.
    pub fn nix(&mut self, words: &str) -> &'static str {
        let (mut custom, mut found) = (false, false);
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            if custom {
                self.subclasses.remove(*word);
                if self.every_subclass && self.without.len() < MOST {
                    self.without.insert((*word).to_owned());
                }
            } else if word.eq_ignore_ascii_case("ALL") {
                self.forget();
                found = true;
            } else if let Some(name) = EventName::find(word) {
                found = true;
                custom = matches!(name, EventName::Custom(_));
                // CUSTOM with subclasses behind it means those alone.
                if !(custom && at + 1 < words.len()) {
                    self.names.remove(name);
                }
            }
        }
        if found { "+OK events nixed" } else { "-ERR no keywords supplied" }
    }

    /// `noevents`: wants nothing any more; false when it wanted nothing before.
    pub fn forget(&mut self) -> bool {
        let had = !self.names.is_empty();
        self.names = Names::NONE;
        self.every_subclass = false;
        self.subclasses.clear();
        self.without.clear();
        had
    }

    /// `myevents`: wants what concerns this call, and nothing else. False when it does already.
    pub fn only(&mut self, uuid: Arc<str>) -> bool {
        if self.call.is_some() {
            return false;
        }
        OF_A_CALL.iter().for_each(|name| self.names.add(*name));
        self.call = Some(uuid);
        true
    }

    /// `divert_events on` or `off`.
    pub fn divert(&mut self, uuid: Option<Arc<str>>) {
        self.diverted = uuid;
    }

    /// `filter …`; answers what is said.
    pub fn filter(&mut self, words: &str) -> String {
        let two = |text: &str| -> (String, Option<String>) {
            let text = text.trim_start_matches(' ');
            match text.split_once(' ') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text.to_owned(), None),
            }
        };
        let (name, value) = two(words);
        let Some(value) = value else { return "-ERR invalid syntax".to_owned() };
        if name.eq_ignore_ascii_case("delete") {
            let (name, value) = two(&value);
            match name.eq_ignore_ascii_case("all") {
                true => self.filters.clear(),
                false => self.filters.retain(|filter| {
                    !filter.header.eq_ignore_ascii_case(&name)
                        || value.as_ref().is_some_and(|value| *value != filter.value)
                }),
            }
            return format!("+OK filter deleted. [{name}]=[{}]", value.unwrap_or_default());
        }
        let (name, value) = match name.eq_ignore_ascii_case("add") {
            true => match two(&value) {
                (name, Some(value)) => (name, value),
                _ => return "-ERR invalid syntax".to_owned(),
            },
            false => (name, value),
        };
        if self.filters.len() >= MOST {
            return "-ERR too many filters".to_owned();
        }
        let patterns = self.filters.iter().filter(|filter| matches!(filter.test, Test::Pattern(_))).count();
        match Filter::new(&name, &value) {
            Some(Filter { test: Test::Pattern(_), .. }) if patterns >= MOST_PATTERNS => {
                "-ERR too many patterns".to_owned()
            }
            Some(filter) => {
                self.filters.push(filter);
                format!("+OK filter added. [{name}]=[{value}]")
            }
            None => "-ERR invalid pattern".to_owned(),
        }
    }

    /// The names it may want; the rest is decided event by event.
    pub fn names(&self) -> Names {
        let diverted = self.diverted.iter().flat_map(|_| DIVERTED);
        let mine = self.call.iter().map(|_| EventName::BackgroundJob);
        diverted.chain(mine.filter(|_| !self.names.is_empty())).fold(self.names, |mut names, name| {
            names.add(name);
            names
        })
    }

    /// Whether it wants this event.
    pub fn wants(&self, event: &Event) -> bool {
        let of = |uuid: &Arc<str>| event.header("Unique-ID") == Some(uuid);
        if let Some(uuid) = &self.diverted
            && (DIVERTED.contains(&event.name) || event.header("Command").is_some())
            && of(uuid)
        {
            return true;
        }
        if let Some(uuid) = &self.call {
            let job = event.header("Job-Owner-UUID") == Some(uuid);
            if job || !of(uuid) {
                return job;
            }
        }
        self.is_chosen(event) && self.passes(event)
    }

    fn is_chosen(&self, event: &Event) -> bool {
        if !self.names.has(event.name) {
            return false;
        }
        match (event.name, event.subclass()) {
            (EventName::Custom(_), subclass) if !subclass.is_empty() => match self.every_subclass {
                true => !self.without.contains(subclass),
                false => self.subclasses.contains(subclass),
            },
            _ => true,
        }
    }

    /// At least one filter must find it, and none that excludes.
    fn passes(&self, event: &Event) -> bool {
        let mut found = self.filters.is_empty() || self.filters.iter().all(|filter| filter.excludes);
        for filter in &self.filters {
            let Some(value) = event.header(&filter.header) else { continue };
            if (found && !filter.excludes) || !filter.test.finds(value) {
                continue;
            }
            if filter.excludes {
                return false;
            }
            found = true;
        }
        found
    }
}

impl Filter {
    /// A leading `-` excludes, `+` does not; `/…/` is a pattern.
    fn new(header: &str, value: &str) -> Option<Filter> {
        let excludes = value.chars().take_while(|c| matches!(c, '+' | '-' | ' ')).last() == Some('-');
        let test = value.trim_start_matches(['+', '-', ' ']);
        let pattern =
            test.strip_prefix('/').map(|rest| rest.rsplit_once('/').map_or((rest, ""), |both| both));
        let test = match pattern {
            Some((pattern, flags)) => {
                let pattern = if flags.contains('i') { format!("(?i){pattern}") } else { pattern.to_owned() };
                let built = RegexBuilder::new(&pattern)
                    .backtrack_limit(BACKTRACKS)
                    .delegate_size_limit(PATTERN_SIZE)
                    .build();
                Test::Pattern(Box::new(built.ok()?))
            }
            None => Test::Word(test.to_owned()),
        };
        Some(Filter { header: header.to_owned(), value: value.to_owned(), test, excludes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Bus, Headers};

    fn event(name: EventName, headers: &[(&'static str, &str)]) -> Event {
        let headers: Headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).to_owned())).collect();
        Bus::default().answer(name, headers)
    }

    fn custom(subclass: &str) -> Event {
        event(EventName::Custom(""), &[("Event-Subclass", subclass)])
    }

    #[test]
    fn patterns_are_bounded_in_size_and_number() {
        let mut choice = Choice::default();
        assert_eq!(choice.filter(r"X /\w{140}0/"), "-ERR invalid pattern", "megabytes once it is built");
        for n in 0..MOST_PATTERNS {
            assert_eq!(choice.filter(&format!("X /{n}/")), format!("+OK filter added. [X]=[/{n}/]"));
        }
        assert_eq!(choice.filter("X /one more/"), "-ERR too many patterns");
        assert_eq!(choice.filter("X word"), "+OK filter added. [X]=[word]");
    }

    #[test]
    fn names_and_subclasses_are_added_and_taken_out() {
        let mut choice = Choice::default();
        let all = Rights::default();
        assert_eq!(choice.add("json DTMF heartbeat NO_SUCH CUSTOM a::b c::d", &all), Ok(Asked::default()));
        assert_eq!(choice.format, Format::Json);
        assert!(choice.wants(&event(EventName::Dtmf, &[])) && choice.wants(&custom("a::b")));
        assert!(!choice.wants(&custom("x::y")) && !choice.wants(&event(EventName::Api, &[])));
        assert_eq!(choice.nix("DTMF CUSTOM a::b"), "+OK events nixed");
        assert!(!choice.wants(&event(EventName::Dtmf, &[])) && !choice.wants(&custom("a::b")));
        assert!(choice.wants(&custom("c::d")));
        assert_eq!(choice.add("plain", &all), Err("-ERR no keywords supplied"));
        assert_eq!(choice.nix(""), "-ERR no keywords supplied");
        assert!(choice.forget() && !choice.forget());
        assert!(choice.names().is_empty());
    }

    #[test]
    fn all_less_one_keeps_subclasses_nobody_knew() {
        let mut choice = Choice::default();
        choice.add("ALL", &Rights::default()).expect("all");
        choice.nix("HEARTBEAT CUSTOM a::b");
        assert!(choice.wants(&custom("new::one")) && !choice.wants(&custom("a::b")));
        assert!(
            choice.wants(&event(EventName::Dtmf, &[])) && !choice.wants(&event(EventName::Heartbeat, &[]))
        );
    }

    #[test]
    fn what_was_told_before_can_be_asked_for() {
        let mut choice = Choice::default();
        assert_eq!(choice.add("plain ALL from 17", &Rights::default()), Ok(Asked { from: Some(17) }));
        assert_eq!(choice.add("CUSTOM a::b from 0", &Rights::default()), Ok(Asked { from: Some(0) }));
        assert_eq!(choice.add("CUSTOM a from b", &Rights::default()), Ok(Asked::default()));
    }

    #[test]
    fn filters_are_one_of_them_and_none_that_excludes() {
        let mut choice = Choice::default();
        choice.add("ALL", &Rights::default()).expect("all");
        let of = |uuid, number| event(EventName::Dtmf, &[("Unique-ID", uuid), ("DTMF-Digit", number)]);
        assert_eq!(choice.filter("Unique-ID u1"), "+OK filter added. [Unique-ID]=[u1]");
        assert_eq!(choice.filter("Unique-ID /^u[23]$/"), "+OK filter added. [Unique-ID]=[/^u[23]$/]");
        assert!(
            choice.wants(&of("U1", "5")) && choice.wants(&of("u2", "5")) && !choice.wants(&of("u4", "5"))
        );
        assert_eq!(choice.filter("DTMF-Digit -7"), "+OK filter added. [DTMF-Digit]=[-7]");
        assert!(choice.wants(&of("u1", "5")) && !choice.wants(&of("u1", "7")));
        assert_eq!(choice.filter("delete Unique-ID u1"), "+OK filter deleted. [Unique-ID]=[u1]");
        assert!(!choice.wants(&of("u1", "5")) && choice.wants(&of("u2", "5")));
        assert_eq!(
            choice.filter("delete all"),
            "-ERR invalid syntax".replace("-ERR invalid syntax", "+OK filter deleted. [all]=[]")
        );
        assert!(choice.wants(&of("u4", "7")));
        assert_eq!(choice.filter("Unique-ID"), "-ERR invalid syntax");
        assert_eq!(choice.filter("Unique-ID /(/"), "-ERR invalid pattern");
    }

    #[test]
    fn one_call_alone() {
        let mut choice = Choice::default();
        assert!(choice.only("u1".into()) && !choice.only("u2".into()));
        let of = |name, uuid| event(name, &[("Unique-ID", uuid)]);
        assert!(choice.wants(&of(EventName::ChannelAnswer, "u1")));
        assert!(
            !choice.wants(&of(EventName::ChannelAnswer, "u2")) && !choice.wants(&of(EventName::Api, "u1"))
        );
        assert!(choice.wants(&event(EventName::BackgroundJob, &[("Job-Owner-UUID", "u1")])));
        assert!(choice.names().has(EventName::BackgroundJob) && !choice.names().has(EventName::Heartbeat));
    }

    #[test]
    fn diverted_events_come_though_nobody_asked() {
        let mut choice = Choice::default();
        choice.divert(Some("u1".into()));
        assert!(choice.names().has(EventName::Dtmf));
        assert!(choice.wants(&event(EventName::Dtmf, &[("Unique-ID", "u1")])));
        assert!(!choice.wants(&event(EventName::Dtmf, &[("Unique-ID", "u2")])));
    }
}
