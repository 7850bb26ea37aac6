//! The nodes of the cluster, and forgetting one of them.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::{VectorBody, vector};
use crate::auth::Principal;
use crate::http::AppState;
use crate::http::extract::{Ack, Json};
use crate::http::problem::Problem;
use crate::service::NodeView;

/// One node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterNode)]
pub struct NodeBody {
    /// Its name.
    #[schema(example = "node-1")]
    node: String,
    /// The run of its process; null for the node that answers, and for one that was not heard since
    /// that one's start.
    #[schema(required)]
    run: Option<String>,
    /// Whether it is the node that answers.
    this: bool,
    /// Whether it was heard in the last seconds.
    live: bool,
    /// `joined`, or `forgotten` when nothing is kept for it.
    #[schema(example = "joined")]
    state: &'static str,
    /// How long ago it was heard.
    heard_ms: u64,
    /// What it has applied, as far as is known.
    #[schema(value_type = Object)]
    applied: VectorBody,
    /// Writes that are here and not there.
    lacks_ops: u64,
    /// Whether writes are kept for it.
    holds_pruning: bool,
    /// The digest of everything there, if it told.
    #[schema(required)]
    root: Option<String>,
    /// Its version of memnode.
    #[schema(required)]
    version: Option<String>,
    /// The model that its vectors are of.
    #[schema(required)]
    embedder: Option<String>,
    /// Disk in use there.
    #[schema(required, maximum = 100)]
    disk_percent: Option<u8>,
    /// Records there, deleted ones included.
    #[schema(required)]
    records: Option<u64>,
    /// Its writes that are not in the stream.
    #[schema(required)]
    outbox: Option<u64>,
    /// Writes in its quarantine.
    #[schema(required)]
    quarantined: Option<u64>,
    /// How far its clock runs ahead of the one here.
    #[schema(required)]
    clock_offset_ms: Option<i64>,
}

impl From<NodeView> for NodeBody {
    fn from(view: NodeView) -> Self {
        NodeBody {
            node: view.node,
            run: view.run,
            this: view.is_self,
            live: view.is_live,
            state: if view.is_member { "joined" } else { "forgotten" },
            heard_ms: view.age_ms,
            applied: vector(view.applied),
            lacks_ops: view.lacks_count,
            holds_pruning: view.holds_pruning,
            root: view.root,
            version: view.version,
            embedder: view.embedder,
            disk_percent: view.disk_percent,
            records: view.record_count,
            outbox: view.outbox_count,
            quarantined: view.held_count,
            clock_offset_ms: view.clock_offset_ms,
        }
    }
}

/// Which node to forget.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ForgetNodeRequest {
    /// Its name.
    #[schema(min_length = 1, max_length = 64, example = "old-laptop")]
    node: String,
}

/// What was decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decided)]
pub struct DecidedResponse {
    /// Always true.
    pub(super) success: bool,
    /// In a sentence.
    pub(super) message: String,
}

/// Forget a node
///
/// Nothing is kept for it any more, on all nodes. When it is heard again it is back, and takes over
/// what it lacks. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/cluster/forget-node", tag = "cluster", params(Ack),
    request_body = ForgetNodeRequest,
    responses(
        (status = 200, body = DecidedResponse, description = "It is forgotten."),
        (status = 404, description = "No node of that name was ever heard of."),
        (status = 409, description = "It lives, or is this one."),
    ))]
pub async fn forget_node(
    State(state): State<AppState>,
    who: Principal,
    ack: Ack,
    Json(body): Json<ForgetNodeRequest>,
) -> Result<Response, Problem> {
    let forgotten = state.service.forget_node(&who, &body.node).await?;
    let message = format!("Forgot the node {}", body.node);
    let body = axum::Json(DecidedResponse { success: true, message });
    Ok(ack.answer(&forgotten.position, body).await)
}
