//! Which cluster the file belongs to.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::http::extract::Json;
use crate::http::problem::Problem;
use crate::http::{AppState, LocalCaller};
use crate::service::Membership;

/// The cluster that a file belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub struct MembershipResponse {
    /// The name that its nodes share.
    name: String,
    /// Its random id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// This node.
    node: String,
    /// `joined`.
    #[schema(example = "joined")]
    membership: &'static str,
    /// Memories in the file.
    memories: u64,
}

impl From<Membership> for MembershipResponse {
    fn from(membership: Membership) -> Self {
        let Membership { name, id, node, state, memory_count } = membership;
        MembershipResponse { name, id, node, membership: state, memories: memory_count }
    }
}

/// Found a cluster
///
/// Makes the file the first of its cluster, unless it belongs to one. Only over the node's local
/// socket: `memnode cluster init`.
#[utoipa::path(post, path = "/api/cluster/init", tag = "cluster",
    responses((status = 200, body = MembershipResponse, description = "Where it belongs now.")))]
pub async fn init(
    State(state): State<AppState>,
    who: Principal,
    _: LocalCaller,
) -> Result<axum::Json<MembershipResponse>, Problem> {
    Ok(axum::Json(state.service.found_cluster(&who).await?.into()))
}

/// Which cluster to join.
#[derive(Debug, Deserialize, ToSchema)]
pub struct JoinRequest {
    /// Its random id, as `GET /api/cluster` of its nodes shows it.
    #[schema(pattern = "^[0-9a-fA-F]{32}$")]
    id: String,
    /// The file may hold memories: every node of that cluster gets them.
    #[serde(default)]
    #[schema(required = false)]
    confirm: bool,
}

/// Join another cluster
///
/// Memories stay, and go to the other nodes when this one starts with peers. Only over the node's
/// local socket, and only without peers: stop the node, then `memnode cluster join`.
#[utoipa::path(post, path = "/api/cluster/join", tag = "cluster",
    request_body = JoinRequest,
    responses(
        (status = 200, body = MembershipResponse, description = "Where it belongs now."),
        (status = 409, description = "It has peers, or holds memories and `confirm` is missing."),
    ))]
pub async fn join(
    State(state): State<AppState>,
    who: Principal,
    _: LocalCaller,
    Json(body): Json<JoinRequest>,
) -> Result<axum::Json<MembershipResponse>, Problem> {
    Ok(axum::Json(state.service.join_cluster(&who, &body.id, body.confirm).await?.into()))
}
