//! `/api/tags` and `/api/types`: what memories are labelled with.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::extract::{NamespacesParameters, Query};
use super::problem::Problem;
use crate::auth::Principal;
use crate::memory::{TagCount, TypeCount};

/// The tags in use.
#[derive(Debug, Serialize, ToSchema)]
pub struct TagsResponse {
    /// Most used first.
    tags: Vec<TagBody>,
}

/// A tag in use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TagCount)]
struct TagBody {
    /// The tag.
    #[schema(example = "work")]
    tag: String,
    /// Memories that carry it.
    #[schema(minimum = 1)]
    count: u64,
}

impl From<TagCount> for TagBody {
    fn from(TagCount { tag, count }: TagCount) -> Self {
        TagBody { tag, count }
    }
}

/// The types in use.
#[derive(Debug, Serialize, ToSchema)]
pub struct TypesResponse {
    /// Most used first.
    types: Vec<TypeBody>,
}

/// A type in use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TypeCount)]
struct TypeBody {
    /// The type; null for memories without one.
    #[schema(required, example = "note")]
    memory_type: Option<String>,
    /// Memories of this type.
    #[schema(minimum = 1)]
    count: u64,
}

impl From<TypeCount> for TypeBody {
    fn from(TypeCount { memory_type, count }: TypeCount) -> Self {
        TypeBody { memory_type, count }
    }
}

/// The tags in use, with counts
#[utoipa::path(get, path = "/api/tags", tag = "labels", params(NamespacesParameters),
    responses((status = 200, body = TagsResponse, description = "The tags.")))]
pub async fn tags(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
) -> Result<axum::Json<TagsResponse>, Problem> {
    let found = state.service.tags(&who, &namespaces.set()?).await.map_err(Problem::query)?;
    Ok(axum::Json(TagsResponse { tags: found.into_iter().map(TagBody::from).collect() }))
}

/// The types in use, with counts
#[utoipa::path(get, path = "/api/types", tag = "labels", params(NamespacesParameters),
    responses((status = 200, body = TypesResponse, description = "The types.")))]
pub async fn types(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
) -> Result<axum::Json<TypesResponse>, Problem> {
    let found = state.service.types(&who, &namespaces.set()?).await.map_err(Problem::query)?;
    Ok(axum::Json(TypesResponse { types: found.into_iter().map(TypeBody::from).collect() }))
}
