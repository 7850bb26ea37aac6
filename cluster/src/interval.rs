//! Sets of sequence numbers, as intervals.

use minicbor::decode::{Decoder, Error};

use crate::cbor::{Writer, Written};
use crate::origin::OSEQ_MAX;

/// A set of sequence numbers from 1 on, kept as the shortest list of intervals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntervalSet {
    /// Ascending, neither overlapping nor touching, ends included.
    intervals: Vec<(u64, u64)>,
}

impl IntervalSet {
    /// Adds one number and says whether it was missing.
    ///
    /// # Panics
    /// For 0 and beyond [`OSEQ_MAX`].
    pub fn insert(&mut self, oseq: u64) -> bool {
        let missing = !self.contains(oseq);
        if missing {
            self.insert_range(oseq, oseq);
        }
        missing
    }

    /// Adds `lo..=hi`.
    ///
    /// # Panics
    /// Unless 1 <= `lo` <= `hi` <= [`OSEQ_MAX`].
    pub fn insert_range(&mut self, lo: u64, hi: u64) {
        assert!(1 <= lo, "sequence numbers start at 1");
        assert!(lo <= hi, "an interval ends where it starts or later");
        assert!(hi <= OSEQ_MAX, "a sequence number fits an SQLite integer");
        // Everything that overlaps or touches lo..=hi melts into one interval.
        let from = self.intervals.partition_point(|&(_, end)| end + 1 < lo);
        let to = self.intervals.partition_point(|&(start, _)| start <= hi + 1);
        let melted = match self.intervals.get(from..to) {
            Some([first, .., last]) => (lo.min(first.0), hi.max(last.1)),
            Some([only]) => (lo.min(only.0), hi.max(only.1)),
            _ => (lo, hi),
        };
        self.intervals.splice(from..to, [melted]);
    }

    /// Whether the number is in the set.
    pub fn contains(&self, oseq: u64) -> bool {
        let at = self.intervals.partition_point(|&(_, end)| end < oseq);
        self.intervals.get(at).is_some_and(|&(start, _)| start <= oseq)
    }

    /// Adds all of another set.
    pub fn join(&mut self, other: &IntervalSet) {
        for (lo, hi) in other.iter() {
            self.insert_range(lo, hi);
        }
    }

    /// What is in this set and not in the other.
    pub fn subtract(&self, other: &IntervalSet) -> IntervalSet {
        let mut rest = Vec::new();
        let mut taken = other.iter().peekable();
        for (mut lo, hi) in self.iter() {
            while let Some(&(start, end)) = taken.peek()
                && start <= hi
            {
                if lo < start {
                    rest.push((lo, start - 1));
                }
                lo = lo.max(end + 1);
                if end > hi {
                    // It reaches towards the next interval and stays for it.
                    break;
                }
                taken.next();
            }
            if lo <= hi {
                rest.push((lo, hi));
            }
        }
        IntervalSet { intervals: rest }
    }

    /// What is in both sets.
    pub fn intersect(&self, other: &IntervalSet) -> IntervalSet {
        self.subtract(&self.subtract(other))
    }

    /// The first `count_max` numbers.
    pub fn take(&self, count_max: u64) -> IntervalSet {
        let mut left = count_max;
        let mut intervals = Vec::new();
        for (lo, hi) in self.iter() {
            if left == 0 {
                break;
            }
            let hi = hi.min(lo.saturating_add(left - 1));
            left -= hi - lo + 1;
            intervals.push((lo, hi));
        }
        IntervalSet { intervals }
    }

