//! The nearest memories to a direction, as of one snapshot of the file.
//!
//! The index follows the file's commits within a millisecond, and a search leaves nothing to that:
//! it compares what it has with the log of its own snapshot, and first takes in what is missing. So
//! a writer finds what it wrote, and nobody finds half of a write.

use std::sync::Arc;

use crate::index::exact::{self, Candidates};
use crate::index::label::Label;
use crate::index::nearest::Search;
use crate::index::selection::Selection;
use crate::index::shared::{Index, State};
use crate::index::snapshot::{Change, Snapshot};
use crate::index::{Entry, Neighbour, ROW_MAX, Vectors};
use crate::memory::Filter;
use crate::store::{CodeRow, NEIGHBOUR_COUNT_MAX, Reader, StoreError};

/// Most changes that a search takes in before it begins; when there are more, the index is far
/// behind, and the search asks sqlite-vec instead of waiting for it.
const CHANGE_COUNT_MAX: usize = 2_000;

/// A reader as the index sees it.
pub(super) struct Snapshotted<'r, 'c>(pub(super) &'r Reader<'c>);

impl Vectors for Snapshotted<'_, '_> {
    fn nearest(&self, query: &[f32], limit: usize) -> crate::Result<Vec<(i64, f32)>> {
        Ok(self.0.nearest(query, limit)?)
    }

    fn vector(&self, row: i64) -> crate::Result<Option<Vec<f32>>> {
        Ok(self.0.embedding(row)?)
    }

    fn visit(&self, rows: &[i64], visit: &mut dyn FnMut(i64, &[f32])) -> crate::Result<()> {
        Ok(self.0.visit_embeddings(rows, visit)?)
    }

    fn count(&self) -> crate::Result<u64> {
        Ok(self.0.live_count()?)
    }

    fn limit_max(&self) -> usize {
        NEIGHBOUR_COUNT_MAX
    }
}

/// What a search by meaning needs beside a reader.
pub(super) struct Nearest {
    index: Arc<Index>,
    seen: Option<Arc<Snapshot>>,
}

impl Nearest {
    /// Call before the reader's first question: then the reader sees all that the index holds.
    pub(super) fn begin(index: &Arc<Index>) -> Self {
        Nearest { index: Arc::clone(index), seen: index.present() }
    }

    /// One that asks sqlite-vec itself.
    pub(super) fn exact(index: &Arc<Index>) -> Self {
        Nearest { index: Arc::clone(index), seen: None }
    }

    /// Whether there is an index to ask.
    pub(super) fn is_ready(&self) -> bool {
        self.seen.is_some()
    }

    /// What the index holds, as of the reader's snapshot; `None` while there is no index.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn snapshot(
        &self,
        reader: &Reader<'_>,
    ) -> Result<Option<Arc<Snapshot>>, StoreError> {
        self.seen.as_ref().map_or(Ok(None), |seen| up_to_date(&self.index, seen, reader))
    }

    /// Rows that the index holds, as of the reader's snapshot.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn row_count(&self, reader: &Reader<'_>) -> Result<u64, StoreError> {
        Ok(self.snapshot(reader)?.map_or(0, |current| current.len() as u64))
    }

    /// The nearest rows that the filter leaves.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn neighbours(
        &self,
        reader: &Reader<'_>,
        filter: &Filter,
        vector: &[f32],
        limit: usize,
    ) -> Result<Vec<Neighbour>, StoreError> {
        self.search(reader, filter, vector, limit, false)
    }

    /// Rows among which the nearest are, to be judged by more than that.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn pool(
        &self,
        reader: &Reader<'_>,
        filter: &Filter,
        vector: &[f32],
        count: usize,
    ) -> Result<Vec<Neighbour>, StoreError> {
        self.search(reader, filter, vector, count, true)
    }

    fn search(
        &self,
        reader: &Reader<'_>,
        filter: &Filter,
        vector: &[f32],
        limit: usize,
        is_rough: bool,
    ) -> Result<Vec<Neighbour>, StoreError> {
        let vectors = Snapshotted(reader);
        let current = self.snapshot(reader)?;
        let Some(snapshot) = current.filter(|current| current.dimension() == vector.len()) else {
            return by_vectors(reader, filter, vector, limit);
        };
        let selection = match Selection::of(&snapshot, filter) {
            Some(selection) => selection,
            None => Selection::of_rows(&snapshot, &reader.rows(filter)?),
        };
        let (_running, may_split) = self.index.begin();
        let search = Search { query: vector, kernel: self.index.kernel(), may_split, is_rough };
        Ok(search.among(&snapshot, &selection, &vectors, limit)?)
    }
}

