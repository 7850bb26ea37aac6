//! Digests over all records: what two nodes compare instead of their states.
//!
//! A record falls into one of 4096 buckets by its id. A bucket is the XOR of the state hashes of
//! its records, so one change costs two XORs and the order of changes leaves no trace. Buckets
//! fold into 64 groups, groups into a root: two nodes that differ find the records in three
//! exchanges.

use sha2::{Digest, Sha256};

use crate::record::RecordId;
use crate::vector::truncated;

/// How many buckets a node has.
pub const BUCKET_COUNT: usize = 4096;
/// How many groups of buckets a node has.
pub const GROUP_COUNT: usize = 64;

const BUCKETS_PER_GROUP: usize = BUCKET_COUNT / GROUP_COUNT;

/// What is known of all records of one bucket, dead ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// XOR of the state hashes.
    pub hash: [u8; 16],
    /// Number of records.
    pub count: u64,
}

impl Bucket {
    /// Counts a record in.
    pub fn insert(&mut self, state_hash: &[u8; 16]) {
        self.xor(state_hash);
        self.count += 1;
    }

    /// Counts a record out, with the state hash it was counted in with.
    ///
    /// # Panics
    /// If the bucket is empty.
    pub fn remove(&mut self, state_hash: &[u8; 16]) {
        assert!(self.count > 0, "a record that leaves a bucket was counted in");
        self.xor(state_hash);
        self.count -= 1;
    }

    fn xor(&mut self, state_hash: &[u8; 16]) {
        for (byte, other) in self.hash.iter_mut().zip(state_hash) {
            *byte ^= other;
        }
    }
}

/// The bucket of a record: the first 12 bits of its id.
pub fn bucket_of(id: &RecordId) -> u16 {
    u16::from_be_bytes([id.0[0], id.0[1]]) >> 4
}

/// The group of a bucket: 64 neighbours share one.
pub fn group_of(bucket: u16) -> u16 {
    bucket / BUCKETS_PER_GROUP as u16
}

/// The hash of every group, in order.
///
/// # Panics
/// Unless there are exactly [`BUCKET_COUNT`] buckets.
pub fn groups(buckets: &[Bucket]) -> Vec<[u8; 16]> {
    assert_eq!(buckets.len(), BUCKET_COUNT, "a digest covers every bucket");
    buckets.chunks_exact(BUCKETS_PER_GROUP).map(group).collect()
}

/// The hash over everything.
///
/// # Panics
/// Unless there are exactly [`BUCKET_COUNT`] buckets.
pub fn root(buckets: &[Bucket]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for group in groups(buckets) {
        hash.update(group);
    }
    truncated(&hash.finalize())
}

fn group(buckets: &[Bucket]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for bucket in buckets {
        hash.update(bucket.hash);
        hash.update(bucket.count.to_be_bytes());
    }
    truncated(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::record::Record;
    use crate::testing::any_op;

    fn count(records: &BTreeMap<RecordId, Record>) -> Vec<Bucket> {
        let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
        for (id, record) in records {
            buckets[usize::from(bucket_of(id))].insert(&record.state_hash(id));
        }
        buckets
    }

    #[test]
    fn the_first_twelve_bits_choose_the_bucket() {
        let mut id = RecordId([0xff; 16]);
        assert_eq!((bucket_of(&id), group_of(bucket_of(&id))), (4095, 63));
        id.0[..2].copy_from_slice(&[0x04, 0x1f]);
        assert_eq!((bucket_of(&id), group_of(bucket_of(&id))), (0x041, 1));
    }

    #[test]
    fn every_bucket_reaches_its_group_and_the_root() {
        let empty = vec![Bucket::default(); BUCKET_COUNT];
        for bucket in [0, 63, 64, 4095] {
            let mut buckets = empty.clone();
            // A record that hashes to zero still counts.
            buckets[bucket].insert(&[0; 16]);
            assert_ne!(root(&buckets), root(&empty));
            let (before, after) = (groups(&empty), groups(&buckets));
            let differing = (0..GROUP_COUNT).filter(|group| before[*group] != after[*group]);
            assert_eq!(differing.collect::<Vec<_>>(), [usize::from(group_of(bucket as u16))]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn keeping_count_is_counting_again(writes in vec((0..8u8, any_op()), 0..20)) {
            let mut records: BTreeMap<RecordId, Record> = BTreeMap::new();
            let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
            for (number, op) in writes {
                // Some ids share a bucket.
                let id = RecordId([number / 2, 0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                let bucket = &mut buckets[usize::from(bucket_of(&id))];
                if let Some(record) = records.get(&id) {
                    bucket.remove(&record.state_hash(&id));
                }
                let record = records.entry(id).or_default();
                record.apply(&op);
                bucket.insert(&record.state_hash(&id));
            }
            prop_assert_eq!(&buckets, &count(&records));
            prop_assert_eq!(root(&buckets), root(&count(&records)));
        }
    }
}
