//! What a replicator tells of itself and its peers.

use super::{Alarm, MemberState, PEER_LIVE_MS, Replicator, StreamInfo, TransferReason, transfer};
use crate::origin::{NodeName, Origin};
use crate::vector::Vector;
use crate::wire::Heartbeat;

/// How far a new node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// It is not new, or not any more.
    Done,
    /// It listens for peers.
    Listening,
    /// It takes over a peer's state.
    UnderWay,
}

/// Everything about the replication of one node.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether the server can be reached.
    pub is_connected: bool,
    /// How far a new node is.
    pub joining: Joining,
    /// What is applied here.
    pub vector: Vector,
    /// What lies in quarantine here.
    pub held: Vector,
    /// What exists and is not here.
    pub missing: Vector,
    /// What no live node holds.
    pub written_off: Vector,
    /// Own ops that are not in the stream.
    pub outbox_count: u64,
    /// Ops on their way into the store.
    pub inbox_count: usize,
    /// The stream, once known.
    pub stream: Option<StreamInfo>,
    /// How far it was read.
    pub stream_position: Option<u64>,
    /// Messages that were not read yet.
    pub stream_behind_count: u64,
    /// The transfer under way: from whom, why, records so far.
    pub transfer: Option<(NodeName, TransferReason, u64)>,
    /// The last transfer that was finished: why, and its records.
    pub transferred: Option<(TransferReason, u64)>,
    /// Transfers that were finished since the start.
    pub transfer_count: u64,
    /// Comparisons with a peer under load since the start.
    pub audit_count: u64,
    /// The other nodes, live or remembered.
    pub peers: Vec<PeerStatus>,
    /// Every origin that is known.
    pub origins: Vec<OriginStatus>,
    /// What every member has received.
    pub everywhere: Vector,
    /// What is wrong.
    pub alarms: Vec<Alarm>,
    /// The replicator's clock, in which `heard` and alarms are told.
    pub now: u64,
}

/// One process of another node.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// The node.
    pub node: NodeName,
    /// The run of its process; `None` for one that was not heard since the start.
    pub run: Option<u64>,
    /// Whether it was heard in the last seconds.
    pub is_live: bool,
    /// Whether it counts as a member.
    pub state: MemberState,
    /// How long ago it was heard, in milliseconds.
    pub age_ms: u64,
    /// What it has applied, as far as is known.
    pub vector: Vector,
    /// Ops that it lacks of what is applied here.
    pub lacks_count: u64,
    /// Whether it keeps payloads from being dropped.
    pub holds_pruning: bool,
    /// Its last heartbeat.
    pub beat: Option<Heartbeat>,
}

/// One run of one node.
#[derive(Clone, Debug)]
pub struct OriginStatus {
    /// Which.
    pub origin: Origin,
    /// Ops that are applied here.
    pub applied_count: u64,
    /// Ops that exist and are not applied here.
    pub behind_count: u64,
    /// For how long the first of them is missed, in milliseconds.
    pub behind_ms: u64,
}

impl Replicator {
    /// How it stands.
    pub fn status(&self) -> Status {
        let everywhere = self.everywhere();
        Status {
            is_connected: self.is_connected,
            joining: match self.joining {
                transfer::Join::Done => Joining::Done,
                transfer::Join::Alone(_) => Joining::Listening,
                transfer::Join::UnderWay => Joining::UnderWay,
            },
            vector: self.vector.clone(),
            held: self.held.clone(),
            missing: self.missing(),
            written_off: self.ranges.written_off().clone(),
            outbox_count: self.outbox.count(),
            inbox_count: self.inbox.count(),
            stream: self.stream.info().cloned(),
            stream_position: self.stream.position(),
            stream_behind_count: self.stream.behind_count(),
            transfer: self.transfer.describe().map(|(key, why, count)| (key.node, why, count)),
            transferred: self.transfer.done(),
            transfer_count: self.transfer.done_count(),
            audit_count: self.audit.done_count(),
            peers: self.peer_statuses(&everywhere),
            origins: self.origin_statuses(),
            everywhere,
            alarms: self.alarms.list(self.now),
            now: self.now,
        }
    }

    fn peer_statuses(&self, everywhere: &Vector) -> Vec<PeerStatus> {
        let lag = |vector: &Vector| self.vector.subtract(vector).count();
        let waits = self.vector.subtract(everywhere);
        let mut statuses: Vec<PeerStatus> = self
            .peers
            .iter()
            .map(|(key, peer)| PeerStatus {
                node: key.node.clone(),
                run: Some(key.run),
                is_live: self.now < peer.heard + PEER_LIVE_MS,
                state: self.member_state(&key.node),
                age_ms: self.now - peer.heard,
                lacks_count: lag(&peer.vector),
                holds_pruning: !waits.intersect(&self.vector.subtract(&peer.vector)).is_empty(),
                vector: peer.vector.clone(),
                beat: Some(peer.beat.clone()),
            })
            .collect();
        for (node, seen, vector) in self.roster.remembered() {
            if statuses.iter().any(|status| status.node == *node) || *node == self.identity.node {
                continue;
            }
            statuses.push(PeerStatus {
                node: node.clone(),
                run: None,
                is_live: false,
                state: self.member_state(node),
                age_ms: self.now.saturating_add_signed(seen.saturating_neg()),
                lacks_count: lag(vector),
                holds_pruning: !waits.intersect(&self.vector.subtract(vector)).is_empty(),
                vector: vector.clone(),
                beat: None,
            });
        }
        statuses
    }

    fn member_state(&self, node: &NodeName) -> MemberState {
        let is_member = self.roster.members(self.now).any(|(member, _)| member == node);
        if is_member { MemberState::Joined } else { MemberState::Forgotten }
    }

    fn origin_statuses(&self) -> Vec<OriginStatus> {
        let mut all = self.ranges.exists().clone();
        all.join(&self.vector);
        let status = |(origin, set): (&Origin, &crate::IntervalSet)| {
            let applied_count = self.vector.get(origin).map_or(0, crate::IntervalSet::count);
            OriginStatus {
                origin: origin.clone(),
                applied_count,
                behind_count: set.count() - applied_count,
                behind_ms: self.ranges.missed_ms(origin, self.now),
            }
        };
        all.iter().map(status).collect()
    }
}
