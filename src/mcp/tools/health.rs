//! `memory_health`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stats::Counts;
use super::{Definition, Outcome};
use crate::Result;
use crate::mcp::call::Call;
use crate::service::{ModelState, Readiness, StoreState};

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
    };
    Outcome::json("Database Health Check Results:\n", &output)
}

fn status(readiness: &Readiness) -> &'static str {
    match (&readiness.store, &readiness.model) {
        (StoreState::Ok, ModelState::Ready) => "healthy",
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
            assert_eq!(status(&Readiness { store, model }), expected);
        };
        check(StoreState::Ok, ModelState::Ready, "healthy");
        check(StoreState::Ok, ModelState::Loading, "degraded");
        check(StoreState::Full, ModelState::Ready, "degraded");
        check(StoreState::ReadOnly("io".into()), ModelState::Ready, "degraded");
    }
}
