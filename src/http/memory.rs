//! `/api/memories/{hash}`: reading, changing, deleting and bringing back one memory.

use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::AppState;
use super::extract::schemas::NamespaceName;
use super::extract::{
    Ack, Asked, IfMatch, IfNoneMatch, MemoryPath, NamespaceParameters, Once, Query, Tags,
    WriteJson, etag, one,
};
use super::memory_body::{MemoryBody, rfc3339};
use super::problem::{Input, Problem};
use crate::auth::Principal;
use crate::memory::{
    Changed, ContentHash, FieldHistory, History, HistoryEntry, Losing, Memory, Patch, Written,
};

/// Changes to a memory; at least one of content, tags, memory_type and metadata. Other keys are
/// ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateRequest {
    /// A new text, at most 96 KiB: it is stored as a new memory that names the old one in
    /// `metadata.supersedes`, and the old one is deleted, both or neither.
    #[schema(min_length = 1)]
    content: Option<String>,
    /// The whole new set of tags.
    tags: Option<Tags>,
    /// The new type. Null removes it with `PATCH` and leaves it alone with `PUT`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 100, example = "note")]
    memory_type: Option<Option<String>>,
    /// Merged key by key; null removes a key.
    #[schema(value_type = Option<Object>, example = json!({"quality_score": 0.9, "draft": null}))]
    metadata: Option<Map<String, Value>>,
    /// The namespace; `default` when it is named nowhere.
    #[schema(value_type = Option<NamespaceName>)]
    namespace: Option<String>,
    /// The older name of `namespace`.
    #[schema(value_type = Option<NamespaceName>)]
    store: Option<String>,
}

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What an update left behind.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateResponse {
    /// Always true.
    success: bool,
    /// Names what was given.
    #[schema(example = "Updated fields: tags, memory_type")]
    message: String,
    /// The id of the memory as it is now.
    content_hash: String,
    /// The memory as it is now.
    memory: MemoryBody,
}

/// What a deletion did.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeleteResponse {
    /// Always true.
    success: bool,
    /// Names the memory.
    message: String,
    /// The id of the deleted memory.
    content_hash: String,
}

/// Read a memory
#[utoipa::path(get, path = "/api/memories/{hash}", tag = "memories",
    operation_id = "get_memory",
    params(MemoryPath, NamespaceParameters,
        IfNoneMatch),
    responses(
        (status = 200, body = MemoryBody, description = "The memory.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "One of the known versions is still current."),
    ))]
pub async fn get(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let memory = state.service.get(&who, &namespace.one()?, hash).await.map_err(Problem::query)?;
    if known.holds(&memory.version) {
        return Ok((StatusCode::NOT_MODIFIED, [version_header(&memory)]).into_response());
    }
    Ok(with_version(memory))
}

/// Change a memory
///
/// Null means "leave it alone" everywhere but inside `metadata`.
#[utoipa::path(put, path = "/api/memories/{hash}", tag = "memories",
    operation_id = "update_memory",
    params(MemoryPath, NamespaceParameters,
        IfMatch,
        Once,
        Ack),
    request_body = UpdateRequest,
    responses(
        (status = 200, body = UpdateResponse, description = "Changed.",
            headers(("ETag" = String, description = "The new version."))),
        (status = 409, description = "The new text is there already, or was deleted before."),
        (status = 412, description = "The current version is none of those in `If-Match`."),
    ))]
pub async fn put(
    state: State<AppState>,
    who: Principal,
    path: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    expected: IfMatch,
    ack: Ack,
    WriteJson(mut body, once): WriteJson<UpdateRequest>,
) -> Result<Response, Problem> {
    body.memory_type = body.memory_type.filter(Option::is_some);
    update(state, who, path, namespace, expected, ack, WriteJson(body, once)).await
}

