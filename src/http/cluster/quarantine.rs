//! `/api/cluster/quarantine`: writes that cannot be applied here.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::auth::Principal;
use crate::http::AppState;
use crate::http::extract::{Ack, Json};
use crate::http::memory_body::rfc3339;
use crate::http::problem::Problem;
use crate::memory::{Position, Written};
use crate::service::Held;

/// The writes in quarantine.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub struct QuarantineResponse {
    /// Oldest first.
    #[schema(max_items = 1000)]
    quarantine: Vec<HeldBody>,
    /// How many there are.
    count: u64,
}

/// A write in quarantine.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantined)]
struct HeldBody {
    /// Its name.
    #[schema(example = "node-1~00c0ffee00c0ffee:7")]
    position: String,
    /// Why it is not applied.
    reason: String,
    /// When it came, in seconds since 1970.
    at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime)]
    at_iso: String,
    /// Its size.
    bytes: u64,
}

impl From<Held> for HeldBody {
    fn from(held: Held) -> Self {
        let Held { position, reason, at, bytes } = held;
        HeldBody { position, reason, at, at_iso: rfc3339(at), bytes }
    }
}

/// What to do about quarantined writes.
#[derive(Debug, Deserialize, ToSchema)]
pub struct QuarantineRequest {
    /// What to do.
    action: QuarantineAction,
    /// The write; all of them when absent, which only `retry` allows.
    #[schema(example = "node-1~00c0ffee00c0ffee:7")]
    position: Option<String>,
}

/// What to do about quarantined writes.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum QuarantineAction {
    /// Try again to apply.
    Retry,
    /// Give up on all nodes: it is waited for no longer. Whoever can apply it still does.
    Void,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantineResult)]
pub struct QuarantineResultResponse {
    /// Always true.
    success: bool,
    /// In a sentence.
    message: String,
    /// Writes that are applied now.
    applied: u64,
    /// Writes that were tried and stay in quarantine.
    held: u64,
}

/// Writes that cannot be applied here
///
/// Needs the scope `admin`.
#[utoipa::path(get, path = "/api/cluster/quarantine", tag = "cluster",
    operation_id = "get_quarantine",
    responses((status = 200, body = QuarantineResponse, description = "Why, write by write.")))]
pub async fn quarantine(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<QuarantineResponse>, Problem> {
    let (held, count) = state.service.quarantine(&who).await?;
    let quarantine = held.into_iter().map(HeldBody::from).collect();
    Ok(axum::Json(QuarantineResponse { quarantine, count }))
}

/// Try quarantined writes again, or give one up
///
/// Needs the scope `admin`.
#[utoipa::path(post, path = "/api/cluster/quarantine", tag = "cluster", params(Ack),
    operation_id = "decide_quarantine",
    request_body = QuarantineRequest,
    responses(
        (status = 200, body = QuarantineResultResponse, description = "It was done."),
        (status = 404, description = "The write is not in quarantine."),
        (status = 409, description = "The write to give up is applied here."),
    ))]
pub async fn decide_quarantine(
    State(state): State<AppState>,
    who: Principal,
    ack: Ack,
    Json(body): Json<QuarantineRequest>,
) -> Result<Response, Problem> {
    let position = body.position.as_deref();
    let Written { value: body, position } = match (body.action, position) {
        (QuarantineAction::Retry, position) => retry(&state, &who, position).await?,
        (QuarantineAction::Void, Some(position)) => {
            let message = format!("Gave up the write {position}");
            let voided = state.service.void(&who, position).await?;
            voided.map(|()| result(message, 0, 0))
        }
        (QuarantineAction::Void, None) => {
            let error = Error::invalid("name the write to give up in `position`");
            return Err(error.reason("nothing_named").into());
        }
    };
    Ok(ack.answer(&position, axum::Json(body)).await)
}

async fn retry(
    state: &AppState,
    who: &Principal,
    position: Option<&str>,
) -> Result<Written<QuarantineResultResponse>, Problem> {
    let retried = state.service.retry_quarantine(who, position).await?;
    let message = format!(
        "Applied {} of {} writes",
        retried.applied_count,
        retried.applied_count + retried.held_count
    );
    let value = result(message, retried.applied_count, retried.held_count);
    Ok(Written { value, position: Position::default() })
}

fn result(message: String, applied: u64, held: u64) -> QuarantineResultResponse {
    QuarantineResultResponse { success: true, message, applied, held }
}
