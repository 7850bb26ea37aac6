//! `GET /api/cluster`: how this node and its peers stand.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::nodes::NodeBody;
use crate::auth::Principal;
use crate::http::AppState;
use crate::http::memory_body::rfc3339;
use crate::http::problem::Problem;
use crate::service::{AlarmView, ClusterView, JoiningView, OriginView, PruningView, VectorView};

/// Writes by the run of a node that made them: ranges of their numbers, both ends included.
pub type VectorBody = BTreeMap<String, Vec<(u64, u64)>>;

pub(super) fn vector(view: VectorView) -> VectorBody {
    view.into_iter().collect()
}

/// The cluster as this node sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cluster)]
pub struct ClusterResponse {
    /// Whether this node has peers, or waits for some.
    enabled: bool,
    /// The name that its nodes share.
    #[schema(example = "memnode")]
    name: String,
    /// The random id that the file carries.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// `joined`; `pending` for a file that joins the first cluster that it meets; `standalone` for
    /// one that holds memories and joins only when it is told to.
    #[schema(example = "joined")]
    membership: &'static str,
    /// This node.
    node: String,
    /// Whether the servers between the nodes can be reached.
    connected: bool,
    /// How far a new node is: `done`, `listening` or `under_way`.
    #[schema(example = "done")]
    joining: &'static str,
    /// What is applied here: ranges of numbers, both ends included, by node run.
    #[schema(value_type = Object, example = json!({"node-1~00c0ffee00c0ffee": [[1, 42]]}))]
    applied: VectorBody,
    /// The digest of everything here.
    root: String,
    /// What exists and is not here.
    #[schema(value_type = Object)]
    missing: VectorBody,
    /// What no node that lives holds.
    #[schema(value_type = Object)]
    written_off: VectorBody,
    /// Own writes that are not in the stream.
    outbox: u64,
    /// Writes on their way into the file.
    inbox: u64,
    /// Writes in quarantine.
    quarantined: u64,
    /// The log between the nodes, once known.
    #[schema(required)]
    stream: Option<StreamBody>,
    /// The state transfer that runs.
    #[schema(required)]
    transfer: Option<TransferBody>,
    /// Transfers that were finished since the start.
    transfers_done: u64,
    /// Comparisons with a peer while writes went on, since the start.
    audits_done: u64,
    /// Every run of a node whose writes are known.
    origins: Vec<OriginBody>,
    /// This node first.
    nodes: Vec<NodeBody>,
    /// What is kept for nodes that lag.
    pruning: PruningBody,
    /// What is wrong.
    alarms: Vec<AlarmBody>,
}

/// The log between the nodes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterStream)]
struct StreamBody {
    /// When it was made, as the server says.
    created: String,
    /// Its oldest message.
    first_seq: u64,
    /// Its newest.
    last_seq: u64,
    /// How far it was read here.
    #[schema(required)]
    position: Option<u64>,
    /// Messages that were not read yet.
    behind: u64,
}

/// A state transfer that runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterTransfer)]
struct TransferBody {
    /// From whom.
    from: String,
    /// Why: `joining`, `pruned` or `divergence`.
    reason: &'static str,
    /// Records so far.
    records: u64,
}

/// One run of one node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterOrigin)]
struct OriginBody {
    /// Its name.
    #[schema(example = "node-1~00c0ffee00c0ffee")]
    origin: String,
    /// Its writes that are here.
    applied: u64,
    /// Its writes that exist and are not here.
    lag_ops: u64,
    /// For how long the first of them is missed, in milliseconds.
    lag_ms: u64,
}

/// What is kept for nodes that lag.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterPruning)]
struct PruningBody {
    /// Writes that some node may still ask for.
    kept_ops: u64,
    /// Their bytes.
    kept_bytes: u64,
    /// Writes that are here and not on every node.
    not_everywhere_ops: u64,
    /// The nodes that they are kept for.
    held_back_by: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterAlarm)]
struct AlarmBody {
    /// What, as a stable name.
    #[schema(example = "clock_ahead")]
    kind: &'static str,
    /// With whom or which.
    subject: String,
    /// In a sentence.
    detail: String,
    /// Since when, in seconds since 1970.
    since: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime)]
    since_iso: String,
    /// When it was last seen to be so, in seconds since 1970.
    last: f64,
}

/// The cluster as this node sees it
///
/// Needs the scope `admin`. A node without peers tells of itself.
#[utoipa::path(get, path = "/api/cluster", tag = "cluster", operation_id = "get_cluster",
    responses((status = 200, body = ClusterResponse, description = "How it stands.")))]
pub async fn cluster(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<ClusterResponse>, Problem> {
    Ok(axum::Json(state.service.cluster(&who).await?.into()))
}

impl From<ClusterView> for ClusterResponse {
    fn from(view: ClusterView) -> Self {
        ClusterResponse {
            enabled: view.is_enabled,
            name: view.name,
            id: view.id,
            membership: view.membership,
            node: view.node,
            connected: view.is_connected,
            joining: match view.joining {
                JoiningView::Done => "done",
                JoiningView::Listening => "listening",
                JoiningView::UnderWay => "under_way",
            },
            applied: vector(view.applied),
            root: view.root,
            missing: vector(view.missing),
            written_off: vector(view.written_off),
            outbox: view.outbox_count,
            inbox: view.inbox_count,
            quarantined: view.held_count,
            stream: view.stream.map(|stream| StreamBody {
                created: stream.created,
                first_seq: stream.first_seq,
                last_seq: stream.last_seq,
                position: stream.position,
                behind: stream.behind_count,
            }),
            transfer: view.transfer.map(|transfer| TransferBody {
                from: transfer.from,
                reason: transfer.reason,
                records: transfer.record_count,
            }),
            transfers_done: view.transfer_count,
            audits_done: view.audit_count,
            origins: view.origins.into_iter().map(OriginBody::from).collect(),
            nodes: view.nodes.into_iter().map(NodeBody::from).collect(),
            pruning: view.pruning.into(),
            alarms: view.alarms.into_iter().map(AlarmBody::from).collect(),
        }
    }
}

impl From<OriginView> for OriginBody {
    fn from(view: OriginView) -> Self {
        OriginBody {
            origin: view.origin,
            applied: view.applied_count,
            lag_ops: view.behind_count,
            lag_ms: view.behind_ms,
        }
    }
}

impl From<PruningView> for PruningBody {
    fn from(view: PruningView) -> Self {
        PruningBody {
            kept_ops: view.kept_count,
            kept_bytes: view.kept_bytes,
            not_everywhere_ops: view.not_everywhere_count,
            held_back_by: view.held_back_by,
        }
    }
}

impl From<AlarmView> for AlarmBody {
    fn from(view: AlarmView) -> Self {
        AlarmBody {
            kind: view.kind,
            subject: view.subject,
            detail: view.detail,
            since: view.since,
            since_iso: rfc3339(view.since),
            last: view.last,
        }
    }
}
