//! `memory_health`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stats::Counts;
use super::{Definition, Outcome};
use crate::Result;
use crate::mcp::call::Call;
use crate::service::{ModelState, Readiness, StoreState, SyncView};

const DESCRIPTION: &str = "\
Say whether the memory node works: its store, its embedding model, and how much is stored. Use it \
when another tool fails.";

/// Arguments of `memory_health`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// Where to count: one, several with commas between, or `*` for all that may be read.
    namespace: Option<String>,
}

/// How the node is.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// `healthy` when all parts work, `degraded` while one does not.
    status: &'static str,
    /// The version of memnode.
    version: &'static str,
    /// `ok`, `full` while writes are refused, or `read_only: <why>`.
    store: String,
    /// `ready`, `loading`, or `failed: <why>`.
    model: String,
    /// Seconds since the node started.
    uptime_seconds: f64,
    /// What is stored.
    statistics: Counts,
    /// The other nodes.
    cluster: Cluster,
}

/// The other nodes, as this one hears them.
#[derive(Serialize, JsonSchema)]
struct Cluster {
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
    alarms: Vec<&'static str>,
}

impl From<SyncView> for Cluster {
    fn from(view: SyncView) -> Self {
        Cluster {
            enabled: view.is_enabled,
            connected: view.is_connected,
            live_peers: view.live_peer_count,
            pending: view.pending_count,
            quarantined: view.held_count,
            alarms: view.alarms,
        }
    }
}

pub(super) fn definition() -> Definition {
    Definition::reading::<Input, Output>("Check health", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let namespaces = call.namespaces(input.namespace.as_deref())?;
    let stats = call.service.stats(&call.who, &namespaces).await?;
    let readiness = call.service.readiness();
    let output = Output {
        status: status(&readiness),
        version: env!("CARGO_PKG_VERSION"),
        store: store(readiness.store),
        model: model(readiness.model),
        uptime_seconds: call.service.uptime().as_secs_f64(),
        statistics: stats.into(),
        cluster: call.service.sync(&call.who).await?.into(),
    };
    Outcome::json("Database Health Check Results:\n", &output)
}

fn status(readiness: &Readiness) -> &'static str {
    match (&readiness.store, &readiness.model, readiness.has_joined) {
        (StoreState::Ok, ModelState::Ready, true) => "healthy",
        _ => "degraded",
    }
}

fn store(state: StoreState) -> String {
    match state {
        StoreState::Ok => "ok".to_owned(),
        StoreState::Full => "full".to_owned(),
        StoreState::ReadOnly(why) => format!("read_only: {why}"),
    }
}

fn model(state: ModelState) -> String {
    match state {
        ModelState::Ready => "ready".to_owned(),
        ModelState::Loading => "loading".to_owned(),
        ModelState::Failed(why) => format!("failed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_healthy_only_when_every_part_works() {
        let check = |store, model, expected| {
            assert_eq!(status(&Readiness { store, model, has_joined: true }), expected);
        };
        check(StoreState::Ok, ModelState::Ready, "healthy");
        check(StoreState::Ok, ModelState::Loading, "degraded");
        check(StoreState::Full, ModelState::Ready, "degraded");
        check(StoreState::ReadOnly("io".into()), ModelState::Ready, "degraded");
    }
}
