//! Whether the node is alive, ready and well.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::index::IndexResponse;
use super::problem::Problem;
use crate::auth::Principal;
use crate::memory::{NamespaceSet, Stats};
use crate::service::{ModelState, Readiness, StoreState, SyncView};
use crate::{Code, Error};

/// One word.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusResponse {
    /// How it is.
    #[schema(example = "healthy")]
    status: &'static str,
}

/// Is the node there?
///
/// Open to everyone; says nothing about memories.
#[utoipa::path(get, path = "/api/health", tag = "health", security(()),
    responses((status = 200, body = StatusResponse, description = "It is.")))]
pub async fn health() -> axum::Json<StatusResponse> {
    axum::Json(StatusResponse { status: "healthy" })
}

/// Is the node there?
///
/// Open to everyone; the same as `/api/health`.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = StatusResponse, description = "It is.")))]
pub async fn healthz() -> axum::Json<StatusResponse> {
    health().await
}

/// Should the process go on?
///
/// Open to everyone; it answers as long as it can answer anything.
#[utoipa::path(get, path = "/livez", tag = "health", security(()),
    responses((status = 200, body = StatusResponse, description = "It should.")))]
pub async fn livez() -> axum::Json<StatusResponse> {
    axum::Json(StatusResponse { status: "alive" })
}

/// Should the node get requests?
///
/// Open to everyone. Ready is a node that can write, whose model is loaded, and which, when it is
/// new in a cluster, has taken its memories over. It does not wait for NATS.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = StatusResponse, description = "It should.")))]
pub async fn readyz(State(state): State<AppState>) -> Result<axum::Json<StatusResponse>, Problem> {
    match obstacle(&state.service.readiness()) {
        None => Ok(axum::Json(StatusResponse { status: "ready" })),
        Some((code, obstacle)) => Err(Error::new(code, obstacle).reason("not_ready").into()),
    }
}

/// What keeps the node from being ready, in words for everyone: details are for those who may
/// read.
fn obstacle(readiness: &Readiness) -> Option<(Code, &'static str)> {
    let unavailable = |text| Some((Code::Unavailable, text));
    match (&readiness.store, &readiness.model) {
        (StoreState::Full, _) => unavailable("the disk is full: the store takes no writes"),
        (StoreState::ReadOnly(_), _) => unavailable("the store takes no writes"),
        (StoreState::Ok, ModelState::Loading) => unavailable("the model is still loading"),
        (StoreState::Ok, ModelState::Failed(_)) => unavailable("the model could not be loaded"),
        (StoreState::Ok, ModelState::Ready) if !readiness.has_joined => {
            unavailable("the node takes the memories of its cluster over")
        }
        (StoreState::Ok, ModelState::Ready) => None,
    }
}

/// How the node is, in detail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DetailedHealth)]
pub struct DetailedResponse {
    /// `healthy`, or `degraded` while the node is not ready.
    #[schema(example = "healthy")]
    status: &'static str,
    /// Of memnode.
    version: &'static str,
    /// Now.
    #[schema(format = DateTime, example = "2026-11-22T15:26:24.179767Z")]
    timestamp: String,
    /// Since the node started.
    uptime_seconds: f64,
    /// The file and the model.
    storage: StorageBody,
    /// The search index.
    index: IndexResponse,
    /// The machine.
    system: SystemBody,
    /// The process.
    performance: PerformanceBody,
    /// The memories that the caller may read.
    statistics: StatisticsBody,
    /// The other nodes.
    cluster: ClusterBody,
}

/// The file and the model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StorageHealth)]
struct StorageBody {
    /// Always `sqlite-vec`.
    backend: &'static str,
    /// `ok`, or why writes are refused.
    #[schema(example = "ok")]
    status: String,
    /// Whether it can be read.
    accessible: bool,
    /// The model that the file records.
    embedding_model: String,
    /// Numbers in one vector.
    embedding_dimension: usize,
    /// `ready`, `loading`, or why it failed to load.
    #[schema(example = "ready")]
    model_status: String,
    /// Memories that the caller may read.
    total_memories: u64,
    /// Different tags on them.
    unique_tags: u64,
    /// Made in the last seven days.
    memories_this_week: u64,
    /// The file and its write-ahead log.
    database_size_bytes: u64,
    /// The same in MiB.
    database_size_mb: f64,
}

/// The machine.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SystemHealth)]
struct SystemBody {
    /// Memory in use; null where it cannot be told.
    #[schema(required, minimum = 0, maximum = 100)]
    memory_percent: Option<f64>,
    /// Disk in use, where the file is; null where it cannot be told.
    #[schema(required, minimum = 0, maximum = 100)]
    disk_percent: Option<f64>,
}

/// The process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Performance)]
struct PerformanceBody {
    /// Since the node started.
    uptime_seconds: f64,
    /// The same for people.
    #[schema(example = "3d 4h 12m 8s")]
    uptime_formatted: String,
}

