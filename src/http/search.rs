//! `/api/search`: by meaning, by words, by tag, by time, and by likeness to a memory.

use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::{Json, MemoryPath, NamespaceParameters, NamespacesParameters, Query, within};
use super::memory_body::MemoryBody;
use super::problem::Problem;
use super::search_request::{SearchRequest, TagSearchRequest, TimeSearchRequest};
use crate::auth::Principal;
use crate::memory::{Hit, RESULT_COUNT_MAX, ScoreParts, SearchAnswer, SearchMode, SearchQuery};

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
    let query = body.into_query(&|tz| state.service.now(tz), &namespaces)?;
    let text = query.text.clone();
    let answer = state.service.search(&who, query).await?;
    Ok(SearchResponse::new(answer, text, state.service.uptime().saturating_sub(started)))
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
    let filter = body.filter(&|tz| state.service.now(tz), &namespaces)?;
    let text = body.text();
    let cursor = body.cursor.filter(|cursor| !cursor.is_empty());
    let answer = state.service.search_newest(&who, filter, body.n_results, cursor, "tag").await?;
    Ok(SearchResponse::new(answer, text, state.service.uptime().saturating_sub(started)))
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
    let filter = body.filter(&|tz| state.service.now(tz), &namespaces)?;
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
