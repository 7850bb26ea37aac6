//! `/api/memories`: storing one memory, and looking through all of them.

use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{AppendHeaders, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::extract::{Ack, NamespaceParameters, Once, Query, Sender, WriteJson, etag};
use super::memory_body::MemoryBody;
use super::new_memory::StoreRequest;
use super::problem::Problem;
use super::selection::ListParameters;
use crate::Result;
use crate::auth::Principal;
use crate::memory::{Remembered, Written};

/// What came of storing one memory.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreResponse {
    /// False when the text was there already.
    success: bool,
    /// A sentence for people.
    #[schema(example = "Memory stored successfully")]
    message: String,
    /// The id of the new memory.
    #[schema(required)]
    content_hash: Option<String>,
    /// The new memory.
    #[schema(required)]
    memory: Option<MemoryBody>,
}

impl From<Remembered> for StoreResponse {
    fn from(remembered: Remembered) -> Self {
        let message = match remembered {
            Remembered::Stored(memory) => {
                return StoreResponse {
                    success: true,
                    message: "Memory stored successfully".to_owned(),
                    content_hash: Some(memory.content_hash.to_string()),
                    memory: Some((*memory).into()),
                };
            }
            Remembered::Duplicate(_) => "Duplicate content detected (exact match)".to_owned(),
            Remembered::SemanticDuplicate { content_hash, .. } => {
                format!("Duplicate content detected (semantically similar to {content_hash})")
            }
        };
        StoreResponse { success: false, message, content_hash: None, memory: None }
    }
}

/// Store a memory
///
/// A text that is there already is not stored again: `success` is false then. A text that was
/// deleted before is a conflict, unless `restore_deleted` is set.
#[utoipa::path(post, path = "/api/memories", tag = "memories",
    params(
        NamespaceParameters,
        Sender,
        Once,
        Ack,
    ),
    request_body = StoreRequest,
    responses(
        (status = 200, body = StoreResponse, description = "Stored, or there already.",
            headers(("ETag" = String, description = "The version of a stored memory."))),
        (status = 409, description = "The same text was deleted before."),
    ))]
pub async fn store(
    State(state): State<AppState>,
    who: Principal,
    Query(namespace): Query<NamespaceParameters>,
    sender: Sender,
    ack: Ack,
    WriteJson(body, once): WriteJson<StoreRequest>,
) -> Result<Response, Problem> {
    let new = body.into_memory(&namespace, &sender)?;
    let Written { value: remembered, position } = state.service.remember(&who, new, once).await?;
    let tag = match &remembered {
        Remembered::Stored(memory) => Some((ETAG, etag(&memory.version))),
        Remembered::Duplicate(_) | Remembered::SemanticDuplicate { .. } => None,
    };
    let body = axum::Json(StoreResponse::from(remembered));
    Ok(ack.answer(&position, (AppendHeaders(tag), body)).await)
}

/// A page of memories, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListResponse {
    /// Newest first.
    memories: Vec<MemoryBody>,
    /// Memories that the conditions leave in all.
    total: u64,
    /// The page, as it was asked for; 1 with a cursor.
    page: u32,
    /// Memories on a page, as it was asked for.
    page_size: usize,
    /// Whether there is a next page.
    has_more: bool,
    /// Where the next page starts.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List memories, newest first
#[utoipa::path(get, path = "/api/memories", tag = "memories", params(ListParameters),
    responses((status = 200, body = ListResponse, description = "A page; empty behind the last.")))]
pub async fn list(
    State(state): State<AppState>,
    who: Principal,
    Query(parameters): Query<ListParameters>,
) -> Result<axum::Json<ListResponse>, Problem> {
    let (page, page_size, query) = parameters.into_query()?;
    let found = state.service.list(&who, query).await.map_err(Problem::query)?;
    Ok(axum::Json(ListResponse {
        memories: found.memories.into_iter().map(MemoryBody::from).collect(),
        total: found.total,
        page,
        page_size,
        has_more: found.next_cursor.is_some(),
        next_cursor: found.next_cursor,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ContentHash;
    use serde_json::json;

    #[test]
    fn answers_keep_the_wording_that_clients_know() {
        let hash = ContentHash::of("x");
        let body = serde_json::to_value(StoreResponse::from(Remembered::Duplicate(hash))).unwrap();
        assert_eq!(
            body,
            json!({"success": false, "content_hash": null, "memory": null,
            "message": "Duplicate content detected (exact match)"})
        );
    }
}
