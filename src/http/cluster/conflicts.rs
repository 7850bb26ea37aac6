//! `GET /api/conflicts`: values that lost against concurrent writes.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Principal;
use crate::http::AppState;
use crate::http::extract::{Query, within};
use crate::http::memory_body::rfc3339;
use crate::http::problem::Problem;
use crate::service::CONFLICT_COUNT_MAX;

/// Which conflicts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConflictParameters {
    /// Most of them.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Where the page before ended (`next_before`).
    before: Option<i64>,
}

/// Values that lost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conflicts)]
pub struct ConflictsResponse {
    /// Newest first.
    conflicts: Vec<ConflictBody>,
    /// How many are on this page.
    count: usize,
    /// Where the next page starts; null at the end.
    #[schema(required)]
    next_before: Option<i64>,
}

/// A value that lost against a concurrent write.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conflict)]
struct ConflictBody {
    /// The memory.
    content_hash: String,
    /// Its namespace.
    namespace: String,
    /// The part of it.
    #[schema(example = "type")]
    field: String,
    /// The value that lost.
    value: Value,
    /// Hybrid clock of the losing write, in milliseconds since 1970.
    clock_ms: u64,
    /// The losing write.
    #[schema(example = "node-1~00c0ffee00c0ffee:7")]
    loser: String,
    /// The winning write.
    #[schema(example = "node-2~00decade00decade:9")]
    winner: String,
    /// When it was noticed here, in seconds since 1970.
    at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime)]
    at_iso: String,
}

/// Values that lost against concurrent writes
///
/// Each node keeps its own list. Those of namespaces that the caller may read.
#[utoipa::path(get, path = "/api/conflicts", tag = "cluster", params(ConflictParameters),
    responses((status = 200, body = ConflictsResponse, description = "Newest first.")))]
pub async fn conflicts(
    State(state): State<AppState>,
    who: Principal,
    Query(parameters): Query<ConflictParameters>,
) -> Result<axum::Json<ConflictsResponse>, Problem> {
    let limit = within("limit", parameters.limit.unwrap_or(100), 1..=CONFLICT_COUNT_MAX)?;
    let page = state.service.conflicts(&who, limit, parameters.before).await?;
    let next_before = page.next_before;
    let conflicts = page.conflicts.into_iter().map(|conflict| ConflictBody {
        content_hash: conflict.content_hash.to_string(),
        namespace: conflict.namespace,
        field: conflict.part,
        value: conflict.value,
        clock_ms: conflict.clock_ms,
        loser: conflict.loser.to_string(),
        winner: conflict.winner.to_string(),
        at: conflict.at,
        at_iso: rfc3339(conflict.at),
    });
    let conflicts: Vec<ConflictBody> = conflicts.collect();
    Ok(axum::Json(ConflictsResponse { count: conflicts.len(), conflicts, next_before }))
}
