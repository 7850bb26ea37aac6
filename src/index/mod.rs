//! Which vectors are nearest. Knows no SQL: whoever holds the vectors answers [`Vectors`].
//!
//! A [`Snapshot`](snapshot::Snapshot) keeps one bit of each number of each vector in memory. A
//! search picks the rows that a filter leaves, scans their codes for the best few hundred, and
//! scores these by their vectors; few rows are scored without a scan. While there is no snapshot,
//! [`exact`] looks at the vectors themselves.

pub mod batch;
mod best;
pub mod bits;
mod chunk;
pub mod code;
pub mod exact;
pub mod kernels;
pub mod label;
pub mod nearest;
mod places;
mod postings;
pub mod selection;
pub mod shared;
pub mod snapshot;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::Result;

pub use chunk::Entry;
pub use places::ROW_MAX;

/// The vectors of one snapshot of the file.
pub trait Vectors {
    /// The `limit` rows nearest to `query` over the whole file, with cosine distances (0 to 2).
    ///
    /// # Errors
    /// Those of the file.
    fn nearest(&self, query: &[f32], limit: usize) -> Result<Vec<(i64, f32)>>;

    /// The unit-length vector of a row.
    ///
    /// # Errors
    /// Those of the file.
    fn vector(&self, row: i64) -> Result<Option<Vec<f32>>>;

    /// Shows the unit-length vectors of rows, in the order given; rows without one are left out.
    ///
    /// # Errors
    /// Those of the file.
    fn visit(&self, rows: &[i64], visit: &mut dyn FnMut(i64, &[f32])) -> Result<()> {
        for row in rows {
            if let Some(vector) = self.vector(*row)? {
                visit(*row, &vector);
            }
        }
        Ok(())
    }

    /// How many vectors there are.
    ///
    /// # Errors
    /// Those of the file.
    fn count(&self) -> Result<u64>;

    /// The most that [`Vectors::nearest`] gives.
    fn limit_max(&self) -> usize;
}

/// A row and its cosine distance to the query, 0 (same direction) to 2 (opposite).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The row.
    pub row: i64,
    /// Its distance.
    pub distance: f32,
}

/// The distance between a query and a row, if the row has a vector.
///
/// # Errors
/// Those of the file.
pub fn distance(vectors: &dyn Vectors, query: &[f32], row: i64) -> Result<Option<f32>> {
    Ok(vectors.vector(row)?.map(|vector| 1.0 - dot(query, &vector)))
}

/// The `limit` nearest of the given rows, nearest first, equal ones by row.
///
/// # Errors
/// Those of the file.
pub fn score(
    vectors: &dyn Vectors,
    query: &[f32],
    rows: &[i64],
    limit: usize,
) -> Result<Vec<Neighbour>> {
    let mut found = Vec::with_capacity(rows.len());
    vectors.visit(rows, &mut |row, vector| {
        found.push(Neighbour { row, distance: 1.0 - dot(query, vector) });
    })?;
    Ok(sorted(found, limit))
}

/// The `limit` nearest, nearest first, equal ones by row.
fn sorted(mut found: Vec<Neighbour>, limit: usize) -> Vec<Neighbour> {
    if found.len() > limit && limit > 0 {
        found.select_nth_unstable_by(limit - 1, order);
    }
    found.truncate(limit);
    found.sort_by(order);
    found
}

fn order(a: &Neighbour, b: &Neighbour) -> Ordering {
    a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row))
}

/// The inner product; of unit-length vectors, their cosine. Eight partial sums let the compiler
/// use vector registers.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
