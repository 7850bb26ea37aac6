//! The replicator: what a node does about its peers, as a state machine.
//!
//! Everything that happens is an [`Input`], everything it wants done an [`Effect`]; time is an
//! argument. Whoever drives it (a task on NATS, or a simulator) carries effects out in order and
//! feeds their outcomes back. It may be dropped between any two effects and built anew from
//! [`Start`], as after a crash: what it must remember is in the store.
//!
//! The roads that an op can take to a node each have a file: the stream (`stream`, `inbox`,
//! `outbox`), ranges asked of a peer (`ranges`), state transfer (`transfer`). `peers` keeps what
//! is known of the others, `roster` what may be pruned.

mod alarm;
mod inbox;
mod outbox;
mod peers;
mod ranges;
mod roster;
mod status;
mod stream;
mod transfer;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::op::{ClusterId, Op};
use crate::origin::{Dot, NodeName, Origin};
use crate::vector::Vector;
use crate::wire::{Ack, Batch, Heartbeat, Reply, Request, TransferRecord};

pub use alarm::{Alarm, AlarmKind};
pub use peers::PeerKey;
pub use roster::{Member, MemberState};
pub use status::{Joining, OriginStatus, PeerStatus, Status};
pub use stream::payload_hash;
pub use transfer::TransferReason;

/// Ops that may wait to be applied; a driver stops reading beyond it.
pub const INBOX_COUNT_MAX: usize = 2_000;
/// Bytes that may wait to be applied.
pub const INBOX_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Time between two heartbeats, in milliseconds.
pub const BEAT_INTERVAL_MS: u64 = 2_000;
/// Time after which a silent peer counts as gone, in milliseconds.
pub const PEER_LIVE_MS: u64 = 10_000;
/// How soon after a change a heartbeat tells of it, in milliseconds.
const BEAT_SOON_MS: u64 = 400;

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
    },
    /// Ops are in the stream.
    Published {
        /// Whose.
        origin: Origin,
        /// The first.
        lo: u64,
        /// The last.
        hi: u64,
        /// Where.
        seq: u64,
        /// [`payload_hash`] of each op, to know an echo by.
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
        ops: Vec<Incoming>,
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
    /// Add dots to the vector, but for those in quarantine.
    Adopt {
        /// Comes back in [`Input::Applied`].
        number: u64,
        /// The dots.
        vector: Vector,
    },
    /// Remember which own ops are in the stream.
    MarkPublished(Vec<(Origin, u64, u64, u64)>),
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
    /// An alarm went up; it stays in [`Replicator::status`] until it is over.
    Alarm(Alarm),
}

/// The state of one node's replication.
#[derive(Debug)]
pub struct Replicator {
    identity: Identity,
    /// Milliseconds on a clock that never goes back.
    now: u64,
    vector: Vector,
    held: Vector,
    voided: Vector,
    /// The open epoch and its last number.
    own: Option<(Origin, u64)>,
    is_connected: bool,
    joining: transfer::Join,
    stream: stream::Stream,
    inbox: inbox::Inbox,
    outbox: outbox::Outbox,
    peers: peers::Peers,
    ranges: ranges::Ranges,
    roster: roster::Roster,
    transfer: transfer::Transfers,
    alarms: alarm::Alarms,
    beat_due: u64,
    next_number: u64,
    effects: VecDeque<Effect>,
}

impl Replicator {
    /// Starts from what the store holds. `now`: milliseconds on a clock that never goes back.
    pub fn new(identity: Identity, start: Start, now: u64) -> Replicator {
        Replicator {
            now,
            joining: transfer::Join::new(start.is_fresh),
            stream: stream::Stream::new(start.cursor),
            outbox: outbox::Outbox::new(start.unpublished),
            peers: peers::Peers::default(),
            roster: roster::Roster::new(start.members),
            vector: start.vector,
            held: start.held,
            voided: start.voided,
            own: None,
            is_connected: false,
            inbox: inbox::Inbox::default(),
            ranges: ranges::Ranges::default(),
            transfer: transfer::Transfers::default(),
            alarms: alarm::Alarms::default(),
            beat_due: now,
            next_number: 0,
            effects: VecDeque::new(),
            identity,
        }
    }

    /// Takes in what happened and gives what is to be done, in order.
    pub fn handle(&mut self, now: u64, input: Input) -> Vec<Effect> {
        self.now = self.now.max(now);
        match input {
            Input::Connected => self.connected(),
            Input::Disconnected => self.disconnected(),
            Input::Stream(info) => self.stream_info(info),
            Input::Message { reader, seq, batch } => self.message(reader, seq, batch),
            Input::Beat(beat) => self.beat(*beat),
            Input::Acked(ack) => self.acked(&ack),
            Input::Replied { ask, reply } => self.replied(ask, reply.map(|reply| *reply)),
            Input::Committed { origin, head } => self.committed(origin, head),
            Input::Published { origin, lo, hi, seq, hashes } => {
                self.published(&origin, (lo, hi), seq, &hashes);
            }
            Input::PublishFailed { origin, lo, hi, refused } => {
                self.publish_failed(&origin, lo, hi, refused);
            }
            Input::Applied { number, outcome } => self.applied(number, outcome.map(|o| *o)),
            Input::OwnBeat { vector_hash, root } => self.compare_roots(vector_hash, root),
            Input::Retried(outcome) => self.take_outcome(*outcome),
            Input::Outbox(kept) => self.outbox.refill(&kept),
            Input::Decided { forgotten, voided } => self.decided(forgotten, voided),
            Input::Tick => {}
        }
        self.tick();
        std::mem::take(&mut self.effects).into()
    }

    /// Whether a driver may read on: no more than a bounded amount waits to be applied.
    pub fn has_room(&self) -> bool {
        self.inbox.has_room()
    }

