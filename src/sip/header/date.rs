//! Date (RFC 3261 §20.17): `Sat, 13 Nov 2010 23:29:00 GMT`.

use std::fmt;

use crate::sip::message::{Message, small_number};
use crate::sip::name::Name;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970-01-01 00:00 UTC. The clock is the caller's.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct Date(pub u64);

impl Date {
    /// Reads a whole header value. None when it is not of the one form SIP has, or before 1970.
    pub fn parse(text: &str) -> Option<Date> {
        let (day_name, rest) = text.trim().split_once(',')?;
        let mut words = rest.split_ascii_whitespace();
        let day = words.next().and_then(small_number)?;
        let month = words.next()?;
        let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))? as u64;
        let year = words.next().filter(|y| y.len() == 4).and_then(small_number)?;
        let mut clock = words.next()?.split(':').map(|t| if t.len() == 2 { small_number(t) } else { None });
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        if clock.next().is_some() || words.next()? != "GMT" || words.next().is_some() {
            return None;
        }
        if !(1..=31).contains(&day) || year < 1970 || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let days = days_before(u64::from(year), month + 1) + u64::from(day) - 1;
        let name = *DAYS.get((days % 7) as usize)?;
        name.eq_ignore_ascii_case(day_name.trim()).then_some(Date(
            days * 86_400 + u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second),
        ))
    }
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    // Years that begin in March, so that the leap day is the last of them.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 - 719_468
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let mut year = 1970 + days / 366;
        while days_before(year + 1, 1) <= days {
            year += 1;
        }
        let month = (1..=12).rev().find(|m| days_before(year, *m) <= days).unwrap_or(1);
        let day = days - days_before(year, month) + 1;
        let name = DAYS.get((days % 7) as usize).copied().unwrap_or("");
        let month = MONTHS.get(month as usize - 1).copied().unwrap_or("");
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{name}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

impl Message {
    /// Date. None when it is missing or malformed.
    pub fn date(&self) -> Option<Date> {
        self.header(Name::Date).and_then(Date::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_both_ways() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(Date(seconds).to_string(), text);
            assert_eq!(Date::parse(text), Some(Date(seconds)), "{text}");
        }
        for day in (0..60_000).step_by(17) {
            let date = Date(day * 86_400 + day % 86_400);
            assert_eq!(Date::parse(&date.to_string()), Some(date));
        }
    }

    #[test]
    fn refuses() {
        for bad in [
            "",
            "Fri, 01 Jan 2010 16:00:00 EST",
            "Fri, 13 Nov 2010 23:29:00 GMT",
            "Sat, 13 Nov 10 23:29:00 GMT",
            "Sat, 13 Nov 2010 24:29:00 GMT",
            "Sat, 13 Nov 2010 23:29 GMT",
            "13 Nov 2010 23:29:00 GMT",
        ] {
            assert_eq!(Date::parse(bad), None, "{bad}");
        }
    }
}
