//! Tells the audit log of requests: who asked for what, where, from where, and what came of it.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Span;

use crate::auth::{ClientAddress, Noted};
use crate::http::problem::Problem;
use crate::http::{AppState, LocalCaller};
use crate::memory::AuditEntry;
use crate::telemetry::{self, Traceparent};

/// Notes what the caller asked for; neither path nor body are looked at, so no text gets there.
pub async fn audit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let operation = format!("{} {}", request.method(), route.unwrap_or("(none)"));
    let is_look = *request.method() == Method::GET || *request.method() == Method::HEAD;
    let address = address(request.extensions());
    let trace_id = trace_id(request.headers(), request.extensions());
    let (response, noted) = Noted::during(next.run(request)).await;
    let status = response.status();
    let outcome = match response.extensions().get::<Problem>() {
        Some(problem) => problem.code().to_owned(),
        None if status.is_client_error() || status.is_server_error() => "failed".to_owned(),
        None => "ok".to_owned(),
    };
    let entry = AuditEntry {
        operation,
        address,
        status: Some(status.as_u16()),
        outcome,
        is_refused: [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
        trace_id,
        ..AuditEntry::default()
    };
    state.service.audit(noted, is_look, entry);
    response
}

fn address(extensions: &Extensions) -> Option<String> {
    if extensions.get::<LocalCaller>().is_some() {
        return Some("local".to_owned());
    }
    extensions.get::<ClientAddress>().map(|address| address.0.to_string())
}

fn trace_id(headers: &HeaderMap, extensions: &Extensions) -> Option<String> {
    let own = extensions.get::<Traceparent>().map(|own| own.0.as_str());
    let named = || headers.get(telemetry::TRACEPARENT)?.to_str().ok();
    telemetry::trace_id(&Span::none(), own.or_else(named))
}
