//! A search by codes: pick rows, scan, score the best by their vectors.

use std::sync::Arc;
use std::thread;

use super::best::{Best, Candidate};
use super::bits::Bits;
use super::code::{BLOCK_ROWS, QueryCode};
use super::kernels::Kernel;
use super::selection::Selection;
use super::snapshot::{Snapshot, place_of};
use super::{Neighbour, Vectors, dot, sorted};
use crate::Result;

/// Candidates of a search for few rows, and further ones for each row asked for
/// (`benches/search.rs` prints what part of the nearest is among them).
const CANDIDATE_COUNT_MIN: usize = 300;
const CANDIDATES_PER_ROW: usize = 8;
/// From so many rows on, a second thread that is free takes half of them: below, starting it costs
/// more time than it saves.
const SPLIT_ROW_COUNT_MIN: usize = 400_000;

/// How a search goes about its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// There are so few that each is scored by its vector.
    Each,
    /// Their codes are scanned for this many candidates.
    Scan(usize),
}

impl Plan {
    /// For `limit` of `count` rows.
    pub fn of(count: usize, limit: usize) -> Self {
        let wanted = CANDIDATE_COUNT_MIN + CANDIDATES_PER_ROW * limit;
        if count <= wanted { Plan::Each } else { Plan::Scan(wanted) }
    }
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The direction to look in, of unit length.
    pub query: &'a [f32],
    /// The loop over codes.
    pub kernel: Kernel,
    /// Whether another core is free.
    pub may_split: bool,
}

impl Search<'_> {
    /// The `limit` nearest of some rows, nearest first, equal ones by row.
    ///
    /// # Errors
    /// Those of the file.
    pub fn among(
        &self,
        snapshot: &Arc<Snapshot>,
        selection: &Selection,
        vectors: &dyn Vectors,
        limit: usize,
    ) -> Result<Vec<Neighbour>> {
        let rows: Vec<i64> = match Plan::of(selection.count, limit) {
            Plan::Each => {
                let slots = selection.parts.iter().flat_map(|(number, bits)| {
                    bits.iter().map(move |slot| snapshot.row_at(place_of(*number, slot)))
                });
                slots.collect()
            }
            Plan::Scan(wanted) => {
                let candidates = self.scan(snapshot, selection, wanted, SPLIT_ROW_COUNT_MIN);
                candidates.iter().map(|candidate| snapshot.row_at(candidate.place)).collect()
            }
        };
        self.score(vectors, rows, limit)
    }

    /// The rows whose codes promise most, highest estimates first. `split_from` rows on, two
    /// threads may share the work.
    pub fn scan(
        &self,
        snapshot: &Arc<Snapshot>,
        selection: &Selection,
        wanted: usize,
        split_from: usize,
    ) -> Vec<Candidate> {
        let code = QueryCode::of(self.query);
        let parts = selection.parts.as_slice();
        if !self.may_split || selection.count < split_from {
            return self.scan_parts(snapshot, &code, parts, wanted).into_sorted();
        }
        let (early, late) = parts.split_at(parts.len() / 2);
        let best = thread::scope(|scope| {
            let late = scope.spawn(|| self.scan_parts(snapshot, &code, late, wanted));
            let mut best = self.scan_parts(snapshot, &code, early, wanted);
            best.join(late.join().expect("a scan does not panic"));
            best
        });
        best.into_sorted()
    }

    fn scan_parts(
        &self,
        snapshot: &Snapshot,
        code: &QueryCode,
        parts: &[(usize, Bits)],
        wanted: usize,
    ) -> Best {
        let mut best = Best::new(wanted);
        for (number, bits) in parts {
            let blocks = snapshot.chunks()[*number].blocks();
            let mask = bits.mask();
            let mask = &mask[..blocks.factors.len() / BLOCK_ROWS];
            self.kernel.scan(blocks, mask, code, place_of(*number, 0), &mut best);
        }
        best
    }

    /// Rows are read in their order, as they lie in the file.
    fn score(
        &self,
        vectors: &dyn Vectors,
        mut rows: Vec<i64>,
        limit: usize,
    ) -> Result<Vec<Neighbour>> {
        rows.sort_unstable();
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(vector) = vectors.vector(row)? {
                found.push(Neighbour { row, distance: 1.0 - dot(self.query, &vector) });
            }
        }
        Ok(sorted(found, limit))
    }
}
