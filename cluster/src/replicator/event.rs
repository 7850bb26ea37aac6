//! What goes into a replicator and what comes out of it.

use std::sync::Arc;

use super::{Alarm, Member, PeerKey};
use crate::op::{ClusterId, Op};
use crate::origin::{Dot, NodeName, Origin};
use crate::vector::Vector;
use crate::wire::{Ack, Batch, Heartbeat, Reply, Request, TransferRecord};

/// What a replicator needs to know of its node.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeName,
    /// This run of the process: random.
    pub run: u64,
}

/// What the store holds when a replicator starts.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Whether there is nothing in the store at all: the node joins.
    pub is_fresh: bool,
    /// What is applied.
    pub vector: Vector,
    /// What lies in quarantine.
    pub held: Vector,
    /// What an administrator gave up.
    pub voided: Vector,
    /// How far the stream was read.
    pub cursor: Option<Position>,
    /// Own ops that are not known to be in the stream.
    pub unpublished: Vector,
    /// The other nodes that were known.
    pub members: Vec<Member>,
    /// Whether records were joined a short while ago: the process may have ended in the middle of
    /// a transfer, so that records hold more than the vector tells of.
    pub has_joined_lately: bool,
}

/// A place in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When the stream was made, as the server says it: a stream made anew is another stream.
    pub created: String,
    /// The sequence number.
    pub seq: u64,
}

/// What the server says of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// When it was made.
    pub created: String,
    /// The oldest message that is kept; beyond `last_seq` when there is none.
    pub first_seq: u64,
    /// The newest message.
    pub last_seq: u64,
}

/// An op of another node on its way in.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Its name.
    pub dot: Dot,
    /// Its encoding.
    pub payload: Vec<u8>,
    /// The op, or why it does not decode.
    pub op: Result<Box<Op>, String>,
}

/// Names one request until its answer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A peer.
    Peer(PeerKey),
    /// The own store.
    Own,
}

/// What a store did with an [`Effect::Apply`], [`Effect::Merge`] or [`Effect::Adopt`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Dots that are in the vector now.
    pub applied: Vector,
    /// Dots that went to quarantine.
    pub held: Vector,
    /// Records of a transfer that were refused, and why.
    pub refused: Vec<String>,
    /// Authors whose clocks run far ahead.
    pub far_ahead: Vec<NodeName>,
    /// Dots that came with two different values.
    pub contradictions: Vec<Dot>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The server can be reached.
    Connected,
    /// It cannot.
    Disconnected,
    /// How the stream is: after every connection and every ten seconds.
    Stream(StreamInfo),
    /// A message of the stream, read by the reader of that number.
    Message {
        /// Which [`Effect::Read`] it belongs to.
        reader: u64,
        /// Its sequence number.
        seq: u64,
        /// What it holds, or why it cannot be read.
        batch: Result<Box<Batch>, String>,
    },
    /// A peer tells how it is.
    Beat(Box<Heartbeat>),
    /// A peer tells what it has on disk.
    Acked(Ack),
    /// The answer to a request; `None` when none came in time.
    Replied {
        /// Which.
        ask: AskId,
        /// What.
        reply: Option<Box<Reply>>,
    },
    /// Local writes are on disk up to this number of the open epoch.
    Committed {
        /// The open epoch.
        origin: Origin,
        /// Its last number.
        head: u64,
        /// Whether somebody waits until peers or the stream have them.
        is_awaited: bool,
    },
    /// Ops are in the stream.
    Published {
        /// Whose.
        origin: Origin,
        /// The first.
        lo: u64,
        /// The last.
        hi: u64,
        /// Where; `None` for ops that are not kept and never will be sent.
        seq: Option<u64>,
        /// [`payload_hash`](super::payload_hash) of each op, to know an echo by.
        hashes: Vec<u64>,
    },
    /// Ops could not be published.
    PublishFailed {
        /// Whose.
        origin: Origin,
        /// The first.
        lo: u64,
        /// The last.
        hi: u64,
        /// Whether the server said no, rather than nothing.
        refused: Option<String>,
    },
    /// The outcome of an effect on the store; `None` when all of it was rolled back.
    Applied {
        /// The number that the effect had.
        number: u64,
        /// What was done.
        outcome: Option<Box<Applied>>,
    },
    /// An own heartbeat was made, of this state.
    OwnBeat {
        /// The hash of the vector.
        vector_hash: [u8; 16],
        /// The digest root.
        root: [u8; 16],
    },
    /// Ops left quarantine, or went there, by a retry.
    Retried(Box<Applied>),
    /// Own ops that the store keeps, asked for by [`Effect::LoadOutbox`].
    Outbox(Vector),
    /// What the replicated records of the cluster say: members forgotten or back, dots given up.
    Decided {
        /// Names of nodes that are forgotten.
        forgotten: Vec<NodeName>,
        /// Dots that were given up.
        voided: Vector,
    },
    /// Time passed; at least every quarter of a second.
    Tick,
}

/// Something to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send own ops to the stream, in as many messages as it takes.
    Publish {
        /// Whose.
        origin: Origin,
        /// The first.
        lo: u64,
        /// The last.
        hi: u64,
    },
    /// Apply ops and keep the position, in one transaction.
    Apply {
        /// Comes back in [`Input::Applied`].
        number: u64,
        /// The ops.
        ops: Arc<[Incoming]>,
        /// The stream is applied up to here.
        position: Option<Position>,
    },
    /// Join records of a transfer.
    Merge {
        /// Comes back in [`Input::Applied`].
        number: u64,
        /// The records.
        records: Vec<TransferRecord>,
        /// What was applied here when the transfer began.
        ours: Vector,
        /// What was applied there.
        theirs: Vector,
    },
    /// Take over a snapshot of a peer, if it has one: a first step for a node that is far behind.
    /// The store then holds what the peer held; what is applied comes back in
    /// [`Input::Applied`], or that nothing was.
    TakeSnapshot {
        /// Comes back in [`Input::Applied`].
        number: u64,
        /// Who has it.
        peer: PeerKey,
    },
    /// Add dots to the vector. What lies in quarantine leaves it, but for writes of another major
    /// version, which stay there.
    Adopt {
        /// Comes back in [`Input::Applied`].
        number: u64,
        /// The dots.
        vector: Vector,
    },
    /// Remember which own ops are in the stream.
    MarkPublished(Vec<(Origin, u64, u64, Option<u64>)>),
    /// Read the stream from a sequence number on, with a new reader; the old one ends.
    Read {
        /// The number of the reader.
        reader: u64,
        /// The first message.
        from: u64,
    },
    /// Tell everyone how this node is; with the root or without.
    Beat {
        /// Whether vector and state fit each other at this moment.
        with_root: bool,
    },
    /// Tell everyone what is on disk.
    Ack(Vector),
    /// Ask something; the answer, or its absence, comes as [`Input::Replied`].
    Ask {
        /// Comes back in the answer.
        ask: AskId,
        /// Who.
        to: Asked,
        /// What.
        request: Request,
    },
    /// Local writes must take a new epoch from now on.
    NewEpoch,
    /// Drop the payloads of these ops: everyone has them.
    Prune(Vector),
    /// Remember what is known of a peer.
    Remember(Member),
    /// Ask the store for all own ops that it keeps: the stream is empty.
    LoadOutbox,
    /// An alarm went up; it stays in [`Replicator::status`](super::Replicator::status)
    /// until it is over.
    Alarm(Alarm),
}
