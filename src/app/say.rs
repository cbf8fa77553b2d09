//! Numbers, dates and the like as the English sound files to play (FreeSWITCH's mod_say_en.c): `say_string` answers
//! with them.

use crate::dialplan::point;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// The kinds of text there are to say, in FreeSWITCH's order.
const KINDS: [&str; 19] = [
    "NUMBER",
    "ITEMS",
    "PERSONS",
    "MESSAGES",
    "CURRENCY",
    "TIME_MEASUREMENT",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_DATE_TIME",
    "TELEPHONE_NUMBER",
    "TELEPHONE_EXTENSION",
    "URL",
    "IP_ADDRESS",
    "EMAIL_ADDRESS",
    "POSTAL_ADDRESS",
    "ACCOUNT_NUMBER",
    "NAME_SPELLED",
    "NAME_PHONETIC",
    "SHORT_DATE_TIME",
];

/// How a number is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// One hundred and two.
    Pronounced,
    /// One, zero, two.
    Iterated,
    /// One hundred and second.
    Counted,
    /// Nineteen ninety-nine.
    Year,
    /// Not at all.
    None,
}

impl Method {
    fn named(name: &str) -> Method {
        let is = |word: &str| word.eq_ignore_ascii_case(name);
        match name {
            _ if is("PRONOUNCED") => Method::Pronounced,
            _ if is("ITERATED") => Method::Iterated,
            _ if is("COUNTED") => Method::Counted,
            _ if is("PRONOUNCED_YEAR") => Method::Year,
            _ => Method::None,
        }
    }
}

/// What the time of day depends on.
pub struct Clock {
    /// Now.
    pub now: Timestamp,
    /// The machine's zone.
    pub local: TimeZone,
    /// The variable `timezone`.
    pub wanted: Option<String>,
}

/// The files for `text` as one `file_string://a.wav!b.wav`. Nothing for a text that cannot be said; `None` for a kind
/// that English does not know.
pub fn english(kind: &str, method: &str, text: &str, extension: &str, clock: &Clock) -> Option<String> {
    let kind = KINDS.into_iter().find(|known| known.eq_ignore_ascii_case(kind))?;
    let mut files = Files { list: Vec::new() };
    let method = Method::named(method);
    // A text that breaks off leaves what was said before.
    let _broken = match kind {
        "NUMBER" | "ITEMS" | "PERSONS" | "MESSAGES" => files.count(text, method),
        "CURRENCY" => files.money(text, method),
        "TIME_MEASUREMENT" => files.measured(text, clock),
        "CURRENT_DATE" | "CURRENT_TIME" | "CURRENT_DATE_TIME" | "SHORT_DATE_TIME" => {
            files.date(kind, text, method, clock)
        }
        "TELEPHONE_NUMBER" => files.telephone(text),
        "IP_ADDRESS" => files.address(text, method),
        "NAME_SPELLED" => files.spelled(text, "ascii"),
        "NAME_PHONETIC" => files.spelled(text, "phonetic-ascii"),
        _ => return None,
    };
    Some(files.joined(extension))
}

struct Files {
    list: Vec<String>,
}

impl Files {
    fn joined(&self, extension: &str) -> String {
        let mut out = String::new();
        for (n, file) in self.list.iter().enumerate() {
            match n {
                0 => out.push_str("file_string://"),
                _ => out.push('!'),
            }
            out.push_str(file);
            if n == 0 || !file.contains("://") {
                out.push('.');
                out.push_str(extension);
            }
        }
        out
    }

    fn add(&mut self, file: impl Into<String>) {
        self.list.push(file.into());
    }

    fn number(&mut self, number: i64, method: Method) -> Option<()> {
        self.count(&(number as u32).to_string(), method)
    }

    fn count(&mut self, text: &str, method: Method) -> Option<()> {
        let digits: String = text.chars().filter(|c| *c != ',').collect();
        if digits.len() > 126 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if method == Method::Iterated {
            digits.chars().for_each(|c| self.add(format!("digits/{c}")));
            return Some(());
        }
        if digits.len() > 9 {
            return None;
        }
        let number: u32 = digits.parse().unwrap_or(0);
        match method {
            _ if number == 0 => self.add("digits/0"),
            Method::Pronounced | Method::Counted => {
                self.group(Method::Pronounced, number / 1_000_000, Some("digits/million"));
                self.group(Method::Pronounced, number / 1000 % 1000, Some("digits/thousand"));
                self.group(method, number % 1000, None);
            }
            Method::Year => {
                let (century, year) = (number / 100, number % 100);
                if year == 0 || century % 10 == 0 {
                    return self.number(number.into(), Method::Pronounced);
                }
                self.number(century.into(), Method::Pronounced)?;
                return self.number(year.into(), Method::Pronounced);
            }
            Method::Iterated | Method::None => {}
        }
        Some(())
    }

