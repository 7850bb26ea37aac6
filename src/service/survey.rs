//! What a whole file looks like: the map of memories by meaning, how they grew, totals.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Service;
use crate::auth::{Access, Principal};
use crate::memory::projection::Axes;
use crate::memory::{Filter, Memory, NamespaceSet, Stats};
use crate::store::{Located, SLOT_SECONDS, StoreError};
use crate::{Error, Result};

/// Most memories of one map.
pub const MAP_COUNT_MAX: usize = 5000;
/// How many of them the axes are made from.
const AXES_COUNT_MAX: usize = 2000;
/// A map whose memories have become this many times more is worth drawing anew.
const STALE_FACTOR: u64 = 2;
/// Most days of one answer: ten years and some.
const DAY_COUNT_MAX: i32 = 3660;
/// Days of a month, for totals.
const MONTH_DAYS: f64 = 30.0;

/// A sample of the memories, each at its place.
#[derive(Clone, Debug)]
pub struct MapView {
    /// Each memory with its place; both coordinates are within -1 and 1.
    pub points: Vec<(Memory, [f32; 2])>,
    /// Live memories in the asked namespaces.
    pub total: u64,
    /// What the places follow from.
    pub axes: AxesView,
}

/// The axes of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxesView {
    /// When they were made, in Unix seconds.
    pub drawn_at: f64,
    /// How many memories the file held then.
    pub drawn_for: u64,
    /// Whether it holds so many more now that they are worth making anew.
    pub is_stale: bool,
}

/// One day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// The local date.
    pub day: Date,
    /// Memories made on it.
    pub count: u64,
    /// Memories made up to its end.
    pub cumulative: u64,
}

/// How far back to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// So many days, today included.
    Days(i32),
    /// From the first memory on, at most ten years.
    All,
}

/// Totals for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// What the file holds.
    pub stats: Stats,
    /// Live memories made in the last 30 days.
    pub memories_this_month: u64,
}

/// The axes as they are kept in the file.
#[derive(Serialize, Deserialize)]
struct Kept {
    model: String,
    drawn_at: f64,
    drawn_for: u64,
    axes: Axes,
}

impl Service {
    /// A sample of at most `limit` memories, each at its place by meaning. The first call makes
    /// the axes; from then on no place moves until [`Service::redraw_map`].
    ///
    /// # Errors
    /// `Forbidden`, `InvalidInput` for a limit beyond [`MAP_COUNT_MAX`], those of the file.
    pub async fn map(
        &self,
        who: &Principal,
        namespaces: &NamespaceSet,
        limit: usize,
    ) -> Result<MapView> {
        if !(1..=MAP_COUNT_MAX).contains(&limit) {
            return Err(Error::invalid(format!("a map has 1 to {MAP_COUNT_MAX} memories")));
        }
        let namespaces = who.readable(namespaces)?;
        let kept = match self.kept_axes().await? {
            Some(kept) => kept,
            None => self.draw_axes(false).await?,
        };
        let filter = Filter { namespaces: namespaces.clone(), ..Filter::default() };
        let read = self.read(move |reader| {
            let sample = reader.sample(&namespaces, limit)?;
            Ok((sample, reader.count(&filter)?, reader.live_count()?))
        });
        let (sample, total, live_count) = read.await?;
        let place = |(Located { memory, .. }, vector): (Located, Vec<f32>)| {
            // A vector of a model that came in between has no place yet.
            (vector.len() == kept.axes.dimension()).then(|| (memory, kept.axes.place(&vector)))
        };
        let points = sample.into_iter().filter_map(place).collect();
        let axes = match who.require_everywhere(Access::Read) {
            Ok(()) => kept.view(live_count),
            // How many memories others have is nobody's business.
            Err(_) => AxesView { drawn_for: 0, is_stale: false, ..kept.view(live_count) },
        };
        Ok(MapView { points, total, axes })
    }

    /// Makes the axes of the map anew, from the memories of now.
    ///
    /// # Errors
    /// `Forbidden` without `write` everywhere; those of the file.
    pub async fn redraw_map(&self, who: &Principal) -> Result<AxesView> {
        who.require_everywhere(Access::Write)?;
        let kept = self.draw_axes(true).await?;
        Ok(kept.view(kept.drawn_for))
    }

    /// The axes in the file, if they are for its model.
    async fn kept_axes(&self) -> Result<Option<Kept>, StoreError> {
        self.read(|reader| {
            let Some(text) = reader.map_axes()? else { return Ok(None) };
            // What cannot be read is of another version: the axes are made again.
            let kept: Option<Kept> = serde_json::from_str(&text).ok();
            let model = reader.model()?;
            Ok(kept.filter(|kept| kept.model == model))
        })
        .await
    }

    /// Makes axes and keeps them; unless told to replace, those that another call kept meanwhile.
    async fn draw_axes(&self, replace: bool) -> Result<Kept> {
        let read = self.read(|reader| {
            let all = NamespaceSet::All;
            let dimension = reader.dimension()?;
            let sample = reader.sample(&all, AXES_COUNT_MAX)?;
            Ok((sample, dimension, reader.model()?, reader.live_count()?))
        });
        let (sample, dimension, model, drawn_for) = read.await?;
        let vectors: Vec<_> = sample.into_iter().map(|(_, vector)| vector).collect();
        let making = tokio::task::spawn_blocking(move || Axes::of(&vectors, dimension));
        let axes = making
            .await
            .map_err(|error| Error::internal("the axes of the map could not be made", error))?;
        let kept = Kept { model, drawn_at: crate::clock::now_seconds(), drawn_for, axes };
        let text = serde_json::to_string(&kept).expect("numbers and names are JSON");
        let keep =
            self.parts.store.write(move |writer| match writer.map_axes()?.filter(|_| !replace) {
                Some(other) => Ok(Some(other)),
                None => writer.keep_map_axes(&text).map(|()| None),
            });
        let other = keep.await?.and_then(|text| serde_json::from_str(&text).ok());
        Ok(other.filter(|other: &Kept| other.model == kept.model).unwrap_or(kept))
    }

