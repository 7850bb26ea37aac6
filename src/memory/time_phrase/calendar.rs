//! Units, named days and named parts of the year as runs of local days; knows no clock and no zone.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

/// A half-open run of local days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) start: Date,
    pub(super) end: Date,
}

/// A unit that the calendar does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockUnit {
    Minute,
    Hour,
}

/// A unit made of whole local days. Weeks start on Monday; seasons are the meteorological ones of
/// the north, each three whole months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalendarUnit {
    Day,
    Week,
    Month,
    Quarter,
    Season,
    Year,
}

/// A name that comes back every week or every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Weekday(Weekday),
    /// Saturday and Sunday.
    Weekend,
    /// `count` whole months from month `first` on: a month, quarter, season, half or year.
    /// A winter belongs to the year in which it starts.
    Months {
        first: i8,
        count: i8,
    },
    /// A date of a month.
    Date {
        month: i8,
        day: i8,
    },
    Holiday(Holiday),
}

/// A named day of the year, as kept in the United States where countries differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holiday {
    Fixed {
        month: i8,
        day: i8,
    },
    /// The fourth Thursday of November, and days after it.
    Thanksgiving {
        days_after: i8,
    },
    /// Easter Sunday of the western church, and days after it.
    Easter {
        days_after: i8,
    },
}

impl ClockUnit {
    pub(super) fn seconds(self) -> i64 {
        match self {
            ClockUnit::Minute => 60,
            ClockUnit::Hour => 3_600,
        }
    }
}

impl CalendarUnit {
    /// `date` moved back by `count` of the unit.
    pub(super) fn before(self, date: Date, count: u32) -> Option<Date> {
        let span = match self {
            CalendarUnit::Day => Span::new().try_days(count),
            CalendarUnit::Week => Span::new().try_weeks(count),
            CalendarUnit::Month => Span::new().try_months(count),
            CalendarUnit::Quarter | CalendarUnit::Season => {
                Span::new().try_months(i64::from(count) * 3)
            }
            CalendarUnit::Year => Span::new().try_years(count),
        };
        date.checked_sub(span.ok()?).ok()
    }

    /// The whole unit in which `date` lies.
    pub(super) fn around(self, date: Date) -> Option<Days> {
        let (year, month) = (date.year(), date.month());
        match self {
            CalendarUnit::Day => Some(Days::run(date, 1)),
            CalendarUnit::Week => Some(Days::run(monday(date)?, 7)),
            CalendarUnit::Month => Days::months(year, month, 1),
            CalendarUnit::Quarter => Days::months(year, (month - 1) / 3 * 3 + 1, 3),
            CalendarUnit::Season if month < 3 => Days::months(year - 1, 12, 3),
            CalendarUnit::Season => Days::months(year, month / 3 * 3, 3),
            CalendarUnit::Year => Days::months(year, 1, 12),
        }
    }
}

impl Days {
    fn run(start: Date, days: i8) -> Days {
        Days { start, end: start.saturating_add(i64::from(days).days()) }
    }

    fn months(year: i16, first: i8, count: i8) -> Option<Days> {
        let start = Date::new(year, first, 1).ok()?;
        Some(Days { start, end: start.saturating_add(i64::from(count).months()) })
    }

    fn contains(self, date: Date) -> bool {
        self.start <= date && date < self.end
    }
}

impl Name {
    /// A date that at least leap years have.
    pub(super) fn date(month: i8, day: i8) -> Option<Name> {
        const LEAP_YEAR: i16 = 2000;
        Date::new(LEAP_YEAR, month, day).ok()?;
        Some(Name::Date { month, day })
    }

    /// Whether the name is of a single day.
    pub(super) fn is_day(self) -> bool {
        !matches!(self, Name::Weekend | Name::Months { .. })
    }

    /// Whether the name comes back every year, not every week.
    pub(super) fn is_yearly(self) -> bool {
        !matches!(self, Name::Weekday(_) | Name::Weekend)
    }

    /// The occurrence that starts in `year`; none for weekly names and for dates the year lacks.
    pub(super) fn in_year(self, year: i16) -> Option<Days> {
        match self {
            Name::Weekday(_) | Name::Weekend => None,
            Name::Months { first, count } => Days::months(year, first, count),
            Name::Date { month, day } => Some(Days::run(Date::new(year, month, day).ok()?, 1)),
            Name::Holiday(holiday) => Some(Days::run(holiday.in_year(year)?, 1)),
        }
    }

    /// The occurrence that starts in the week of `date`; none for yearly names.
    pub(super) fn in_week(self, date: Date) -> Option<Days> {
        let monday = monday(date)?;
        match self {
            Name::Weekday(weekday) => {
                let offset = i64::from(weekday.to_monday_zero_offset());
                Some(Days::run(monday.checked_add(offset.days()).ok()?, 1))
            }
            Name::Weekend => Some(Days::run(monday.checked_add(5.days()).ok()?, 2)),
            Name::Months { .. } | Name::Date { .. } | Name::Holiday(_) => None,
        }
    }

    /// The most recent occurrence that has begun on `today`.
    pub(super) fn latest(self, today: Date) -> Option<Days> {
        self.occurrences(today).rev().find(|days| days.start <= today)
    }

    /// The most recent occurrence that is over on `today`.
    pub(super) fn last(self, today: Date) -> Option<Days> {
        self.occurrences(today).rev().find(|days| days.end <= today)
    }

    /// The occurrence that goes on, else the one of this week or year.
    pub(super) fn this(self, today: Date) -> Option<Days> {
        self.occurrences(today)
            .find(|days| days.contains(today))
            .or_else(|| self.in_week(today))
            .or_else(|| self.in_year(today.year()))
    }

    /// The first occurrence that starts on `date` or later.
    pub(super) fn first_from(self, date: Date) -> Option<Days> {
        self.occurrences(date).find(|days| days.start >= date)
    }

    /// Occurrences around `date`, oldest first: enough that there is one on either side even for
    /// 29 February, which can be away for eight years.
    fn occurrences(self, date: Date) -> impl DoubleEndedIterator<Item = Days> {
        (-9..=9_i16).filter_map(move |offset| {
            let week = date.checked_add(i64::from(offset).weeks()).ok();
            let year = date.year().checked_add(offset);
            week.and_then(|day| self.in_week(day)).or_else(|| self.in_year(year?))
        })
    }
}

impl Holiday {
    fn in_year(self, year: i16) -> Option<Date> {
        match self {
            Holiday::Fixed { month, day } => Date::new(year, month, day).ok(),
            Holiday::Thanksgiving { days_after } => Date::new(year, 11, 1)
                .and_then(|november| november.nth_weekday_of_month(4, Weekday::Thursday))
                .and_then(|thursday| thursday.checked_add(i64::from(days_after).days()))
                .ok(),
            Holiday::Easter { days_after } => {
                easter(year)?.checked_add(i64::from(days_after).days()).ok()
            }
        }
    }
}

fn monday(date: Date) -> Option<Date> {
    let offset = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(offset.days()).ok()
}

/// Easter Sunday by the Gregorian computus (Meeus, Astronomical Algorithms, chapter 8, where the
/// letters come from).
fn easter(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let a = year_number.rem_euclid(19);
    let (b, c) = (year_number.div_euclid(100), year_number.rem_euclid(100));
    let (d, e) = (b / 4, b % 4);
    let g = (b - (b + 8) / 25 + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let days = h + l - 7 * m + 114;
    Date::new(year, i8::try_from(days / 31).ok()?, i8::try_from(days % 31 + 1).ok()?).ok()
}
