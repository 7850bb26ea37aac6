//! Dates and times in digits: ISO 8601 and M/D/YYYY.

use jiff::civil::{Date, Time};

use super::calendar::Name;
use super::cursor::{Cursor, Step};
use super::meaning::{Moment, Period, Which, Year};
use super::words;

/// "2025-03-01", "2025-03", "3/1/2025", "3/1".
pub(super) fn date(at: Cursor<'_>) -> Step<'_, Period> {
    let (word, at) = at.word()?;
    let (name, which) = iso_date(word).or_else(|| slash_date(word))?;
    Some((Period::Named { name, which }, at))
}

fn iso_date(word: &str) -> Option<(Name, Which)> {
    let (year, date) = word.split_once('-')?;
    let year = Which::Of(Year::Number(words::year(year)?));
    let (month, day) = match date.split_once('-') {
        Some((month, day)) => (month, Some(day)),
        None => (date, None),
    };
    if month.len() != 2 || day.is_some_and(|day| day.len() != 2) {
        return None;
    }
    let month = words::small_number(month)?;
    match day {
        Some(day) => Some((Name::date(month, words::small_number(day)?)?, year)),
        None => {
            (1..=12).contains(&month).then_some((Name::Months { first: month, count: 1 }, year))
        }
    }
}

fn slash_date(word: &str) -> Option<(Name, Which)> {
    let mut parts = word.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let which = match year {
        Some(year) => Which::Of(Year::Number(words::year(year)?)),
        None => Which::Latest,
    };
    Some((Name::date(words::small_number(month)?, words::small_number(day)?)?, which))
}

/// "2025-03-01T10:00:00Z", "2025-03-01 10:00".
pub(super) fn date_time(at: Cursor<'_>) -> Step<'_, Period> {
    let (word, at) = at.word()?;
    if let Some((date, time)) = word.split_once('t') {
        return Some((instant(date, time)?, at));
    }
    let (time, at) = at.word()?;
    Some((instant(word, time)?, at))
}

fn instant(date: &str, time: &str) -> Option<Period> {
    iso_date(date).filter(|(name, _)| name.is_day())?;
    let clock_len = time.find(['z', '+', '-']).unwrap_or(time.len());
    let (clock, offset) = time.split_at(clock_len);
    let precision_s = match clock.matches(':').count() {
        1 => 60,
        2 => 1,
        _ => return None,
    };
    let moment = if offset.is_empty() {
        Moment::Local(date.parse::<Date>().ok()?.to_datetime(clock.parse::<Time>().ok()?))
    } else {
        Moment::Absolute(format!("{date}t{time}").parse().ok()?)
    };
    Some(Period::Instant { moment, precision_s })
}
