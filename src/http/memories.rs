//! `/api/memories`: storing one memory, and looking through all of them.

use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{AppendHeaders, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::schemas::NamespaceList;
use super::extract::{
    Ack, Asked, NamespaceParameters, Once, Query, Sender, WriteJson, etag, set, within,
};
use super::memory_body::MemoryBody;
use super::new_memory::StoreRequest;
use super::problem::{Input, Problem};
use crate::Result;
use crate::auth::Principal;
use crate::memory::{
    Filter, ListQuery, PageAt, RESULT_COUNT_MAX, Remembered, TagMatch, Written, normalise_tags,
};

/// The last page that can be asked for by number; a cursor has no such limit.
const PAGE_MAX: u32 = 1_000_000;

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

/// Which memories to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// The page, counted from 1.
    #[param(minimum = 1, maximum = 1_000_000, default = 1)]
    page: Option<u32>,
    /// Memories on a page.
    #[param(minimum = 1, maximum = 100, default = 10)]
    page_size: Option<usize>,
    /// Where the page before ended (`next_cursor`); takes the place of `page`.
    cursor: Option<String>,
    /// A tag, or a comma list of them.
    #[param(example = "work")]
    tag: Option<String>,
    /// Whether `any` of the tags is enough (the default) or `all` are needed.
    #[param(inline)]
    tag_match: Option<TagMatchName>,
    /// Exactly this type.
    memory_type: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read.
    #[param(value_type = Option<NamespaceList>, inline)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[param(value_type = Option<NamespaceList>, inline)]
    store: Option<String>,
}

impl ListParameters {
    fn into_query(self) -> Result<(u32, usize, ListQuery), Problem> {
        let page = within("page", self.page.unwrap_or(1), 1..=PAGE_MAX)?;
        let limit = within("page_size", self.page_size.unwrap_or(10), 1..=RESULT_COUNT_MAX)?;
        let asked = Asked::new(Input::Query, self.namespace.as_deref(), self.store.as_deref());
        let tags = self.tag.as_deref().unwrap_or_default().split(',');
        let filter = Filter {
            namespaces: set(&[asked])?,
            tags: normalise_tags(tags).map_err(Problem::query)?,
            tag_match: self.tag_match.map(TagMatch::from).unwrap_or_default(),
            memory_type: self.memory_type,
            ..Filter::default()
        };
        let at = match self.cursor.filter(|cursor| !cursor.is_empty()) {
            Some(cursor) => PageAt::Cursor(cursor),
            None => PageAt::Offset(u64::from(page - 1) * limit as u64),
        };
        Ok((page, limit, ListQuery { filter, at, limit }))
    }
}

/// How tags combine.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TagMatch)]
pub enum TagMatchName {
    /// At least one.
    Any,
    /// Every one.
    All,
}

impl From<TagMatchName> for TagMatch {
    fn from(name: TagMatchName) -> Self {
        match name {
            TagMatchName::Any => TagMatch::Any,
            TagMatchName::All => TagMatch::All,
        }
    }
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

    #[test]
    fn pages_have_bounds() {
        let check = |query: &str, good: bool| {
            let uri = format!("/?{query}").parse().unwrap();
            let parameters = axum::extract::Query::<ListParameters>::try_from_uri(&uri);
            let found = parameters.ok().and_then(|parameters| parameters.0.into_query().ok());
            assert_eq!(found.is_some(), good, "{query}");
        };
        check("", true);
        check("page=3&page_size=100&tag=a,b&tag_match=all&namespace=*", true);
        check("page=0", false);
        check("page=1000001", false);
        check("page_size=0", false);
        check("page_size=101", false);
        check("tag_match=some", false);
        check("namespace=Not%20valid", false);
    }
}