    /// Three digits.
    fn group(&mut self, method: Method, number: u32, what: Option<&str>) {
        let (hundreds, tens, mut ones) = (number / 100, number / 10 % 10, number % 10);
        let ordinal = |n: u32| if method == Method::Counted && n == 0 { "h-" } else { "" };
        if hundreds > 0 {
            self.add(format!("digits/{hundreds}"));
            self.add("digits/hundred");
        }
        match tens {
            0 => {}
            1 => {
                self.add(format!("digits/1{ones}"));
                ones = 0;
            }
            _ => self.add(format!("digits/{}{tens}0", ordinal(ones))),
        }
        if ones > 0 {
            self.add(format!("digits/{}{ones}", ordinal(0)));
        }
        if let (Some(what), true) = (what, number > 0) {
            self.add(what);
        }
    }

    fn money(&mut self, text: &str, method: Method) -> Option<()> {
        if text.len() > 15 {
            return None;
        }
        let kept: String = text.chars().filter(|c| c.is_ascii_digit() || "+-.".contains(*c)).collect();
        let (dollars, cents) = match kept.split_once('.') {
            Some((dollars, cents)) => (dollars, Some(cents.get(..2).unwrap_or(cents))),
            None => (kept.as_str(), None),
        };
        let dollars = match dollars.strip_prefix('-') {
            Some(rest) => {
                self.add("currency/negative");
                rest
            }
            None => dollars.strip_prefix('+').unwrap_or(dollars),
        };
        let one = |text: &str| text.parse() == Ok(1u32);
        let _ = self.count(dollars, method);
        self.add(if one(dollars) { "currency/dollar" } else { "currency/dollars" });
        if let Some(cents) = cents {
            self.add("currency/and");
            let _ = self.count(cents, method);
            self.add(if one(cents) { "currency/cent" } else { "currency/cents" });
        }
        Some(())
    }

    /// Hours, minutes and seconds: `h:m:s`, `m:s` or seconds.
    fn measured(&mut self, text: &str, clock: &Clock) -> Option<()> {
        let parts: Vec<i64> = text.split(':').map(leading).collect();
        let (hours, minutes, seconds) = match parts.as_slice() {
            [_] | [] => {
                let all = match leading(text) {
                    seconds if seconds > 0 => seconds,
                    _ => clock.now.as_second(),
                };
                (all / 3600, all / 60 % 60, all % 60)
            }
            [minutes, seconds] => (0, *minutes, *seconds),
            [hours, minutes, .., seconds] => (*hours, *minutes, *seconds),
        };
        for (number, unit) in [(hours, "hour"), (minutes, "minute"), (seconds, "second")] {
            match number {
                0 => self.add("digits/0"),
                number => self.number(number, Method::Pronounced)?,
            }
            self.add(format!("time/{unit}{}", if number == 1 { "" } else { "s" }));
        }
        Some(())
    }

    fn date(&mut self, kind: &str, text: &str, method: Method, clock: &Clock) -> Option<()> {
        let written = text.contains(':').then(|| point(text, clock.now, &clock.local)).flatten();
        let seconds = || Some(leading(text)).filter(|s| *s > 0).and_then(|s| Timestamp::from_second(s).ok());
        let target = written.or_else(seconds).unwrap_or(clock.now);
        let zone = clock.zone();
        let (at, now) = (target.to_zoned(zone.clone()), clock.now.to_zoned(zone));
        let parts = match kind {
            "CURRENT_DATE" => Parts::DATE,
            "CURRENT_TIME" => Parts::TIME,
            "CURRENT_DATE_TIME" => Parts { time: true, ..Parts::DATE },
            _ => Parts { time: true, ..Parts::near(&at, &now) },
        };
        if parts.today {
            self.add("time/today");
        }
        if parts.yesterday {
            self.add("time/yesterday");
        }
        if parts.weekday {
            self.add(format!("time/day-{}", at.weekday().to_sunday_zero_offset()));
        }
        if parts.month {
            self.add(format!("time/mon-{}", at.month() - 1));
            self.number(at.day().into(), Method::Counted)?;
        }
        if parts.year {
            self.number(at.year().into(), Method::Year)?;
        }
        if parts.time {
            if parts.today || parts.yesterday || parts.weekday {
                self.add("time/at");
            }
            self.time(&at, method == Method::Iterated)?;
        }
        Some(())
    }

