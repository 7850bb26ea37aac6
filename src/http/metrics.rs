//! What Prometheus reads.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::AppState;
use super::problem::Problem;
use crate::auth::Principal;
use crate::telemetry;

/// How is the node, in numbers?
///
/// In the text format of Prometheus; the names are listed in `docs/observability.md`. Needs the
/// scope `read` for all namespaces, though it shows none of them.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain",
        description = "Lines of name, labels and number.")))]
pub async fn metrics(
    State(state): State<AppState>,
    who: Principal,
) -> Result<impl IntoResponse, Problem> {
    state.service.observe(&who).await?;
    Ok(([(CONTENT_TYPE, telemetry::TEXT_FORMAT)], telemetry::text()))
}
