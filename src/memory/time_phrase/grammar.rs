//! From words to what they mean, before any clock is asked. Each rule takes the words it knows from
//! the front and leaves the rest; of several rules that fit, the one that takes most words wins.

use jiff::civil::Weekday;

use super::calendar::{CalendarUnit, Name};
use super::cursor::{Cursor, Rule, Step, longest};
use super::meaning::{Period, Phrase, Query, Which, Year};
use super::words::{self, Part, Unit};
use super::written;

/// The words that may stand before a phrase without changing it.
pub(super) const LEADS: [&str; 8] = ["in", "on", "at", "during", "within", "over", "from", "for"];

/// Reads one phrase with its limits from the front.
pub(super) fn query(at: Cursor<'_>) -> Step<'_, Query> {
    longest(at, &[between, from_to, from_onward, bounded, led, bare])
}

fn between(at: Cursor<'_>) -> Step<'_, Query> {
    let (from, at) = phrase(at.expect(&["between"])?)?;
    let (to, at) = phrase(at.expect(&["and"])?)?;
    Some((Query::Between(from, to), at))
}

fn from_to(at: Cursor<'_>) -> Step<'_, Query> {
    let (from, at) = phrase(at.expect(&["from"])?)?;
    let (to, at) = phrase(at.expect(&["to", "until", "till", "through"])?)?;
    Some((Query::Between(from, to), at))
}

fn from_onward(at: Cursor<'_>) -> Step<'_, Query> {
    let (from, at) = phrase(at.expect(&["from"])?)?;
    Some((Query::Since(from), at.expect(&["onward", "onwards"])?))
}

fn bounded(at: Cursor<'_>) -> Step<'_, Query> {
    let (limit, at) = at.word()?;
    let limited = match limit {
        "since" => Query::Since,
        "until" | "till" => Query::Until,
        "before" => Query::Before,
        "after" => Query::After,
        _ => return None,
    };
    let (phrase, at) = phrase(at)?;
    Some((limited(phrase), at))
}

/// "in march"; but "over a year ago" and "in two days ago" do not mean what is left without the
/// first word, so plain distances take no lead but "from".
fn led(at: Cursor<'_>) -> Step<'_, Query> {
    let distances = at.expect(&["from"]).is_some();
    let at = at.expect(&LEADS)?;
    let (phrase, at) = if distances { phrase(at)? } else { phrase_of(at, &PERIODS)? };
    Some((Query::In(phrase), at))
}

fn bare(at: Cursor<'_>) -> Step<'_, Query> {
    let (phrase, at) = phrase(at)?;
    Some((Query::In(phrase), at))
}

fn phrase(at: Cursor<'_>) -> Step<'_, Phrase> {
    let distance = phrase_of(at, &[ago]);
    distance.or_else(|| phrase_of(at, &PERIODS))
}

/// Every kind of period but plain distances.
const PERIODS: [Rule<Period>; 11] = [
    adverb,
    day_before_yesterday,
    this_or_last_unit,
    unit_before_last,
    rolling,
    weekday_of_week,
    named,
    half,
    whole_year,
    written::date,
    written::date_time,
];

fn phrase_of<'t>(at: Cursor<'t>, periods: &[Rule<Period>]) -> Step<'t, Phrase> {
    if let Some(found) = part_of_near_day(at) {
        return Some(found);
    }
    let plain = longest(at, periods).map(|(period, at)| (None, period, at));
    let (weekday, period, at) = match dated_weekday(at) {
        Some(((weekday, period), at)) => (Some(weekday), period, at),
        None => plain?,
    };
    match trailing_part(at) {
        Some((part, at)) if period.is_day() => {
            Some((Phrase { period, part: Some(part), weekday }, at))
        }
        _ => Some((Phrase { period, part: None, weekday }, at)),
    }
}

/// "tonight", "last night", "this morning".
fn part_of_near_day(at: Cursor<'_>) -> Step<'_, Phrase> {
    let (word, at) = at.word()?;
    let (count, part, at) = match word {
        "tonight" => (0, Part::Night, at),
        "last" => (1, Part::Night, at.expect(&["night"])?),
        "this" => {
            let (part, at) = at.word()?;
            (0, words::part(part)?, at)
        }
        _ => return None,
    };
    let period = Period::days_ago(count);
    Some((Phrase { period, part: Some(part), weekday: None }, at))
}

/// A weekday in front of a date: "monday, march 3".
fn dated_weekday(at: Cursor<'_>) -> Step<'_, (Weekday, Period)> {
    let (word, at) = at.word()?;
    let weekday = words::weekday(word)?;
    let (period, at) = longest(at.skip_comma(), &[named, written::date])?;
    let is_date = matches!(period, Period::Named { name: Name::Date { .. }, .. });
    is_date.then_some(((weekday, period), at))
}

/// The part in "yesterday morning", "yesterday at noon", "monday in the evening".
fn trailing_part(at: Cursor<'_>) -> Step<'_, Part> {
    let at = match at.expect(&["in"]) {
        Some(at) => at.expect(&["the"])?,
        None => at.skip(&["at"]),
    };
    let (word, at) = at.word()?;
    Some((words::part(word)?, at))
}

/// "two days ago", "an hour ago".
fn ago(at: Cursor<'_>) -> Step<'_, Period> {
    let (count, at) = at.word()?;
    let count = if matches!(count, "a" | "an") { 1 } else { words::count(count)? };
    let (unit, at) = at.word()?;
    let unit = words::units(unit)?;
    Some((Period::Ago { count, unit }, at.expect(&["ago"])?))
}

fn adverb(at: Cursor<'_>) -> Step<'_, Period> {
    let (word, at) = at.word()?;
    let period = match word {
        "today" => Period::days_ago(0),
        "yesterday" => Period::days_ago(1),
        "recent" | "recently" | "lately" => {
            Period::Rolling { count: 7, unit: Unit::Calendar(CalendarUnit::Day) }
        }
        _ => return None,
    };
    Some((period, at))
}

fn day_before_yesterday(at: Cursor<'_>) -> Step<'_, Period> {
    let at = at.skip(&["the"]).expect(&["day"])?.expect(&["before"])?;
    Some((Period::days_ago(2), at.expect(&["yesterday"])?))
}

/// "this week", "last month". The last hour is the sixty minutes that end now.
fn this_or_last_unit(at: Cursor<'_>) -> Step<'_, Period> {
    let (which, at) = at.skip(&["the"]).word()?;
    let (unit, at) = at.word()?;
    let unit = words::unit(unit)?;
    let period = match (which, unit) {
        ("this", Unit::Calendar(_)) => Period::Ago { count: 0, unit },
        ("last" | "previous", Unit::Calendar(_)) => Period::Ago { count: 1, unit },
        ("last", Unit::Clock(_)) | ("past", _) => Period::Rolling { count: 1, unit },
        _ => return None,
    };
    Some((period, at))
}

/// "the week before last", with or without the unit said again; "the week before last christmas"
/// is not it.
fn unit_before_last(at: Cursor<'_>) -> Step<'_, Period> {
    let (word, at) = at.skip(&["the"]).word()?;
    let unit = words::unit(word).filter(|unit| matches!(unit, Unit::Calendar(_)))?;
    let last = at.expect(&["before"])?;
    let at = last.expect(&["last"])?;
    let at = match at.expect(&[word]) {
        Some(at) => at,
        None if longest(last, &[this_or_last_unit, rolling, named]).is_some() => return None,
        None => at,
    };
    Some((Period::Ago { count: 2, unit }, at))
}

/// "last 3 days", "the past two weeks".
fn rolling(at: Cursor<'_>) -> Step<'_, Period> {
    let at = at.skip(&["the"]).expect(&["last", "past", "previous"])?;
    let (count, at) = at.word()?;
    let (unit, at) = at.word()?;
    let period = Period::Rolling { count: words::count(count)?, unit: words::units(unit)? };
    Some((period, at))
}

/// "monday last week", "tuesday of this week".
fn weekday_of_week(at: Cursor<'_>) -> Step<'_, Period> {
    let (word, at) = at.word()?;
    let weekday = words::weekday(word)?;
    let (which, at) = at.skip(&["of"]).word()?;
    let weeks_back = match which {
        "this" => 0,
        "last" | "previous" => 1,
        _ => return None,
    };
    Some((Period::WeekdayOf { weekday, weeks_back }, at.expect(&["week"])?))
}

/// "march", "last friday", "this summer", "christmas 2024", "q1 of last year".
fn named(at: Cursor<'_>) -> Step<'_, Period> {
    if let Some(at) = at.skip(&["the"]).expect(&["last", "previous"]) {
        let (name, at) = name(at)?;
        return Some((Period::Named { name, which: Which::Last }, at));
    }
    if let Some(at) = at.expect(&["this"]) {
        let (name, at) = name(at)?;
        return Some((Period::Named { name, which: Which::This }, at));
    }
    let (name, at) = name(at)?;
    match of_year(at) {
        Some((year, at)) if name.is_yearly() => {
            Some((Period::Named { name, which: Which::Of(year) }, at))
        }
        _ => Some((Period::Named { name, which: Which::Latest }, at)),
    }
}

fn name(at: Cursor<'_>) -> Step<'_, Name> {
    longest(at, &[weekday, month, month_day, day_month, quarter, weekend_or_season, holiday])
}

fn weekday(at: Cursor<'_>) -> Step<'_, Name> {
    let (word, at) = at.word()?;
    Some((Name::Weekday(words::weekday(word)?), at))
}

fn month(at: Cursor<'_>) -> Step<'_, Name> {
    let (word, at) = at.word()?;
    Some((Name::Months { first: words::month(word)?, count: 1 }, at))
}

fn month_day(at: Cursor<'_>) -> Step<'_, Name> {
    let (month, at) = at.word()?;
    let (day, at) = at.word()?;
    Some((Name::date(words::month(month)?, words::day(day)?)?, at))
}

/// "3 march", "the 3rd of march".
fn day_month(at: Cursor<'_>) -> Step<'_, Name> {
    let (day, at) = at.skip(&["the"]).word()?;
    let (month, at) = at.skip(&["of"]).word()?;
    Some((Name::date(words::month(month)?, words::day(day)?)?, at))
}

/// "q1", "the first quarter".
fn quarter(at: Cursor<'_>) -> Step<'_, Name> {
    let (word, at) = at.skip(&["the"]).word()?;
    let (number, at) = match word.strip_prefix('q') {
        Some(digit) => (words::small_number(digit)?, at),
        None => (words::ordinal(word)?, at.expect(&["quarter"])?),
    };
    let known = (1..=4).contains(&number);
    known.then(|| (Name::Months { first: number * 3 - 2, count: 3 }, at))
}

fn weekend_or_season(at: Cursor<'_>) -> Step<'_, Name> {
    let (word, at) = at.skip(&["the"]).word()?;
    let name = if word == "weekend" { Name::Weekend } else { words::season(word)? };
    Some((name, at))
}

fn holiday(at: Cursor<'_>) -> Step<'_, Name> {
    let known = |(words, holiday): &(&[&str], _)| {
        let rest = words.iter().try_fold(at, |at, word| at.expect(&[word]))?;
        Some((Name::Holiday(*holiday), rest))
    };
    words::HOLIDAYS.iter().filter_map(known).min_by_key(|(_, at)| at.rest.len())
}

/// "first half of 2024".
fn half(at: Cursor<'_>) -> Step<'_, Period> {
    let (ordinal, at) = at.skip(&["the"]).word()?;
    let first = match words::ordinal(ordinal)? {
        1 => 1,
        2 => 7,
        _ => return None,
    };
    let (year, at) = of_year(at.expect(&["half"])?)?;
    let name = Name::Months { first, count: 6 };
    Some((Period::Named { name, which: Which::Of(year) }, at))
}

/// A year alone. Other numbers of four digits are rarely years.
fn whole_year(at: Cursor<'_>) -> Step<'_, Period> {
    let (word, at) = at.word()?;
    let year = words::year(word).filter(|year| (1900..2200).contains(year))?;
    let name = Name::Months { first: 1, count: 12 };
    Some((Period::Named { name, which: Which::Of(Year::Number(year)) }, at))
}

/// A year after a name: "2025", ", 2025", "of 2025", "of last year".
fn of_year(at: Cursor<'_>) -> Step<'_, Year> {
    let (word, after) = at.skip_comma().skip(&["of"]).word()?;
    if let Some(year) = words::year(word) {
        return Some((Year::Number(year), after));
    }
    let back = match word {
        "this" | "the" => 0,
        "last" | "previous" => 1,
        _ => return None,
    };
    Some((Year::Back(back), after.expect(&["year"])?))
}
