//! Looking at the index, making it anew, and holding it against sqlite-vec.

use std::sync::Arc;
use std::time::Duration;

use super::Service;
use super::nearest::{Nearest, Snapshotted, catch_up};
use crate::auth::{Access, Principal};
use crate::index::shared::State;
use crate::index::{Vectors, dot};
use crate::memory::Filter;
use crate::store::{Reader, StoreError};
use crate::{Error, Result};

/// Most questions of one check.
pub const INDEX_SAMPLE_COUNT_MAX: usize = 100;
/// Neighbours that are compared for each.
const NEIGHBOUR_COUNT: usize = 10;
/// How long a check may take: sqlite-vec needs most of a second for a million vectors.
const CHECK_DEADLINE: Duration = Duration::from_secs(600);
/// Distances closer than this are the same: rounding orders their rows.
const DISTANCE_SLACK: f32 = 1e-5;

/// How the index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexView {
    /// Where its making stands.
    pub state: State,
    /// Rows that it holds.
    pub row_count: u64,
    /// Memory that it takes, in bytes.
    pub size_bytes: u64,
    /// The instructions that scan it.
    pub kernel: &'static str,
}

/// What a check of the index found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexCheck {
    /// Rows that it holds.
    pub row_count: u64,
    /// Vectors in the file.
    pub vector_count: u64,
    /// Questions that were asked.
    pub sample_count: u64,
    /// Nearest memories that sqlite-vec found.
    pub expected_count: u64,
    /// Those of them that the index found too.
    pub found_count: u64,
}

impl Service {
    /// How the index is; says nothing about memories.
    pub fn index_view(&self) -> IndexView {
        let present = self.index.present();
        IndexView {
            state: self.index.state(),
            row_count: present.as_ref().map_or(0, |present| present.len() as u64),
            size_bytes: present.as_ref().map_or(0, |present| present.size_bytes() as u64),
            kernel: self.index.kernel().name(),
        }
    }

    /// How the index is, without its size for a caller who may not read everything.
    pub fn index_health(&self, who: &Principal) -> IndexView {
        let view = self.index_view();
        match who.require_everywhere(Access::Read) {
            Ok(()) => view,
            Err(_) => IndexView { row_count: 0, size_bytes: 0, ..view },
        }
    }

    /// How the index is; a node that keeps none, since it runs for one command, begins to.
    ///
    /// # Errors
    /// `Forbidden` without `admin`.
    pub fn index_status(&self, who: &Principal) -> Result<IndexView> {
        who.require_everywhere(Access::Admin)?;
        self.keep_index();
        Ok(self.index_view())
    }

    /// Drops all codes, so that they are made anew from the vectors. Searches go on without them.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; those of the file.
    pub async fn index_rebuild(&self, who: &Principal) -> Result<IndexView> {
        who.require_everywhere(Access::Admin)?;
        self.keep_index();
        self.parts.store.write(|writer| writer.drop_codes()).await?;
        // Whoever asks next must not be told of the old ones; the commit has woken who makes the
        // new ones.
        let index = Arc::clone(&self.index);
        self.read(move |reader| catch_up(&index, reader, 1).map(drop)).await?;
        Ok(self.index_view())
    }

    /// Asks the index and sqlite-vec for the nearest of directions between memories.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; `InvalidInput` for a sample out of range; `Unavailable` while
    /// the index is being made; those of the file.
    pub async fn index_check(&self, who: &Principal, sample_count: usize) -> Result<IndexCheck> {
        who.require_everywhere(Access::Admin)?;
        self.keep_index();
        if !(1..=INDEX_SAMPLE_COUNT_MAX).contains(&sample_count) {
            return Err(Error::invalid(format!(
                "ask for a sample of 1 to {INDEX_SAMPLE_COUNT_MAX}, not {sample_count}"
            ))
            .reason("out_of_range"));
        }
        let index = Arc::clone(&self.index);
        let check = self.parts.store.read(CHECK_DEADLINE, move |reader| {
            let nearest = Nearest::begin(&index);
            if !nearest.is_ready() {
                return Ok(None);
            }
            check(reader, &nearest, sample_count).map(Some)
        });
        check.await?.ok_or_else(|| {
            Error::new(crate::Code::Unavailable, "the index is still being made: try again later")
                .reason("index_building")
        })
    }
}

fn check(
    reader: &Reader<'_>,
    nearest: &Nearest,
    sample_count: usize,
) -> Result<IndexCheck, StoreError> {
    let everything = Filter { namespaces: crate::memory::NamespaceSet::All, ..Filter::default() };
    let mut found = IndexCheck {
        row_count: nearest.row_count(reader)?,
        vector_count: reader.vector_count()?,
        sample_count: 0,
        expected_count: 0,
        found_count: 0,
    };
    let Some(last) = reader.last_vector_row()? else { return Ok(found) };
    for _ in 0..sample_count {
        let query = direction(reader, last)?;
        let expected = reader.nearest(&query, NEIGHBOUR_COUNT)?;
        let limit = expected.last().map_or(0.0, |(_, distance)| distance + DISTANCE_SLACK);
        let near = nearest.neighbours(reader, &everything, &query, NEIGHBOUR_COUNT)?;
        let hits = near.iter().filter(|near| near.distance <= limit).count();
        found.sample_count += 1;
        found.expected_count += expected.len() as u64;
        found.found_count += hits.min(expected.len()) as u64;
    }
    Ok(found)
}

/// Between two memories, so that no memory is the answer by being the question.
fn direction(reader: &Reader<'_>, last: i64) -> Result<Vec<f32>, StoreError> {
    let vectors = Snapshotted(reader);
    let mut sum = Vec::new();
    for weight in [1.0, 0.7] {
        let row = reader.vector_row_from(rand::random_range(1..=last.max(1)))?.unwrap_or(last);
        let vector = vectors.vector(row)?.unwrap_or_default();
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(&vector).for_each(|(sum, number)| *sum += weight * number);
    }
    let length = dot(&sum, &sum).sqrt().max(f32::MIN_POSITIVE);
    Ok(sum.into_iter().map(|number| number / length).collect())
}
