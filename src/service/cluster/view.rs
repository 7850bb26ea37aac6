//! Everything about the cluster as one node sees it, in plain data.

use memnode_cluster::Vector;
use memnode_cluster::replicator::{
    Alarm, Joining, MemberState, PeerStatus, Status, StreamInfo, TransferReason,
};

use crate::auth::{Access, Principal};
use crate::store::{Beat, ForgedKeys, Membership};
use crate::{Result, clock};

use super::super::{Service, forged};
use super::member::state_name;

/// Writes by the run of a node that made them: ranges of their numbers, both ends included.
pub type VectorView = Vec<(String, Vec<(u64, u64)>)>;

/// The cluster as one node sees it.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// Whether this node has peers, or waits for some.
    pub is_enabled: bool,
    /// The name that its nodes share.
    pub name: String,
    /// The random id that the file carries.
    pub id: String,
    /// How the file stands to clusters.
    pub membership: &'static str,
    /// This node.
    pub node: String,
    /// Whether the servers between the nodes can be reached.
    pub is_connected: bool,
    /// How far a new node is.
    pub joining: JoiningView,
    /// What is applied here.
    pub applied: VectorView,
    /// The digest of everything here.
    pub root: String,
    /// What exists and is not here.
    pub missing: VectorView,
    /// What no node that lives holds.
    pub written_off: VectorView,
    /// Own writes that are not in the stream.
    pub outbox_count: u64,
    /// Writes on their way into the file.
    pub inbox_count: u64,
    /// Writes in quarantine.
    pub held_count: u64,
    /// The stream, once known.
    pub stream: Option<StreamView>,
    /// The state transfer that runs.
    pub transfer: Option<TransferView>,
    /// Transfers that were finished since the start.
    pub transfer_count: u64,
    /// Comparisons with a peer while writes went on, since the start.
    pub audit_count: u64,
    /// Every run of a node whose writes are known.
    pub origins: Vec<OriginView>,
    /// This node, then the others by name.
    pub nodes: Vec<NodeView>,
    /// What is kept for nodes that lag.
    pub pruning: PruningView,
    /// What is wrong.
    pub alarms: Vec<AlarmView>,
}

/// How far a new node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoiningView {
    /// It is not new, or not any more.
    Done,
    /// It listens for others.
    Listening,
    /// It takes their state over.
    UnderWay,
}

/// The log between the nodes.
#[derive(Clone, Debug)]
pub struct StreamView {
    /// When it was made, as the server says.
    pub created: String,
    /// Its oldest message.
    pub first_seq: u64,
    /// Its newest.
    pub last_seq: u64,
    /// How far it was read here.
    pub position: Option<u64>,
    /// Messages that were not read yet.
    pub behind_count: u64,
}

/// A state transfer that runs.
#[derive(Clone, Debug)]
pub struct TransferView {
    /// From whom.
    pub from: String,
    /// Why.
    pub reason: &'static str,
    /// Records so far.
    pub record_count: u64,
}

/// One run of one node.
#[derive(Clone, Debug)]
pub struct OriginView {
    /// Its name.
    pub origin: String,
    /// Its writes that are here.
    pub applied_count: u64,
    /// Its writes that exist and are not here.
    pub behind_count: u64,
    /// For how long the oldest of them is missed.
    pub behind_ms: u64,
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its name.
    pub node: String,
    /// The run of its process; `None` for this one, and for one not heard since the start.
    pub run: Option<String>,
    /// Whether it is the node that answers.
    pub is_self: bool,
    /// Whether it was heard in the last seconds.
    pub is_live: bool,
    /// Whether others wait for it.
    pub is_member: bool,
    /// How long ago it was heard.
    pub age_ms: u64,
    /// What it has applied, as far as is known.
    pub applied: VectorView,
    /// Writes that are here and not there.
    pub lacks_count: u64,
    /// Whether writes are kept for it.
    pub holds_pruning: bool,
    /// The digest of everything there, if it told.
    pub root: Option<String>,
    /// Its version of memnode.
    pub version: Option<String>,
    /// The model that its vectors are of.
    pub embedder: Option<String>,
    /// Disk in use there, 0 to 100.
    pub disk_percent: Option<u8>,
    /// Records there, deleted ones included.
    pub record_count: Option<u64>,
    /// Its writes that are not in the stream.
    pub outbox_count: Option<u64>,
    /// Writes in its quarantine.
    pub held_count: Option<u64>,
    /// How far its clock runs ahead of the one here.
    pub clock_offset_ms: Option<i64>,
}

