//! What phrases mean at fixed times, which are refused, and what holds for all of them.

mod properties;
mod queries;
mod readings;
mod refusals;

use jiff::Zoned;
use jiff::civil::{Date, DateTime};

use super::{PHRASE_CHARS_MAX, QUERY_CHARS_MAX, TimeRange, extract, parse, parse_instant};

/// A Wednesday.
const WEDNESDAY: &str = "2025-06-18T15:30:00[UTC]";
/// Clocks went forward the night before last, at 02:00 on 9 March.
const AFTER_SPRING_CHANGE: &str = "2025-03-10T12:00:00[America/New_York]";
/// Clocks went back the night before last, at 02:00 on 2 November.
const AFTER_AUTUMN_CHANGE: &str = "2025-11-03T12:00:00[America/New_York]";

fn at(now: &str) -> Zoned {
    now.parse().unwrap()
}

/// "*" is unbounded; an end without an offset is local.
fn end(text: &str, now: &Zoned) -> Option<f64> {
    let zone = now.time_zone();
    let timestamp = match text {
        "*" => return None,
        _ if text.ends_with('Z') => text.parse().unwrap(),
        _ if text.contains('T') => zone.to_timestamp(text.parse::<DateTime>().unwrap()).unwrap(),
        _ => zone.to_timestamp(text.parse::<Date>().unwrap().at(0, 0, 0, 0)).unwrap(),
    };
    Some(timestamp.as_duration().as_secs_f64())
}

fn range(text: &str, now: &Zoned) -> TimeRange {
    let (after, before) = text.split_once(" .. ").unwrap();
    TimeRange { after: end(after, now), before: end(before, now) }
}

/// `expected` is "after .. before".
#[track_caller]
fn check(now: &str, phrase: &str, expected: &str) {
    let now = at(now);
    let found = parse(phrase, &now).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found, range(expected, &now), "'{phrase}' should be {expected}");
}

#[track_caller]
fn check_refused(phrase: &str) {
    let found = parse(phrase, &at(WEDNESDAY));
    assert!(found.is_err(), "'{phrase}' was read as {found:?}");
}

/// `expected` is the range and the rest of the query.
#[track_caller]
fn check_extract(query: &str, expected: Option<(&str, &str)>) {
    let now = at(WEDNESDAY);
    let expected = expected.map(|(span, rest)| (range(span, &now), rest.to_owned()));
    assert_eq!(extract(query, &now), expected, "in '{query}'");
}
