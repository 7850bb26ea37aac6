//! `/api/map`: memories on a plane, by meaning.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::{NamespacesParameters, Query, within};
use super::memory_body::rfc3339;
use super::problem::Problem;
use crate::auth::Principal;
use crate::memory::{ContentHash, Memory};
use crate::service::{AxesView, MAP_COUNT_MAX, MapView};

/// Characters of a memory that a map shows.
const PREVIEW_CHAR_COUNT: usize = 160;

/// How large a map is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MapParameters {
    /// At most so many memories.
    #[param(minimum = 1, maximum = 5000, default = 5000)]
    limit: Option<usize>,
}

/// A sample of the memories, each at its place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Map)]
pub struct MapResponse {
    /// The sample: the same memories each time, as long as they live.
    points: Vec<PointBody>,
    /// All memories of the namespaces.
    total: u64,
    /// What the places follow from.
    axes: AxesBody,
}

/// A memory at its place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MapPoint)]
struct PointBody {
    /// Its id.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    content_hash: ContentHash,
    /// Its namespace.
    namespace: String,
    /// From left to right.
    #[schema(minimum = -1, maximum = 1)]
    x: f32,
    /// From bottom to top.
    #[schema(minimum = -1, maximum = 1)]
    y: f32,
    /// Its first 160 characters.
    preview: String,
    /// Its tags.
    tags: Vec<String>,
    /// Its type.
    #[schema(required)]
    memory_type: Option<String>,
    /// The node that made it.
    origin: String,
    /// When it was made, in seconds since 1970.
    created_at: f64,
}

/// The two axes of the map. Places move only when they are made anew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MapAxes)]
pub struct AxesBody {
    /// When they were made, in seconds since 1970.
    drawn_at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime)]
    drawn_at_iso: String,
    /// How many memories the node held then.
    drawn_for: u64,
    /// Whether it holds at least twice as many now.
    stale: bool,
}

/// Memories on a plane, by meaning
///
/// Memories of like meaning are near each other. A place depends on the text of its own memory
/// alone: it stays where it is while others come and go.
#[utoipa::path(get, path = "/api/map", tag = "analytics", operation_id = "get_map",
    params(NamespacesParameters, MapParameters),
    responses((status = 200, body = MapResponse, description = "The memories.")))]
pub async fn map(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    Query(MapParameters { limit }): Query<MapParameters>,
) -> Result<axum::Json<MapResponse>, Problem> {
    let limit = within("limit", limit.unwrap_or(MAP_COUNT_MAX), 1..=MAP_COUNT_MAX)?;
    let found = state.service.map(&who, &namespaces.set()?, limit).await;
    Ok(axum::Json(found.map_err(Problem::query)?.into()))
}

/// Make the axes of the map anew
///
/// Afterwards every memory may be elsewhere. Worth it when the map says `stale`. Needs the scope
/// `write`.
#[utoipa::path(post, path = "/api/map/redraw", tag = "analytics", operation_id = "redraw_map",
    responses((status = 200, body = AxesBody, description = "The new axes.")))]
pub async fn redraw(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<AxesBody>, Problem> {
    Ok(axum::Json(state.service.redraw_map(&who).await?.into()))
}

impl From<MapView> for MapResponse {
    fn from(view: MapView) -> Self {
        let points = view.points.into_iter().map(|(memory, place)| point(memory, place)).collect();
        MapResponse { points, total: view.total, axes: view.axes.into() }
    }
}

fn point(memory: Memory, [x, y]: [f32; 2]) -> PointBody {
    PointBody {
        content_hash: memory.content_hash,
        namespace: memory.namespace.to_string(),
        x,
        y,
        preview: memory.content.chars().take(PREVIEW_CHAR_COUNT).collect(),
        tags: memory.tags.iter().map(ToString::to_string).collect(),
        memory_type: memory.memory_type,
        origin: memory.origin,
        created_at: memory.created_at,
    }
}

impl From<AxesView> for AxesBody {
    fn from(view: AxesView) -> Self {
        AxesBody {
            drawn_at: view.drawn_at,
            drawn_at_iso: rfc3339(view.drawn_at),
            drawn_for: view.drawn_for,
            stale: view.is_stale,
        }
    }
}
