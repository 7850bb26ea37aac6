//! `/api/memories`: storing one memory, and looking through all of them.

use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{AppendHeaders, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::schemas::{NamespaceList, NamespaceName};
use super::extract::{
    Ack, Asked, NamespaceParameters, Once, Query, Sender, Tags, WriteJson, etag, one, set, within,
};
use super::memory_body::MemoryBody;
use super::problem::{Input, Problem};
use crate::Result;
use crate::auth::Principal;
use crate::memory::{
    Filter, ListQuery, NewMemory, PageAt, RESULT_COUNT_MAX, Remembered, Tag, TagMatch, Written,
    normalise_tags,
};

/// The last page that can be asked for by number; a cursor has no such limit.
const PAGE_MAX: u32 = 1_000_000;

/// A memory to store. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StoreRequest {
    /// The text; at most 96 KiB, not only white space.
    #[schema(min_length = 1, example = "The printer wants A5 paper")]
    content: String,
    /// Labels to find it by.
    #[serde(default)]
    #[schema(required = false)]
    tags: Tags,
    /// Free text that says what kind of memory this is.
    #[schema(max_length = 100, example = "note")]
    memory_type: Option<String>,
    /// Whatever else belongs to it; at most 16 KiB of JSON, 200 keys and 32 levels.
    #[schema(value_type = Option<Object>, example = json!({"source": "manual"}))]
    metadata: Option<Map<String, Value>>,
    /// The machine it comes from: becomes the tag `source:<host>` and `metadata.hostname`.
    #[schema(max_length = 93)]
    client_hostname: Option<String>,
    /// The conversation it comes from: becomes `metadata.conversation_id`.
    conversation_id: Option<String>,
    /// The namespace; `default` when it is named nowhere.
    #[schema(value_type = Option<NamespaceName>)]
    namespace: Option<String>,
    /// The older name of `namespace`.
    #[schema(value_type = Option<NamespaceName>)]
    store: Option<String>,
    /// Store it even though the same text was deleted before.
    #[serde(default)]
    #[schema(required = false)]
    restore_deleted: bool,
}

impl StoreRequest {
    /// What to store, with what the query and the headers add.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn into_memory(
        self,
        query: &NamespaceParameters,
        sender: &Sender,
    ) -> Result<NewMemory, Problem> {
        let body = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let namespace = one(&[query.asked(), body])?;
        let named = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let host = named(self.client_hostname).or_else(|| sender.host.clone());
        let agent_tag = sender.agent.as_ref().map(|id| format!("agent:{id}"));
        let host_tag = host.as_ref().map(|host| format!("source:{host}"));
        let added = [agent_tag, host_tag];
        let texts = self.tags.0.iter().map(Tag::as_str).chain(added.iter().flatten().map(|t| &**t));
        let mut metadata = self.metadata.unwrap_or_default();
        metadata.extend(host.map(|host| ("hostname".to_owned(), host.into())));
        metadata.extend(self.conversation_id.map(|id| ("conversation_id".to_owned(), id.into())));
        Ok(NewMemory {
            content: self.content,
            tags: normalise_tags(texts)?,
            memory_type: self.memory_type,
            metadata,
            namespace,
            created_at: None,
            updated_at: None,
            restore_deleted: self.restore_deleted,
        })
    }
}

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

    fn request(body: Value) -> StoreRequest {
        serde_json::from_value(body).expect("a valid body")
    }

    fn convert(body: Value, sender: &Sender) -> NewMemory {
        request(body).into_memory(&NamespaceParameters::default(), sender).expect("valid")
    }

    #[test]
    fn headers_become_tags_and_the_body_goes_first() {
        let sender = Sender { agent: Some("Bot".to_owned()), host: Some("laptop".to_owned()) };
        let memory = convert(json!({"content": "x", "tags": "b, a"}), &sender);
        let tags: Vec<&str> = memory.tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["a", "agent:bot", "b", "source:laptop"]);
        assert_eq!(memory.metadata["hostname"], "laptop");
        let body = json!({"content": "x", "client_hostname": "desk", "conversation_id": "c-1",
            "metadata": {"hostname": "other", "k": 1}});
        let memory = convert(body, &sender);
        assert_eq!(
            memory.metadata,
            *json!({"hostname": "desk", "k": 1, "conversation_id": "c-1"}).as_object().unwrap()
        );
    }

    #[test]
    fn nulls_are_absences() {
        let body = json!({"content": "x", "tags": null, "memory_type": null, "metadata": null,
            "client_hostname": null, "conversation_id": null, "namespace": null, "store": null});
        let plain = convert(json!({"content": "x"}), &Sender::default());
        assert_eq!(convert(body, &Sender::default()), plain);
    }

    #[test]
    fn a_header_cannot_push_the_tags_over_their_limit() {
        let tags: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
        let sender = Sender { agent: Some("bot".to_owned()), host: None };
        let memory = request(json!({"content": "x", "tags": tags}))
            .into_memory(&NamespaceParameters::default(), &sender);
        assert_eq!(memory.expect_err("101 tags").code(), "too_many_tags");
    }

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
