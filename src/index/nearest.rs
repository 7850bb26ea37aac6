//! A search by codes: pick rows, scan, score the best by their vectors.

use std::sync::Arc;
use std::thread;

use super::best::{Best, Candidate};
use super::bits::Bits;
use super::code::{BLOCK_ROWS, QueryCode};
use super::kernels::Kernel;
use super::selection::Selection;
use super::snapshot::{Snapshot, place_of};
use super::{Neighbour, Vectors, score, sorted};
use crate::Result;

/// Most candidates of a search for few rows, and further ones for each row asked for
/// (`benches/search.rs` prints what part of the nearest is among them).
const CANDIDATE_COUNT: usize = 720;
const CANDIDATES_PER_ROW: usize = 8;
/// Candidates for each row asked for where the last of these need not be the nearest: those of a
/// hundred rows still hold all of the nearest ten.
const ROUGH_CANDIDATES_PER_ROW: usize = 4;
/// Candidates whose vectors are read before it is asked whether the rest can still matter.
const ROUND_COUNT: usize = 64;
/// How far below the truth an estimate may be, times the root of the dimension: the bound of RaBitQ
/// for one in a thousand, with the factor that signs of real embeddings have.
const ESTIMATE_ERROR: f32 = 1.5;
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
    pub fn of(count: usize, limit: usize, is_rough: bool) -> Self {
        let wanted = match is_rough {
            true => ROUGH_CANDIDATES_PER_ROW * limit,
            false => CANDIDATE_COUNT + CANDIDATES_PER_ROW * limit,
        };
        if count <= wanted / 2 { Plan::Each } else { Plan::Scan(wanted.min(count)) }
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
    /// Whether some of the last rows may be missing, for a third of the time.
    pub is_rough: bool,
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
        match Plan::of(selection.count, limit, self.is_rough) {
            Plan::Each => {
                let slots = selection.parts.iter().flat_map(|(number, bits)| {
                    bits.iter().map(move |slot| snapshot.row_at(place_of(*number, slot)))
                });
                let mut rows: Vec<i64> = slots.collect();
                rows.sort_unstable();
                score(vectors, self.query, &rows, limit)
            }
            Plan::Scan(wanted) => {
                let candidates = self.scan(snapshot, selection, wanted, SPLIT_ROW_COUNT_MIN);
                self.score(snapshot, vectors, &candidates, limit)
            }
        }
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

    /// Reads vectors round by round, those of the highest estimates first, until the rest cannot
    /// be among the nearest: its estimates are too low even if each errs as far as estimates do.
    fn score(
        &self,
        snapshot: &Snapshot,
        vectors: &dyn Vectors,
        candidates: &[Candidate],
        limit: usize,
    ) -> Result<Vec<Neighbour>> {
        let error = ESTIMATE_ERROR / (self.query.len().max(1) as f32).sqrt();
        let mut found: Vec<Neighbour> = Vec::new();
        for round in candidates.chunks(ROUND_COUNT) {
            let farthest = found.get(limit.wrapping_sub(1)).map(|neighbour| neighbour.distance);
            if farthest.is_some_and(|farthest| 1.0 - round[0].estimate - error > farthest) {
                break;
            }
            // Rows are read in their order, as they lie in the file.
            let mut rows: Vec<i64> =
                round.iter().map(|candidate| snapshot.row_at(candidate.place)).collect();
            rows.sort_unstable();
            found.extend(score(vectors, self.query, &rows, limit)?);
            found = sorted(found, limit);
        }
        Ok(found)
    }
}
