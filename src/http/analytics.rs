//! `/api/analytics`: totals, and how many memories were made when.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::{NamespacesParameters, Query};
use super::problem::Problem;
use crate::auth::Principal;
use crate::service::{DayCount, Overview, Period};

/// Bytes of a megabyte.
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// How far back to look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Period)]
pub enum PeriodName {
    /// Seven days, today included.
    Week,
    /// 30 days.
    #[default]
    Month,
    /// 90 days.
    Quarter,
    /// 365 days.
    Year,
    /// From the first memory on, at most ten years.
    All,
}

impl From<PeriodName> for Period {
    fn from(name: PeriodName) -> Self {
        match name {
            PeriodName::Week => Period::Days(7),
            PeriodName::Month => Period::Days(30),
            PeriodName::Quarter => Period::Days(90),
            PeriodName::Year => Period::Days(365),
            PeriodName::All => Period::All,
        }
    }
}

/// Which days.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GrowthParameters {
    /// How far back to look; a `month` when absent.
    #[param(inline)]
    period: Option<PeriodName>,
    /// The IANA time zone whose days they are; that of the node when absent.
    #[param(max_length = 100, example = "Europe/Berlin")]
    tz: Option<String>,
}

/// Memories by day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemoryGrowth)]
pub struct GrowthResponse {
    /// Every day of the period, oldest first.
    data_points: Vec<DayBody>,
    /// Memories in all.
    total_memories: u64,
    /// How far back this looks.
    period: PeriodName,
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemoryGrowthPoint)]
struct DayBody {
    /// The local date.
    #[schema(format = Date, example = "2026-11-22")]
    date: String,
    /// Memories made on it.
    count: u64,
    /// Memories made up to its end.
    cumulative: u64,
}

/// Totals for people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnalyticsOverview)]
pub struct OverviewResponse {
    /// Live memories.
    total_memories: u64,
    /// Those made in the last seven days.
    memories_this_week: u64,
    /// Those made in the last 30 days.
    memories_this_month: u64,
    /// Different tags on them.
    unique_tags: u64,
    /// Size of the file, its write-ahead log included.
    database_size_mb: f64,
    /// How long the node has been up.
    uptime_seconds: f64,
    /// How they are kept.
    #[schema(example = "sqlite-vec")]
    backend_type: &'static str,
    /// The namespaces that the caller may read, with what is in them.
    namespaces: Vec<NamespaceBody>,
}

/// One namespace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamespaceCount)]
struct NamespaceBody {
    /// Its name.
    #[schema(example = "default")]
    namespace: String,
    /// Live memories in it.
    count: u64,
}

/// Memories by day
#[utoipa::path(get, path = "/api/analytics/memory-growth", tag = "analytics",
    operation_id = "get_memory_growth", params(NamespacesParameters, GrowthParameters),
    responses((status = 200, body = GrowthResponse, description = "Every day of the period.")))]
pub async fn memory_growth(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
    Query(GrowthParameters { period, tz }): Query<GrowthParameters>,
) -> Result<axum::Json<GrowthResponse>, Problem> {
    let period = period.unwrap_or_default();
    let tz = tz.as_deref().filter(|tz| !tz.is_empty());
    let found = state.service.growth(&who, &namespaces.set()?, period.into(), tz).await;
    let days = found.map_err(Problem::query)?;
    let total_memories = days.last().map_or(0, |day| day.cumulative);
    let data_points = days.into_iter().map(DayBody::from).collect();
    Ok(axum::Json(GrowthResponse { data_points, total_memories, period }))
}

/// Totals
#[utoipa::path(get, path = "/api/analytics/overview", tag = "analytics",
    operation_id = "get_analytics_overview", params(NamespacesParameters),
    responses((status = 200, body = OverviewResponse, description = "The totals.")))]
pub async fn overview(
    State(state): State<AppState>,
    who: Principal,
    Query(namespaces): Query<NamespacesParameters>,
) -> Result<axum::Json<OverviewResponse>, Problem> {
    let found = state.service.overview(&who, &namespaces.set()?).await.map_err(Problem::query)?;
    let uptime_seconds = state.service.uptime().as_secs_f64();
    Ok(axum::Json(OverviewResponse { uptime_seconds, ..found.into() }))
}

impl From<DayCount> for DayBody {
    fn from(day: DayCount) -> Self {
        DayBody { date: day.day.to_string(), count: day.count, cumulative: day.cumulative }
    }
}

impl From<Overview> for OverviewResponse {
    fn from(view: Overview) -> Self {
        let Overview { stats, memories_this_month } = view;
        let body = |(namespace, count)| NamespaceBody { namespace, count };
        OverviewResponse {
            total_memories: stats.total_memories,
            memories_this_week: stats.memories_this_week,
            memories_this_month,
            unique_tags: stats.unique_tags,
            database_size_mb: stats.database_size_bytes as f64 / MEGABYTE,
            uptime_seconds: 0.0,
            backend_type: "sqlite-vec",
            namespaces: stats.namespaces.into_iter().map(body).collect(),
        }
    }
}