/// The memories that the caller may read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
struct StatisticsBody {
    /// How many.
    total_memories: u64,
    /// Different tags on them.
    unique_tags: u64,
    /// Made in the last seven days.
    memories_this_week: u64,
    /// The file and its write-ahead log, in MiB.
    database_size_mb: f64,
    /// Always `sqlite-vec`.
    backend: &'static str,
    /// How many by namespace.
    #[schema(value_type = Object, example = json!({"default": 12}))]
    namespaces: serde_json::Map<String, serde_json::Value>,
}

/// The other nodes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClusterHealth)]
struct ClusterBody {
    /// Whether there are any, or this node waits for some.
    enabled: bool,
    /// Whether the servers between the nodes can be reached.
    connected: bool,
    /// Other nodes that were heard in the last seconds.
    live_peers: u64,
    /// Writes that are still to be exchanged, in both directions.
    pending: u64,
    /// Writes that cannot be applied here.
    quarantined: u64,
    /// The names of what is wrong.
    #[schema(example = json!(["clock_ahead"]))]
    alarms: Vec<&'static str>,
}

impl From<SyncView> for ClusterBody {
    fn from(view: SyncView) -> Self {
        ClusterBody {
            enabled: view.is_enabled,
            connected: view.is_connected,
            live_peers: view.live_peer_count,
            pending: view.pending_count,
            quarantined: view.held_count,
            alarms: view.alarms,
        }
    }
}

/// How is the node, in detail?
#[utoipa::path(get, path = "/api/health/detailed", tag = "health",
    responses((status = 200, body = DetailedResponse, description = "Numbers and states.")))]
pub async fn detailed(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<DetailedResponse>, Problem> {
    let stats = state.service.stats(&who, &NamespaceSet::All).await?;
    let now = state.service.now(Some("UTC"))?;
    let readiness = state.service.readiness();
    let uptime_seconds = state.service.uptime().as_secs_f64();
    Ok(axum::Json(DetailedResponse {
        status: if obstacle(&readiness).is_none() { "healthy" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        timestamp: now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        uptime_seconds,
        storage: storage(&stats, &readiness),
        index: state.service.index_health(&who).into(),
        system: SystemBody {
            memory_percent: state.service.memory_percent(),
            disk_percent: state.service.disk_percent(),
        },
        performance: PerformanceBody {
            uptime_seconds,
            uptime_formatted: formatted(state.service.uptime().as_secs()),
        },
        statistics: stats.into(),
        cluster: state.service.sync(&who).await?.into(),
    }))
}

fn storage(stats: &Stats, readiness: &Readiness) -> StorageBody {
    StorageBody {
        backend: "sqlite-vec",
        status: match &readiness.store {
            StoreState::Ok => "ok".to_owned(),
            StoreState::Full => "full".to_owned(),
            StoreState::ReadOnly(why) => format!("read-only: {why}"),
        },
        accessible: true,
        embedding_model: stats.embedding_model.clone(),
        embedding_dimension: stats.embedding_dimension,
        model_status: match &readiness.model {
            ModelState::Ready => "ready".to_owned(),
            ModelState::Loading => "loading".to_owned(),
            ModelState::Failed(why) => format!("failed: {why}"),
        },
        total_memories: stats.total_memories,
        unique_tags: stats.unique_tags,
        memories_this_week: stats.memories_this_week,
        database_size_bytes: stats.database_size_bytes,
        database_size_mb: mebibytes(stats.database_size_bytes),
    }
}

impl From<Stats> for StatisticsBody {
    fn from(stats: Stats) -> Self {
        StatisticsBody {
            total_memories: stats.total_memories,
            unique_tags: stats.unique_tags,
            memories_this_week: stats.memories_this_week,
            database_size_mb: mebibytes(stats.database_size_bytes),
            backend: "sqlite-vec",
            namespaces: stats.namespaces.into_iter().map(|(name, n)| (name, n.into())).collect(),
        }
    }
}

/// With two digits, as existing servers round it.
fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / 1024.0 / 1024.0 * 100.0).round() / 100.0
}

fn formatted(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, unit) in units {
        let count = rest / length;
        rest %= length;
        if count > 0 || !parts.is_empty() || unit == "s" {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_node_that_can_write_and_embed_is_ready() {
        let check = |store: StoreState, model: ModelState, expected: Option<&str>| {
            let found =
                obstacle(&Readiness { store, model, has_joined: true }).map(|(_, text)| text);
            assert_eq!(found, expected);
        };
        let secret = || "/home/someone".to_owned();
        check(StoreState::Ok, ModelState::Ready, None);
        check(StoreState::Ok, ModelState::Loading, Some("the model is still loading"));
        check(StoreState::Ok, ModelState::Failed(secret()), Some("the model could not be loaded"));
        check(StoreState::ReadOnly(secret()), ModelState::Ready, Some("the store takes no writes"));
        let full = "the disk is full: the store takes no writes";
        check(StoreState::Full, ModelState::Ready, Some(full));
    }

    #[test]
    fn durations_start_with_their_largest_unit() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3_661, "1h 1m 1s"), (90_000, "1d 1h 0m 0s")]
        {
            assert_eq!(formatted(seconds), text);
        }
    }

    #[test]
    fn sizes_have_two_digits() {
        assert_eq!(mebibytes(1_600_000), 1.53);
    }
}
