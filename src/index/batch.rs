//! Rows on their way into a snapshot, and how they are kept in the file.
//!
//! A saved batch is: version, dimension, counts, the columns, the labels spelled out, the labels of
//! each row; all numbers little-endian. Its checksum covers the model too: codes of another one, or
//! of another version of this format, are damaged as far as a reader is concerned.

use sha2::{Digest, Sha256};

use super::code;

/// Version of the saved form and of the codes in it.
const VERSION: u32 = 1;
/// Most rows of one batch; a bound on what a saved one may claim.
const ROW_COUNT_MAX: usize = 1 << 16;
/// Most labels of all rows of one, likewise.
const LABEL_COUNT_MAX: usize = 1 << 24;

/// Whose vectors the codes are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeModel {
    /// The model's name.
    pub name: String,
    /// Its dimension.
    pub dimension: usize,
}

/// Rows with their codes and labels, by columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    word_count: usize,
    rows: Vec<u32>,
    times: Vec<f64>,
    factors: Vec<f32>,
    /// Those of one row side by side.
    words: Vec<u64>,
    /// Keys of labels; rows name them by place.
    keys: Vec<String>,
    labels: Vec<u32>,
    /// For each row, where its labels end.
    label_ends: Vec<u32>,
}

/// Why a saved batch cannot be used: it is damaged, or not of this model or version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

/// One row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchRow<'b> {
    /// The row.
    pub row: u32,
    /// When the memory was made, Unix seconds.
    pub created_at: f64,
    /// The signs of its vector.
    pub words: &'b [u64],
    /// What they are multiplied with.
    pub factor: f32,
    /// Places of its labels among [`Batch::keys`].
    pub labels: &'b [u32],
}

impl Batch {
    /// Without rows.
    pub fn empty(dimension: usize) -> Self {
        Batch {
            word_count: code::word_count(dimension),
            rows: Vec::new(),
            times: Vec::new(),
            factors: Vec::new(),
            words: Vec::new(),
            keys: Vec::new(),
            labels: Vec::new(),
            label_ends: Vec::new(),
        }
    }

    /// Adds a row. `labels` are places among [`Batch::keys`].
    pub fn push(&mut self, row: u32, created_at: f64, vector: &[f32], labels: &[u32]) {
        let start = self.words.len();
        self.words.resize(start + self.word_count, 0);
        self.factors.push(code::encode(vector, &mut self.words[start..]));
        self.rows.push(row);
        self.times.push(created_at);
        self.labels.extend_from_slice(labels);
        self.label_ends.push(self.labels.len() as u32);
    }

    /// Adds a label and gives its place.
    pub fn add_key(&mut self, key: String) -> u32 {
        self.keys.push(key);
        self.keys.len() as u32 - 1
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Words of each code.
    pub fn word_count(&self) -> usize {
        self.word_count
    }

    /// The keys of all labels.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// A row by its place.
    pub fn get(&self, place: usize) -> BatchRow<'_> {
        let start = if place == 0 { 0 } else { self.label_ends[place - 1] as usize };
        BatchRow {
            row: self.rows[place],
            created_at: self.times[place],
            words: &self.words[place * self.word_count..][..self.word_count],
            factor: self.factors[place],
            labels: &self.labels[start..self.label_ends[place] as usize],
        }
    }

    /// The saved form.
    pub fn encode(&self, model: &CodeModel) -> Vec<u8> {
        let mut bytes = vec![0; CHECKSUM_BYTES];
        let mut put = |number: usize| bytes.extend_from_slice(&(number as u32).to_le_bytes());
        put(VERSION as usize);
        put(model.dimension);
        put(self.rows.len());
        put(self.keys.len());
        put(self.labels.len());
        self.rows.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        self.times.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        self.factors.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        self.words.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        self.labels.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        self.label_ends.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        for key in &self.keys {
            bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
            bytes.extend_from_slice(key.as_bytes());
        }
        let sum = checksum(model, &bytes[CHECKSUM_BYTES..]);
        bytes[..CHECKSUM_BYTES].copy_from_slice(&sum);
        bytes
    }

