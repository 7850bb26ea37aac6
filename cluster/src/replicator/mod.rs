//! The replicator: what a node does about its peers, as a state machine.
//!
//! Everything that happens is an [`Input`], everything it wants done an [`Effect`]; time is an
//! argument. Whoever drives it (a task on NATS, or a simulator) carries effects out in order and
//! feeds their outcomes back. It may be dropped between any two effects and built anew from
//! [`Start`], as after a crash: what it must remember is in the store.
//!
//! The roads that an op can take to a node each have a file: the stream (`stream`, `inbox`,
//! `outbox`), ranges asked of a peer (`ranges`), state transfer (`transfer`). `peers` keeps what
//! is known of the others, `roster` what may be pruned; `audit` compares states under load.

mod alarm;
mod audit;
mod event;
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

use std::collections::{BTreeMap, VecDeque};

use crate::origin::{Dot, NodeName, Origin};
use crate::vector::Vector;
use crate::wire::Request;

pub use alarm::{Alarm, AlarmKind};
pub use event::{
    Applied, AskId, Asked, Effect, Identity, Incoming, Input, Position, Start, StreamInfo,
};
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

/// The state of one node's replication.
#[derive(Debug)]
pub struct Replicator {
    identity: Identity,
    /// Milliseconds on a clock that never goes back.
    now: u64,
    vector: Vector,
    held: Vector,
    voided: Vector,
    /// The open epoch.
    own: Option<Origin>,
    /// The last number of every epoch that was opened in this run.
    heads: BTreeMap<Origin, u64>,
    is_connected: bool,
    joining: transfer::Join,
    stream: stream::Stream,
    inbox: inbox::Inbox,
    outbox: outbox::Outbox,
    peers: peers::Peers,
    ranges: ranges::Ranges,
    roster: roster::Roster,
    transfer: transfer::Transfers,
    audit: audit::Audit,
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
            roster: roster::Roster::new(start.members, now),
            vector: start.vector,
            held: start.held,
            voided: start.voided,
            own: None,
            heads: BTreeMap::new(),
            is_connected: false,
            inbox: inbox::Inbox::default(),
            ranges: ranges::Ranges::default(),
            transfer: transfer::Transfers::new(start.has_joined_lately, now),
            audit: audit::Audit::new(identity.run, now),
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
            Input::Committed { origin, head, is_awaited } => {
                self.committed(origin, head, is_awaited);
            }
            Input::Published { origin, lo, hi, seq, hashes } => {
                self.published(&origin, (lo, hi), seq, &hashes);
            }
            Input::PublishFailed { origin, lo, hi, refused } => {
                self.publish_failed(&origin, lo, hi, refused);
            }
            Input::Applied { number, outcome } => self.applied(number, outcome.map(|o| *o)),
            Input::OwnBeat { vector_hash, root } => self.compare_roots(vector_hash, root),
            Input::Retried(outcome) => self.take_outcome(*outcome),
            Input::Outbox(kept) => {
                self.vector.join(&kept);
                self.outbox.refill(&kept);
            }
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

    /// When own ops that wait for company are to go out: time alone is news then.
    pub fn wakes_at(&self) -> Option<u64> {
        self.outbox.rests_until().filter(|until| self.is_connected && *until > self.now)
    }

    /// What of these dots is not applied here.
    pub fn lacks(&self, dots: &Vector) -> Vector {
        dots.subtract(&self.vector)
    }

    /// Whether one of these dots was given up: nobody alive has it, or an administrator said so.
    pub fn is_any_written_off(&self, dots: &Vector) -> bool {
        let given_up = [&self.voided, self.ranges.written_off()];
        given_up.iter().any(|given_up| !dots.intersect(given_up).is_empty())
    }

    /// Whether an op is in the stream: one of this run as soon as the server said so. Others are
    /// their authors' business: that they are here, and not to be sent from here, is enough.
    pub fn is_logged(&self, dot: &Dot) -> bool {
        let is_known = match self.heads.get(&dot.origin) {
            Some(head) => dot.oseq <= *head,
            None => self.vector.contains(dot),
        };
        is_known && !self.outbox.is_pending(dot)
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
        self.tick_audit();
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
        self.outbox.unsend();
        self.joining.connected(self.now);
    }

    fn disconnected(&mut self) {
        self.is_connected = false;
        self.stream.forget_reader();
        self.outbox.unsend();
    }

    /// An epoch that was given up may have drawn some more numbers before the store heard of it:
    /// they are sent like any, and it stays given up.
    fn committed(&mut self, origin: Origin, head: u64, is_awaited: bool) {
        let before = self.heads.insert(origin.clone(), head);
        if before.is_none() {
            self.own = Some(origin.clone());
        }
        let before = before.unwrap_or_default();
        if head > before {
            self.vector.insert_range(&origin, before + 1, head);
            self.outbox.add(&origin, (before + 1, head), is_awaited);
            self.beat_soon();
        } else {
            self.heads.insert(origin, before);
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
        !self.transfer.is_running() && self.transfer.is_covered_by(&self.vector, self.now)
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
        let Some(own) = &self.own else { return };
        let head = self.heads.get(own).copied().unwrap_or_default();
        if others.get(own).is_some_and(|seen| seen.head() > head) {
            let detail =
                format!("another process writes as {own}: this one goes on under a new epoch");
            let subject = own.to_string();
            self.own = None;
            self.effects.push_back(Effect::NewEpoch);
            self.raise(AlarmKind::EpochReused, &subject, detail);
        }
    }
}