    /// Memories by the local day on which they were made, every day of the period, oldest first.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidInput` for an unknown time zone.
    pub async fn growth(
        &self,
        who: &Principal,
        namespaces: &NamespaceSet,
        period: Period,
        tz: Option<&str>,
    ) -> Result<Vec<DayCount>> {
        let namespaces = who.readable(namespaces)?;
        let now = self.now(tz)?;
        let (zone, today) = (now.time_zone().clone(), now.date());
        let day_count = match period {
            Period::Days(count) => count.clamp(1, DAY_COUNT_MAX),
            Period::All => DAY_COUNT_MAX,
        };
        let first = earlier(today, day_count - 1);
        let after = midnight(first, &zone);
        let filter = Filter { namespaces: namespaces.clone(), ..Filter::default() };
        let read = self.read(move |reader| {
            Ok((reader.growth(&namespaces, Some(after))?, reader.count(&filter)?))
        });
        let (slots, total) = read.await?;
        let by_day = by_day(&slots, &zone);
        let before = total - slots.iter().map(|(_, count)| count).sum::<u64>().min(total);
        let first = match period {
            Period::Days(_) => first,
            Period::All => by_day.keys().next().map_or(today, |day| (*day).min(today)),
        };
        let last = by_day.keys().next_back().map_or(today, |day| (*day).max(today));
        Ok(days(first, last, before, &by_day))
    }

    /// Totals for people.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn overview(&self, who: &Principal, namespaces: &NamespaceSet) -> Result<Overview> {
        let stats = self.stats(who, namespaces).await?;
        let namespaces = who.readable(namespaces)?;
        let mut recent = Filter { namespaces, ..Filter::default() };
        recent.created.after = Some(crate::clock::now_seconds() - MONTH_DAYS * 24.0 * 3600.0);
        let memories_this_month = self.read(move |reader| reader.count(&recent)).await?;
        Ok(Overview { stats, memories_this_month })
    }
}

impl Kept {
    fn view(&self, live_count: u64) -> AxesView {
        AxesView {
            drawn_at: self.drawn_at,
            drawn_for: self.drawn_for,
            is_stale: live_count >= self.drawn_for.max(1) * STALE_FACTOR,
        }
    }
}

fn earlier(day: Date, count: i32) -> Date {
    day.checked_sub(jiff::Span::new().days(count)).unwrap_or(Date::MIN)
}

/// The start of a day in Unix seconds.
fn midnight(day: Date, zone: &TimeZone) -> f64 {
    let start = day.to_zoned(zone.clone()).map(|start| start.timestamp().as_second());
    start.unwrap_or(i64::MIN) as f64
}

fn by_day(slots: &[(i64, u64)], zone: &TimeZone) -> BTreeMap<Date, u64> {
    let mut days = BTreeMap::new();
    for (slot, count) in slots {
        // What lies beyond the calendar has no day.
        let Ok(instant) = jiff::Timestamp::from_second(slot.saturating_mul(SLOT_SECONDS)) else {
            continue;
        };
        *days.entry(instant.to_zoned(zone.clone()).date()).or_default() += count;
    }
    days
}

/// Every day from the first to the last, the last [`DAY_COUNT_MAX`] of them at most.
fn days(first: Date, last: Date, before: u64, by_day: &BTreeMap<Date, u64>) -> Vec<DayCount> {
    let last = last.min(first.saturating_add(jiff::Span::new().days(DAY_COUNT_MAX)));
    let mut cumulative = before;
    let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last);
    days.map(|day| {
        let count = by_day.get(&day).copied().unwrap_or_default();
        cumulative += count;
        DayCount { day, count, cumulative }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_time_zone_and_none_is_left_out() {
        let zone = TimeZone::get("Asia/Kathmandu").unwrap();
        // 18:15 UTC is midnight there.
        let slot = |text: &str| {
            let instant: jiff::Timestamp = text.parse().unwrap();
            instant.as_second() / SLOT_SECONDS
        };
        let slots = [
            (slot("2026-11-20T18:00:00Z"), 1),
            (slot("2026-11-20T18:15:00Z"), 2),
            (slot("2026-11-22T10:00:00Z"), 4),
        ];
        let day = |text: &str| text.parse::<Date>().unwrap();
        let found = days(day("2026-11-20"), day("2026-11-23"), 10, &by_day(&slots, &zone));
        let counts: Vec<_> = found.iter().map(|day| (day.count, day.cumulative)).collect();
        assert_eq!(counts, [(1, 11), (2, 13), (4, 17), (0, 17)]);
        assert_eq!(found[3].day, day("2026-11-23"));
    }

    #[test]
    fn times_beyond_the_calendar_have_no_day() {
        let slots = [(i64::MAX, 1), (i64::MIN, 1), (0, 1)];
        assert_eq!(by_day(&slots, &TimeZone::UTC).len(), 1);
    }
}
