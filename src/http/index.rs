//! `/api/index`: how the search index is, making it anew, holding it against sqlite-vec.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AppState;
use super::extract::{Json, result_count};
use super::problem::Problem;
use crate::auth::Principal;
use crate::service::{IndexCheck, IndexState, IndexView};

/// How the search index is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Index)]
pub struct IndexResponse {
    /// `ready`, `building`, or why there is none; searches look at the vectors then.
    #[schema(example = "ready")]
    status: String,
    /// How much of it is made, in percent.
    #[schema(minimum = 0, maximum = 100)]
    percent: f64,
    /// Memories in it.
    rows: u64,
    /// Memory that it takes.
    bytes: u64,
    /// The instructions that scan it.
    #[schema(example = "avx512-vpopcntdq")]
    kernel: &'static str,
}

impl From<IndexView> for IndexResponse {
    fn from(view: IndexView) -> Self {
        let (status, percent) = match view.state {
            IndexState::Ready => ("ready".to_owned(), 100.0),
            IndexState::Failed(why) => (format!("failed: {why}"), 0.0),
            IndexState::Building { done, total } => {
                ("building".to_owned(), (done * 100 / total.max(1)) as f64)
            }
        };
        let IndexView { row_count: rows, size_bytes: bytes, kernel, .. } = view;
        IndexResponse { status, percent, rows, bytes, kernel }
    }
}

/// How is the search index?
///
/// Needs the scope `admin`.
#[utoipa::path(get, path = "/api/index", tag = "maintenance",
    responses((status = 200, body = IndexResponse, description = "How it is.")))]
pub async fn status(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<IndexResponse>, Problem> {
    Ok(axum::Json(state.service.index_status(&who)?.into()))
}

/// Make the search index anew
///
/// Drops the codes that are kept in the file and makes them from the vectors. Searches go on,
/// slower, until it is done. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/index/rebuild", tag = "maintenance",
    responses((status = 202, body = IndexResponse, description = "It is being made.")))]
pub async fn rebuild(
    State(state): State<AppState>,
    who: Principal,
) -> Result<(StatusCode, axum::Json<IndexResponse>), Problem> {
    let view = state.service.index_rebuild(&who).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(view.into())))
}

/// What to check.
#[derive(Debug, Deserialize, ToSchema)]
pub struct IndexCheckRequest {
    /// How many questions to ask.
    #[serde(default = "ten", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 10)]
    sample: usize,
}

fn ten() -> usize {
    10
}

/// What a check of the search index found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IndexCheck)]
pub struct IndexCheckResponse {
    /// Memories in the index.
    rows: u64,
    /// Vectors in the file: as many, when all is well.
    vectors: u64,
    /// Questions that were asked.
    sample: u64,
    /// Nearest memories that sqlite-vec found.
    expected: u64,
    /// Those of them that the index found too.
    found: u64,
    /// Their share.
    #[schema(minimum = 0, maximum = 1)]
    recall: f64,
}

impl From<IndexCheck> for IndexCheckResponse {
    fn from(check: IndexCheck) -> Self {
        let IndexCheck { row_count, vector_count, sample_count, expected_count, found_count } =
            check;
        let recall = match expected_count {
            0 => 1.0,
            expected => found_count as f64 / expected as f64,
        };
        IndexCheckResponse {
            rows: row_count,
            vectors: vector_count,
            sample: sample_count,
            expected: expected_count,
            found: found_count,
            recall,
        }
    }
}

/// Check the search index
///
/// Asks it and sqlite-vec for the ten nearest of random directions. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/index/check", tag = "maintenance",
    responses(
        (status = 200, body = IndexCheckResponse, description = "The check was made."),
        (status = 503, description = "The index is still being made."),
    ))]
pub async fn check(
    State(state): State<AppState>,
    who: Principal,
    Json(body): Json<IndexCheckRequest>,
) -> Result<axum::Json<IndexCheckResponse>, Problem> {
    let checked = state.service.index_check(&who, body.sample).await?;
    Ok(axum::Json(checked.into()))
}