/// Change a memory
///
/// As `PUT`, but a null `memory_type` removes the type (RFC 7396).
#[utoipa::path(patch, path = "/api/memories/{hash}", tag = "memories",
    operation_id = "patch_memory",
    params(MemoryPath, NamespaceParameters,
        IfMatch,
        Once,
        Ack),
    request_body = UpdateRequest,
    responses(
        (status = 200, body = UpdateResponse, description = "Changed.",
            headers(("ETag" = String, description = "The new version."))),
        (status = 409, description = "The new text is there already, or was deleted before."),
        (status = 412, description = "The current version is none of those in `If-Match`."),
    ))]
pub async fn patch(
    state: State<AppState>,
    who: Principal,
    path: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    expected: IfMatch,
    ack: Ack,
    WriteJson(body, once): WriteJson<UpdateRequest>,
) -> Result<Response, Problem> {
    update(state, who, path, namespace, expected, ack, WriteJson(body, once)).await
}

async fn update(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    namespace: NamespaceParameters,
    expected: IfMatch,
    ack: Ack,
    WriteJson(body, once): WriteJson<UpdateRequest>,
) -> Result<Response, Problem> {
    let asked = Asked::new(Input::Body, body.namespace.as_deref(), body.store.as_deref());
    let namespace = one(&[namespace.asked(), asked])?;
    let patch = Patch {
        content: body.content,
        tags: body.tags.map(|tags| tags.0),
        memory_type: body.memory_type,
        metadata: body.metadata,
        preserve_timestamps: false,
    };
    let version = expected.version(&state.service, &who, &namespace, hash).await?;
    let Written { value: changed, position } =
        state.service.update(&who, &namespace, hash, patch, version, once).await?;
    let version = version_header(&changed.memory);
    Ok(ack.answer(&position, ([version], axum::Json(UpdateResponse::from(changed)))).await)
}

impl From<Changed> for UpdateResponse {
    fn from(changed: Changed) -> Self {
        UpdateResponse {
            success: true,
            message: format!("Updated fields: {}", changed.fields.join(", ")),
            content_hash: changed.memory.content_hash.to_string(),
            memory: changed.memory.into(),
        }
    }
}

/// Delete a memory
///
/// It stays readable in the history and can be restored.
#[utoipa::path(delete, path = "/api/memories/{hash}", tag = "memories",
    operation_id = "delete_memory",
    params(MemoryPath, NamespaceParameters,
        IfMatch,
        Once,
        Ack),
    responses(
        (status = 200, body = DeleteResponse, description = "Deleted."),
        (status = 412, description = "The current version is none of those in `If-Match`."),
        (status = 422, description = "The idempotency key belongs to another request."),
    ))]
pub async fn delete(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    expected: IfMatch,
    ack: Ack,
    Once(once): Once,
) -> Result<Response, Problem> {
    let namespace = namespace.one()?;
    let version = expected.version(&state.service, &who, &namespace, hash).await?;
    let forgotten = state.service.forget(&who, &namespace, hash, version, once).await?;
    let body = axum::Json(DeleteResponse {
        success: true,
        message: format!("Successfully deleted memory {hash}"),
        content_hash: hash.to_string(),
    });
    Ok(ack.answer(&forgotten.position, body).await)
}

/// Bring a deleted memory back
#[utoipa::path(post, path = "/api/memories/{hash}/restore", tag = "memories",
    operation_id = "restore_memory",
    params(MemoryPath, NamespaceParameters,
        Once,
        Ack),
    responses(
        (status = 200, body = MemoryBody, description = "The memory, live again.",
            headers(("ETag" = String, description = "Its version."))),
        (status = 409, description = "It is not deleted, or its text is no longer kept."),
        (status = 422, description = "The idempotency key belongs to another request."),
    ))]
pub async fn restore(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    ack: Ack,
    Once(once): Once,
) -> Result<Response, Problem> {
    let restored = state.service.restore(&who, &namespace.one()?, hash, once).await?;
    Ok(ack.answer(&restored.position, with_version(restored.value)).await)
}

/// Everything that is known of a memory's past
#[utoipa::path(get, path = "/api/memories/{hash}/history", tag = "memories",
    operation_id = "get_memory_history",
    params(MemoryPath, NamespaceParameters),
    responses((status = 200, body = HistoryResponse, description = "Also of a deleted one.")))]
