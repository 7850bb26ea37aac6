//! From meaning to instants, given now. Days are local: each starts when the zone says, so a day
//! of a clock change has 23 or 25 hours.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::TimeRange;
use super::calendar::{CalendarUnit, ClockUnit, Days, Name};
use super::meaning::{Moment, Period, Phrase, Query, Which, Year};
use super::words::{Part, Unit};

/// Periods that end now reach one second further, so that what is stored at this moment counts.
const NOW_GRACE: SignedDuration = SignedDuration::from_secs(1);

/// A half-open stretch of time.
#[derive(Clone, Copy)]
struct Window {
    start: Timestamp,
    end: Timestamp,
    /// The point that was named, when the stretch only widens it.
    point: Option<Timestamp>,
}

/// The range that `query` means at `now`, when it means one.
pub(super) fn range(query: Query, now: &Zoned) -> Option<TimeRange> {
    let (after, before) = match query {
        Query::In(phrase) => {
            let window = window(phrase, now)?;
            (Some(window.start), Some(window.end))
        }
        Query::Between(from, to) => {
            let (after, before) = between(from, to, now)?;
            (Some(after), Some(before))
        }
        Query::Since(phrase) => (Some(window(phrase, now)?.first()), None),
        Query::After(phrase) => (Some(window(phrase, now)?.last()), None),
        Query::Until(phrase) => (None, Some(window(phrase, now)?.last())),
        Query::Before(phrase) => (None, Some(window(phrase, now)?.first())),
    };
    Some(TimeRange { after: after.map(unix_s), before: before.map(unix_s) })
}

/// The start of a plain phrase; phrases with limits of their own have none to give.
pub(super) fn start(query: Query, now: &Zoned) -> Option<f64> {
    let Query::In(phrase) = query else { return None };
    Some(unix_s(window(phrase, now)?.first()))
}

impl Window {
    fn first(self) -> Timestamp {
        self.point.unwrap_or(self.start)
    }

    fn last(self) -> Timestamp {
        self.point.unwrap_or(self.end)
    }
}

/// A name without a year moves to where the other end makes sense: "march to may 2024" is March
/// 2024, and "november to march" in January ends in the coming March.
fn between(from: Phrase, to: Phrase, now: &Zoned) -> Option<(Timestamp, Timestamp)> {
    let end = window(to, now)?;
    let start = if is_floating(from) && !is_floating(to) {
        window(from, &end.first().to_zoned(now.time_zone().clone()))?
    } else {
        window(from, now)?
    };
    let mut last = end.last();
    if last <= start.first() {
        last = following(to, start, now)?.last();
    }
    (start.first() < last).then_some((start.first(), last))
}

/// The first occurrence of a name without a year that starts with or after `start`; any other
/// phrase stays where it is.
fn following(phrase: Phrase, start: Window, now: &Zoned) -> Option<Window> {
    match phrase.period {
        Period::Named { name, which: Which::Latest } => {
            let from = start.first().to_zoned(now.time_zone().clone()).date();
            calendar_window(name.first_from(from)?, phrase, now)
        }
        _ => window(phrase, now),
    }
}

fn is_floating(phrase: Phrase) -> bool {
    matches!(phrase.period, Period::Named { which: Which::Latest, .. })
}

fn window(phrase: Phrase, now: &Zoned) -> Option<Window> {
    let today = now.date();
    let days = match phrase.period {
        Period::Instant { moment, precision_s } => return instant(moment, precision_s, now),
        Period::Rolling { count, unit } => return rolling(count, unit, now),
        Period::Ago { count, unit: Unit::Clock(unit) } => return clock_ago(count, unit, now),
        Period::Ago { count, unit: Unit::Calendar(unit) } => {
            unit.around(unit.before(today, count)?)?
        }
        Period::WeekdayOf { weekday, weeks_back } => {
            Name::Weekday(weekday).in_week(CalendarUnit::Week.before(today, weeks_back)?)?
        }
        Period::Named { name, which } => match which {
            Which::Latest => name.latest(today)?,
            Which::Last => name.last(today)?,
            Which::This => name.this(today)?,
            Which::Of(Year::Number(year)) => name.in_year(year)?,
            Which::Of(Year::Back(years)) => name.in_year(today.year().checked_sub(years)?)?,
        },
    };
    calendar_window(days, phrase, now)
}

