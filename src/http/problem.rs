//! Failures as `application/problem+json` (RFC 9457), in a shape that existing clients can read.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::quota::{add_fields, seconds};
use crate::limit::Exceeded;
use crate::{Code, Error};

/// The media type of every failure.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// When to try again after a part was busy or still loading, in seconds.
const RETRY_SOON_S: u32 = 1;
/// When to try again after the disk was full: the store probes that often, in seconds.
const RETRY_DISK_S: u32 = 10;

/// How a handler fails. [`super::layer::problems`] writes the body: it knows the request.
#[derive(Clone, Debug)]
pub struct Problem(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: Detail,
    retry_after_s: Option<u32>,
    error: Option<Error>,
    limit: Option<Exceeded>,
}

/// Why: a sentence, or for a body that is not valid the list of its faults.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Detail {
    /// A sentence for people.
    Text(String),
    /// What is wrong with the request, fault by fault (status 422).
    Faults(Vec<Fault>),
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Fault {
    /// A stable name of the kind of fault.
    #[serde(rename = "type")]
    #[schema(example = "missing")]
    pub kind: String,
    /// Where: `body`, `query` or `header`, then keys and positions.
    pub loc: Vec<Step>,
    /// A sentence for people.
    #[schema(example = "Field required")]
    pub msg: String,
    /// What was found there; null when there was nothing, or too much to repeat.
    pub input: Value,
}

/// A step on the way to a fault.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Step {
    /// Into an object.
    Key(String),
    /// Into a list, or to a character of a text that is not JSON; counted from 0.
    Position(usize),
}

/// The body of a failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: `code` tells problems of one status apart.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The name of the status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// Why.
    #[schema(example = "Memory not found")]
    detail: &'a Detail,
    /// The path of the request.
    #[schema(example = "/api/memories/0f1e")]
    instance: &'a str,
    /// A stable name for programs.
    #[schema(example = "memory_not_found")]
    code: &'static str,
}

/// Where the input that an error complains about came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The path, the query string or a header.
    Query,
    /// The body.
    Body,
}

impl Problem {
    /// A failure with a status and name of its own, for what never reaches the service.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Problem::from_parts(status, code, Detail::Text(detail.into()))
    }

    /// An error of the service about something in the path, the query string or a header.
    pub fn query(error: impl Into<Error>) -> Self {
        Problem::from_error(error.into(), Input::Query)
    }

    /// A query string that is not valid.
    pub fn bad_query(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
    }

    /// A body that is not valid.
    pub fn faulty(code: &'static str, fault: Fault) -> Self {
        let detail = Detail::Faults(vec![fault]);
        Problem::from_parts(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// A body over the limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// A hash that names no memory, or is none.
    pub fn memory_not_found() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "memory_not_found", "Memory not found")
    }

    /// Too much was asked for; says when to ask again.
    pub fn limited(exceeded: &Exceeded) -> Self {
        let error = Error::from(exceeded);
        let seconds = u32::try_from(seconds(exceeded.retry_after)).unwrap_or(u32::MAX).max(1);
        Problem(Arc::new(Parts {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: error.reason,
            detail: Detail::Text(error.detail.clone()),
            retry_after_s: Some(seconds),
            error: Some(error),
            limit: Some(exceeded.clone()),
        }))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable name.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Why, in one line.
    pub fn text(&self) -> &str {
        match &self.0.detail {
            Detail::Text(text) => text,
            Detail::Faults(faults) => faults.first().map_or("", |fault| &fault.msg),
        }
    }

    /// The error of the service behind it, for the log.
    pub fn error(&self) -> Option<&Error> {
        self.0.error.as_ref()
    }

    /// The body, for the request with this path.
    pub fn to_json(&self, instance: &str) -> Vec<u8> {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance,
            code: self.0.code,
        };
        serde_json::to_vec(&body).expect("a problem holds only text, numbers and JSON")
    }

    fn from_parts(status: StatusCode, code: &'static str, detail: Detail) -> Self {
        Problem(Arc::new(Parts {
            status,
            code,
            detail,
            retry_after_s: None,
            error: None,
            limit: None,
        }))
    }

    fn from_error(error: Error, input: Input) -> Self {
        let (status, retry_after_s) = status_of(error.code, input);
        let detail = match (status, error.reason) {
            (StatusCode::UNPROCESSABLE_ENTITY, _) => Detail::Faults(vec![fault_of(&error)]),
            // The text that existing clients look for.
            (_, "memory_not_found") => Detail::Text("Memory not found".to_owned()),
            _ => Detail::Text(error.detail.clone()),
        };
        let code = error.reason;
        let error = Some(error);
        Problem(Arc::new(Parts { status, code, detail, retry_after_s, error, limit: None }))
    }
}

