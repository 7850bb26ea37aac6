//! Reads phrases of time such as "last week" or "between march 3 and may"; pure: now and its time
//! zone are given. Phrases are matched as whole words, and one that is not understood to its last
//! word is refused, because a wrong guess would silently hide memories.
//!
//! How the phrases that people could take in two ways are read:
//! - Weeks start on Monday; seasons are whole months of the north (summer is June to August), and
//!   a winter belongs to the year in which it starts.
//! - A name without a year is its most recent occurrence that has begun; with "last" it is the
//!   most recent that is over; with "this" it is the one of this week or year.
//! - "2 days ago" is that whole local day; so are "3 weeks ago" the week from Monday, "2 months
//!   ago" and "a year ago" the calendar month and year. "2 hours ago" is the hour around it.
//! - "last week" is the week before this one; "last 7 days" and "past week" end now.
//! - "since" and "until" hold what they name, "after" and "before" do not.

mod calendar;
mod cursor;
mod extract;
mod grammar;
mod lexer;
mod meaning;
mod resolve;
mod words;
mod written;

#[cfg(test)]
mod tests;

use jiff::{Timestamp, Zoned};

use crate::Error;
use cursor::Cursor;
use meaning::Query;

/// Longer phrases are refused unread, in characters.
pub const PHRASE_CHARS_MAX: usize = 200;

/// In longer queries no phrase is looked for, in characters.
pub const QUERY_CHARS_MAX: usize = 4_096;

/// A half-open range of Unix seconds; `None` is unbounded. `after` is never later than `before`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeRange {
    /// The first instant in the range.
    pub after: Option<f64>,
    /// The first instant behind the range.
    pub before: Option<f64>,
}

impl TimeRange {
    /// What both ranges hold; empty when they share nothing.
    #[must_use]
    pub fn within(self, other: TimeRange) -> TimeRange {
        let of = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        TimeRange {
            after: of(self.after, other.after, f64::max),
            before: of(self.before, other.before, f64::min),
        }
    }
}

/// A phrase that does not speak of a time, or not in words that are known here.
// The text is what clients of mcp-memory-service already match on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Could not parse time query: '{phrase}'")]
pub struct UnreadablePhrase {
    phrase: String,
}

impl UnreadablePhrase {
    fn new(phrase: &str) -> Self {
        UnreadablePhrase { phrase: phrase.chars().take(PHRASE_CHARS_MAX).collect() }
    }
}

impl From<UnreadablePhrase> for Error {
    fn from(unreadable: UnreadablePhrase) -> Self {
        Error::invalid(unreadable.to_string()).reason("unreadable_time_phrase")
    }
}

/// The range that `phrase` means at `now`, in the time zone of `now`.
///
/// # Errors
/// When not all of the phrase is understood, when it means a time before the year 1 or an end that
/// is not after its start, or when it is longer than [`PHRASE_CHARS_MAX`].
pub fn parse(phrase: &str, now: &Zoned) -> Result<TimeRange, UnreadablePhrase> {
    whole_query(phrase)
        .and_then(|query| resolve::range(query, now))
        .ok_or_else(|| UnreadablePhrase::new(phrase))
}

/// Finds a phrase inside a longer query and returns its range and the query without it.
///
/// The phrase of most words wins. Words that rarely speak of time by themselves ("may", "fall")
/// count only with a word such as "in", "last" or a year beside them, and phrases that the words
/// around them turn into another time ("next friday") not at all.
pub fn extract(query: &str, now: &Zoned) -> Option<(TimeRange, String)> {
    if is_longer(query, QUERY_CHARS_MAX) {
        return None;
    }
    extract::extract(query, now)
}

/// An end of a range, in Unix seconds: an ISO date or date-time, Unix seconds as a number (so
/// "2024" is not a year here), or a phrase. All of them name the instant at which they start,
/// whichever end they are for: what is before 2024-01-01 was made in 2023.
///
/// # Errors
/// As [`parse`]; also for phrases that bring limits of their own, such as "since may".
pub fn parse_instant(text: &str, now: &Zoned) -> Result<f64, UnreadablePhrase> {
    let found = match unix_seconds(text.trim()) {
        Some(seconds) => in_calendar(seconds),
        None => whole_query(text).and_then(|query| resolve::start(query, now)),
    };
    found.ok_or_else(|| UnreadablePhrase::new(text))
}

/// The meaning of `phrase` when all of its words belong to it.
fn whole_query(phrase: &str) -> Option<Query> {
    if is_longer(phrase, PHRASE_CHARS_MAX) {
        return None;
    }
    let tokens = lexer::tokens(phrase);
    let (query, at) = grammar::query(Cursor { rest: lexer::without_outer_marks(&tokens) })?;
    at.rest.is_empty().then_some(query)
}

fn is_longer(text: &str, chars_max: usize) -> bool {
    text.chars().nth(chars_max).is_some()
}

/// Numbers only: the standard parser also takes "inf" and "nan".
fn unix_seconds(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    is_number.then(|| text.parse().ok())?
}

/// Milliseconds given for seconds lie far outside the calendar and are refused by this.
fn in_calendar(seconds: f64) -> Option<f64> {
    let limit = |timestamp: Timestamp| timestamp.as_duration().as_secs_f64();
    (limit(Timestamp::MIN)..=limit(Timestamp::MAX)).contains(&seconds).then_some(seconds)
}