/// What is kept for nodes that lag.
#[derive(Clone, Debug)]
pub struct PruningView {
    /// Writes that some node may still ask for.
    pub kept_count: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Writes that are here and not on every node.
    pub not_everywhere_count: u64,
    /// The nodes that they are kept for.
    pub held_back_by: Vec<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct AlarmView {
    /// What, as a stable name.
    pub kind: &'static str,
    /// With whom or which.
    pub subject: String,
    /// In a sentence.
    pub detail: String,
    /// Since when, in Unix seconds.
    pub since: f64,
    /// When it was last seen to be so, in Unix seconds.
    pub last: f64,
}

/// What the file says of itself.
struct Own {
    id: [u8; 16],
    membership: Membership,
    beat: Beat,
    kept: (u64, u64),
    model: String,
    forged: Option<ForgedKeys>,
}

impl Service {
    /// The cluster as this node sees it.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; those of the file.
    pub async fn cluster(&self, who: &Principal) -> Result<ClusterView> {
        who.require_everywhere(Access::Admin)?;
        let own = self
            .read(|reader| {
                Ok(Own {
                    id: reader.cluster_id()?.0,
                    membership: reader.membership()?,
                    beat: reader.beat(0.0)?,
                    kept: reader.op_bytes()?,
                    model: reader.model()?,
                    forged: reader.forged_keys()?,
                })
            })
            .await?;
        let status = self.parts.replica.as_ref().map(crate::replica::Replica::status);
        let mut view = self.alone(&own);
        if let Some(status) = status {
            view.fill(&status);
        }
        view.alarms.extend(self.file_alarm());
        view.alarms.extend(forged::alarm(own.forged));
        Ok(view)
    }

