//! Looking at the vectors themselves, without codes: every answer is exact, and costs as much as
//! there are vectors.
//!
//! Over the whole file, or a large part of it, a flat scan of the vector table is asked; few rows
//! are scored one by one.

use super::{Neighbour, Vectors, score};
use crate::Result;

/// Below this share of the file, rows are scored one by one: a flat scan costs about a fortieth of
/// a point read for each vector, and its neighbours would mostly be filtered out.
const SCAN_SHARE_MIN: f64 = 0.05;
/// How many more neighbours are asked for than the filter's share of the file calls for.
const OVERSAMPLING: f64 = 2.0;

/// Among which rows to look.
#[derive(Clone, Copy, Debug)]
pub enum Candidates<'a> {
    /// All of them.
    All,
    /// These, ascending.
    Rows(&'a [i64]),
}

/// The `limit` nearest rows among the candidates, nearest first, equal ones by row.
///
/// # Errors
/// Those of the file.
pub fn search(
    vectors: &dyn Vectors,
    query: &[f32],
    candidates: Candidates<'_>,
    limit: usize,
) -> Result<Vec<Neighbour>> {
    let rows = match candidates {
        Candidates::All if limit <= vectors.limit_max() => {
            return Ok(neighbours(vectors.nearest(query, limit)?));
        }
        Candidates::All => {
            return Err(crate::Error::invalid(format!(
                "at most {} neighbours can be asked for",
                vectors.limit_max()
            )));
        }
        Candidates::Rows(rows) => rows,
    };
    let share = rows.len() as f64 / (vectors.count()?.max(1)) as f64;
    if share >= SCAN_SHARE_MIN {
        let wanted = limit as f64 / share * OVERSAMPLING + 16.0;
        let asked = (wanted.ceil() as usize).min(vectors.limit_max());
        let mut found = neighbours(vectors.nearest(query, asked)?);
        found.retain(|neighbour| rows.binary_search(&neighbour.row).is_ok());
        // Fewer than asked for may mean that farther ones were cut off: then look at each.
        if found.len() >= limit.min(rows.len()) {
            found.truncate(limit);
            return Ok(found);
        }
    }
    score(vectors, query, rows, limit)
}

fn neighbours(found: Vec<(i64, f32)>) -> Vec<Neighbour> {
    found.into_iter().map(|(row, distance)| Neighbour { row, distance }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::dot;
    use super::*;
    use proptest::prelude::*;

    /// Vectors in memory, row `n` at place `n`.
    struct Table(Vec<Vec<f32>>);

    impl Vectors for Table {
        fn nearest(&self, query: &[f32], limit: usize) -> Result<Vec<(i64, f32)>> {
            let rows: Vec<i64> = (0..self.0.len() as i64).collect();
            let found = score(self, query, &rows, limit)?;
            Ok(found.into_iter().map(|n| (n.row, n.distance)).collect())
        }

        fn vector(&self, row: i64) -> Result<Option<Vec<f32>>> {
            Ok(self.0.get(row as usize).cloned())
        }

        fn count(&self) -> Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn limit_max(&self) -> usize {
            64
        }
    }

    fn unit(numbers: Vec<f32>) -> Vec<f32> {
        let length = dot(&numbers, &numbers).sqrt().max(1e-6);
        numbers.into_iter().map(|number| number / length).collect()
    }

    fn vector() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-1.0_f32..1.0, 12).prop_map(unit)
    }

    proptest! {
        #[test]
        fn a_filter_gives_what_brute_force_over_the_rest_gives(
            table in prop::collection::vec((vector(), any::<bool>()), 1..120),
            query in vector(),
            limit in 1_usize..12,
            rare in any::<bool>(),
        ) {
            let rows: Vec<i64> = table
                .iter()
                .enumerate()
                .filter(|(place, (_, kept))| *kept && (!rare || place % 30 == 0))
                .map(|(place, _)| place as i64)
                .collect();
            let table = Table(table.into_iter().map(|(vector, _)| vector).collect());
            let expected = score(&table, &query, &rows, limit)?;
            let found = search(&table, &query, Candidates::Rows(&rows), limit)?;
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn more_neighbours_than_there_can_be_are_refused() {
        let table = Table(vec![vec![1.0]]);
        assert!(search(&table, &[1.0], Candidates::All, 65).is_err());
        assert_eq!(search(&table, &[1.0], Candidates::All, 64).expect("one").len(), 1);
    }
}
