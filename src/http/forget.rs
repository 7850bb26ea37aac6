//! `/api/memories/delete`: deleting all memories that some conditions leave.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::extract::{Ack, NamespacesParameters, Once, Query, WriteJson};
use super::problem::Problem;
use super::selection::ForgetRequest;
use crate::auth::Principal;
use crate::memory::Written;

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForgetResponse {
    /// Always true.
    success: bool,
    /// Names how many.
    #[schema(example = "Successfully deleted 2 memories")]
    message: String,
    /// How many.
    count: usize,
    /// The ids, newest first.
    #[schema(max_items = 10000)]
    content_hashes: Vec<String>,
    /// Whether this was only a rehearsal.
    dry_run: bool,
}

/// Delete all memories that some conditions leave
///
/// In one step: all or none. More than 10,000 are refused.
#[utoipa::path(
    post,
    path = "/api/memories/delete",
    tag = "memories",
    params(NamespacesParameters, Once, Ack),
    request_body = ForgetRequest,
    responses((status = 200, body = ForgetResponse, description = "Deleted, or would be."))
)]
pub async fn forget(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    ack: Ack,
    WriteJson(body, once): WriteJson<ForgetRequest>,
) -> Result<Response, Problem> {
    let request = body.into_request(&|tz| state.service.now(tz), &namespaces)?;
    let Written { value: forgotten, position } =
        state.service.forget_where(&who, request, once).await?;
    let count = forgotten.content_hashes.len();
    let verb = if forgotten.dry_run { "Would delete" } else { "Successfully deleted" };
    let body = axum::Json(ForgetResponse {
        success: true,
        message: format!("{verb} {count} {}", if count == 1 { "memory" } else { "memories" }),
        count,
        content_hashes: forgotten.content_hashes.iter().map(ToString::to_string).collect(),
        dry_run: forgotten.dry_run,
    });
    Ok(ack.answer(&position, body).await)
}
