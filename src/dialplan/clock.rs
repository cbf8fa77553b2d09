//! Time conditions: the attributes of `<condition>` and `<regex>` that look at the clock (inventory §3.4,
//! `switch_xml_std_datetime_check`).

use jiff::civil::{self, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::expand::leading_number;
use super::scope::Caller;
use crate::config::{Element, Problem};

/// The attributes that make a condition a time condition.
pub const ATTRIBUTES: &[&str] = &[
    "date-time",
    "year",
    "yday",
    "mon",
    "mday",
    "week",
    "mweek",
    "wday",
    "hour",
    "minute",
    "minute-of-day",
    "time-of-day",
    "tz-offset",
    "dst",
];

/// The clock of one hunt: the machine's zone, and the one the channel asks for.
#[derive(Clone, Debug)]
pub struct Clock {
    local: Zoned,
    here: Zoned,
}

impl Clock {
    /// The clock as the channel's `tod_tz_offset` (hours from UTC) or else `timezone` want it.
    pub fn of<C: Caller + ?Sized>(caller: &C) -> Clock {
        let local = caller.now().to_zoned(caller.time_zone());
        let text = |name| caller.variable(name).map(|v| v.text.into_owned()).filter(|t| !t.is_empty());
        let hours = text("tod_tz_offset").filter(|t| is_number(t)).map(|t| leading_number(&t));
        let zone = match hours {
            Some(hours) => {
                i8::try_from(hours).ok().and_then(|h| Offset::from_hours(h).ok()).map(TimeZone::fixed)
            }
            None => text("timezone").and_then(|name| TimeZone::get(&name).ok()),
        };
        let here = zone.map_or_else(|| local.clone(), |zone| local.with_time_zone(zone));
        Clock { local, here }
    }
}

/// FreeSWITCH's idea of a number: a sign, digits and dots.
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// FreeSWITCH's idea of true: yes, on, true, t, enabled, active, allow, or a number other than 0.
pub fn is_true(text: &str) -> bool {
    ["yes", "on", "true", "t", "enabled", "active", "allow"].iter().any(|w| text.eq_ignore_ascii_case(w))
        || (is_number(text) && leading_number(text) != 0)
}

/// The time attributes of one element.
#[derive(Clone, Debug, Default)]
pub struct TimeTest {
    checks: Vec<Check>,
}

#[derive(Clone, Debug)]
enum Check {
    Number(Unit, Vec<(i64, i64)>),
    Day(Vec<(i64, i64)>),
    TimeOfDay(Vec<(i64, i64)>),
    Dates(Vec<(String, String)>),
    Offset(i64),
    Dst(bool),
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Year,
    DayOfYear,
    Month,
    DayOfMonth,
    Week,
    WeekOfMonth,
    Hour,
    Minute,
    MinuteOfDay,
}

impl TimeTest {
    /// Reads the time attributes of an element; `None` when it has none. What cannot be read never matches and is
    /// reported.
    pub fn read(element: &Element, problems: &mut Vec<Problem>) -> Option<TimeTest> {
        let mut checks = Vec::new();
        for &name in ATTRIBUTES {
            let Some(text) = element.attr(name) else { continue };
            let numbers = |unit| ranges(text, number).map(|r| Check::Number(unit, r));
            let check = match name {
                "year" => numbers(Unit::Year),
                "yday" => numbers(Unit::DayOfYear),
                "mon" => numbers(Unit::Month),
                "mday" => numbers(Unit::DayOfMonth),
                "week" => numbers(Unit::Week),
                "mweek" => numbers(Unit::WeekOfMonth),
                "hour" => numbers(Unit::Hour),
                "minute" => numbers(Unit::Minute),
                "minute-of-day" => numbers(Unit::MinuteOfDay),
                "wday" => ranges(text, weekday).map(Check::Day),
                "time-of-day" => times(text).map(Check::TimeOfDay),
                "date-time" => dates(text).map(Check::Dates),
                "tz-offset" if is_number(text) && !text.is_empty() => {
                    Some(Check::Offset(leading_number(text)))
                }
                "dst" if text.is_empty() => continue,
                "dst" => Some(Check::Dst(is_true(text))),
                _ => None,
            };
            let check = check.unwrap_or_else(|| {
                problems.push(
                    Problem::error(element.attr_at(name), format!("{name}=\"{text}\" can never match"))
                        .hint(format!("write it as {}", form(name))),
                );
                Check::Number(Unit::Year, Vec::new())
            });
            checks.push(check);
        }
        (!checks.is_empty()).then_some(TimeTest { checks })
    }

    /// Whether all of it is true now.
    pub fn matches(&self, clock: &Clock) -> bool {
        self.checks.iter().all(|check| check.matches(clock))
    }
}

/// How the attribute is written, for a hint.
fn form(name: &str) -> &'static str {
    match name {
        "wday" => "2-6, mon-fri or sat,sun",
        "time-of-day" => "HH:MM-HH:MM or HH:MM:SS-HH:MM:SS",
        "date-time" => "YYYY-MM-DD HH:MM:SS~YYYY-MM-DD HH:MM:SS",
        "tz-offset" => "a number of hours from UTC",
        _ => "a number, a range 9-17 or a list 1,3-5",
    }
}