    /// The intervals `(lo, hi)`, ends included, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.intervals.iter().copied()
    }

    /// The smallest number, `None` when empty.
    pub fn first(&self) -> Option<u64> {
        self.intervals.first().map(|&(start, _)| start)
    }

    /// The greatest number, 0 when empty.
    pub fn head(&self) -> u64 {
        self.intervals.last().map_or(0, |&(_, end)| end)
    }

    /// Whether every number from 1 to the head is there.
    pub fn is_gapless(&self) -> bool {
        match self.intervals[..] {
            [] => true,
            [(start, _)] => start == 1,
            _ => false,
        }
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// How many numbers are there.
    pub fn count(&self) -> u64 {
        self.intervals.iter().map(|&(start, end)| end - start + 1).sum()
    }

    /// Writes the ends of all intervals, without a header.
    pub(crate) fn write(&self, encoder: &mut Writer<'_>) -> Written {
        for (lo, hi) in self.iter() {
            encoder.u64(lo)?.u64(hi)?;
        }
        Ok(())
    }

    /// Reads `count` intervals. They must ascend with a number missing between them, so reading
    /// takes linear time.
    pub(crate) fn read(decoder: &mut Decoder<'_>, count: u64) -> Result<IntervalSet, Error> {
        let mut set = IntervalSet::default();
        for _ in 0..count {
            let (lo, hi) = (decoder.u64()?, decoder.u64()?);
            let lo_min = if set.is_empty() { 1 } else { set.head() + 2 };
            if lo < lo_min || hi < lo || hi > OSEQ_MAX {
                return Err(Error::message("intervals out of order"));
            }
            set.intervals.push((lo, hi));
        }
        Ok(set)
    }

    /// How many intervals there are.
    pub(crate) fn interval_count(&self) -> u64 {
        self.intervals.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn set(intervals: &[(u64, u64)]) -> IntervalSet {
        let mut set = IntervalSet::default();
        for &(lo, hi) in intervals {
            set.insert_range(lo, hi);
        }
        set
    }

    fn any_set() -> impl Strategy<Value = (IntervalSet, BTreeSet<u64>)> {
        vec((1..40u64, 0..5u64), 0..10).prop_map(|ranges| {
            let ranges: Vec<_> = ranges.into_iter().map(|(lo, more)| (lo, lo + more)).collect();
            (set(&ranges), ranges.iter().flat_map(|&(lo, hi)| lo..=hi).collect())
        })
    }

    fn numbers(set: &IntervalSet) -> BTreeSet<u64> {
        set.iter().flat_map(|(lo, hi)| lo..=hi).collect()
    }

    fn is_normal(set: &IntervalSet) -> bool {
        set.intervals.iter().all(|(lo, hi)| lo <= hi)
            && set.intervals.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0)
    }

    #[test]
    fn neighbours_melt_and_holes_stay() {
        let set = set(&[(5, 6), (1, 2), (9, 9), (3, 3), (7, 7)]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [(1, 3), (5, 7), (9, 9)]);
        assert!(!set.is_gapless());
        assert_eq!((set.head(), set.count()), (9, 7));
    }

    #[test]
    fn gapless_means_from_one_to_the_head() {
        assert!(set(&[]).is_gapless());
        assert!(set(&[(1, 7)]).is_gapless());
        assert!(!set(&[(2, 7)]).is_gapless());
        assert_eq!(set(&[]).head(), 0);
    }

    #[test]
    fn the_greatest_number_is_as_good_as_any() {
        let mut set = set(&[(OSEQ_MAX, OSEQ_MAX)]);
        assert!(!set.insert(OSEQ_MAX));
        assert!(set.insert(OSEQ_MAX - 1));
        assert!(set.contains(OSEQ_MAX) && !set.contains(u64::MAX));
        assert!(set.subtract(&set).is_empty());
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers((a, a_model) in any_set(), (b, b_model) in any_set()) {
            prop_assert_eq!(numbers(&a), a_model.clone());
            prop_assert_eq!(a.count(), a_model.len() as u64);
            prop_assert_eq!(a.head(), a_model.last().copied().unwrap_or(0));
            let mut joined = a.clone();
            joined.join(&b);
            prop_assert_eq!(numbers(&joined), &a_model | &b_model);
            let rest = a.subtract(&b);
            prop_assert_eq!(numbers(&rest), &a_model - &b_model);
            prop_assert_eq!(numbers(&a.intersect(&b)), &a_model & &b_model);
            prop_assert_eq!(a.first(), a_model.first().copied());
            let first: BTreeSet<u64> = a_model.iter().copied().take(3).collect();
            prop_assert_eq!(numbers(&a.take(3)), first);
            prop_assert!(a.take(0).is_empty());
            prop_assert!(is_normal(&a) && is_normal(&joined) && is_normal(&rest));
        }

        #[test]
        fn inserting_tells_new_from_known((mut set, mut model) in any_set(), number in 1..50u64) {
            prop_assert_eq!(set.contains(number), model.contains(&number));
            prop_assert_eq!(set.insert(number), model.insert(number));
            prop_assert!(is_normal(&set));
            prop_assert_eq!(numbers(&set), model);
        }
    }
}