    /// Whether a dot's fate is known here: in the vector.
    pub fn has_applied(&self, dot: &Dot) -> bool {
        self.vector.contains(dot)
    }

    /// Whether a dot was given up: nobody alive has it, or an administrator said so.
    pub fn is_written_off(&self, dot: &Dot) -> bool {
        self.voided.contains(dot) || self.ranges.is_written_off(dot)
    }

    /// Whether an own op is in the stream.
    pub fn is_logged(&self, dot: &Dot) -> bool {
        let is_own =
            self.own.as_ref().is_some_and(|(own, head)| *own == dot.origin && dot.oseq <= *head);
        is_own && !self.outbox.is_pending(dot)
    }

    /// Whether a dot's op, by the number of other live nodes that have it on disk.
    pub fn replica_count(&self, dot: &Dot) -> usize {
        self.peers.replica_count(dot, &self.identity.node, self.now)
    }

    /// Whether the server can be reached.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Own ops that are not in the stream.
    pub fn outbox_count(&self) -> u64 {
        self.outbox.count()
    }

    /// The stream belongs to another cluster than this node: an operator must decide.
    pub fn meet_cluster(&mut self, other: &str) {
        let detail = format!(
            "the stream belongs to the cluster {other}: join it with `memnode cluster join`, or \
             give this cluster another name"
        );
        self.raise(AlarmKind::OtherCluster, "stream", detail);
    }

    /// Payloads were dropped before every peer had them: too many were kept.
    pub fn prune_early(&mut self, count: u64) {
        let detail = format!(
            "{count} writes were dropped before every node had them: those nodes get state instead"
        );
        self.raise(AlarmKind::PrunedEarly, "store", detail);
    }

    /// The vector as this replicator knows it.
    pub fn vector(&self) -> &Vector {
        &self.vector
    }

    /// What follows from the state and the time, whatever happened.
    fn tick(&mut self) {
        self.tick_stream();
        self.tick_inbox();
        self.tick_outbox();
        self.tick_ranges();
        self.tick_transfer();
        self.tick_roster();
        if self.is_connected && self.now >= self.beat_due {
            self.beat_due = self.now + BEAT_INTERVAL_MS;
            let with_root = self.state_fits_vector();
            self.effects.push_back(Effect::Beat { with_root });
        }
    }

    fn beat_soon(&mut self) {
        self.beat_due = self.beat_due.min(self.now + BEAT_SOON_MS);
    }

    fn connected(&mut self) {
        self.is_connected = true;
        self.beat_due = self.now;
        self.stream.forget_reader();
        self.joining.connected(self.now);
    }

    fn disconnected(&mut self) {
        self.is_connected = false;
        self.stream.forget_reader();
        self.outbox.unsend();
    }

    fn committed(&mut self, origin: Origin, head: u64) {
        let before = match &self.own {
            Some((own, before)) if *own == origin => *before,
            _ => 0,
        };
        if head > before {
            self.vector.insert_range(&origin, before + 1, head);
            self.outbox.add(&origin, before + 1, head);
            self.own = Some((origin, head));
            self.beat_soon();
        }
    }

    fn decided(&mut self, forgotten: Vec<NodeName>, voided: Vector) {
        self.roster.set_forgotten(forgotten);
        self.voided = voided;
    }

    fn applied(&mut self, number: u64, outcome: Option<Applied>) {
        if self.transfer.is_waiting_for(number) {
            self.transfer_applied(number, outcome);
            return;
        }
        let is_done = outcome.is_some();
        self.inbox_applied(number, is_done);
        if let Some(outcome) = outcome {
            self.take_outcome(outcome);
        }
    }

    /// Learns what is on disk now.
    fn take_outcome(&mut self, outcome: Applied) {
        for node in &outcome.far_ahead {
            let detail = format!("the clock of {node} runs more than a minute ahead of this one");
            self.raise(AlarmKind::ClockAhead, node.as_str(), detail);
        }
        for dot in &outcome.contradictions {
            let detail = format!("the write {dot} has two different values");
            self.raise(AlarmKind::Contradiction, &dot.to_string(), detail);
        }
        let is_news = !outcome.applied.is_empty() || !outcome.held.is_empty();
        self.vector.join(&outcome.applied);
        self.held.join(&outcome.held);
        self.held = self.held.subtract(&self.vector);
        self.ranges.found(&outcome.applied);
        let wanted = self.inbox.take_acks(&self.vector);
        if !wanted.is_empty() {
            self.effects.push_back(Effect::Ack(wanted));
        }
        if is_news {
            self.beat_soon();
        }
    }

    /// Whether records hold nothing that the vector does not tell of.
    fn state_fits_vector(&self) -> bool {
        !self.transfer.is_running() && self.transfer.is_covered_by(&self.vector)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn ask(&mut self, to: Asked, request: Request) -> AskId {
        let ask = AskId(self.number());
        self.effects.push_back(Effect::Ask { ask, to, request });
        ask
    }

    fn raise(&mut self, kind: AlarmKind, subject: &str, detail: String) {
        if let Some(alarm) = self.alarms.raise(kind, subject, detail, self.now) {
            self.effects.push_back(Effect::Alarm(alarm));
        }
    }

    /// Looks at any vector of others: what exists, and whether somebody uses the own epoch.
    fn learn(&mut self, others: &Vector) {
        self.ranges.learn(others);
        let Some((own, head)) = &self.own else { return };
        if others.get(own).is_some_and(|seen| seen.head() > *head) {
            let detail =
                format!("another process writes as {own}: this one goes on under a new epoch");
            let subject = own.to_string();
            self.own = None;
            self.effects.push_back(Effect::NewEpoch);
            self.raise(AlarmKind::EpochReused, &subject, detail);
        }
    }
}
