//! What one node asks of another, and the answers.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::message::Root;
use crate::interval::IntervalSet;
use crate::op::{ClusterId, Embedding};
use crate::origin::Origin;
use crate::record::{Record, RecordId};
use crate::vector::Vector;

/// Most ops of one answer.
pub const RANGE_COUNT_MAX: u64 = 500;
/// Bytes after which a page of ops or records ends.
pub const RECORD_PAGE_BYTES_MAX: usize = 384 * 1024;

/// A request with the cluster it is about.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Ask {
    /// The cluster of whoever asks.
    #[n(0)]
    pub cluster: ClusterId,
    /// What is asked.
    #[n(1)]
    pub request: Request,
}

/// What may be asked of a node.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Request {
    /// Single ops.
    #[n(0)]
    Range(#[n(0)] Range),
    /// The vector, page by page.
    #[n(1)]
    Vector {
        /// The last origin of the page before.
        #[n(0)]
        after: Option<Origin>,
    },
    /// The hashes of all groups.
    #[n(2)]
    Groups,
    /// The digests of the buckets of a group.
    #[n(3)]
    Buckets {
        /// The group.
        #[n(0)]
        group: u16,
    },
    /// The state hash of every record of a bucket, page by page.
    #[n(4)]
    Hashes {
        /// The bucket.
        #[n(0)]
        bucket: u16,
        /// The last id of the page before.
        #[n(1)]
        after: Option<RecordId>,
    },
    /// Whole records.
    #[n(5)]
    Records {
        /// Their ids, ascending.
        #[n(0)]
        ids: Vec<RecordId>,
    },
    /// All records of some buckets, page by page.
    #[n(6)]
    BucketRecords {
        /// The first bucket.
        #[n(0)]
        first: u16,
        /// The last bucket.
        #[n(1)]
        last: u16,
        /// The last id of the page before.
        #[n(2)]
        after: Option<RecordId>,
    },
    /// A snapshot of everything in the object store, made if there is no young one.
    #[n(7)]
    Snapshot,
}

/// Ops of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Range {
    /// Whose.
    #[n(0)]
    pub origin: Origin,
    /// Which: intervals, ends included.
    #[n(1)]
    pub intervals: Vec<(u64, u64)>,
}

/// The answers, by request.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Reply {
    /// Some of the ops that were asked for; what is not named was left for another answer.
    #[n(0)]
    Range {
        /// Number and encoding.
        #[n(0)]
        ops: Vec<Held>,
        /// Applied here, no longer kept.
        #[n(1)]
        pruned: Vec<(u64, u64)>,
        /// Never seen here.
        #[n(2)]
        not_held: Vec<(u64, u64)>,
    },
    /// A page of the vector.
    #[n(1)]
    Vector {
        /// The origins of this page.
        #[n(0)]
        page: Vector,
        /// Whether there are more.
        #[n(1)]
        more: bool,
    },
    /// The hash of every group.
    #[n(2)]
    Groups {
        /// In order.
        #[n(0)]
        groups: Vec<Root>,
    },
    /// The digests of the buckets of a group.
    #[n(3)]
    Buckets {
        /// Hash and number of records, in order.
        #[n(0)]
        buckets: Vec<(Root, u64)>,
    },
    /// State hashes.
    #[n(4)]
    Hashes {
        /// By id, ascending.
        #[n(0)]
        hashes: Vec<(RecordId, Root)>,
        /// Whether there are more.
        #[n(1)]
        more: bool,
    },
    /// Records.
    #[n(5)]
    Records {
        /// By id, ascending.
        #[n(0)]
        records: Vec<TransferRecord>,
        /// Whether some that were asked for are left for another answer.
        #[n(1)]
        more: bool,
    },
    /// Where the snapshot is.
    #[n(7)]
    Snapshot {
        /// The object, once it is there; until then it is being made: ask again.
        #[n(0)]
        object: Option<SnapshotObject>,
    },
    /// The request is refused: of another cluster, or not understood.
    #[n(6)]
    Refused {
        /// Why.
        #[n(0)]
        reason: String,
    },
}

/// An op as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// Its number.
    #[n(0)]
    pub oseq: u64,
    /// Its encoding.
    #[n(1)]
    pub payload: ByteVec,
}

/// A snapshot in the object store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SnapshotObject {
    /// The name of the object; never used for another.
    #[n(0)]
    pub name: String,
    /// Its length.
    #[n(1)]
    pub bytes: u64,
    /// SHA-256 of its bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub sha256: [u8; 32],
    /// Records in it, dead ones included.
    #[n(3)]
    pub record_count: u64,
}

/// A record on its way in a state transfer.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TransferRecord {
    /// Its namespace.
    #[n(0)]
    pub namespace: String,
    /// The hash of its text.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub content_hash: [u8; 32],
    /// All its state.
    #[n(2)]
    pub record: Record,
    /// The vector of its text, if the sender has one.
    #[n(3)]
    pub embedding: Option<TransferEmbedding>,
}

/// An embedding on its way.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct TransferEmbedding {
    /// Its model.
    #[n(0)]
    pub model: String,
    /// Its numbers as little-endian `f32`.
    #[n(1)]
    pub numbers: ByteVec,
}

impl TransferRecord {
    /// The name of the record.
    pub fn id(&self) -> RecordId {
        RecordId::new(&self.namespace, &self.content_hash)
    }
}

impl Range {
    /// The wanted numbers as intervals of a request; at most [`RANGE_COUNT_MAX`] numbers.
    pub fn new(origin: &Origin, wanted: &IntervalSet) -> Range {
        let intervals = wanted.take(RANGE_COUNT_MAX).iter().collect();
        Range { origin: origin.clone(), intervals }
    }

    /// The wanted numbers; `None` when they are out of order or too many.
    pub fn wanted(&self) -> Option<IntervalSet> {
        let mut set = IntervalSet::default();
        let mut end = 0;
        let mut left = RANGE_COUNT_MAX;
        for &(lo, hi) in &self.intervals {
            if lo <= end || hi < lo || hi > crate::OSEQ_MAX {
                return None;
            }
            left = left.checked_sub(hi - lo + 1)?;
            set.insert_range(lo, hi);
            end = hi;
        }
        Some(set)
    }
}

impl TransferEmbedding {
    /// The embedding, `None` when its numbers cannot be one.
    pub fn to_embedding(&self) -> Option<Embedding> {
        let (numbers, rest) = self.numbers.as_chunks::<4>();
        let vector = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let embedding = Embedding { model: self.model.clone(), vector };
        (rest.is_empty() && embedding.is_valid()).then_some(embedding)
    }
}
