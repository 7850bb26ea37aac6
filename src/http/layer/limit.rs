//! Rate limits: what a request costs, taken before it is served.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::{ClientAddress, Principal};
use crate::http::extract::authenticate_parts;
use crate::http::problem::Problem;
use crate::http::quota::add_fields;
use crate::http::rate_limit::{own_rates, refused};
use crate::http::{AppState, LocalCaller};
use crate::limit::{Budget, Caller, Meter, OwnRates};

/// Turns away an address that tried too many wrong credentials, and counts those it tries.
pub async fn failures(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(ClientAddress(address)) = request.extensions().get::<ClientAddress>().copied() else {
        return next.run(request).await;
    };
    let caller = Caller::at(address);
    if let Err(exceeded) = state.limits.check(&caller, Budget::Failures) {
        return refused(&exceeded).into_response();
    }
    let response = next.run(request).await;
    let problem = response.extensions().get::<Problem>();
    let is_wrong = |problem: &Problem| {
        problem.status() == StatusCode::UNAUTHORIZED && problem.code() != "credential_missing"
    };
    if problem.is_some_and(is_wrong) {
        let own = OwnRates::default();
        if let Err(exceeded) = state.limits.take(&caller, &own, Budget::Failures, 1) {
            return refused(&exceeded).into_response();
        }
    }
    response
}

/// Takes what the request costs from its caller's buckets, or answers 429. A handler whose cost
/// depends on the body takes it by the [`Meter`] that is put into the extensions of the request.
pub async fn limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // Handlers of event streams recognise their callers themselves: a ticket may stand for one.
    let principal = authenticate_parts(&parts, &state.authenticator).await.ok();
    let mut request = Request::from_parts(parts, body);
    let Some((caller, own)) = caller_of(&request, principal.as_ref()) else {
        return next.run(request).await;
    };
    let meter = Meter::new(state.limits, caller, own);
    let standing = match budget_of(&request).map(|budget| meter.take(budget, 1)) {
        Some(Err(exceeded)) => return refused(&exceeded).into_response(),
        Some(Ok(standing)) => standing,
        None => None,
    };
    request.extensions_mut().insert(meter);
    let mut response = next.run(request).await;
    if let Some(standing) = standing {
        add_fields(response.headers_mut(), &standing);
    }
    response
}

/// Who pays. Programs on the node's own socket do not, nor do callers that nothing is known of.
fn caller_of(request: &Request, principal: Option<&Principal>) -> Option<(Caller, OwnRates)> {
    let extensions = request.extensions();
    if extensions.get::<LocalCaller>().is_some() {
        return None;
    }
    if let Some(principal) = principal.filter(|principal| !principal.is_anonymous()) {
        return Some((Caller::Named(principal.name().into()), own_rates(principal)));
    }
    let ClientAddress(address) = extensions.get::<ClientAddress>()?;
    Some((Caller::at(*address), OwnRates::default()))
}

/// What pays for the request before it is served. `None` for what is open to everyone and cheap,
/// and for what its handler takes once it knows how much there is.
fn budget_of(request: &Request) -> Option<Budget> {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match route {
        "/api/health" | "/healthz" | "/livez" | "/readyz" | "/metrics" => None,
        "/api/memories/batch" | "/api/import" | "/mcp" => None,
        "/events" | "/api/events" | "/api/ws" => Some(Budget::Events),
        route if route.starts_with("/api/search") => Some(Budget::Searches),
        _ if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) => {
            Some(Budget::Reads)
        }
        _ => Some(Budget::Writes),
    }
}