fn calendar_window(days: Days, phrase: Phrase, now: &Zoned) -> Option<Window> {
    if days.start.year() < 1 || phrase.weekday.is_some_and(|said| said != days.start.weekday()) {
        return None;
    }
    let zone = now.time_zone();
    let (start, end) = match phrase.part {
        None => (midnight(days.start), midnight(days.end)),
        Some(part) => part_of_day(part, days.start),
    };
    let start = timestamp(start, zone);
    Some(Window { start, end: timestamp(end, zone).max(start), point: None })
}

fn part_of_day(part: Part, day: Date) -> (DateTime, DateTime) {
    let clock = |hour, minute| day.at(hour, minute, 0, 0);
    let half_hour = 30.minutes();
    match part {
        Part::Morning => (clock(5, 0), clock(12, 0)),
        Part::Noon => (clock(11, 30), clock(12, 30)),
        Part::Afternoon => (clock(12, 0), clock(18, 0)),
        Part::Evening => (clock(18, 0), clock(22, 0)),
        Part::Night => (clock(18, 0), day.saturating_add(1.day()).at(5, 0, 0, 0)),
        Part::Midnight => (midnight(day).saturating_sub(half_hour), clock(0, 30)),
    }
}

fn instant(moment: Moment, precision_s: i64, now: &Zoned) -> Option<Window> {
    let point = match moment {
        Moment::Absolute(point) => point,
        Moment::Local(datetime) => timestamp(datetime, now.time_zone()),
    };
    let end = point.saturating_add(SignedDuration::from_secs(precision_s)).ok()?;
    Some(Window { start: point, end, point: Some(point) })
}

/// Hours and minutes count back exactly; days and longer units from the start of the day that lies
/// so far back, so that "last 2 days" holds all that happened "2 days ago".
fn rolling(count: u32, unit: Unit, now: &Zoned) -> Option<Window> {
    let start = match unit {
        Unit::Clock(unit) => back(count, unit, now)?,
        Unit::Calendar(unit) => {
            let day = unit.before(now.date(), count).filter(|day| day.year() >= 1)?;
            timestamp(midnight(day), now.time_zone())
        }
    };
    let end = now.timestamp().saturating_add(NOW_GRACE).ok()?;
    Some(Window { start, end, point: None })
}

/// One unit around the point: "3 hours ago" is from 3.5 to 2.5 hours ago.
fn clock_ago(count: u32, unit: ClockUnit, now: &Zoned) -> Option<Window> {
    let point = back(count, unit, now)?;
    let half = SignedDuration::from_secs(unit.seconds() / 2);
    let start = point.checked_sub(half).ok()?;
    Some(Window { start, end: point.saturating_add(half).ok()?, point: Some(point) })
}

fn back(count: u32, unit: ClockUnit, now: &Zoned) -> Option<Timestamp> {
    let span = SignedDuration::from_secs(i64::from(count) * unit.seconds());
    let point = now.timestamp().checked_sub(span).ok()?;
    let year = point.to_zoned(TimeZone::UTC).year();
    (year >= 1).then_some(point)
}

fn midnight(date: Date) -> DateTime {
    date.at(0, 0, 0, 0)
}

/// The instant of a local time. One that the clocks skip is the instant after the gap, one that
/// they repeat is the first. The last hours of the year 9999 have no instant and become the last.
fn timestamp(local: DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_timestamp(local).unwrap_or(Timestamp::MAX)
}

fn unix_s(timestamp: Timestamp) -> f64 {
    timestamp.as_duration().as_secs_f64()
}
