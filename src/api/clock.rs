//! `strftime`, `strftime_tz`, `strepoch`.

use std::fmt::Write;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::world::World;
use crate::dialplan::point;

/// The format when none is given.
const USUAL: &str = "%Y-%m-%d %T";
/// What `strftime` takes behind a `%`; with anything else it answers nothing.
const CHECKED: &str = "CDrRTeaAbBcdHIjmMpSUwWxXyYzZ%";

/// `strftime [EPOCH|]FORMAT`. As in FreeSWITCH the character behind the `|` is skipped: write a blank there.
pub fn strftime(world: &dyn World, text: &str) -> String {
    let (when, format) = match text.split_once('|') {
        Some((epoch, rest)) => {
            let mut characters = rest.chars();
            characters.next();
            (seconds(epoch).unwrap_or(world.now()), characters.as_str())
        }
        None => (world.now(), text),
    };
    if format.is_empty() {
        return written(USUAL, &when.to_zoned(world.time_zone()));
    }
    let mut rest = format;
    while let Some((_, behind)) = rest.split_once('%') {
        match behind.chars().next() {
            Some(c) if CHECKED.contains(c) => rest = behind.get(1..).unwrap_or(""),
            _ => return String::new(),
        }
    }
    written(format, &when.to_zoned(world.time_zone()))
}

/// `strftime_tz ZONE [EPOCH|]FORMAT`; without a zone UTC, with epoch 0 now.
pub fn strftime_tz(world: &dyn World, text: &str) -> String {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (when, format) = match rest.split_once('|') {
        Some((epoch, format)) => (seconds(epoch), format),
        None => (None, rest),
    };
    let when = when.filter(|w| *w != Timestamp::UNIX_EPOCH).unwrap_or(world.now());
    let zone = if name.is_empty() { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() };
    let date = zone.map(|zone| written(if format.is_empty() { USUAL } else { format }, &when.to_zoned(zone)));
    date.filter(|date| !date.is_empty()).unwrap_or_else(|| "-ERR Invalid timezone/format\n".to_owned())
}

/// `strepoch [DATE]`: seconds since 1970, 0 for a date that cannot be read.
pub fn strepoch(world: &dyn World, text: &str) -> String {
    let when = match text {
        "" => Some(world.now()),
        text => point(text, world.now(), &world.time_zone()),
    };
    when.map_or(0, Timestamp::as_second).to_string()
}

/// `strmicroepoch [DATE]`: the same in microseconds.
pub fn strmicroepoch(world: &dyn World, text: &str) -> String {
    let when = match text {
        "" => Some(world.now()),
        text => point(text, world.now(), &world.time_zone()),
    };
    when.map_or(0, Timestamp::as_microsecond).to_string()
}

/// C's `atol`, as a time.
fn seconds(text: &str) -> Option<Timestamp> {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    let number: i64 = text.get(..sign + digits).and_then(|n| n.parse().ok()).unwrap_or(0);
    Timestamp::from_second(number).ok()
}

/// C's `strftime` in the C locale.
fn written(format: &str, at: &Zoned) -> String {
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(c) = characters.next() {
        match c {
            '%' => match characters.next() {
                Some(conversion) => convert(conversion, at, &mut out),
                None => out.push('%'),
            },
            c => out.push(c),
        }
    }
    out
}

fn convert(conversion: char, at: &Zoned, out: &mut String) {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let name = |list: &'static [&'static str], index: i8| {
        usize::try_from(index).ok().and_then(|i| list.get(i)).copied().unwrap_or("")
    };
    let day = name(&DAYS, at.weekday().to_sunday_zero_offset());
    let month = name(&MONTHS, at.month() - 1);
    let week = at.date().iso_week_date();
    let twelve = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let since = i32::from(at.day_of_year()) - 1;
    let sunday = i32::from(at.weekday().to_sunday_zero_offset());
    let monday = i32::from(at.weekday().to_monday_zero_offset());
    let done = match conversion {
        'a' => write!(out, "{}", day.get(..3).unwrap_or("")),
        'A' => write!(out, "{day}"),
        'b' | 'h' => write!(out, "{}", month.get(..3).unwrap_or("")),
        'B' => write!(out, "{month}"),
        'c' => return out.push_str(&written("%a %b %e %H:%M:%S %Y", at)),
        'C' => write!(out, "{:02}", at.year().div_euclid(100)),
        'd' => write!(out, "{:02}", at.day()),
        'D' | 'x' => return out.push_str(&written("%m/%d/%y", at)),
        'e' => write!(out, "{:2}", at.day()),
        'F' => return out.push_str(&written("%Y-%m-%d", at)),
        'g' => write!(out, "{:02}", week.year().rem_euclid(100)),
        'G' => write!(out, "{}", week.year()),
        'H' => write!(out, "{:02}", at.hour()),
        'I' => write!(out, "{twelve:02}"),
        'j' => write!(out, "{:03}", at.day_of_year()),
        'k' => write!(out, "{:2}", at.hour()),
        'l' => write!(out, "{twelve:2}"),
        'm' => write!(out, "{:02}", at.month()),
        'M' => write!(out, "{:02}", at.minute()),
        'n' => writeln!(out),
        'p' => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
        'P' => write!(out, "{}", if at.hour() < 12 { "am" } else { "pm" }),
        'r' => return out.push_str(&written("%I:%M:%S %p", at)),
        'R' => return out.push_str(&written("%H:%M", at)),
        's' => write!(out, "{}", at.timestamp().as_second()),
        'S' => write!(out, "{:02}", at.second()),
        't' => write!(out, "\t"),
        'T' | 'X' => return out.push_str(&written("%H:%M:%S", at)),
        'u' => write!(out, "{}", at.weekday().to_monday_one_offset()),
        'U' => write!(out, "{:02}", (since + 7 - sunday) / 7),
        'V' => write!(out, "{:02}", week.week()),
        'w' => write!(out, "{sunday}"),
        'W' => write!(out, "{:02}", (since + 7 - monday) / 7),
        'y' => write!(out, "{:02}", at.year().rem_euclid(100)),
        'Y' => write!(out, "{}", at.year()),
        'z' => write!(out, "{}", offset(at.offset())),
        'Z' => write!(out, "{}", at.time_zone().to_offset_info(at.timestamp()).abbreviation()),
        '%' => write!(out, "%"),
        other => write!(out, "%{other}"),
    };
    done.unwrap_or(())
}

fn offset(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}