/// An error of the service about something in the body, or about nothing that was sent.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::from_error(error, Input::Body)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(exceeded) = &self.0.limit {
            add_fields(response.headers_mut(), &exceeded.standing);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The status of each kind of failure, and when to try again.
fn status_of(code: Code, input: Input) -> (StatusCode, Option<u32>) {
    match code {
        Code::InvalidInput => match input {
            Input::Query => (StatusCode::BAD_REQUEST, None),
            Input::Body => (StatusCode::UNPROCESSABLE_ENTITY, None),
        },
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
        Code::Forbidden => (StatusCode::FORBIDDEN, None),
        Code::NotFound => (StatusCode::NOT_FOUND, None),
        Code::Gone => (StatusCode::GONE, None),
        Code::Conflict => (StatusCode::CONFLICT, None),
        Code::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, None),
        Code::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Some(RETRY_SOON_S)),
        Code::DeadlineExceeded => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_SOON_S)),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_SOON_S)),
        Code::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, Some(RETRY_DISK_S)),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

/// A rule of the service that the request broke, as a fault at the part of it that the rule is on.
fn fault_of(error: &Error) -> Fault {
    let path: &[&str] = match error.reason {
        "empty_content" | "nul_in_content" => &["body", "content"],
        "invalid_memory_type" => &["body", "memory_type"],
        "invalid_metadata" => &["body", "metadata"],
        "invalid_tag" | "too_many_tags" => &["body", "tags"],
        "invalid_namespace" => &["body", "namespace"],
        "empty_query" | "query_too_long" => &["body", "query"],
        "bad_cursor" => &["body", "cursor"],
        "unknown_time_zone" => &["body", "tz"],
        "idempotency_key_reused" => &["header", "idempotency-key"],
        _ => &["body"],
    };
    Fault {
        kind: error.reason.to_owned(),
        loc: path.iter().map(|&key| Step::from(key)).collect(),
        msg: error.detail.clone(),
        input: Value::Null,
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Step::Key(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_status() {
        for (code, status) in [
            (Code::InvalidInput, 422),
            (Code::Unauthenticated, 401),
            (Code::Forbidden, 403),
            (Code::NotFound, 404),
            (Code::Gone, 410),
            (Code::Conflict, 409),
            (Code::PreconditionFailed, 412),
            (Code::TooLarge, 413),
            (Code::RateLimited, 429),
            (Code::DeadlineExceeded, 503),
            (Code::StorageFull, 507),
            (Code::Unavailable, 503),
            (Code::Internal, 500),
        ] {
            assert_eq!(Problem::from(Error::new(code, "x")).status().as_u16(), status, "{code:?}");
        }
        assert_eq!(Problem::query(Error::invalid("x")).status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn what_can_be_retried_says_when() {
        for (code, seconds) in [
            (Code::RateLimited, Some("1")),
            (Code::DeadlineExceeded, Some("1")),
            (Code::Unavailable, Some("1")),
            (Code::StorageFull, Some("10")),
            (Code::Conflict, None),
        ] {
            let response = Problem::from(Error::new(code, "x")).into_response();
            let found = response.headers().get(header::RETRY_AFTER);
            assert_eq!(found.and_then(|value| value.to_str().ok()), seconds, "{code:?}");
        }
    }

    #[test]
    fn a_broken_rule_is_a_list_of_faults_and_anything_else_a_sentence() {
        let empty = Error::invalid("content is empty").reason("empty_content");
        let body: Value = serde_json::from_slice(&Problem::from(empty).to_json("/x")).unwrap();
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
            "detail": [{"type": "empty_content", "loc": ["body", "content"],
                        "msg": "content is empty", "input": null}],
            "instance": "/x", "code": "empty_content",
        });
        assert_eq!(body, expected);
        let missing = Error::new(Code::NotFound, "memory `00` is not here");
        let problem = Problem::from(missing.reason("memory_not_found"));
        assert_eq!(problem.text(), "Memory not found");
    }

    #[test]
    fn a_cause_is_never_shown() {
        let error = Error::internal("the store failed", "secret path");
        let body = Problem::from(error).to_json("/x");
        assert!(!String::from_utf8(body).unwrap().contains("secret"));
    }
}
