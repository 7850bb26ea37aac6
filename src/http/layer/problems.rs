//! Writes the bodies of failures, whoever made them: handlers, extractors, axum or a layer.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::authority_of;
use crate::http::problem::{PROBLEM_JSON, Problem};
use crate::http::{AppState, Peer};

/// The longest plain text of a failure that becomes its detail, in bytes.
const PLAIN_TEXT_BYTES_MAX: usize = 4096;

/// Makes every failure `application/problem+json`.
pub async fn problems(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let base = base_of(&state, &request);
    let mut response = named(next.run(request).await).await;
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    *response.body_mut() = Body::from(problem.to_json(&path));
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    if problem.status() == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, challenge(&base));
    }
    response
}

/// The unknown path.
pub async fn unknown_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_path", "there is nothing at this path")
}

/// A method that the path does not have; axum adds `Allow`, which is what `OPTIONS` asks for.
pub async fn unknown_method(request: Request) -> Response {
    if request.method() == axum::http::Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path has no such method",
    )
    .into_response()
}

/// A panic in a handler.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let error = crate::Error::internal("the node failed to answer", "a handler panicked");
    Problem::from(error).into_response()
}

/// Gives a failure that is still nameless, or plain text, a problem.
async fn named(response: Response) -> Response {
    let status = response.status();
    let is_plain = response
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let is_failure = status.is_client_error() || status.is_server_error();
    if !is_failure || !is_plain || response.extensions().get::<Problem>().is_some() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // What is longer than that, or breaks off, is no sentence for people.
    let text = axum::body::to_bytes(body, PLAIN_TEXT_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let detail = match text.trim() {
        "" => status.canonical_reason().unwrap_or("the request failed"),
        text => text,
    };
    parts.extensions.insert(Problem::new(status, code_of(status), detail));
    Response::from_parts(parts, Body::empty())
}

fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::NOT_ACCEPTABLE => "not_acceptable",
        StatusCode::CONFLICT => "conflict",
        StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        _ if status.is_client_error() => "bad_request",
        _ => "internal",
    }
}

/// Where the caller found the node: scheme, name and port.
pub fn base_of(state: &AppState, request: &Request) -> String {
    let named = authority_of(request.uri(), request.headers());
    let host = named.map_or_else(|| state.http.address().to_string(), |host| host.to_string());
    format!("{}://{host}", scheme_of(state, request))
}

/// The scheme that the caller used, as far as a trusted proxy in front tells.
fn scheme_of(state: &AppState, request: &Request) -> &'static str {
    let Some(peer) = request.extensions().get::<Peer>() else { return "http" };
    let told = request.headers().get("x-forwarded-proto").is_some_and(|value| value == "https");
    let is_believed = state.http.trusted_proxies.contains(peer.address.ip());
    if peer.is_encrypted || (told && is_believed) { "https" } else { "http" }
}

/// How to get a credential (RFC 9728, section 5.1).
fn challenge(base: &str) -> HeaderValue {
    let text = format!("Bearer resource_metadata=\"{base}/.well-known/oauth-protected-resource\"");
    HeaderValue::from_str(&text).expect("an authority is visible ASCII without quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(response: Response, expected: Option<(&str, &str)>) {
        let response = named(response).await;
        let found = response.extensions().get::<Problem>().map(|p| (p.code(), p.text()));
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn failures_without_a_problem_get_one() {
        check(StatusCode::NOT_FOUND.into_response(), Some(("not_found", "Not Found"))).await;
        let plain = (StatusCode::NOT_ACCEPTABLE, "say what you accept").into_response();
        check(plain, Some(("not_acceptable", "say what you accept"))).await;
        let json = (StatusCode::BAD_REQUEST, axum::Json(1)).into_response();
        check(json, None).await;
        check("fine".into_response(), None).await;
        let problem = Problem::memory_not_found().into_response();
        check(problem, Some(("memory_not_found", "Memory not found"))).await;
    }

    #[test]
    fn the_challenge_names_the_host_that_was_asked() {
        assert_eq!(
            challenge("https://memory.example:8443"),
            "Bearer resource_metadata=\"https://memory.example:8443\
             /.well-known/oauth-protected-resource\""
        );
    }
}
