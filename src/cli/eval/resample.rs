//! How sure a mean is: percentiles of the means of samples drawn anew (Efron 1979).

use std::collections::BTreeMap;

/// Samples that are drawn.
const SAMPLE_COUNT: usize = 2_000;
/// The share of samples that lies on either side of an interval of 95 %.
const TAIL: f64 = 0.025;
/// So that equal runs say the same.
const SEED: u64 = 0x6d65_6d6e_6f64_6501;

/// A mean and the interval that holds it in 95 % of all samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The mean of values; values of one group are drawn together.
pub(super) fn estimate(values: &[f64], groups: &[&str]) -> Estimate {
    let mut by_group: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (value, group) in values.iter().zip(groups) {
        let (sum, count) = by_group.entry(group).or_default();
        *sum += value;
        *count += 1.0;
    }
    let groups: Vec<(f64, f64)> = by_group.into_values().collect();
    let mean = |drawn: &mut dyn Iterator<Item = (f64, f64)>| {
        let (sum, count) = drawn.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        sum / count
    };
    let mut random = Random(SEED);
    let mut means: Vec<f64> = (0..SAMPLE_COUNT)
        .map(|_| mean(&mut (0..groups.len()).map(|_| groups[random.below(groups.len())])))
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (SAMPLE_COUNT - 1) as f64).round() as usize];
    let mean = mean(&mut groups.iter().copied());
    Estimate { mean, low: at(TAIL), high: at(1.0 - TAIL) }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_the_mean_and_narrows_with_more_values() {
        let spread = |count: usize| {
            let values: Vec<f64> = (0..count).map(|n| (n % 2) as f64).collect();
            let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let groups: Vec<&str> = names.iter().map(String::as_str).collect();
            let found = estimate(&values, &groups);
            assert_eq!(found.mean, 0.5);
            assert!(found.low < 0.5 && found.high > 0.5, "{found:?}");
            found.high - found.low
        };
        // The standard error of a share of one half is 0.5 / sqrt(n).
        assert!((spread(100) - 2.0 * 1.96 * 0.05).abs() < 0.03);
        assert!(spread(1_000) < spread(100));
    }

    #[test]
    fn values_of_one_group_count_as_one_draw() {
        let values: Vec<f64> = (0..100).map(|n| f64::from(n / 50)).collect();
        let groups: Vec<&str> = (0..100).map(|n| if n < 50 { "a" } else { "b" }).collect();
        let found = estimate(&values, &groups);
        assert_eq!((found.mean, found.low, found.high), (0.5, 0.0, 1.0));
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        let found = estimate(&[0.25; 7], &["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!(found, Estimate { mean: 0.25, low: 0.25, high: 0.25 });
    }
}
