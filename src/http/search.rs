//! `/api/search`: by meaning, by words, by tag, by time, and by likeness to a memory.

use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::schemas::NamespaceList;
use super::extract::{
    Asked, Json, MemoryPath, NamespaceParameters, NamespacesParameters, Query, Tags, fraction,
    fraction_or_none, result_count, set, within,
};
use super::memories::TagMatchName;
use super::memory_body::MemoryBody;
use super::phrases::Phrases;
use super::problem::{Input, Problem};
use crate::auth::Principal;
use crate::memory::{
    Filter, Hit, RESULT_COUNT_MAX, ScoreParts, SearchAnswer, SearchMode, SearchQuery, Tag, TagMatch,
};
use crate::service::Service;

/// How relevance is judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SearchMode)]
pub enum ModeName {
    /// By meaning.
    Semantic,
    /// By words.
    Keyword,
    /// Both, fused.
    #[default]
    Hybrid,
}

impl From<ModeName> for SearchMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Semantic => SearchMode::Semantic,
            ModeName::Keyword => SearchMode::Keyword,
            ModeName::Hybrid => SearchMode::Hybrid,
        }
    }
}

/// A search. Every condition is applied before the best are taken. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SearchRequest {
    /// What is asked. `tag:x`, `type:x`, `after:2026-01-01` and `before:yesterday` narrow the
    /// search, a phrase in quotes comes first where it is found. An empty query finds the newest.
    #[schema(max_length = 16384, example = "which paper does the printer want?")]
    query: String,
    /// How many results.
    #[serde(default = "ten", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 10)]
    n_results: usize,
    /// Leave out results below this similarity.
    #[serde(default, deserialize_with = "fraction_or_none")]
    #[schema(minimum = 0, maximum = 1)]
    similarity_threshold: Option<f64>,
    /// How relevance is judged; `hybrid` when absent.
    mode: Option<ModeName>,
    /// Only memories with these tags.
    #[serde(default)]
    #[schema(required = false)]
    tags: Tags,
    /// Whether `any` of the tags is enough (the default) or `all` are needed.
    tag_match: Option<TagMatchName>,
    /// Only memories of exactly this type.
    memory_type: Option<String>,
    /// Only memories of this time.
    #[schema(max_length = 200, example = "last week")]
    time_filter: Option<String>,
    /// Only memories from then on: a date, a time, or a phrase.
    #[schema(max_length = 200, example = "2026-01-01")]
    after: Option<String>,
    /// Only memories up to then: a date leaves its own day out.
    #[schema(max_length = 200, example = "yesterday")]
    before: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100, example = "Europe/Berlin")]
    tz: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
    /// Look at every vector instead of asking the index: slow, and never wrong.
    #[serde(default)]
    #[schema(required = false)]
    exact: bool,
    /// Only memories whose metadata has exactly these values.
    #[schema(value_type = Option<Object>, example = json!({"source": "manual"}))]
    metadata: Option<Map<String, Value>>,
    /// Let `metadata.quality_score` take part in the order.
    #[serde(default)]
    #[schema(required = false)]
    quality_boost: bool,
    /// How much it takes part.
    #[serde(default = "quality_weight", deserialize_with = "fraction")]
    #[schema(required = false, minimum = 0, maximum = 1, default = 0.3)]
    quality_weight: f64,
    /// Let fresh memories come earlier; half of the freshness goes every 30 days.
    #[serde(default)]
    #[schema(required = false)]
    recency_boost: bool,
    /// How much freshness takes part.
    #[serde(default = "quality_weight", deserialize_with = "fraction")]
    #[schema(required = false, minimum = 0, maximum = 1, default = 0.3)]
    recency_weight: f64,
}

/// Existing clients rely on it.
fn ten() -> usize {
    10
}

/// Existing clients rely on it.
fn quality_weight() -> f64 {
    0.3
}

impl SearchRequest {
    fn into_query(
        self,
        service: &Service,
        query: &NamespacesParameters,
    ) -> Result<SearchQuery, Problem> {
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let phrases = Phrases {
            tz: self.tz.as_deref(),
            during: self.time_filter.as_deref(),
            after: self.after.as_deref(),
            before: self.before.as_deref(),
        };
        let filter = Filter {
            namespaces: set(&[query.asked(), asked])?,
            tags: self.tags.0,
            tag_match: self.tag_match.map(TagMatch::from).unwrap_or_default(),
            memory_type: self.memory_type,
            created: phrases.range(service)?,
            metadata: self.metadata.unwrap_or_default(),
        };
        Ok(SearchQuery {
            text: self.query,
            limit: self.n_results,
            similarity_threshold: self.similarity_threshold,
            mode: self.mode.unwrap_or_default().into(),
            filter,
            is_exact: self.exact,
            quality_weight: self.quality_boost.then_some(self.quality_weight),
            recency_weight: self.recency_boost.then_some(self.recency_weight),
            time_zone: self.tz.filter(|tz| !tz.trim().is_empty()),
        })
    }
}

