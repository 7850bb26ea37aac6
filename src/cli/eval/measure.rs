//! How good one answer is.

use std::collections::BTreeMap;

/// The rank down to which nDCG looks.
pub(super) const GAIN_DEPTH: usize = 10;

/// How good one answer is, all from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measures {
    /// For each cut, the share of the relevant memories among so many results.
    pub(super) recall: Vec<f64>,
    /// One over the rank of the first relevant memory; 0 when none was found.
    pub(super) reciprocal_rank: f64,
    /// nDCG at [`GAIN_DEPTH`].
    pub(super) gain: f64,
}

impl Measures {
    /// Of an answer, best first, to a question.
    pub(super) fn of(found: &[String], relevant: &BTreeMap<String, f64>, cuts: &[usize]) -> Self {
        let grades: Vec<f64> =
            found.iter().map(|hash| relevant.get(hash).copied().unwrap_or(0.0)).collect();
        let hits = |cut: usize| grades.iter().take(cut).filter(|grade| **grade > 0.0).count();
        let recall = cuts.iter().map(|cut| hits(*cut) as f64 / relevant.len() as f64).collect();
        let first = grades.iter().position(|grade| *grade > 0.0);
        let mut best: Vec<f64> = relevant.values().copied().collect();
        best.sort_by(|a, b| b.total_cmp(a));
        Measures {
            recall,
            reciprocal_rank: first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            gain: discounted(&grades) / discounted(&best),
        }
    }

    /// All of them, in the order of the report's columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = f64> {
        self.recall.iter().copied().chain([self.reciprocal_rank, self.gain])
    }
}

/// Discounted cumulative gain (Järvelin and Kekäläinen 2002), gains as they are.
fn discounted(grades: &[f64]) -> f64 {
    let ranked = grades.iter().take(GAIN_DEPTH).zip(2_u32..);
    ranked.map(|(grade, rank)| grade / f64::from(rank).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(found: &[&str], relevant: &[(&str, f64)]) -> Measures {
        let found: Vec<String> = found.iter().map(|name| (*name).to_owned()).collect();
        let relevant = relevant.iter().map(|(name, grade)| ((*name).to_owned(), *grade)).collect();
        Measures::of(&found, &relevant, &[1, 3])
    }

    #[test]
    fn an_answer_is_measured_by_what_stands_where() {
        let all = [("a", 1.0), ("b", 1.0)];
        let best = measures(&["a", "b", "c"], &all);
        assert_eq!(best, Measures { recall: vec![0.5, 1.0], reciprocal_rank: 1.0, gain: 1.0 });
        let late = measures(&["c", "b"], &all);
        assert_eq!((late.recall, late.reciprocal_rank), (vec![0.0, 0.5], 0.5));
        let expected = (1.0 / 3_f64.log2()) / (1.0 + 1.0 / 3_f64.log2());
        assert!((late.gain - expected).abs() < 1e-12);
        let none = measures(&["c"], &all);
        assert_eq!(none.columns().collect::<Vec<_>>(), [0.0; 4]);
        assert_eq!(measures(&[], &all).gain, 0.0);
    }

    #[test]
    fn a_better_answer_first_gains_more() {
        let graded = [("a", 3.0), ("b", 1.0)];
        assert!(measures(&["a", "b"], &graded).gain > measures(&["b", "a"], &graded).gain);
    }
}
