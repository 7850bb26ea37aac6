//! `/api/admin/limits`, and limits in the words of HTTP.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::problem::Problem;
use crate::auth::{Access, Principal};
use crate::config::Rate;
use crate::limit::{Budget, Exceeded, Meter, OwnRates};
use crate::service::GateView;
use crate::telemetry::metrics;

/// What a handler takes for the request.
pub struct Cost(Option<Meter>);

impl Cost {
    /// Takes `cost`, or fails with status 429.
    ///
    /// # Errors
    /// Status 429, and nothing was taken.
    pub fn take(&self, budget: Budget, cost: usize) -> Result<(), Problem> {
        let Some(meter) = &self.0 else { return Ok(()) };
        meter.take(budget, cost).map(drop).map_err(|exceeded| refused(&exceeded))
    }

    /// Takes `cost` as soon as there is so much.
    pub async fn take_when_possible(&self, budget: Budget, cost: usize) {
        if let Some(meter) = &self.0 {
            meter.take_when_possible(budget, cost).await;
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cost {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Cost(parts.extensions.get::<Meter>().cloned()))
    }
}

/// The refusal, which is counted.
pub fn refused(exceeded: &Exceeded) -> Problem {
    metrics().rate_limited(exceeded.budget);
    Problem::limited(exceeded)
}

/// The rates that a principal has in place of the usual ones.
pub fn own_rates(principal: &Principal) -> OwnRates {
    let limits = principal.limits();
    let a_minute = |count: Option<u32>| {
        count
            .and_then(NonZeroU32::new)
            .map(|count| Rate::new(count, Duration::from_mins(1), Some(count)))
    };
    OwnRates {
        reads: a_minute(limits.reads),
        writes: a_minute(limits.writes),
        searches: a_minute(limits.searches),
        events: a_minute(limits.events),
    }
}

/// What callers may ask for.
#[derive(Serialize, ToSchema)]
pub struct LimitList {
    /// What is limited for every caller.
    budgets: Vec<BudgetLimit>,
    /// Limits of single MCP tools.
    tools: Vec<ToolLimit>,
    /// Buckets that are kept now: one for each caller and budget that was used lately.
    bucket_count: usize,
    /// Callers that are told apart.
    #[schema(example = 10000)]
    caller_count_max: usize,
    /// Connections at a time.
    connections: ConnectionLimits,
    /// The line to the model, which keeps work short when more comes than can be done.
    overload: OverloadLimits,
}

/// Connections at a time.
#[derive(Serialize, ToSchema)]
struct ConnectionLimits {
    /// Of everybody.
    #[schema(example = 10000)]
    count_max: usize,
    /// Of one address; null for as many as there are.
    #[schema(required, example = 1024)]
    address_count_max: Option<usize>,
}

/// How many texts may be at the model and in line to it, for how long, and how many are.
#[derive(Serialize, ToSchema)]
struct OverloadLimits {
    /// At the model at a time.
    #[schema(example = 2)]
    at_once_max: usize,
    /// In line; beyond, who waits longest is turned away with 503.
    #[schema(example = 4096)]
    waiting_count_max: usize,
    /// How long one waits at most while a burst is worked off.
    #[schema(minimum = 0, example = 15.0)]
    burst_wait_seconds: f64,
    /// How long one waits at most while more comes than can be done.
    #[schema(minimum = 0, example = 0.05)]
    overload_wait_seconds: f64,
    /// In line now.
    waiting_count: usize,
    /// Whether more comes now than can be done.
    is_overloaded: bool,
}

impl From<GateView> for OverloadLimits {
    fn from(view: GateView) -> Self {
        OverloadLimits {
            at_once_max: view.at_once_max,
            waiting_count_max: view.waiting_count_max,
            burst_wait_seconds: view.burst_wait.as_secs_f64(),
            overload_wait_seconds: view.overload_wait.as_secs_f64(),
            waiting_count: view.waiting_count,
            is_overloaded: view.is_overloaded,
        }
    }
}

/// One budget.
#[derive(Serialize, ToSchema)]
struct BudgetLimit {
    /// `reads`, `writes`, `searches`, `events` or `failures`.
    #[schema(example = "searches")]
    name: &'static str,
    /// The rate; null for no limit.
    #[schema(required, example = "500/s")]
    rate: Option<String>,
    /// How many may come at once after a silence; null for no limit.
    #[schema(required)]
    burst: Option<u32>,
}

/// One tool.
#[derive(Serialize, ToSchema)]
struct ToolLimit {
    /// Its name.
    #[schema(example = "memory_ingest")]
    tool: String,
    /// The rate.
    #[schema(example = "10/m")]
    rate: String,
    /// How many may come at once after a silence.
    burst: u32,
}

/// The limits of this node
///
/// What one caller may ask for, unless its key has limits of its own; how many connections there
/// may be; and what happens when everybody together asks for too much.
#[utoipa::path(get, path = "/api/admin/limits", tag = "admin",
    responses((status = 200, body = LimitList, description = "The limits.")))]
pub async fn limits(
    State(state): State<AppState>,
    who: Principal,
) -> Result<Json<LimitList>, Problem> {
    who.require_everywhere(Access::Admin)?;
    let budget = |budget: Budget| {
        let rate = state.limits.usual(budget);
        BudgetLimit {
            name: budget.name(),
            rate: rate.map(|rate| rate.to_string()),
            burst: rate.map(|rate| rate.burst.get()),
        }
    };
    let tool = |(tool, rate): (&String, &Rate)| ToolLimit {
        tool: tool.clone(),
        rate: rate.to_string(),
        burst: rate.burst.get(),
    };
    let config = state.limits.config();
    Ok(Json(LimitList {
        budgets: Budget::ALL.map(budget).into(),
        tools: config.tools.0.iter().map(tool).collect(),
        bucket_count: state.limits.bucket_count(),
        caller_count_max: config.caller_count_max.get(),
        connections: ConnectionLimits {
            count_max: state.http.connection_count_max.get(),
            address_count_max: config.connections.count_max().map(NonZeroUsize::get),
        },
        overload: state.service.gate().into(),
    }))
}