    /// The inverse of [`Batch::encode`].
    ///
    /// # Errors
    /// When the bytes are damaged, or codes of another model or version.
    pub fn decode(bytes: &[u8], model: &CodeModel) -> Result<Self, Unusable> {
        let (sum, body) = bytes.split_at_checked(CHECKSUM_BYTES).ok_or(Unusable)?;
        if sum != checksum(model, body) {
            return Err(Unusable);
        }
        let mut rest = body;
        let version = take::<4>(&mut rest, 1)?;
        let dimension = take::<4>(&mut rest, 1)?;
        let counts = take::<4>(&mut rest, 3)?;
        let number = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) as usize;
        let [row_count, key_count, label_count] =
            [number(&counts[0]), number(&counts[1]), number(&counts[2])];
        let fits = number(&version[0]) == VERSION as usize
            && number(&dimension[0]) == model.dimension
            && row_count <= ROW_COUNT_MAX
            && label_count.max(key_count) <= LABEL_COUNT_MAX;
        if !fits {
            return Err(Unusable);
        }
        let word_count = code::word_count(model.dimension);
        let numbers = |chunks: &[[u8; 4]]| chunks.iter().copied().map(u32::from_le_bytes).collect();
        let batch = Batch {
            word_count,
            rows: numbers(take(&mut rest, row_count)?),
            times: take(&mut rest, row_count)?.iter().copied().map(f64::from_le_bytes).collect(),
            factors: take(&mut rest, row_count)?.iter().copied().map(f32::from_le_bytes).collect(),
            words: take(&mut rest, row_count * word_count)?
                .iter()
                .copied()
                .map(u64::from_le_bytes)
                .collect(),
            labels: numbers(take(&mut rest, label_count)?),
            label_ends: numbers(take(&mut rest, row_count)?),
            keys: (0..key_count).map(|_| take_key(&mut rest)).collect::<Result<_, _>>()?,
        };
        let is_whole = rest.is_empty()
            && batch.label_ends.is_sorted()
            && batch.label_ends.last().copied().unwrap_or(0) as usize == label_count
            && batch.labels.iter().all(|label| (*label as usize) < key_count);
        if is_whole { Ok(batch) } else { Err(Unusable) }
    }
}

const CHECKSUM_BYTES: usize = 16;

/// The first half of SHA-256 over the model and the bytes.
fn checksum(model: &CodeModel, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update((model.name.len() as u64).to_le_bytes());
    hash.update(model.name.as_bytes());
    hash.update(body);
    let sum: [u8; 32] = hash.finalize().into();
    *sum.first_chunk().expect("sixteen of thirty-two")
}

/// The next `count` numbers of `N` bytes.
fn take<'b, const N: usize>(rest: &mut &'b [u8], count: usize) -> Result<&'b [[u8; N]], Unusable> {
    let length = count.checked_mul(N).ok_or(Unusable)?;
    let (taken, left) = rest.split_at_checked(length).ok_or(Unusable)?;
    *rest = left;
    Ok(taken.as_chunks().0)
}

fn take_key(rest: &mut &[u8]) -> Result<String, Unusable> {
    let length = u32::from_le_bytes(take::<4>(rest, 1)?[0]) as usize;
    let bytes = take::<1>(rest, length)?.as_flattened();
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model() -> CodeModel {
        CodeModel { name: "m".to_owned(), dimension: 70 }
    }

    fn batch() -> impl Strategy<Value = Batch> {
        let vector = prop::collection::vec(-1.0_f32..1.0, 70);
        let labels = prop::collection::vec(0_u32..3, 0..4);
        prop::collection::vec((any::<u32>(), -1e9_f64..1e9, vector, labels), 0..20).prop_map(
            |rows| {
                let mut batch = Batch::empty(70);
                for key in ["na", "#b", "tü"] {
                    batch.add_key(key.to_owned());
                }
                for (row, time, vector, labels) in rows {
                    batch.push(row, time, &vector, &labels);
                }
                batch
            },
        )
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_as_it_was(batch in batch()) {
            prop_assert_eq!(Batch::decode(&batch.encode(&model()), &model()), Ok(batch));
        }

        #[test]
        fn damage_is_noticed(
            batch in batch(),
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let mut bytes = batch.encode(&model());
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(Batch::decode(&bytes, &model()), Err(Unusable));
            prop_assert_eq!(Batch::decode(&bytes[..at], &model()), Err(Unusable));
        }

        /// What someone else wrote, with a right checksum, is refused or read, never a panic.
        #[test]
        fn any_bytes_are_refused_or_read(
            numbers in prop::collection::vec(prop_oneof![0_u32..5, any::<u32>()], 0..40),
        ) {
            let mut body = [VERSION, 70].map(u32::to_le_bytes).concat();
            body.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            let bytes = [checksum(&model(), &body).as_slice(), &body].concat();
            if let Ok(batch) = Batch::decode(&bytes, &model()) {
                (0..batch.len()).for_each(|place| drop(batch.get(place).labels.to_vec()));
            }
        }
    }

    #[test]
    fn codes_of_another_model_are_refused() {
        let bytes = Batch::empty(70).encode(&model());
        for other in [("n", 70), ("m", 71)] {
            let other = CodeModel { name: other.0.to_owned(), dimension: other.1 };
            assert_eq!(Batch::decode(&bytes, &other), Err(Unusable));
        }
    }
}