impl Check {
    fn matches(&self, clock: &Clock) -> bool {
        let here = &clock.here;
        match self {
            Check::Number(unit, ranges) => contains(ranges, unit.of(here)),
            Check::Day(ranges) => contains(ranges, i64::from(here.weekday().to_sunday_one_offset())),
            Check::TimeOfDay(ranges) => contains(ranges, second_of_day(here)),
            Check::Dates(ranges) => ranges.iter().any(|(start, end)| {
                let now = clock.local.timestamp();
                let at = |text| point(text, now, clock.local.time_zone());
                matches!((at(start), at(end)), (Some(start), Some(end)) if start <= now && now < end)
            }),
            Check::Offset(hours) => i64::from(here.offset().seconds()) / 3600 == *hours,
            Check::Dst(wanted) => {
                let zone = clock.local.time_zone();
                zone.to_offset_info(clock.local.timestamp()).dst().is_dst() == *wanted
            }
        }
    }
}

impl Unit {
    fn of(self, here: &Zoned) -> i64 {
        let day = i64::from(here.day());
        match self {
            Unit::Year => i64::from(here.year()),
            Unit::DayOfYear => i64::from(here.day_of_year()),
            Unit::Month => i64::from(here.month()),
            Unit::DayOfMonth => day,
            Unit::Week => (i64::from(here.day_of_year()) - 1) / 7 + 1,
            Unit::WeekOfMonth => {
                let first = (7 - (day - i64::from(here.weekday().to_sunday_one_offset())) % 7) % 7;
                (day + first + 6) / 7
            }
            Unit::Hour => i64::from(here.hour()),
            Unit::Minute => i64::from(here.minute()),
            Unit::MinuteOfDay => i64::from(here.hour()) * 60 + i64::from(here.minute()) + 1,
        }
    }
}

fn second_of_day(here: &Zoned) -> i64 {
    i64::from(here.hour()) * 3600 + i64::from(here.minute()) * 60 + i64::from(here.second())
}

/// Whether one of the ranges holds the value; a range that runs backwards wraps.
fn contains(ranges: &[(i64, i64)], value: i64) -> bool {
    ranges.iter().any(|&(from, to)| match from <= to {
        true => (from..=to).contains(&value),
        false => value >= from || value <= to,
    })
}

/// A comma list of values and ranges `a-b`.
fn ranges(text: &str, value: impl Fn(&str) -> Option<i64>) -> Option<Vec<(i64, i64)>> {
    text.split(',')
        .map(|item| match item.split_once('-') {
            Some((from, to)) => Some((value(from.trim())?, value(to.trim())?)),
            None => value(item.trim()).map(|v| (v, v)),
        })
        .collect()
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn weekday(text: &str) -> Option<i64> {
    if let Some(number) = number(text) {
        return (1..=7).contains(&number).then_some(number);
    }
    let three = text.get(..3)?.to_ascii_lowercase();
    let index = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"].iter().position(|d| *d == three)?;
    i64::try_from(index + 1).ok()
}

/// `HH:MM[:SS]-HH:MM[:SS]` lists, in seconds of the day.
fn times(text: &str) -> Option<Vec<(i64, i64)>> {
    let seconds = |text: &str| {
        let mut parts = text.split(':').map(|p| number(p.trim()));
        let (hours, minutes) = (parts.next()??, parts.next()??);
        Some(hours * 3600 + minutes * 60 + parts.next().unwrap_or(Some(0))?)
    };
    text.split(',')
        .map(|item| item.split_once('-').and_then(|(from, to)| Some((seconds(from)?, seconds(to)?))))
        .collect()
}

/// `start~end` lists, kept as text because a time without a date means today.
fn dates(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(|item| {
            let (start, end) = item.split_once('~')?;
            point(start, Timestamp::UNIX_EPOCH, &TimeZone::UTC)?;
            point(end, Timestamp::UNIX_EPOCH, &TimeZone::UTC)?;
            Some((start.to_owned(), end.to_owned()))
        })
        .collect()
}

/// A point of time as FreeSWITCH's `switch_str_time` reads it: `YYYY-MM-DD[ HH[:MM[:SS]]]`, `YYYYMMDDHHMMSS`, or
/// `HH[:MM[:SS]]` of today. In the given zone.
pub fn point(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let civil = if text.len() == 14 && digits(text) == 14 {
        let at = |from, to| number(text.get(from..to)?);
        local(at(0, 4)?, at(4, 6)?, at(6, 8)?, [at(8, 10)?, at(10, 12)?, at(12, 14)?])?
    } else if text.split(':').count() <= 3 && text.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        let today = now.to_zoned(zone.clone());
        local(i64::from(today.year()), i64::from(today.month()), i64::from(today.day()), clock_parts(text))?
    } else {
        let (year, rest) = text.split_once('-')?;
        let (month, rest) = rest.split_once('-')?;
        let (day, rest) = rest.split_at_checked(digits(rest))?;
        local(number(year)?, number(month)?, number(day)?, clock_parts(rest.trim_start()))?
    };
    zone.to_zoned(civil).ok().map(|zoned| zoned.timestamp())
}

