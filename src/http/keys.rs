//! `/api/admin/keys`: API keys, made, listed, replaced and revoked.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AppState;
use super::extract::{Json, KeyPath};
use super::memory_body::rfc3339;
use super::problem::Problem;
use crate::auth::{KeyLimits, KeyText, NewKey, Principal, Scope};
use crate::service::KeyView;

/// What a new key is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
pub struct CreateRequest {
    /// What people call it; 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "laptop of Ada")]
    name: String,
    /// `read`, `write` and `admin`, each perhaps with a namespace; `read` and `write` when absent.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, max_items = 100,
        example = json!(["read:notes", "write:notes"]))]
    scopes: Vec<Scope>,
    /// How long it is good; for ever when absent.
    #[schema(minimum = 1, maximum = 3_153_600_000u64)]
    expires_in_seconds: Option<u64>,
    /// What it may use up.
    #[serde(default)]
    #[schema(required = false)]
    limits: LimitsBody,
}

/// What a key may use up in a minute; the node's own limits where absent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyLimits)]
struct LimitsBody {
    /// Reads.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    reads: Option<u32>,
    /// Writes.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    writes: Option<u32>,
    /// Searches.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    searches: Option<u32>,
    /// Event streams that are opened.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    events: Option<u32>,
}

/// How a key gets a new secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RotateApiKey)]
pub struct RotateRequest {
    /// How long the old secret stays good; at most 30 days.
    #[serde(default)]
    #[schema(required = false, maximum = 2_592_000)]
    grace_seconds: u64,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct KeyBody {
    /// Its name in calls.
    #[schema(example = "0f1e2d3c4b5a6978")]
    id: String,
    /// What people call it.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// `active`, `expired` or `revoked`.
    #[schema(example = "active")]
    status: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at_iso: String,
    /// When it ends; null for never.
    #[schema(required, format = DateTime)]
    expires_at_iso: Option<String>,
    /// When it was revoked.
    #[schema(required, format = DateTime)]
    revoked_at_iso: Option<String>,
    /// When it was used last on this node, up to a minute late after a restart.
    #[schema(required, format = DateTime)]
    last_used_at_iso: Option<String>,
    /// When the secret before this one ends, if one was replaced.
    #[schema(required, format = DateTime)]
    previous_until_iso: Option<String>,
    /// What it may use up.
    limits: LimitsBody,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeys)]
pub struct KeysResponse {
    /// The newest first.
    keys: Vec<KeyBody>,
    /// How many there are.
    count: usize,
}

/// A key and its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShownApiKey)]
pub struct ShownResponse {
    /// The key.
    key: KeyBody,
    /// What callers send. It is shown this once and kept nowhere.
    #[schema(example = "mnk_0f1e2d3c4b5a6978_…")]
    secret: String,
}

impl From<KeyView> for KeyBody {
    fn from(view: KeyView) -> Self {
        let status = view.status();
        let KeyView { key, revoked_at, last_used_at } = view;
        let KeyLimits { reads, writes, searches, events } = key.limits;
        KeyBody {
            previous_until_iso: key.previous_until().map(rfc3339),
            id: key.id,
            name: key.name,
            scopes: key.scopes,
            status,
            created_at_iso: rfc3339(key.created_at),
            expires_at_iso: key.expires_at.map(rfc3339),
            revoked_at_iso: revoked_at.map(rfc3339),
            last_used_at_iso: last_used_at.map(rfc3339),
            limits: LimitsBody { reads, writes, searches, events },
        }
    }
}

fn shown((view, text): (KeyView, KeyText)) -> Answer<ShownResponse> {
    Answer(ShownResponse { key: view.into(), secret: text.expose().to_owned() })
}

/// List API keys
///
/// Those that ended too. Needs the scope `admin`.
#[utoipa::path(get, path = "/api/admin/keys", tag = "maintenance", operation_id = "list_keys",
    responses((status = 200, body = KeysResponse, description = "Without their secrets.")))]
pub async fn list(
    State(state): State<AppState>,
    who: Principal,
) -> Result<Answer<KeysResponse>, Problem> {
    let keys: Vec<KeyBody> = state.service.keys(&who)?.into_iter().map(KeyBody::from).collect();
    Ok(Answer(KeysResponse { count: keys.len(), keys }))
}

/// Make an API key
///
/// Every node of the cluster knows it within seconds. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/admin/keys", tag = "maintenance", operation_id = "create_key",
    request_body = CreateRequest,
    responses(
        (status = 200, body = ShownResponse, description = "Keep the secret: it is shown once."),
        (status = 409, description = "The node has peers and no `MEMNODE_CLUSTER_SECRET`."),
    ))]
pub async fn create(
    State(state): State<AppState>,
    who: Principal,
    Json(body): Json<CreateRequest>,
) -> Result<Answer<ShownResponse>, Problem> {
    let LimitsBody { reads, writes, searches, events } = body.limits;
    let new = NewKey {
        name: body.name,
        scopes: body.scopes,
        expires_at: None,
        limits: KeyLimits { reads, writes, searches, events },
    };
    let good_for = body.expires_in_seconds.map(Duration::from_secs);
    Ok(shown(state.service.create_key(&who, new, good_for).await?))
}

/// Revoke an API key
///
/// For good: no node takes it from then on, and what it opened ends. Needs the scope `admin`.
#[utoipa::path(delete, path = "/api/admin/keys/{id}", tag = "maintenance",
    operation_id = "revoke_key", params(KeyPath),
    responses((status = 200, body = KeyBody, description = "It is revoked.")))]
pub async fn revoke(
    State(state): State<AppState>,
    who: Principal,
    KeyPath { id }: KeyPath,
) -> Result<Answer<KeyBody>, Problem> {
    Ok(Answer(state.service.revoke_key(&who, &id).await?.into()))
}

/// Give an API key a new secret
///
/// Needs the scope `admin`.
#[utoipa::path(post, path = "/api/admin/keys/{id}/rotate", tag = "maintenance",
    operation_id = "rotate_key", params(KeyPath), request_body = RotateRequest,
    responses(
        (status = 200, body = ShownResponse, description = "Keep the secret: it is shown once."),
        (status = 409, description = "It is revoked, or as for a new key."),
    ))]
pub async fn rotate(
    State(state): State<AppState>,
    who: Principal,
    KeyPath { id }: KeyPath,
    Json(body): Json<RotateRequest>,
) -> Result<Answer<ShownResponse>, Problem> {
    let grace = Duration::from_secs(body.grace_seconds);
    Ok(shown(state.service.rotate_key(&who, &id, grace).await?))
}