    fn time(&mut self, at: &Zoned, military: bool) -> Option<()> {
        let (hour, minute) = (i64::from(at.hour()), i64::from(at.minute()));
        if military {
            let hour = if hour == 0 && minute == 0 { 24 } else { hour };
            if hour < 10 {
                self.number(0, Method::Pronounced)?;
            }
            self.number(hour, Method::Pronounced)?;
            match minute {
                0 => self.add("digits/hundred"),
                minute => {
                    if minute < 10 {
                        self.number(0, Method::Pronounced)?;
                    }
                    self.number(minute, Method::Pronounced)?;
                }
            }
            self.add("time/hours");
            return Some(());
        }
        let twelve = match hour % 12 {
            0 => 12,
            hour => hour,
        };
        self.number(twelve, Method::Pronounced)?;
        match minute {
            0 => self.add("time/oclock"),
            minute => {
                if minute < 10 {
                    self.add("time/oh");
                }
                self.number(minute, Method::Pronounced)?;
            }
        }
        self.add(if hour >= 12 { "time/p-m" } else { "time/a-m" });
        Some(())
    }

    fn address(&mut self, text: &str, method: Method) -> Option<()> {
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        if parts.len() < 4 {
            return None;
        }
        for (n, part) in parts.into_iter().enumerate() {
            if n > 0 {
                self.add("digits/dot");
            }
            self.number(leading(part), method)?;
        }
        Some(())
    }

    fn telephone(&mut self, text: &str) -> Option<()> {
        let mut silent = false;
        for byte in text.to_ascii_lowercase().bytes() {
            match byte {
                b'0'..=b'9' => self.add(format!("digits/{}", char::from(byte))),
                b'+' | b'a'..=b'z' => self.add(format!("ascii/{byte}")),
                _ if silent => {}
                _ => self.add("silence_stream://100"),
            }
            silent = !matches!(byte, b'0'..=b'9' | b'+' | b'a'..=b'z');
        }
        Some(())
    }

    fn spelled(&mut self, text: &str, folder: &str) -> Option<()> {
        for byte in text.to_ascii_lowercase().bytes() {
            match byte {
                b'0'..=b'9' => self.add(format!("digits/{}", char::from(byte))),
                byte => self.add(format!("{folder}/{}", byte.cast_signed())),
            }
        }
        Some(())
    }
}

impl Clock {
    /// The zone the channel asks for, by name or in seconds from UTC, else the machine's.
    fn zone(&self) -> TimeZone {
        let Some(wanted) = self.wanted.as_deref().filter(|w| !w.is_empty()) else {
            return self.local.clone();
        };
        let zone = match leading(wanted) {
            0 => TimeZone::get(wanted).ok(),
            offset => {
                i32::try_from(offset).ok().and_then(|o| Offset::from_seconds(o).ok()).map(TimeZone::fixed)
            }
        };
        zone.unwrap_or_else(|| self.local.clone())
    }
}

/// What of a date is said.
#[derive(Clone, Copy, Default)]
struct Parts {
    today: bool,
    yesterday: bool,
    weekday: bool,
    /// Month and day.
    month: bool,
    year: bool,
    time: bool,
}

impl Parts {
    const NONE: Parts =
        Parts { today: false, yesterday: false, weekday: false, month: false, year: false, time: false };
    const TIME: Parts = Parts { time: true, ..Parts::NONE };
    const DATE: Parts = Parts { weekday: true, month: true, year: true, ..Parts::NONE };

    /// As little as tells the day from here.
    fn near(at: &Zoned, now: &Zoned) -> Parts {
        let days = i32::from(now.day_of_year()) - i32::from(at.day_of_year());
        match days {
            _ if at.date() > now.date() || at.year() != now.year() => Parts::DATE,
            0 => Parts { today: true, ..Parts::NONE },
            1 => Parts { yesterday: true, ..Parts::NONE },
            2..=5 => Parts { weekday: true, ..Parts::NONE },
            _ => Parts { weekday: true, month: true, ..Parts::NONE },
        }
    }
}

