//! `/api/cluster/digest`: what this node holds, in a form that nodes can compare.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::http::AppState;
use crate::http::extract::BucketPath;
use crate::http::problem::Problem;
use crate::service::DigestView;

/// Nodes that have applied the same writes have the same digest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Digest)]
pub struct DigestResponse {
    /// The digest of everything.
    root: String,
    /// Records, deleted ones included.
    count: u64,
    /// The writes that are applied: ranges of numbers, both ends included, by node run.
    #[schema(value_type = Object, example = json!({"0f1e2d": [[1, 42]]}))]
    vector: BTreeMap<String, Vec<(u64, u64)>>,
    /// The buckets that hold something.
    #[schema(max_items = 4096)]
    buckets: Vec<BucketBody>,
}

/// The digest of one bucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DigestBucket)]
pub struct BucketBody {
    /// Its number.
    #[schema(maximum = 4095)]
    bucket: u16,
    /// The digest of its records; null when there are none.
    #[schema(required)]
    digest: Option<String>,
    /// Its records, deleted ones included.
    count: u64,
}

impl From<(u16, String, u64)> for BucketBody {
    fn from((bucket, digest, count): (u16, String, u64)) -> Self {
        BucketBody { bucket, digest: Some(digest), count }
    }
}

/// The digest of everything
#[utoipa::path(get, path = "/api/cluster/digest", tag = "cluster",
    responses((status = 200, body = DigestResponse, description = "The digest.")))]
pub async fn digest(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<DigestResponse>, Problem> {
    let DigestView { root, count, vector, buckets } = state.service.digest(&who).await?;
    Ok(axum::Json(DigestResponse {
        root,
        count,
        vector: vector.into_iter().collect(),
        buckets: buckets.into_iter().map(BucketBody::from).collect(),
    }))
}

/// The digest of one bucket
#[utoipa::path(get, path = "/api/cluster/digest/{bucket}", tag = "cluster", params(BucketPath),
    responses((status = 200, body = BucketBody, description = "The digest.")))]
pub async fn bucket(
    State(state): State<AppState>,
    who: Principal,
    BucketPath { bucket }: BucketPath,
) -> Result<axum::Json<BucketBody>, Problem> {
    let buckets = state.service.digest(&who).await?.buckets;
    let found = buckets.into_iter().find(|(number, ..)| *number == bucket);
    let empty = BucketBody { bucket, digest: None, count: 0 };
    Ok(axum::Json(found.map_or(empty, BucketBody::from)))
}
