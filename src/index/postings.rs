//! Which rows of a chunk have which label.
//!
//! As in a roaring bitmap (Lemire et al., 2016) what is dense is a bitmap and what is sparse is a
//! sorted list. Here the containers are the chunks themselves, so that a change copies no more than
//! one chunk, and the sparse lists of a chunk are one list, so that a tag on a single row costs
//! eight bytes.

use std::sync::Arc;

use super::bits::{Bits, CHUNK_ROWS};
use super::label::LabelId;

/// From this many rows of a chunk on, a bitmap is no larger than a list.
const DENSE_COUNT_MIN: usize = CHUNK_ROWS / 64;
/// Bits of a row's number within its chunk.
const SLOT_BITS: u32 = CHUNK_ROWS.trailing_zeros();

/// The labels of a chunk's rows.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    /// Sorted by label.
    dense: Vec<(LabelId, Arc<Bits>)>,
    /// Pairs of label and row, sorted.
    sparse: Vec<u64>,
}

fn pair(label: LabelId, slot: usize) -> u64 {
    u64::from(label) << SLOT_BITS | slot as u64
}

fn slot_of(pair: u64) -> usize {
    pair as usize % CHUNK_ROWS
}

impl Postings {
    /// Of all rows at once.
    pub fn of(labels: impl IntoIterator<Item = (LabelId, usize)>) -> Self {
        let mut pairs: Vec<u64> =
            labels.into_iter().map(|(label, slot)| pair(label, slot)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let (mut dense, mut sparse) = (Vec::new(), Vec::new());
        for run in pairs.chunk_by(|a, b| a >> SLOT_BITS == b >> SLOT_BITS) {
            if run.len() >= DENSE_COUNT_MIN {
                let label = (run[0] >> SLOT_BITS) as LabelId;
                dense.push((label, Arc::new(run.iter().copied().map(slot_of).collect())));
            } else {
                sparse.extend_from_slice(run);
            }
        }
        sparse.shrink_to_fit();
        Postings { dense, sparse }
    }

    /// Adds the rows that have a label to `rows`.
    pub fn collect(&self, label: LabelId, rows: &mut Bits) {
        match self.dense.binary_search_by_key(&label, |(label, _)| *label) {
            Ok(place) => rows.unite(&self.dense[place].1),
            Err(_) => self.run(label).iter().for_each(|pair| rows.insert(slot_of(*pair))),
        }
    }

    /// Gives a row a label.
    pub fn insert(&mut self, label: LabelId, slot: usize) {
        match self.dense.binary_search_by_key(&label, |(label, _)| *label) {
            Ok(place) => Arc::make_mut(&mut self.dense[place].1).insert(slot),
            Err(place) if self.run(label).len() + 1 >= DENSE_COUNT_MIN => {
                let mut bits = Bits::none();
                self.collect(label, &mut bits);
                bits.insert(slot);
                self.sparse.retain(|pair| pair >> SLOT_BITS != u64::from(label));
                self.dense.insert(place, (label, Arc::new(bits)));
            }
            Err(_) => {
                let pair = pair(label, slot);
                if let Err(place) = self.sparse.binary_search(&pair) {
                    self.sparse.insert(place, pair);
                }
            }
        }
    }

    /// Takes all labels from a row.
    pub fn clear(&mut self, slot: usize) {
        for (_, bits) in self.dense.iter_mut().filter(|(_, bits)| bits.contains(slot)) {
            Arc::make_mut(bits).remove(slot);
        }
        self.sparse.retain(|pair| slot_of(*pair) != slot);
    }

    /// The labels of a row, ascending.
    pub fn labels_of(&self, slot: usize) -> Vec<LabelId> {
        let dense = self.dense.iter().filter(|(_, bits)| bits.contains(slot));
        let sparse = self.sparse.iter().filter(|pair| slot_of(**pair) == slot);
        let mut labels: Vec<LabelId> = dense
            .map(|(label, _)| *label)
            .chain(sparse.map(|pair| (pair >> SLOT_BITS) as LabelId))
            .collect();
        labels.sort_unstable();
        labels
    }

    /// Every label of every row.
    pub fn iter(&self) -> impl Iterator<Item = (LabelId, usize)> + '_ {
        let dense =
            self.dense.iter().flat_map(|(label, bits)| bits.iter().map(move |slot| (*label, slot)));
        let sparse =
            self.sparse.iter().map(|pair| ((pair >> SLOT_BITS) as LabelId, slot_of(*pair)));
        dense.chain(sparse)
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.dense.len() * (size_of::<Bits>() + size_of::<(LabelId, Arc<Bits>)>())
            + self.sparse.capacity() * size_of::<u64>()
    }

    fn run(&self, label: LabelId) -> &[u64] {
        let start = self.sparse.partition_point(|known| *known < pair(label, 0));
        let length =
            self.sparse[start..].partition_point(|known| known >> SLOT_BITS == u64::from(label));
        &self.sparse[start..start + length]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn check(postings: &Postings, expected: &BTreeSet<(LabelId, usize)>) {
        for label in 0..6 {
            let mut found = Bits::none();
            postings.collect(label, &mut found);
            let rows: Bits =
                expected.iter().filter(|(of, _)| *of == label).map(|(_, slot)| *slot).collect();
            assert_eq!(found, rows, "label {label}");
        }
        assert_eq!(postings.iter().collect::<BTreeSet<_>>(), *expected);
    }

    proptest! {
        #[test]
        fn postings_are_a_set_of_pairs_however_they_came(
            first in prop::collection::btree_set((0_u32..5, 0_usize..300), 0..400),
            further in prop::collection::btree_set((0_u32..5, 0_usize..300), 0..400),
            cleared in prop::collection::btree_set(0_usize..300, 0..40),
        ) {
            let mut postings = Postings::of(first.iter().copied());
            check(&postings, &first);
            let mut expected = first;
            for (label, slot) in further {
                postings.insert(label, slot);
                expected.insert((label, slot));
            }
            check(&postings, &expected);
            for slot in cleared {
                let own = expected.iter().filter(|(_, of)| *of == slot);
                let labels: Vec<LabelId> = own.map(|(label, _)| *label).collect();
                prop_assert_eq!(postings.labels_of(slot), labels);
                postings.clear(slot);
                expected.retain(|(_, of)| *of != slot);
            }
            check(&postings, &expected);
        }
    }
}