/// Hours, minutes and seconds as far as they are written.
fn clock_parts(text: &str) -> [i64; 3] {
    let mut parts = text.splitn(3, ':').map(leading_number);
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}

/// A date and time whose day and clock may overflow into the next, as in C's `mktime`.
fn local(year: i64, month: i64, day: i64, [hour, minute, second]: [i64; 3]) -> Option<DateTime> {
    let first = civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
    let days = day.checked_sub(1)?.checked_mul(86_400)?;
    let clock = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    first.at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(days.checked_add(clock)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;

    fn at(text: &str) -> Clock {
        let local: Zoned = format!("{text}[UTC]").parse().unwrap();
        Clock { here: local.clone(), local }
    }

    fn test(attributes: &[(&str, &str)]) -> (TimeTest, Vec<Problem>) {
        let xml: String = attributes.iter().map(|(n, v)| format!(" {n}=\"{v}\"")).collect();
        let options = crate::config::Options::new("/nowhere");
        let loaded =
            crate::config::parse("t.xml", &format!("<document>\n<condition{xml}/>\n</document>"), &options);
        let mut problems = Vec::new();
        let test = TimeTest::read(loaded.root.child("condition").unwrap(), &mut problems).unwrap();
        (test, problems)
    }

    #[test]
    fn every_attribute() {
        // 2026-11-20 is a Friday
        let clock = at("2026-11-20T23:59:30+00:00");
        for (name, value, expected) in [
            ("year", "2026", true),
            ("year", "2020-2025", false),
            ("yday", "324", true),
            ("mon", "11", true),
            ("mon", "12-1", false),
            ("mon", "10-1", true),
            ("mday", "1,20", true),
            ("week", "47", true),
            ("mweek", "3", true),
            ("wday", "6", true),
            ("wday", "mon-fri", true),
            ("wday", "fri-mon", true),
            ("wday", "sat,sunday", false),
            ("hour", "22-3", true),
            ("hour", "9-18", false),
            ("minute", "59", true),
            ("minute-of-day", "1440", true),
            ("time-of-day", "23:00-01:00", true),
            ("time-of-day", "23:59:31-23:59:40", false),
            ("time-of-day", "00:00-01:00,23:59:30-23:59:30", true),
            ("date-time", "2026-11-20 00:00:00~2026-11-21 00:00:00", true),
            ("date-time", "2026-11-21 00:00~2026-11-22", false),
            ("date-time", "2026-11-01~2026-11-02,23:59~23:59:59", true),
            ("tz-offset", "0", true),
            ("tz-offset", "1", false),
            ("dst", "true", false),
            ("dst", "false", true),
        ] {
            let (test, problems) = test(&[(name, value)]);
            assert_eq!(test.matches(&clock), expected, "{name}={value}");
            assert!(problems.is_empty(), "{problems:?}");
        }
        assert!(!test(&[("year", "2026"), ("hour", "1")]).0.matches(&clock));
    }

    #[test]
    fn nonsense_never_matches_and_is_reported() {
        let clock = at("2026-11-20T00:00:00+00:00");
        for (name, value) in [
            ("hour", "nine"),
            ("hour", ""),
            ("wday", "8"),
            ("wday", "funday"),
            ("time-of-day", "9-17"),
            ("date-time", "2026-11-20"),
            ("tz-offset", "CET"),
        ] {
            let (test, problems) = test(&[(name, value)]);
            assert!(!test.matches(&clock), "{name}={value}");
            assert_eq!(problems.len(), 1, "{name}={value}");
            assert!(problems.first().unwrap().to_string().starts_with("t.xml:2:"), "{problems:?}");
        }
        let bare = Element::new("condition", Position::new("t.xml", 1, 1));
        assert!(TimeTest::read(&bare, &mut Vec::new()).is_none());
    }

    #[test]
    fn points_of_time() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2024-07-04", Some("2024-07-04T00:00:00Z")),
            ("2024-07-04 10:20:30", Some("2024-07-04T10:20:30Z")),
            ("2024-7-4 25:00", Some("2024-07-05T01:00:00Z")),
            ("20240704102030", Some("2024-07-04T10:20:30Z")),
            ("10:20", Some("2026-11-20T10:20:00Z")),
            ("2024-13-04", None),
            ("soon", None),
            ("-", None),
            ("99999999999999999999", None),
        ] {
            let expected = expected.map(|e| e.parse().unwrap());
            assert_eq!(point(text, now, &TimeZone::UTC), expected, "{text}");
        }
    }
}
