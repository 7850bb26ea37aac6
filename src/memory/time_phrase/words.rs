//! The vocabulary: what single words and fixed groups of words mean.

use jiff::civil::Weekday;

use super::calendar::{CalendarUnit, ClockUnit, Holiday, Name};

/// A unit of time, by how it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Clock(ClockUnit),
    Calendar(CalendarUnit),
}

/// A part of a local day, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// 05:00 to 12:00.
    Morning,
    /// 11:30 to 12:30.
    Noon,
    /// 12:00 to 18:00.
    Afternoon,
    /// 18:00 to 22:00.
    Evening,
    /// 18:00 to 05:00 of the next day.
    Night,
    /// The hour around the start of the day.
    Midnight,
}

/// A unit in the singular.
pub(super) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "minute" | "min" => Unit::Clock(ClockUnit::Minute),
        "hour" | "hr" => Unit::Clock(ClockUnit::Hour),
        "day" => Unit::Calendar(CalendarUnit::Day),
        "week" => Unit::Calendar(CalendarUnit::Week),
        "month" => Unit::Calendar(CalendarUnit::Month),
        "quarter" => Unit::Calendar(CalendarUnit::Quarter),
        "season" => Unit::Calendar(CalendarUnit::Season),
        "year" => Unit::Calendar(CalendarUnit::Year),
        _ => return None,
    })
}

/// A unit in the singular or plural.
pub(super) fn units(word: &str) -> Option<Unit> {
    unit(word).or_else(|| unit(word.strip_suffix('s')?))
}

/// A count in digits or in words up to twelve.
pub(super) fn count(word: &str) -> Option<u32> {
    const WORDS: [&str; 12] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    match WORDS.iter().position(|&known| known == word) {
        Some(position) => u32::try_from(position + 1).ok(),
        None => number(word),
    }
}

/// A year of four digits.
pub(super) fn year(word: &str) -> Option<i16> {
    if word.len() != 4 {
        return None;
    }
    number(word).and_then(|year| i16::try_from(year).ok()).filter(|&year| year >= 1)
}

/// A day of a month as "3", "03" or "3rd".
pub(super) fn day(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let day = small_number(digits)?;
    let suffix = &word[digits.len()..];
    (suffix.is_empty() || suffix == ordinal_suffix(day)).then_some(day)
}

/// A number of one or two digits.
pub(super) fn small_number(word: &str) -> Option<i8> {
    if word.len() > 2 {
        return None;
    }
    i8::try_from(number(word)?).ok()
}

/// First to fourth, in words or digits.
pub(super) fn ordinal(word: &str) -> Option<i8> {
    match word {
        "first" | "1st" => Some(1),
        "second" | "2nd" => Some(2),
        "third" | "3rd" => Some(3),
        "fourth" | "4th" => Some(4),
        _ => None,
    }
}

/// A weekday or its usual abbreviation.
pub(super) fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" | "tues" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" | "thur" | "thurs" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// The number of a month or of its usual abbreviation.
pub(super) fn month(word: &str) -> Option<i8> {
    Some(match word {
        "january" | "jan" => 1,
        "february" | "feb" => 2,
        "march" | "mar" => 3,
        "april" | "apr" => 4,
        "may" => 5,
        "june" | "jun" => 6,
        "july" | "jul" => 7,
        "august" | "aug" => 8,
        "september" | "sept" | "sep" => 9,
        "october" | "oct" => 10,
        "november" | "nov" => 11,
        "december" | "dec" => 12,
        _ => return None,
    })
}

/// A season: the three months that meteorologists count to it in the north.
pub(super) fn season(word: &str) -> Option<Name> {
    let first = match word {
        "spring" => 3,
        "summer" => 6,
        "autumn" | "fall" => 9,
        "winter" => 12,
        _ => return None,
    };
    Some(Name::Months { first, count: 3 })
}

/// A part of the day.
pub(super) fn part(word: &str) -> Option<Part> {
    Some(match word {
        "morning" => Part::Morning,
        "noon" => Part::Noon,
        "afternoon" => Part::Afternoon,
        "evening" => Part::Evening,
        "night" => Part::Night,
        "midnight" => Part::Midnight,
        _ => return None,
    })
}

/// Holidays, each name before the longer ones that begin with it.
pub(super) const HOLIDAYS: &[(&[&str], Holiday)] = &[
    (&["christmas"], Holiday::Fixed { month: 12, day: 25 }),
    (&["xmas"], Holiday::Fixed { month: 12, day: 25 }),
    (&["christmas", "day"], Holiday::Fixed { month: 12, day: 25 }),
    (&["christmas", "eve"], Holiday::Fixed { month: 12, day: 24 }),
    (&["new", "year"], Holiday::Fixed { month: 1, day: 1 }),
    (&["new", "year", "day"], Holiday::Fixed { month: 1, day: 1 }),
    (&["new", "year", "eve"], Holiday::Fixed { month: 12, day: 31 }),
    (&["new", "years"], Holiday::Fixed { month: 1, day: 1 }),
    (&["new", "years", "day"], Holiday::Fixed { month: 1, day: 1 }),
    (&["new", "years", "eve"], Holiday::Fixed { month: 12, day: 31 }),
    (&["valentine"], Holiday::Fixed { month: 2, day: 14 }),
    (&["valentine", "day"], Holiday::Fixed { month: 2, day: 14 }),
    (&["valentines"], Holiday::Fixed { month: 2, day: 14 }),
    (&["valentines", "day"], Holiday::Fixed { month: 2, day: 14 }),
    (&["halloween"], Holiday::Fixed { month: 10, day: 31 }),
    (&["thanksgiving"], Holiday::Thanksgiving { days_after: 0 }),
    (&["thanksgiving", "day"], Holiday::Thanksgiving { days_after: 0 }),
    (&["black", "friday"], Holiday::Thanksgiving { days_after: 1 }),
    (&["good", "friday"], Holiday::Easter { days_after: -2 }),
    (&["easter"], Holiday::Easter { days_after: 0 }),
    (&["easter", "sunday"], Holiday::Easter { days_after: 0 }),
    (&["easter", "monday"], Holiday::Easter { days_after: 1 }),
];

/// Digits only: the standard parser would also take a sign.
fn number(word: &str) -> Option<u32> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

fn ordinal_suffix(day: i8) -> &'static str {
    match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}