    /// What a node says that hears of no other.
    fn alone(&self, own: &Own) -> ClusterView {
        let Own { id, membership, beat, kept: (kept_count, kept_bytes), model, .. } = own;
        let applied = vector_view(&beat.vector);
        let root = hex(&beat.root);
        let itself = NodeView {
            node: self.parts.node.clone(),
            run: None,
            is_self: true,
            is_live: true,
            is_member: true,
            age_ms: 0,
            applied: applied.clone(),
            lacks_count: 0,
            holds_pruning: false,
            root: Some(root.clone()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            embedder: Some(model.clone()),
            disk_percent: self.disk_percent().map(|percent| percent.clamp(0.0, 100.0) as u8),
            record_count: Some(beat.record_count),
            outbox_count: Some(0),
            held_count: Some(beat.held.count()),
            clock_offset_ms: Some(0),
        };
        let origins = beat.vector.iter().map(|(origin, set)| OriginView {
            origin: origin.to_string(),
            applied_count: set.count(),
            behind_count: 0,
            behind_ms: 0,
        });
        ClusterView {
            is_enabled: self.parts.replica.is_some(),
            name: self.parts.cluster.clone(),
            id: hex(id),
            membership: state_name(*membership),
            node: self.parts.node.clone(),
            is_connected: false,
            joining: JoiningView::Done,
            root,
            missing: VectorView::new(),
            written_off: VectorView::new(),
            outbox_count: 0,
            inbox_count: 0,
            held_count: beat.held.count(),
            stream: None,
            transfer: None,
            transfer_count: 0,
            audit_count: 0,
            origins: origins.collect(),
            nodes: vec![itself],
            pruning: PruningView {
                kept_count: *kept_count,
                kept_bytes: *kept_bytes,
                not_everywhere_count: 0,
                held_back_by: Vec::new(),
            },
            alarms: Vec::new(),
            applied,
        }
    }
}

impl ClusterView {
    /// Adds what replication knows.
    fn fill(&mut self, status: &Status) {
        self.is_connected = status.is_connected;
        self.joining = match status.joining {
            Joining::Done => JoiningView::Done,
            Joining::Listening => JoiningView::Listening,
            Joining::UnderWay => JoiningView::UnderWay,
        };
        self.missing = vector_view(&status.missing);
        self.written_off = vector_view(&status.written_off);
        self.outbox_count = status.outbox_count;
        self.inbox_count = status.inbox_count as u64;
        self.stream = status.stream.as_ref().map(|stream| stream_view(stream, status));
        self.transfer = status.transfer.as_ref().map(|(from, reason, count)| TransferView {
            from: from.to_string(),
            reason: reason_name(*reason),
            record_count: *count,
        });
        self.transfer_count = status.transfer_count;
        self.audit_count = status.audit_count;
        let origins = status.origins.iter().map(|origin| OriginView {
            origin: origin.origin.to_string(),
            applied_count: origin.applied_count,
            behind_count: origin.behind_count,
            behind_ms: origin.behind_ms,
        });
        self.origins = origins.collect();
        for itself in &mut self.nodes {
            itself.outbox_count = Some(status.outbox_count);
        }
        let now_ms = clock::now_ms();
        self.nodes.extend(status.peers.iter().map(|peer| node_view(peer, now_ms)));
        let waits = status.peers.iter().filter(|peer| peer.holds_pruning);
        self.pruning.held_back_by = waits.map(|peer| peer.node.to_string()).collect();
        self.pruning.held_back_by.dedup();
        self.pruning.not_everywhere_count = status.vector.subtract(&status.everywhere).count();
        self.alarms = status.alarms.iter().map(|alarm| alarm_view(alarm, status.now)).collect();
    }
}

fn stream_view(stream: &StreamInfo, status: &Status) -> StreamView {
    StreamView {
        created: stream.created.clone(),
        first_seq: stream.first_seq,
        last_seq: stream.last_seq,
        position: status.stream_position,
        behind_count: status.stream_behind_count,
    }
}

fn node_view(peer: &PeerStatus, now_ms: u64) -> NodeView {
    let beat = peer.beat.as_ref();
    let offset = |clock_ms: u64| {
        let then = now_ms.saturating_sub(peer.age_ms);
        i64::try_from(i128::from(clock_ms) - i128::from(then)).unwrap_or(i64::MAX)
    };
    NodeView {
        node: peer.node.to_string(),
        run: peer.run.map(|run| format!("{run:016x}")),
        is_self: false,
        is_live: peer.is_live,
        is_member: peer.state == MemberState::Joined,
        age_ms: peer.age_ms,
        applied: vector_view(&peer.vector),
        lacks_count: peer.lacks_count,
        holds_pruning: peer.holds_pruning,
        root: beat.and_then(|beat| beat.root).map(|root| hex(&root.0)),
        version: beat.map(|beat| beat.software.clone()),
        embedder: beat.map(|beat| beat.embedder.clone()),
        disk_percent: beat.and_then(|beat| beat.disk_percent),
        record_count: beat.map(|beat| beat.record_count),
        outbox_count: beat.map(|beat| beat.outbox_count),
        held_count: beat.map(|beat| beat.held.count()),
        clock_offset_ms: beat.map(|beat| offset(beat.clock_ms)),
    }
}

/// Alarms tell their times on the replicator's own clock.
fn alarm_view(alarm: &Alarm, now: u64) -> AlarmView {
    let unix = |at: u64| clock::now_seconds() - now.saturating_sub(at) as f64 / 1000.0;
    AlarmView {
        kind: alarm.kind.as_str(),
        subject: alarm.subject.clone(),
        detail: alarm.detail.clone(),
        since: unix(alarm.since),
        last: unix(alarm.last),
    }
}

pub(in crate::service) fn reason_name(reason: TransferReason) -> &'static str {
    match reason {
        TransferReason::Joining => "joining",
        TransferReason::Pruned => "pruned",
        TransferReason::Divergence => "divergence",
    }
}

/// A vector in plain data.
pub(in super::super) fn vector_view(vector: &Vector) -> VectorView {
    vector.iter().map(|(origin, set)| (origin.to_string(), set.iter().collect())).collect()
}

/// Lower-case hexadecimal.
pub(in super::super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