/// C's `atol`.
fn leading(text: &str) -> i64 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    text.get(..sign + digits).and_then(|n| n.trim_start_matches('+').parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_files() {
        // 2024-07-03 09:46:40 UTC, a Wednesday
        let now = Timestamp::from_second(1_720_000_000).unwrap();
        let clock = Clock { now, local: TimeZone::UTC, wanted: None };
        for (kind, method, text, expected) in [
            ("number", "pronounced", "1,234,567", "1 million 2 hundred 30 4 thousand 5 hundred 60 7"),
            ("number", "pronounced", "0", "0"),
            ("number", "pronounced", "115", "1 hundred 15"),
            ("items", "counted", "23", "20 h-3"),
            ("items", "counted", "40", "h-40"),
            ("items", "counted", "12", "12"),
            ("number", "iterated", "1234567890123", "1 2 3 4 5 6 7 8 9 0 1 2 3"),
            ("number", "pronounced", "1234567890", ""),
            ("number", "pronounced", "12a", ""),
            ("number", "n/a", "12", ""),
            ("number", "pronounced_year", "1999", "19 90 9"),
            ("number", "pronounced_year", "2005", "2 thousand 5"),
            ("number", "pronounced_year", "1900", "1 thousand 9 hundred"),
            (
                "currency",
                "pronounced",
                "-1.019",
                "currency/negative 1 currency/dollar currency/and 1 currency/cent",
            ),
            ("currency", "pronounced", "$5", "5 currency/dollars"),
            ("time_measurement", "pronounced", "1:05", "0 time/hours 1 time/minute 5 time/seconds"),
            ("time_measurement", "pronounced", "2:00:01", "2 time/hours 0 time/minutes 1 time/second"),
            ("current_time", "pronounced", "1720000000", "9 time/40 6 time/a-m"),
            ("current_time", "iterated", "1720000000", "0 9 40 6 time/hours"),
            ("current_time", "iterated", "00:00:00", "20 4 hundred time/hours"),
            ("current_time", "pronounced", "13:05", "1 time/oh 5 time/p-m"),
            ("current_time", "pronounced", "12:00", "12 time/oclock time/p-m"),
            ("current_date", "pronounced", "1720000000", "time/day-3 time/mon-6 h-3 2 thousand 20 4"),
            ("short_date_time", "pronounced", "1720000000", "time/today time/at 9 40 6 time/a-m"),
            ("short_date_time", "pronounced", "1719913600", "time/yesterday time/at 9 40 6 time/a-m"),
            ("short_date_time", "pronounced", "1719740800", "time/day-0 time/at 9 40 6 time/a-m"),
            (
                "short_date_time",
                "pronounced",
                "1710000000",
                "time/day-6 time/mon-2 h-9 time/at 4 time/oclock time/p-m",
            ),
            ("ip_address", "iterated", "10.0.0.7", "1 0 dot 0 dot 0 dot 7"),
            ("ip_address", "iterated", "10.0.7", ""),
            ("telephone_number", "pronounced", "+1 - a", "ascii/43 1 silence_stream://100 ascii/97"),
            ("name_spelled", "pronounced", "aB1-", "ascii/97 ascii/98 1 ascii/45"),
            ("name_phonetic", "pronounced", "a", "phonetic-ascii/97"),
        ] {
            let files = english(kind, method, text, "wav", &clock).unwrap();
            let seen: Vec<&str> = files
                .strip_prefix("file_string://")
                .unwrap_or("")
                .split('!')
                .map(|f| f.strip_suffix(".wav").unwrap_or(f))
                .map(|f| f.strip_prefix("digits/").unwrap_or(f))
                .collect();
            assert_eq!(
                seen.join(" ").replace("time/40", "40"),
                expected.replace("time/40", "40"),
                "{kind} {text}"
            );
        }
        assert_eq!(english("url", "pronounced", "x", "wav", &clock), None);
        let there = Clock { wanted: Some("Asia/Tokyo".into()), ..clock };
        let files = english("current_time", "pronounced", "1720000000", "mp3", &there).unwrap();
        assert_eq!(files, "file_string://digits/6.mp3!digits/40.mp3!digits/6.mp3!time/p-m.mp3");
    }
}