/// What was found, best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResponse {
    /// Best first, or newest first where nothing was compared.
    #[schema(max_items = 100)]
    results: Vec<ResultBody>,
    /// How many results there are.
    total_found: usize,
    /// What was asked.
    query: String,
    /// How the results were found.
    #[schema(example = "hybrid")]
    search_type: &'static str,
    /// How long it took.
    #[schema(minimum = 0)]
    processing_time_ms: f64,
    /// Where the next page starts, where the order is by time.
    #[schema(required)]
    next_cursor: Option<String>,
    /// What there is to know of how it went; absent when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One result.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchResult)]
pub struct ResultBody {
    /// The memory.
    memory: MemoryBody,
    /// By meaning: `max(0, 1 - cosine_distance / 2)`. In hybrid searches the fused score on the
    /// same scale, in the order of the results. Null where nothing was compared by meaning.
    #[schema(required, minimum = 0, maximum = 1, example = 0.87)]
    similarity_score: Option<f64>,
    /// A short sentence for people.
    relevance_reason: String,
    /// What its place is made of; parts that took no part are left out.
    score: ScoreBody,
}

/// What the place of a result is made of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(as = Score, value_type = Object, example = json!({"semantic": 0.87, "total": 0.87}))]
pub struct ScoreBody(ScoreParts);

impl From<Hit> for ResultBody {
    fn from(hit: Hit) -> Self {
        ResultBody {
            memory: hit.memory.into(),
            similarity_score: hit.similarity,
            relevance_reason: hit.reason,
            score: ScoreBody(hit.score),
        }
    }
}

impl SearchResponse {
    fn new(answer: SearchAnswer, query: String, took: Duration) -> axum::Json<Self> {
        axum::Json(SearchResponse {
            total_found: answer.hits.len(),
            results: answer.hits.into_iter().map(ResultBody::from).collect(),
            query,
            search_type: answer.search_type,
            processing_time_ms: took.as_secs_f64() * 1000.0,
            next_cursor: answer.next_cursor,
            note: answer.note,
        })
    }
}

/// Search by meaning, by words, or both
#[utoipa::path(post, path = "/api/search", tag = "search", params(NamespacesParameters),
    request_body = SearchRequest,
    responses((status = 200, body = SearchResponse, description = "The best results.")))]
pub async fn search(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    Json(body): Json<SearchRequest>,
) -> Result<axum::Json<SearchResponse>, Problem> {
    let started = state.service.uptime();
    let query = body.into_query(&state.service, &namespaces)?;
    let text = query.text.clone();
    let answer = state.service.search(&who, query).await?;
    Ok(SearchResponse::new(answer, text, state.service.uptime().saturating_sub(started)))
}

/// A search by tag. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TagSearchRequest {
    /// At least one.
    tags: Tags,
    /// Whether all of them are needed.
    #[serde(default)]
    #[schema(required = false)]
    match_all: bool,
    /// Only memories of this time.
    #[schema(max_length = 200, example = "last week")]
    time_filter: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100)]
    tz: Option<String>,
    /// How many results.
    #[serde(default = "most", alias = "limit", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 100)]
    n_results: usize,
    /// Where the page before ended (`next_cursor`).
    cursor: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
}

/// Existing clients expect every match of a search by tag.
fn most() -> usize {
    RESULT_COUNT_MAX
}

impl TagSearchRequest {
    fn filter(&self, service: &Service, query: &NamespacesParameters) -> Result<Filter, Problem> {
        if self.tags.0.is_empty() {
            return Err(Problem::bad_query("At least one tag must be specified"));
        }
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let during = self.time_filter.as_deref();
        let phrases = Phrases { tz: self.tz.as_deref(), during, ..Phrases::default() };
        Ok(Filter {
            namespaces: set(&[query.asked(), asked])?,
            tags: self.tags.0.clone(),
            tag_match: if self.match_all { TagMatch::All } else { TagMatch::Any },
            created: phrases.range(service)?,
            ..Filter::default()
        })
    }

    /// What was asked, in the words that clients know.
    fn text(&self) -> String {
        let tags: Vec<&str> = self.tags.0.iter().map(Tag::as_str).collect();
        let kind = if self.match_all { "ALL" } else { "ANY" };
        let time = self.time_filter.as_ref().map(|phrase| format!(" | Time: {phrase}"));
        format!("Tags: {} ({kind}){}", tags.join(", "), time.unwrap_or_default())
    }
}

/// Find memories by tag, newest first
#[utoipa::path(post, path = "/api/search/by-tag", tag = "search", params(NamespacesParameters),
    request_body = TagSearchRequest,
    responses((status = 200, body = SearchResponse, description = "The newest matches.")))]
pub async fn by_tag(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    Json(body): Json<TagSearchRequest>,
) -> Result<axum::Json<SearchResponse>, Problem> {
    let started = state.service.uptime();
    let (filter, text) = (body.filter(&state.service, &namespaces)?, body.text());
    let cursor = body.cursor.filter(|cursor| !cursor.is_empty());
    let answer = state.service.search_newest(&who, filter, body.n_results, cursor, "tag").await?;
    Ok(SearchResponse::new(answer, text, state.service.uptime().saturating_sub(started)))
}

