//! What a phrase means before any clock is asked.

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};

use super::calendar::{CalendarUnit, Name};
use super::words::{Part, Unit};

/// A phrase with its limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Query {
    In(Phrase),
    Between(Phrase, Phrase),
    Since(Phrase),
    Until(Phrase),
    Before(Phrase),
    After(Phrase),
}

/// A period, perhaps narrowed to a part of its day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Phrase {
    pub(super) period: Period,
    /// Set only when the period is a single day.
    pub(super) part: Option<Part>,
    /// The weekday the period was said to have, as in "monday, 3 march".
    pub(super) weekday: Option<Weekday>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Period {
    /// So many units back: 0 is the present unit, as in "today" and "this week".
    Ago { count: u32, unit: Unit },
    /// The so many units that end now.
    Rolling { count: u32, unit: Unit },
    /// A weekday of the week so many weeks back.
    WeekdayOf { weekday: Weekday, weeks_back: u32 },
    /// A named occurrence.
    Named { name: Name, which: Which },
    /// A point in time, written down to the minute or the second.
    Instant { moment: Moment, precision_s: i64 },
}

/// Which occurrence of a name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The most recent one that has begun.
    Latest,
    /// The most recent one that is over.
    Last,
    /// The one of now.
    This,
    /// The one that starts in the year.
    Of(Year),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Year {
    Number(i16),
    /// So many years back.
    Back(i16),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moment {
    /// With an offset in the text.
    Absolute(Timestamp),
    /// In the zone of now.
    Local(DateTime),
}

impl Period {
    /// The local day so many days back.
    pub(super) fn days_ago(count: u32) -> Period {
        Period::Ago { count, unit: Unit::Calendar(CalendarUnit::Day) }
    }

    /// Whether the period is a single local day.
    pub(super) fn is_day(self) -> bool {
        match self {
            Period::Ago { unit, .. } => unit == Unit::Calendar(CalendarUnit::Day),
            Period::WeekdayOf { .. } => true,
            Period::Named { name, .. } => name.is_day(),
            Period::Rolling { .. } | Period::Instant { .. } => false,
        }
    }
}
