//! `/api/admin/limits`, and limits in the words of HTTP.

use std::num::NonZeroU32;
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

/// The rate limits of this node
///
/// What one caller may ask for, unless its key has limits of its own.
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
    Ok(Json(LimitList {
        budgets: Budget::ALL.map(budget).into(),
        tools: state.limits.config().tools.0.iter().map(tool).collect(),
        bucket_count: state.limits.bucket_count(),
    }))
}