pub async fn history(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
) -> Result<axum::Json<HistoryResponse>, Problem> {
    let history = state.service.history(&who, &namespace.one()?, hash).await;
    Ok(axum::Json(history.map_err(Problem::query)?.into()))
}

fn with_version(memory: Memory) -> Response {
    ([version_header(&memory)], axum::Json(MemoryBody::from(memory))).into_response()
}

fn version_header(memory: &Memory) -> (HeaderName, HeaderValue) {
    (ETAG, etag(&memory.version))
}

/// The past of a memory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub struct HistoryResponse {
    /// The id.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    content_hash: ContentHash,
    /// Its namespace.
    namespace: String,
    /// False once it was deleted.
    live: bool,
    /// Each part as it is now, with who wrote it and when.
    fields: Vec<FieldBody>,
    /// The writes, oldest first.
    entries: Vec<EntryBody>,
    /// Values that lost against a concurrent write.
    losing: Vec<LosingBody>,
}

/// One part of a memory as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryField)]
struct FieldBody {
    /// The part's name.
    #[schema(example = "tag.work")]
    field: String,
    /// The value.
    value: Value,
    /// Hybrid clock of the write, in milliseconds since 1970.
    clock_ms: u64,
    /// The node run that wrote it.
    origin: String,
    /// The write's number within that run.
    oseq: u64,
}

/// One write to a memory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
struct EntryBody {
    /// What it did.
    #[schema(example = "updated")]
    kind: String,
    /// When this node took it in, in seconds since 1970.
    at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime)]
    at_iso: String,
    /// The node run that wrote it.
    origin: String,
    /// The write's number within that run.
    oseq: u64,
    /// The parts it changed.
    changed: Vec<String>,
}

/// A value that lost against a concurrent write.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LosingValue)]
struct LosingBody {
    /// The part's name.
    field: String,
    /// The value that lost.
    value: Value,
    /// Hybrid clock of the losing write, in milliseconds since 1970.
    clock_ms: u64,
    /// The node run that wrote it.
    origin: String,
    /// The winning write.
    winner: String,
}

impl From<History> for HistoryResponse {
    fn from(history: History) -> Self {
        HistoryResponse {
            content_hash: history.content_hash,
            namespace: history.namespace.to_string(),
            live: history.live,
            fields: history.fields.into_iter().map(FieldBody::from).collect(),
            entries: history.entries.into_iter().map(EntryBody::from).collect(),
            losing: history.losing.into_iter().map(LosingBody::from).collect(),
        }
    }
}

impl From<FieldHistory> for FieldBody {
    fn from(part: FieldHistory) -> Self {
        let FieldHistory { field, value, clock_ms, origin, oseq } = part;
        FieldBody { field, value, clock_ms, origin, oseq }
    }
}

impl From<HistoryEntry> for EntryBody {
    fn from(entry: HistoryEntry) -> Self {
        let HistoryEntry { kind, at, origin, oseq, changed } = entry;
        EntryBody { kind, at, at_iso: rfc3339(at), origin, oseq, changed }
    }
}

impl From<Losing> for LosingBody {
    fn from(losing: Losing) -> Self {
        let Losing { field, value, clock_ms, origin, winner } = losing;
        LosingBody { field, value, clock_ms, origin, winner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_told_from_absent_only_for_the_type() {
        let read = |json: &str| serde_json::from_str::<UpdateRequest>(json).expect("valid");
        assert_eq!(read("{}").memory_type, None);
        assert_eq!(read(r#"{"memory_type": null}"#).memory_type, Some(None));
        assert_eq!(read(r#"{"memory_type": "a"}"#).memory_type, Some(Some("a".to_owned())));
        assert_eq!(read(r#"{"tags": null}"#).tags, None);
        assert_eq!(read(r#"{"tags": []}"#).tags, Some(Tags::default()));
        assert_eq!(read(r#"{"metadata": null}"#).metadata, None);
    }
}
