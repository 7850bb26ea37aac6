//! The phrases of time in a request.

use super::problem::Problem;
use crate::Error;
use crate::memory::time_phrase::{self, TimeRange};

/// The longest phrase, as the document says.
const PHRASE_CHARS_MAX: usize = 200;
/// So much of a longer one is repeated to the caller.
const SHOWN_CHARS: usize = 40;

/// The time now, in a named IANA zone or else in that of the node.
pub type Now<'a> = &'a dyn Fn(Option<&str>) -> crate::Result<jiff::Zoned>;

/// The phrases of time in a request.
#[derive(Clone, Copy, Default)]
pub struct Phrases<'a> {
    /// The IANA time zone they are read in; that of the node when absent.
    pub tz: Option<&'a str>,
    /// Within this time.
    pub during: Option<&'a str>,
    /// From the start of this on.
    pub after: Option<&'a str>,
    /// Up to the start of this.
    pub before: Option<&'a str>,
}

impl Phrases<'_> {
    /// The range that all of them together leave. What is empty counts as absent.
    ///
    /// # Errors
    /// Status 400 for a phrase that cannot be read, 422 for an unknown time zone.
    pub fn range(&self, now: Now<'_>) -> Result<TimeRange, Problem> {
        let given = |text: &&str| !text.trim().is_empty();
        let phrases = Phrases {
            tz: self.tz.filter(given),
            during: self.during.filter(given),
            after: self.after.filter(given),
            before: self.before.filter(given),
        };
        if phrases.during.or(phrases.after).or(phrases.before).is_none() {
            return Ok(TimeRange::default());
        }
        phrases.strict_range(now)
    }

    /// The same, but what is empty is a phrase that cannot be read.
    ///
    /// # Errors
    /// As [`Phrases::range`].
    pub fn strict_range(&self, now: Now<'_>) -> Result<TimeRange, Problem> {
        let mut phrases = [self.during, self.after, self.before].into_iter().flatten();
        if let Some(long) = phrases.find(|text| text.chars().count() > PHRASE_CHARS_MAX) {
            let start: String = long.chars().take(SHOWN_CHARS).collect();
            let detail = format!(
                "Could not parse time query: '{start}...': a phrase has at most \
                 {PHRASE_CHARS_MAX} characters"
            );
            return Err(Problem::query(Error::invalid(detail).reason("unreadable_time_phrase")));
        }
        self.range_at(&now(self.tz)?)
    }

    fn range_at(&self, now: &jiff::Zoned) -> Result<TimeRange, Problem> {
        let during = self.during.map(|phrase| time_phrase::parse(phrase, now)).transpose();
        let mut range = during.map_err(Problem::query)?.unwrap_or_default();
        let instant = |text: Option<&str>| {
            text.map(|text| time_phrase::parse_instant(text, now))
                .transpose()
                .map_err(Problem::query)
        };
        if let Some(after) = instant(self.after)? {
            range.after = Some(range.after.map_or(after, |other| other.max(after)));
        }
        if let Some(before) = instant(self.before)? {
            range.before = Some(range.before.map_or(before, |other| other.min(before)));
        }
        Ok(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> jiff::Zoned {
        "2026-11-22T15:00:00+00:00[UTC]".parse().expect("a time")
    }

    #[test]
    fn the_range_is_what_all_phrases_leave() {
        let day = |text: &str| {
            let date: jiff::civil::Date = text.parse().expect("a date");
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).expect("it has a midnight");
            Some(midnight.timestamp().as_second() as f64)
        };
        let phrases = Phrases {
            during: Some("between 2026-11-01 and 2026-11-10"),
            after: Some("2026-11-05"),
            before: Some("2026-12-01"),
            tz: None,
        };
        let range = phrases.range_at(&now()).expect("readable");
        assert_eq!((range.after, range.before), (day("2026-11-05"), day("2026-11-11")));
        let phrases = Phrases { before: Some("2026-11-08"), ..phrases };
        let range = phrases.range_at(&now()).expect("readable");
        assert_eq!(range.before, day("2026-11-08"), "that day is left out");
    }

    #[test]
    fn an_unreadable_phrase_is_a_bad_query() {
        let check = |phrases: Phrases<'_>| {
            let problem = phrases.range_at(&now()).expect_err("unreadable");
            assert_eq!(problem.status().as_u16(), 400);
            assert_eq!(problem.text(), "Could not parse time query: 'maybe'");
        };
        check(Phrases { during: Some("maybe"), ..Phrases::default() });
        check(Phrases { after: Some("maybe"), ..Phrases::default() });
        check(Phrases { before: Some("maybe"), ..Phrases::default() });
    }
}