/// A search by time. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TimeSearchRequest {
    /// A phrase of time.
    #[schema(max_length = 200, example = "last week")]
    query: String,
    /// How many results.
    #[serde(default = "ten", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 10)]
    n_results: usize,
    /// Ranks the memories of that time by meaning.
    #[schema(max_length = 16384)]
    semantic_query: Option<String>,
    /// Where the page before ended (`next_cursor`); not with `semantic_query`.
    cursor: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100)]
    tz: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
}

impl TimeSearchRequest {
    fn filter(&self, service: &Service, query: &NamespacesParameters) -> Result<Filter, Problem> {
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let during = Some(self.query.as_str());
        let tz = self.tz.as_deref().filter(|tz| !tz.trim().is_empty());
        Ok(Filter {
            namespaces: set(&[query.asked(), asked])?,
            // An empty phrase is unreadable here, not absent.
            created: Phrases { tz, during, ..Phrases::default() }.strict_range(service)?,
            ..Filter::default()
        })
    }
}

/// Find memories by time
///
/// Newest first, or with `semantic_query` the memories of that time ranked by meaning.
#[utoipa::path(post, path = "/api/search/by-time", tag = "search", params(NamespacesParameters),
    request_body = TimeSearchRequest,
    responses((status = 200, body = SearchResponse, description = "The memories of that time.")))]
pub async fn by_time(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    Json(body): Json<TimeSearchRequest>,
) -> Result<axum::Json<SearchResponse>, Problem> {
    let started = state.service.uptime();
    let filter = body.filter(&state.service, &namespaces)?;
    let limit = body.n_results;
    let cursor = body.cursor.filter(|cursor| !cursor.is_empty());
    let answer = match body.semantic_query.filter(|text| !text.trim().is_empty()) {
        None => state.service.search_newest(&who, filter, limit, cursor, "time").await?,
        Some(_) if cursor.is_some() => {
            return Err(Problem::bad_query(
                "leave out `cursor` or `semantic_query`: ranks have no pages",
            ));
        }
        Some(text) => {
            let query =
                SearchQuery { mode: SearchMode::Semantic, ..SearchQuery::new(text, limit, filter) };
            let answer = state.service.search(&who, query).await?;
            SearchAnswer { search_type: "time", ..answer }
        }
    };
    Ok(SearchResponse::new(answer, body.query, state.service.uptime().saturating_sub(started)))
}

/// How many similar memories to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SimilarParameters {
    /// How many results.
    #[param(minimum = 1, maximum = 100, default = 10)]
    n_results: Option<usize>,
}

/// Find memories like this one
///
/// In its own namespace; the memory itself is left out.
#[utoipa::path(get, path = "/api/search/similar/{hash}", tag = "search",
    params(MemoryPath, NamespaceParameters, SimilarParameters),
    responses((status = 200, body = SearchResponse, description = "The most similar memories.")))]
pub async fn similar(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    Query(parameters): Query<SimilarParameters>,
) -> Result<axum::Json<SearchResponse>, Problem> {
    let started = state.service.uptime();
    let limit = within("n_results", parameters.n_results.unwrap_or(10), 1..=RESULT_COUNT_MAX)?;
    let answer = state.service.similar(&who, &namespace.one()?, hash, limit).await;
    let took = state.service.uptime().saturating_sub(started);
    Ok(SearchResponse::new(answer.map_err(Problem::query)?, format!("Similar to: {hash}"), took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_defaults_that_clients_rely_on() {
        let body: SearchRequest = serde_json::from_str(r#"{"query": "x"}"#).expect("valid");
        assert_eq!((body.n_results, body.quality_boost, body.quality_weight), (10, false, 0.3));
        let body: TagSearchRequest = serde_json::from_str(r#"{"tags": "a"}"#).expect("valid");
        assert_eq!((body.n_results, body.match_all), (100, false));
        let body: TagSearchRequest =
            serde_json::from_str(r#"{"tags": ["B", "a"], "limit": 5, "time_filter": "today"}"#)
                .expect("valid");
        assert_eq!(body.n_results, 5);
        assert_eq!(body.text(), "Tags: a, b (ANY) | Time: today");
    }

    #[test]
    fn thresholds_out_of_range_are_refused() {
        for field in [
            r#""similarity_threshold": 1.5"#,
            r#""similarity_threshold": "high""#,
            r#""quality_weight": -1"#,
            r#""n_results": 0"#,
            r#""n_results": 101"#,
            r#""mode": "guess""#,
            r#""tag_match": "some""#,
            r#""metadata": []"#,
        ] {
            let body = format!("{{\"query\": \"x\", {field}}}");
            assert!(serde_json::from_str::<SearchRequest>(&body).is_err(), "{field}");
        }
    }
}
