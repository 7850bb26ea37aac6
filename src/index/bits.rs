//! A set of rows of one chunk, a bit for each.

use super::code::BLOCK_ROWS;

/// Rows of a chunk.
pub const CHUNK_ROWS: usize = 4096;
const WORDS: usize = CHUNK_ROWS / 64;
/// Blocks of a chunk.
const BLOCKS: usize = CHUNK_ROWS / BLOCK_ROWS;

/// Which rows of a chunk are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits([u64; WORDS]);

impl Bits {
    /// None of them.
    pub fn none() -> Self {
        Bits([0; WORDS])
    }

    /// Whether a row is in.
    pub fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    /// Adds a row.
    pub fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    /// Removes a row.
    pub fn remove(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    /// Adds what is in `other`.
    pub fn unite(&mut self, other: &Bits) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// Keeps the rows of which `test` holds; asks for each of the first `count`, drops the others.
    pub fn retain(&mut self, count: usize, test: impl Fn(usize) -> bool) {
        for (number, word) in self.0.iter_mut().enumerate() {
            let first = number * 64;
            let last = count.clamp(first, first + 64);
            let passed =
                (first..last).fold(0, |bits, slot| bits | u64::from(test(slot)) << (slot % 64));
            *word &= passed;
        }
    }

    /// How many are in.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(number, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(number * 64 + bit)
            })
        })
    }

    /// A byte for each block, as kernels want it.
    pub fn mask(&self) -> [u8; BLOCKS] {
        let mut bytes = [0; BLOCKS];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        chunks.iter_mut().zip(self.0).for_each(|(chunk, word)| *chunk = word.to_le_bytes());
        bytes
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(slots: I) -> Self {
        let mut bits = Bits::none();
        slots.into_iter().for_each(|slot| bits.insert(slot));
        bits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn slots() -> impl Strategy<Value = BTreeSet<usize>> {
        prop::collection::btree_set(0..CHUNK_ROWS, 0..200)
    }

    fn set(bits: &Bits) -> BTreeSet<usize> {
        bits.iter().collect()
    }

    proptest! {
        #[test]
        fn bits_are_a_set(a in slots(), b in slots(), count in 0..=CHUNK_ROWS) {
            let one: Bits = a.iter().copied().collect();
            let other: Bits = b.iter().copied().collect();
            prop_assert_eq!(set(&one), a.clone());
            prop_assert_eq!(one.count(), a.len());
            let mut both = one.clone();
            both.intersect(&other);
            prop_assert_eq!(set(&both), &a & &b);
            let mut either = one.clone();
            either.unite(&other);
            prop_assert_eq!(set(&either), &a | &b);
            let mut even = one.clone();
            even.retain(count, |slot| slot % 2 == 0);
            let expected: BTreeSet<usize> =
                a.iter().copied().filter(|slot| slot % 2 == 0 && *slot < count).collect();
            prop_assert_eq!(set(&even), expected);
            let mask = one.mask();
            let is_picked = |slot: &usize| mask[slot / 8] >> (slot % 8) & 1 == 1;
            prop_assert_eq!((0..CHUNK_ROWS).filter(is_picked).collect::<BTreeSet<_>>(), a.clone());
            let mut less = one;
            a.iter().for_each(|slot| less.remove(*slot));
            prop_assert_eq!(less, Bits::none());
        }
    }
}
