//! Up to 4,096 rows: their codes, times and labels, and which of them are live.

use std::sync::Arc;

use super::bits::{Bits, CHUNK_ROWS};
use super::code::{self, BLOCK_ROWS};
use super::kernels::Blocks;
use super::label::LabelId;
use super::postings::Postings;

/// A row as the index keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The row.
    pub row: u32,
    /// When the memory was made, Unix seconds.
    pub created_at: f64,
    /// The signs of its vector.
    pub words: Vec<u64>,
    /// What they are multiplied with.
    pub factor: f32,
    /// Ascending, without repeats.
    pub labels: Vec<LabelId>,
}

impl Entry {
    /// Of a row with a vector.
    pub fn new(row: u32, created_at: f64, vector: &[f32], mut labels: Vec<LabelId>) -> Self {
        let mut words = vec![0; code::word_count(vector.len())];
        let factor = code::encode(vector, &mut words);
        labels.sort_unstable();
        labels.dedup();
        Entry { row, created_at, words, factor, labels }
    }
}

/// Rows in the order they came in. Snapshots share what they do not change: to drop a row copies
/// its bit, to add one copies the columns.
#[derive(Clone, Debug)]
pub struct Chunk {
    columns: Arc<Columns>,
    labels: Arc<Postings>,
    live: Bits,
    /// The first and last time of any row that was ever in.
    times: (f64, f64),
}

#[derive(Clone, Debug)]
struct Columns {
    word_count: usize,
    /// In blocks: for each block and word, that word of each of its rows.
    words: Vec<u64>,
    factors: Vec<f32>,
    ones: Vec<f32>,
    rows: Vec<u32>,
    times: Vec<f64>,
}

impl Chunk {
    /// Without rows, of codes of so many words.
    pub fn empty(word_count: usize) -> Self {
        let columns = Columns {
            word_count,
            words: Vec::new(),
            factors: Vec::new(),
            ones: Vec::new(),
            rows: Vec::new(),
            times: Vec::new(),
        };
        Chunk {
            columns: Arc::new(columns),
            labels: Arc::new(Postings::default()),
            live: Bits::none(),
            times: (f64::INFINITY, f64::NEG_INFINITY),
        }
    }

    /// Of rows that are all there already: words, factor, row and time of each.
    pub fn of<'w>(
        word_count: usize,
        rows: impl ExactSizeIterator<Item = (&'w [u64], f32, u32, f64)>,
        labels: impl IntoIterator<Item = (LabelId, usize)>,
    ) -> Self {
        let mut chunk = Chunk::empty(word_count);
        let columns = Arc::make_mut(&mut chunk.columns);
        columns.reserve(rows.len());
        for (words, factor, row, created_at) in rows {
            let slot = columns.push(words, factor, row, created_at);
            chunk.live.insert(slot);
            chunk.times = widen(chunk.times, created_at);
        }
        chunk.labels = Arc::new(Postings::of(labels));
        chunk
    }

    /// Adds a row, unless the chunk is full; gives its place.
    pub fn push(&mut self, entry: &Entry) -> Option<usize> {
        if self.len() == CHUNK_ROWS {
            return None;
        }
        let columns = Arc::make_mut(&mut self.columns);
        let slot = columns.push(&entry.words, entry.factor, entry.row, entry.created_at);
        self.live.insert(slot);
        self.times = widen(self.times, entry.created_at);
        self.label(slot, &entry.labels);
        Some(slot)
    }

    /// Drops a row.
    pub fn remove(&mut self, slot: usize) {
        self.live.remove(slot);
        Arc::make_mut(&mut self.labels).clear(slot);
    }

    /// Changes a row in its place, if only its labels changed; says whether it did.
    pub fn relabel(&mut self, slot: usize, entry: &Entry) -> bool {
        let columns = &self.columns;
        let same = columns.times[slot] == entry.created_at
            && columns.factors[slot] == entry.factor
            && columns.words_of(slot).eq(entry.words.iter().copied());
        if same && self.labels.labels_of(slot) != entry.labels {
            Arc::make_mut(&mut self.labels).clear(slot);
            self.label(slot, &entry.labels);
        }
        same
    }

    fn label(&mut self, slot: usize, labels: &[LabelId]) {
        let postings = Arc::make_mut(&mut self.labels);
        labels.iter().for_each(|label| postings.insert(*label, slot));
    }

    /// Rows, dropped ones included.
    pub fn len(&self) -> usize {
        self.columns.rows.len()
    }

    /// The rows that are not dropped.
    pub fn live(&self) -> &Bits {
        &self.live
    }

    /// The labels of the rows.
    pub fn labels(&self) -> &Postings {
        &self.labels
    }

    /// The first and last time of its rows; the other way round when there are none.
    pub fn times(&self) -> (f64, f64) {
        self.times
    }

    /// When a row was made.
    pub fn time(&self, slot: usize) -> f64 {
        self.columns.times[slot]
    }

    /// The row at a place.
    pub fn row(&self, slot: usize) -> u32 {
        self.columns.rows[slot]
    }

    /// Words and factor of a row.
    pub fn code(&self, slot: usize) -> (Vec<u64>, f32) {
        (self.columns.words_of(slot).collect(), self.columns.factors[slot])
    }

    /// The codes, as kernels want them.
    pub fn blocks(&self) -> Blocks<'_> {
        let Columns { words, factors, ones, .. } = &*self.columns;
        Blocks { words, factors, ones }
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.columns.size_bytes() + self.labels.size_bytes() + size_of::<Chunk>()
    }
}

fn widen((first, last): (f64, f64), time: f64) -> (f64, f64) {
    (first.min(time), last.max(time))
}

impl Columns {
    fn push(&mut self, words: &[u64], factor: f32, row: u32, created_at: f64) -> usize {
        assert_eq!(words.len(), self.word_count, "vectors of one file have one dimension");
        let slot = self.rows.len();
        if slot.is_multiple_of(BLOCK_ROWS) {
            self.words.resize(self.words.len() + BLOCK_ROWS * self.word_count, 0);
            self.factors.resize(slot + BLOCK_ROWS, 0.0);
            self.ones.resize(slot + BLOCK_ROWS, 0.0);
        }
        let first = self.first_word(slot);
        let mut ones = 0;
        for (number, word) in words.iter().enumerate() {
            self.words[first + number * BLOCK_ROWS] = *word;
            ones += word.count_ones();
        }
        self.factors[slot] = factor;
        self.ones[slot] = factor * ones as f32;
        self.rows.push(row);
        self.times.push(created_at);
        slot
    }

    fn reserve(&mut self, row_count: usize) {
        let padded = row_count.next_multiple_of(BLOCK_ROWS);
        self.words.reserve_exact(padded * self.word_count);
        self.factors.reserve_exact(padded);
        self.ones.reserve_exact(padded);
        self.rows.reserve_exact(row_count);
        self.times.reserve_exact(row_count);
    }

    fn first_word(&self, slot: usize) -> usize {
        slot / BLOCK_ROWS * BLOCK_ROWS * self.word_count + slot % BLOCK_ROWS
    }

    fn words_of(&self, slot: usize) -> impl Iterator<Item = u64> + '_ {
        let words = self.words[self.first_word(slot)..].iter().step_by(BLOCK_ROWS);
        words.take(self.word_count).copied()
    }

    fn size_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
            + (self.factors.capacity() + self.ones.capacity()) * size_of::<f32>()
            + self.rows.capacity() * size_of::<u32>()
            + self.times.capacity() * size_of::<f64>()
    }
}