/// The answer of sqlite-vec, and of vectors read one by one.
fn by_vectors(
    reader: &Reader<'_>,
    filter: &Filter,
    vector: &[f32],
    limit: usize,
) -> Result<Vec<Neighbour>, StoreError> {
    let vectors = Snapshotted(reader);
    let everything = !filter.has_conditions() && reader.count(filter)? == reader.live_count()?;
    if everything {
        return Ok(exact::search(&vectors, vector, Candidates::All, limit)?);
    }
    let rows = reader.rows(filter)?;
    Ok(exact::search(&vectors, vector, Candidates::Rows(&rows), limit)?)
}

/// A snapshot that holds all that the reader sees; `None` when it would take too long to make one.
fn up_to_date(
    index: &Index,
    seen: &Arc<Snapshot>,
    reader: &Reader<'_>,
) -> Result<Option<Arc<Snapshot>>, StoreError> {
    if seen.head() >= reader.code_head()? {
        return Ok(Some(Arc::clone(seen)));
    }
    let caught_up = catch_up(index, reader, CHANGE_COUNT_MAX)?;
    Ok(caught_up.filter(|caught_up| !caught_up.is_behind).map(|caught_up| caught_up.snapshot))
}

/// What came of taking changes in.
pub(super) struct CaughtUp {
    /// The newest snapshot, which searches use now.
    pub(super) snapshot: Arc<Snapshot>,
    /// Whether the reader sees more than it holds.
    pub(super) is_behind: bool,
}

/// Takes in up to `limit` changes that the reader sees. `None` when there is no snapshot that they
/// could be taken into: every vector changed, or none was there before.
///
/// # Errors
/// Those of the file.
pub(super) fn catch_up(
    index: &Index,
    reader: &Reader<'_>,
    limit: usize,
) -> Result<Option<CaughtUp>, StoreError> {
    let _alone = index.update();
    let Some(snapshot) = index.present() else { return Ok(None) };
    let changes = reader.code_changes(snapshot.head(), limit)?;
    let rows: Option<Vec<i64>> = changes.iter().map(|change| change.row).collect();
    let Some(rows) = rows else {
        index.forget();
        index.set_state(State::Building { done: 0, total: 0 });
        return Ok(None);
    };
    let is_behind = changes.len() == limit;
    let head = changes.last().map_or(snapshot.head(), |last| last.n);
    // The log may have lost its last entries to a chunk that holds them.
    let head = if is_behind { head } else { head.max(reader.code_head()?) };
    if head <= snapshot.head() {
        return Ok(Some(CaughtUp { snapshot, is_behind }));
    }
    let next = Arc::new(snapshot.with(changes_of(&snapshot, reader, rows)?, head));
    index.publish(Arc::clone(&next), false);
    Ok(Some(CaughtUp { snapshot: next, is_behind }))
}

/// The rows as the reader sees them.
///
/// # Errors
/// Those of the file.
pub(super) fn changes_of(
    snapshot: &Snapshot,
    reader: &Reader<'_>,
    mut rows: Vec<i64>,
) -> Result<Vec<Change>, StoreError> {
    rows.sort_unstable();
    rows.dedup();
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        let number = row_number(row)?;
        changes.push(match reader.code_row(row)? {
            Some(found) => Change::Put(entry(snapshot, number, &found)),
            None => Change::Drop(number),
        });
    }
    Ok(changes)
}

fn entry(snapshot: &Snapshot, number: u32, found: &CodeRow) -> Entry {
    let labels = labels_of(found).map(|label| snapshot.labels().intern(&label.key()));
    Entry::new(number, found.created_at, &found.vector, labels.collect())
}

/// Everything that a memory can be filtered by.
pub(super) fn labels_of(row: &CodeRow) -> impl Iterator<Item = Label<'_>> {
    std::iter::once(Label::Namespace(&row.namespace))
        .chain(row.memory_type.as_deref().map(Label::Type))
        .chain(row.tags.iter().map(|tag| Label::Tag(tag)))
}

/// A row as the index numbers it.
pub(super) fn row_number(row: i64) -> Result<u32, StoreError> {
    u32::try_from(row).ok().filter(|row| *row <= ROW_MAX).ok_or_else(|| {
        StoreError::Refused(crate::Error::internal(
            "the memories cannot be indexed",
            format!("row {row} is none that this program gave"),
        ))
    })
}
