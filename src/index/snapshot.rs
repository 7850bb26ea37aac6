//! All rows at one moment. A change makes a new snapshot, which shares with the old one whatever
//! stayed the same; searches keep the one they began with.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
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

/// The places of rows in batches, in the order of time, equal ones by row. Batches are sorted each
/// for itself and merged: that takes 4 bytes a row, where one list to be sorted took 24.
struct InTimeOrder<'b> {
    batches: &'b [Batch],
    /// For each batch, its places in order.
    orders: Vec<Vec<u32>>,
    /// The next of each batch that has one: its time and row, the batch, where it is in its order.
    next: BinaryHeap<Reverse<(i64, u32, usize, usize)>>,
}

impl<'b> InTimeOrder<'b> {
    fn of(batches: &'b [Batch]) -> Self {
        let order = |batch: &Batch| {
            let mut order: Vec<u32> = (0..batch.len() as u32).collect();
            order.sort_unstable_by_key(|place| key(batch, *place));
            order
        };
        let orders: Vec<Vec<u32>> = batches.iter().map(order).collect();
        let mut all = InTimeOrder { batches, orders, next: BinaryHeap::new() };
        all.next = (0..batches.len()).filter_map(|batch| all.at(batch, 0)).map(Reverse).collect();
        all
    }

    fn at(&self, batch: usize, at: usize) -> Option<(i64, u32, usize, usize)> {
        let place = self.orders[batch].get(at)?;
        let (time, row) = key(&self.batches[batch], *place);
        Some((time, row, batch, at))
    }
}

impl Iterator for InTimeOrder<'_> {
    /// The number of a batch, and a place in it.
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let Reverse((.., batch, at)) = *self.next.peek()?;
        let following = self.at(batch, at + 1);
        let mut first = self.next.peek_mut().expect("it was there");
        match following {
            Some(following) => *first = Reverse(following),
            None => drop(PeekMut::pop(first)),
        }
        Some((batch, self.orders[batch][at] as usize))
    }
}

/// What rows are ordered by. Integers compare as the times do, by the rule of [`f64::total_cmp`].
fn key(batch: &Batch, place: u32) -> (i64, u32) {
    let row = batch.get(place as usize);
    let bits = row.created_at.to_bits().cast_signed();
    (bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed(), row.row)
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
        let count: usize = batches.iter().map(Batch::len).sum();
        let word_count = super::code::word_count(dimension);
        let mut snapshot = Snapshot {
            chunks: Vec::with_capacity(count.div_ceil(CHUNK_ROWS)),
            places: Places::default(),
            live_count: count,
            labels,
            dimension,
            word_count,
            head,
        };
        let mut places = InTimeOrder::of(batches);
        for number in 0..count.div_ceil(CHUNK_ROWS) {
            let part: Vec<(usize, usize)> = places.by_ref().take(CHUNK_ROWS).collect();
            let rows = part.iter().map(|(batch, place)| {
                let row = batches[*batch].get(*place);
                (row.words, row.factor, row.row, row.created_at)
            });
            let labels = part.iter().enumerate().flat_map(|(slot, (batch, place))| {
                let (row, ids) = (batches[*batch].get(*place), &ids[*batch]);
                row.labels.iter().map(move |label| (ids[*label as usize], slot))
            });
            snapshot.chunks.push(Arc::new(Chunk::of(word_count, rows, labels)));
            for (slot, (batch, place)) in part.iter().enumerate() {
                let row = batches[*batch].get(*place).row;
                snapshot.places.set(row, Some(place_of(number, slot)));
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
