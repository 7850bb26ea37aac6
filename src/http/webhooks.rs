//! `/api/admin/webhooks`: how webhooks stand, and what to do about what they did not take.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AppState;
use super::extract::Json;
use super::problem::Problem;
use crate::auth::Principal;
use crate::service::{HookView, WebhookView};

/// The webhooks, and what was given up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhooks)]
pub struct WebhooksResponse {
    /// Each that is configured.
    webhooks: Vec<WebhookBody>,
    /// Changes that were not taken, the oldest first; at most 100.
    dead: Vec<DeadBody>,
    /// How many there are in all.
    dead_count: u64,
}

/// One webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookBody {
    /// As it was configured.
    #[schema(example = "https://example.org/hook#tag=deploy")]
    url: String,
    /// Changes that it took since the node started.
    delivered_count: u64,
    /// Changes that it was not told of yet, those included that its filter leaves out.
    waiting_count: u64,
    /// Tries in a row that failed.
    failed_count: u32,
    /// What came of the last try, if that failed.
    #[schema(required)]
    reason: Option<String>,
}

/// A change that was given up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct DeadBody {
    /// Its name in calls.
    id: i64,
    /// The webhook.
    url: String,
    /// When it was given up, in seconds since 1970.
    at: f64,
    /// What came of the last try.
    reason: String,
}

/// What to do with dead letters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookDecision)]
pub struct DecideRequest {
    /// Whether to tell them again, or to drop them.
    action: Action,
    /// One of them; the 100 oldest are told again, and all are dropped, when absent.
    id: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WebhookAction)]
enum Action {
    Retry,
    Drop,
}

/// How many it was done to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDecided)]
pub struct DecideResponse {
    /// Dead letters that are there no more.
    done_count: u64,
}

/// Show webhooks
///
/// How each stands, and the changes that were given up. Needs the scope `admin`.
#[utoipa::path(get, path = "/api/admin/webhooks", tag = "maintenance",
    responses((status = 200, body = WebhooksResponse, description = "As they stand now.")))]
pub async fn webhooks(
    State(state): State<AppState>,
    who: Principal,
) -> Result<Answer<WebhooksResponse>, Problem> {
    let WebhookView { hooks, dead, dead_count } = state.service.webhooks(&who).await?;
    let webhook = |hook: HookView| WebhookBody {
        url: hook.url,
        delivered_count: hook.delivered_count,
        waiting_count: hook.waiting_count,
        failed_count: hook.failed_count,
        reason: hook.reason,
    };
    let dead = dead.into_iter().map(|letter| DeadBody {
        id: letter.id,
        url: letter.url,
        at: letter.at,
        reason: letter.reason,
    });
    Ok(Answer(WebhooksResponse {
        webhooks: hooks.into_iter().map(webhook).collect(),
        dead: dead.collect(),
        dead_count,
    }))
}

/// Tell dead letters again, or drop them
///
/// Needs the scope `admin`.
#[utoipa::path(post, path = "/api/admin/webhooks", tag = "maintenance",
    operation_id = "decide_webhooks", request_body = DecideRequest,
    responses(
        (status = 200, body = DecideResponse, description = "Done, as far as they were taken."),
        (status = 404, description = "There is no such dead letter."),
        (status = 409, description = "The node has no webhooks."),
    ))]
pub async fn decide_webhooks(
    State(state): State<AppState>,
    who: Principal,
    Json(body): Json<DecideRequest>,
) -> Result<Answer<DecideResponse>, Problem> {
    let done_count = match body.action {
        Action::Retry => state.service.retry_webhooks(&who, body.id).await?,
        Action::Drop => state.service.drop_webhooks(&who, body.id).await?,
    };
    Ok(Answer(DecideResponse { done_count }))
}
