//! When something was said, as a memory tells it itself: in metadata, or in brackets before its
//! text. Programs that cannot set when a memory was made write it there.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::words::split;
use crate::memory::Memory;

/// Where other programs write the time.
const TIME_KEYS: [&str; 8] = [
    "date",
    "timestamp",
    "datetime",
    "date_time",
    "session_date",
    "session_date_time",
    "time",
    "created",
];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Years that a number may mean.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2200;
/// Larger numbers are milliseconds.
const SECONDS_MAX: f64 = 1e11;
/// Longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 64;

/// The time in Unix seconds; noon of a day in UTC.
pub fn told_at(memory: &Memory) -> Option<f64> {
    let told = TIME_KEYS.iter().find_map(|key| match memory.metadata.get(*key)? {
        Value::Number(number) => number.as_f64().filter(|number| *number > 0.0).map(seconds),
        Value::String(text) => noon(text),
        _ => None,
    });
    told.or_else(|| noon(in_brackets(&memory.content)?))
}

fn seconds(number: f64) -> f64 {
    if number > SECONDS_MAX { number / 1_000.0 } else { number }
}

/// What stands in brackets at the start of a text.
fn in_brackets(content: &str) -> Option<&str> {
    let rest = content.trim_start();
    let close = if rest.starts_with('[') { ']' } else { ')' };
    let inner = rest.strip_prefix(['[', '('])?;
    inner.split_once(close).map(|(inner, _)| inner)
}

/// Noon of the day that a text names.
fn noon(text: &str) -> Option<f64> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let date = iso(text).or_else(|| written(text))?;
    let noon = date.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).ok()?;
    Some(noon.timestamp().as_second() as f64)
}

/// `2023-05-08`, whatever follows; `2023/05/08` too.
fn iso(text: &str) -> Option<Date> {
    let start = text.trim().get(..10)?.replace('/', "-");
    start.parse().ok()
}

/// `1:56 pm on 8 May, 2023`, `May 8, 2023`, `8th of May 2023`.
fn written(text: &str) -> Option<Date> {
    let words: Vec<&str> = split(text).collect();
    let month = |word: &&str| {
        let start = word.get(..3).unwrap_or_default().to_lowercase();
        MONTHS.iter().position(|month| *month == start && word.is_ascii())
    };
    let at = words.iter().position(|word| month(word).is_some())?;
    let year = words.iter().find_map(|word| word.parse().ok().filter(|year| YEARS.contains(year)));
    let day = |word: &&str| {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        digits.parse::<i8>().ok().filter(|day| (1..=31).contains(day))
    };
    let before = words[..at].iter().rev().filter(|word| **word != "of");
    let day = before.take(1).chain(words[at + 1..].iter().take(1)).find_map(day);
    let month = i8::try_from(month(&words[at])? + 1).ok()?;
    Date::new(year?, month, day.unwrap_or(1)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::relevance::tests::memory;

    const MAY_8: f64 = 1_683_547_200.0;

    #[test]
    fn dates_are_read_as_people_and_programs_write_them() {
        for text in [
            "2023-05-08",
            "2023-05-08T23:59:59Z",
            "2023/05/08 (Mon) 20:32",
            "1:56 pm on 8 May, 2023",
            "May 8, 2023",
            "8th of May 2023",
        ] {
            assert_eq!(noon(text), Some(MAY_8), "{text}");
        }
        for text in ["", "maybe", "May", "2023", "8 May", "31 February 2023", "session 5"] {
            assert_eq!(noon(text), None, "{text}");
        }
    }

    #[test]
    fn metadata_comes_before_the_text() {
        let mut one = memory("(1:56 pm on 8 May, 2023) Caroline: hi");
        assert_eq!(told_at(&one), Some(MAY_8));
        one.metadata.insert("timestamp".to_owned(), json!(1_700_000_000_000_i64));
        assert_eq!(told_at(&one), Some(1_700_000_000.0));
        one.metadata.insert("date".to_owned(), json!("2024-01-01"));
        assert_eq!(told_at(&one), Some(1_704_110_400.0));
        assert_eq!(told_at(&memory("[user] in May 2023")), None);
        assert_eq!(told_at(&memory("plain")), None);
    }
}
