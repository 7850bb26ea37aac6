//! What a node tells everyone: its writes, how it is, what it has on disk.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::codec;
use crate::op::ClusterId;
use crate::origin::{NodeName, OSEQ_MAX, Origin};
use crate::vector::Vector;

/// A run of consecutive ops of one origin, as it stands in the stream.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Batch {
    /// The cluster it belongs to.
    #[n(0)]
    pub cluster: ClusterId,
    /// The run of the process that published it, to tell an echo from a twin.
    #[n(1)]
    pub run: u64,
    /// Whose ops they are.
    #[n(2)]
    pub origin: Origin,
    /// The number of the first.
    #[n(3)]
    pub lo: u64,
    /// The encoded ops.
    #[n(4)]
    pub ops: Vec<ByteVec>,
    /// Whether a client waits for peers to have them on disk.
    #[n(5)]
    pub wants_ack: bool,
}

impl Batch {
    /// The number of the last op; `None` for an empty run or one beyond all numbers.
    pub fn hi(&self) -> Option<u64> {
        let more = u64::try_from(self.ops.len()).ok()?.checked_sub(1)?;
        self.lo.checked_add(more).filter(|hi| self.lo >= 1 && *hi <= OSEQ_MAX)
    }
}

/// How a node is, every two seconds. Vector, hash and root are of one snapshot on disk.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Heartbeat {
    /// The cluster.
    #[n(0)]
    pub cluster: ClusterId,
    /// Who.
    #[n(1)]
    pub node: NodeName,
    /// The run of its process.
    #[n(2)]
    pub run: u64,
    /// What it has applied of the origins that changed lately or have holes.
    #[n(3)]
    pub recent: Vector,
    /// The hash of its whole vector.
    #[n(4)]
    #[cbor(with = "codec::hash")]
    pub vector_hash: [u8; 16],
    /// The digest root, left out while a transfer is merging.
    #[n(5)]
    pub root: Option<Root>,
    /// Ops that lie in its quarantine: received, not applied.
    #[n(6)]
    pub held: Vector,
    /// Its time of day, in Unix milliseconds.
    #[n(7)]
    pub clock_ms: u64,
    /// The head of its change log.
    #[n(8)]
    pub change_head: u64,
    /// Its version of memnode.
    #[n(9)]
    pub software: String,
    /// The model that its vectors are of.
    #[n(10)]
    pub embedder: String,
    /// Share of its disk that is in use, 0 to 100.
    #[n(11)]
    pub disk_percent: Option<u8>,
    /// Records, dead ones included.
    #[n(12)]
    pub record_count: u64,
    /// Own writes that are not in the stream yet.
    #[n(13)]
    pub outbox_count: u64,
}

/// A digest root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Root(#[cbor(with = "codec::hash")] pub [u8; 16]);

/// What a node has applied and fsynced of the origins it was asked about.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Ack {
    /// The cluster.
    #[n(0)]
    pub cluster: ClusterId,
    /// Who.
    #[n(1)]
    pub node: NodeName,
    /// The run of its process.
    #[n(2)]
    pub run: u64,
    /// All it has applied of these origins.
    #[n(3)]
    pub applied: Vector,
}
