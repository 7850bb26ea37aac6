//! All rows at one moment. A change makes a new snapshot, which shares with the old one whatever
//! stayed the same; searches keep the one they began with.

use std::sync::Arc;

use super::batch::Batch;
use super::bits::CHUNK_ROWS;
use super::chunk::{Chunk, Entry};
use super::label::{LabelId, Labels};
use super::places::Places;

/// Dropped rows are worth getting rid of when they are more than this share of all.
const DROPPED_SHARE_MAX: f64 = 0.25;
/// So few never are.
const DROPPED_COUNT_MIN: usize = 4 * CHUNK_ROWS;

/// A row as it is after a change.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is, or is now, as this says.
    Put(Entry),
    /// It is gone, or has no vector.
    Drop(u32),
}

/// The rows that have vectors, as they were after one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    chunks: Vec<Arc<Chunk>>,
    places: Places,
    labels: Arc<Labels>,
    dimension: usize,
    word_count: usize,
    live_count: usize,
    /// The last change that it holds.
    head: i64,
}

impl Snapshot {
    /// Of rows that are all there, which it brings into the order of time. `head` is the last
    /// change that all of them hold.
    pub fn build(dimension: usize, batches: &[Batch], head: i64) -> Self {
        let labels = Arc::new(Labels::default());
        let ids: Vec<Vec<LabelId>> = batches
            .iter()
            .map(|batch| batch.keys().iter().map(|key| labels.intern(key)).collect())
            .collect();
        let mut order: Vec<(f64, u32, u32, u32)> = batches
            .iter()
            .zip(0..)
            .flat_map(|(batch, number)| {
                (0..batch.len()).map(move |place| {
                    let row = batch.get(place);
                    (row.created_at, row.row, number, place as u32)
                })
            })
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let word_count = super::code::word_count(dimension);
        let mut snapshot = Snapshot {
            chunks: Vec::with_capacity(order.len().div_ceil(CHUNK_ROWS)),
            places: Places::default(),
            live_count: order.len(),
            labels,
            dimension,
            word_count,
            head,
        };
        for (number, part) in order.chunks(CHUNK_ROWS).enumerate() {
            let rows = part.iter().map(|(.., batch, place)| {
                let row = batches[*batch as usize].get(*place as usize);
                (row.words, row.factor, row.row, row.created_at)
            });
            let labels = part.iter().enumerate().flat_map(|(slot, (.., batch, place))| {
                let row = batches[*batch as usize].get(*place as usize);
                let ids = &ids[*batch as usize];
                row.labels.iter().map(move |label| (ids[*label as usize], slot))
            });
            snapshot.chunks.push(Arc::new(Chunk::of(word_count, rows, labels)));
            for (slot, (_, row, ..)) in part.iter().enumerate() {
                snapshot.places.set(*row, Some(place_of(number, slot)));
            }
        }
        snapshot
    }

    /// The same after some changes, of which the last is `head`.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = Change>, head: i64) -> Self {
        let mut next = Snapshot { head, ..self.clone() };
        for change in changes {
            match change {
                Change::Put(entry) => next.put(&entry),
                Change::Drop(row) => next.drop_row(row),
            }
        }
        next
    }

    fn put(&mut self, entry: &Entry) {
        if let Some(place) = self.places.get(entry.row) {
            let (number, slot) = parts_of(place);
            if Arc::make_mut(&mut self.chunks[number]).relabel(slot, entry) {
                return;
            }
            self.drop_row(entry.row);
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_ROWS) {
            self.chunks.push(Arc::new(Chunk::empty(self.word_count)));
        }
        let number = self.chunks.len() - 1;
        let slot = Arc::make_mut(&mut self.chunks[number])
            .push(entry)
            .expect("a chunk that was not full has room");
        self.places.set(entry.row, Some(place_of(number, slot)));
        self.live_count += 1;
    }

    fn drop_row(&mut self, row: u32) {
        let Some(place) = self.places.get(row) else { return };
        let (number, slot) = parts_of(place);
        Arc::make_mut(&mut self.chunks[number]).remove(slot);
        self.places.set(row, None);
        self.live_count -= 1;
    }

    /// Whether so many rows were dropped that building it anew pays.
    pub fn needs_rebuild(&self) -> bool {
        let all: usize = self.chunks.iter().map(|chunk| chunk.len()).sum();
        let dropped = all - self.live_count;
        dropped > DROPPED_COUNT_MIN && dropped as f64 > all as f64 * DROPPED_SHARE_MAX
    }

    /// The chunks, in the order in which rows came.
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// Where a row lies: chunk and row within it.
    pub fn place(&self, row: i64) -> Option<(usize, usize)> {
        self.places.get(u32::try_from(row).ok()?).map(parts_of)
    }

    /// The row at a place.
    pub fn row_at(&self, place: u32) -> i64 {
        let (number, slot) = parts_of(place);
        i64::from(self.chunks[number].row(slot))
    }

    /// The numbers of labels.
    pub fn labels(&self) -> &Arc<Labels> {
        &self.labels
    }

    /// Numbers of each vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.live_count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live_count == 0
    }

    /// The last change that it holds.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.size_bytes()).sum::<usize>() + self.places.size_bytes()
    }
}

/// The place of a row of a chunk.
pub fn place_of(number: usize, slot: usize) -> u32 {
    (number * CHUNK_ROWS + slot) as u32
}

fn parts_of(place: u32) -> (usize, usize) {
    (place as usize / CHUNK_ROWS, place as usize % CHUNK_ROWS)
}
