//! Making a snapshot for nodes that join.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::http::AppState;
use crate::http::problem::Problem;
use crate::service::Snapshot;

/// A snapshot in the object store of the cluster.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Snapshot)]
pub struct SnapshotResponse {
    /// The name of the object.
    name: String,
    /// Its size.
    bytes: u64,
    /// Records in it, deleted ones included.
    records: u64,
}

/// Make a snapshot for nodes that join
///
/// Nodes that begin with nothing take it over instead of asking for one. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/cluster/snapshot", tag = "cluster",
    operation_id = "make_snapshot",
    responses(
        (status = 200, body = SnapshotResponse, description = "It is there."),
        (status = 409, description = "The node has no peers."),
    ))]
pub async fn snapshot(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<SnapshotResponse>, Problem> {
    let Snapshot { name, bytes, record_count } = state.service.snapshot(&who).await?;
    Ok(axum::Json(SnapshotResponse { name, bytes, records: record_count }))
}
