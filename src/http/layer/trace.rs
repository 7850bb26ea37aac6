//! The request log: one line a request, with the error behind a failure.

use std::error::Error as StdError;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, debug, error, info, info_span, warn};

use crate::http::AppState;
use crate::http::problem::Problem;
use crate::telemetry::{self, Traceparent, metrics};

/// What is asked every few seconds, for as long as the node runs.
const PROBES: [&str; 4] = ["/api/health", "/healthz", "/livez", "/readyz"];

/// Logs method, route, status and time; never bodies, credentials, paths or query strings.
pub async fn trace(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = state.service.uptime();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
    let in_flight = metrics().request();
    let seen = server_span(&method, route, &mut request);
    let span = log_span(request.headers(), &seen);
    let response = next.run(request).instrument(span.clone()).instrument(seen.clone()).await;
    drop(in_flight);
    let _entered = (seen.enter(), span.enter());
    log_failure(&response);
    let status = response.status().as_u16();
    let took = state.service.uptime().saturating_sub(started);
    metrics().answered(method.as_str(), route, status, took);
    note(&seen, status);
    let ms = took.as_secs_f64() * 1000.0;
    if PROBES.contains(&route) {
        debug!(http.status = status, ms, "answered the probe {route} with {status}");
    } else {
        info!(http.method = %method, http.route = route, http.status = status, ms,
            "answered {method} {route} with {status}");
    }
    response
}

/// The span of the request for the collector, within the caller's trace if it names one. Who works
/// for the request in another task finds it in the extensions of the request.
fn server_span(method: &Method, route: &str, request: &mut Request) -> Span {
    if PROBES.contains(&route) {
        return Span::none();
    }
    let span = info_span!(
        target: telemetry::SPAN,
        parent: None,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method.as_str(),
        http.route = route,
    );
    if let Some(caller) = caller(request.headers()) {
        telemetry::join(&span, caller);
    }
    if let Some(text) = telemetry::traceparent_of(&span) {
        request.extensions_mut().insert(Traceparent(text));
    }
    span
}

/// The span of the request in the log, which names the request and its trace in every line.
fn log_span(headers: &HeaderMap, seen: &Span) -> Span {
    let id = request_id(headers);
    match telemetry::trace_id(seen, caller(headers)) {
        Some(trace_id) => info_span!("request", id, trace_id),
        None => info_span!("request", id),
    }
}

fn note(span: &Span, status: u16) {
    telemetry::attribute(span, "http.response.status_code", i64::from(status));
    if status >= 500 {
        telemetry::failed(span, "server_error");
    }
}

/// What the caller says of its trace.
fn caller(headers: &HeaderMap) -> Option<&str> {
    headers.get(telemetry::TRACEPARENT)?.to_str().ok()
}

fn log_failure(response: &Response) {
    let Some(problem) = response.extensions().get::<Problem>() else { return };
    let Some(failure) = problem.error() else { return };
    let cause = StdError::source(failure).map(causes).unwrap_or_default();
    // A probe that asks too early, and load that passes by itself, are nobody's task.
    if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
        error!(code = problem.code(), cause, "request failed: {failure}");
    } else if problem.code() == "not_ready" {
        debug!("not ready: {failure}");
    } else if problem.status().is_server_error() {
        warn!(code = problem.code(), cause, "request turned away: {failure}");
    } else if !cause.is_empty() {
        info!(code = problem.code(), cause, "request refused: {failure}");
    }
}

/// The chain of causes, outermost first.
fn causes(first: &(dyn StdError + 'static)) -> String {
    let chain = std::iter::successors(Some(first), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn request_id(headers: &HeaderMap) -> &str {
    headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_chain_of_causes_is_told() {
        let inner = crate::Error::internal("the query failed", "disk I/O error");
        let outer = crate::Error::internal("the store failed", inner);
        assert_eq!(causes(StdError::source(&outer).unwrap()), "the query failed: disk I/O error");
    }
}
