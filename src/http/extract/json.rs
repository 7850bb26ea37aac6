//! JSON bodies. A body that is not valid says where and how, in the words of existing servers.

use std::time::Duration;

use axum::RequestExt;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::http::problem::{Fault, Problem, Step};

/// The longest text that a fault repeats, in bytes of JSON.
const ECHO_BYTES_MAX: usize = 200;
/// How long a whole body may take to come: the largest batch over a slow line does not need it.
/// Most routes have less time for all they do.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// A JSON object as the body. Unknown keys are ignored: existing clients send more than is needed.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parse_json(&read_body(request).await?).map(Json)
    }
}

/// Reads the body, as far as the limit of its route allows.
///
/// # Errors
/// Statuses 400, 408, 413 and 415.
pub async fn read_body(request: Request) -> Result<Bytes, Problem> {
    read_within(BODY_TIMEOUT, request).await
}

async fn read_within(limit: Duration, request: Request) -> Result<Bytes, Problem> {
    refuse_codings(request.headers())?;
    let read = tokio::time::timeout(limit, request.extract()).await.map_err(|_| {
        let detail = format!("the body took longer than {} s", limit.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
    })?;
    read.map_err(|rejection: BytesRejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::too_large("the body is larger than this call accepts")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", "the body broke off"),
    })
}

/// Refuses a body that is compressed (RFC 9110, section 8.4): its limit is on what comes out.
///
/// # Errors
/// Status 415.
pub fn refuse_codings(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_content_coding",
        "send the body without `Content-Encoding`",
    ))
}

/// The media type in `Content-Type`, in lower case and without parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(header::CONTENT_TYPE)?.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim();
    Some(essence.to_ascii_lowercase())
}

/// Lets through JSON, and bodies that do not say what they are.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = |kind: &str| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    };
    match media_type(headers) {
        Some(kind) if !is_json(&kind) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the body as `Content-Type: application/json`",
        )),
        _ => Ok(()),
    }
}

/// Reads a JSON object.
///
/// # Errors
/// Status 422 with the first fault.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would also take a list of a struct's fields in order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return parse_value(&parse_any::<Value>(bytes)?);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let found = serde_path_to_error::deserialize(&mut deserializer);
    // What is no JSON at all is told first, whichever of the two faults comes first in it.
    let value = found.map_err(|error| match serde_json::from_slice(bytes) {
        Ok(body) => data_problem(&body, error.inner(), steps_of(error.path())),
        Err(error) => syntax_problem(bytes, &error),
    })?;
    deserializer.end().map_err(|error| syntax_problem(bytes, &error))?;
    Ok(value)
}

/// Reads JSON into a type that takes whatever may stand there.
///
/// # Errors
/// Status 422 when it is not JSON.
pub fn parse_any<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| syntax_problem(bytes, &error))
}

/// Reads a JSON object that is parsed already.
///
/// # Errors
/// As [`parse_json`].
pub fn parse_value<T: DeserializeOwned>(body: &Value) -> Result<T, Problem> {
    if !body.is_object() {
        let fault = Fault {
            kind: "model_attributes_type".to_owned(),
            loc: vec!["body".into()],
            msg: "Input should be an object".to_owned(),
            input: echo(body, &[]),
        };
        return Err(Problem::faulty("invalid_body", fault));
    }
    serde_path_to_error::deserialize(body)
        .map_err(|error| data_problem(body, error.inner(), steps_of(error.path())))
}

fn steps_of(path: &serde_path_to_error::Path) -> Vec<Step> {
    path.iter().filter_map(step_of).collect()
}

fn step_of(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Position(*index)),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key.clone())),
        Segment::Unknown => None,
    }
}

/// A body that is not JSON.
fn syntax_problem(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let fault = Fault {
        kind: "json_invalid".to_owned(),
        loc: vec!["body".into(), Step::Position(offset_of(bytes, error))],
        msg: format!("JSON decode error: {error}"),
        input: Value::Object(serde_json::Map::new()),
    };
    Problem::faulty("invalid_json", fault)
}

/// JSON of the wrong shape.
fn data_problem(body: &Value, error: &serde_json::Error, mut path: Vec<Step>) -> Problem {
    let input = echo(body, &path);
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    let (kind, msg) = match message.strip_prefix("missing field `") {
        Some(field) => {
            path.push(field.trim_end_matches('`').into());
            ("missing", "Field required".to_owned())
        }
        None => (kind_of(message), message.to_owned()),
    };
    let loc = std::iter::once("body".into()).chain(path).collect();
    Problem::faulty("invalid_body", Fault { kind: kind.to_owned(), loc, msg, input })
}

/// The name that existing servers have for the same fault.
fn kind_of(message: &str) -> &'static str {
    let Some((_, expected)) = message.split_once(", expected ") else { return "value_error" };
    match expected {
        "a string" => "string_type",
        "a sequence" => "list_type",
        "a map" => "dict_type",
        "a boolean" => "bool_type",
        "f64" => "float_type",
        _ => "value_error",
    }
}

/// What the body holds at a path, if it is short enough to repeat.
fn echo(body: &Value, path: &[Step]) -> Value {
    let found = path.iter().try_fold(body, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Position(at) => value.get(at),
    });
    let short = found.filter(|value| value.to_string().len() <= ECHO_BYTES_MAX);
    short.cloned().unwrap_or_default()
}

/// The position of a syntax error, in bytes from the start.
fn offset_of(bytes: &[u8], error: &serde_json::Error) -> usize {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let nothing = futures::stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let endless = axum::body::Body::from_stream(nothing);
        let request = Request::new(endless);
        let refused = read_within(Duration::from_millis(20), request).await.expect_err("too slow");
        assert_eq!((refused.status().as_u16(), refused.code()), (408, "body_too_slow"));
        let whole = Request::new(axum::body::Body::from("{}"));
        assert_eq!(read_within(Duration::from_secs(60), whole).await.unwrap(), "{}");
    }
    use crate::http::extract::Tags;
    use serde_json::json;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Sample {
        content: String,
        #[serde(default)]
        tags: Tags,
        #[serde(default)]
        metadata: serde_json::Map<String, Value>,
    }

    fn check(body: &[u8], expected: Value) {
        let problem = parse_json::<Sample>(body).expect_err("the body is not valid");
        let found: Value = serde_json::from_slice(&problem.to_json("/")).unwrap();
        let mut fault = found["detail"][0].clone();
        fault.as_object_mut().unwrap().remove("msg");
        assert_eq!(fault, expected, "{}", String::from_utf8_lossy(body));
    }

    #[test]
    fn faults_say_where_and_what() {
        check(b"{}", json!({"type": "missing", "loc": ["body", "content"], "input": {}}));
        check(
            br#"{"content": 5}"#,
            json!({"type": "string_type", "loc": ["body", "content"], "input": 5}),
        );
        check(
            br#"{"content": "x", "metadata": [1]}"#,
            json!({"type": "dict_type", "loc": ["body", "metadata"], "input": [1]}),
        );
        check(
            br#"{"content": "x", "tags": ["a", 7]}"#,
            json!({"type": "string_type", "loc": ["body", "tags", 1], "input": 7}),
        );
        check(
            br#"["x"]"#,
            json!({"type": "model_attributes_type", "loc": ["body"], "input": ["x"]}),
        );
    }

    #[test]
    fn what_is_not_json_is_a_fault_with_its_position() {
        let at =
            |place: usize| json!({"type": "json_invalid", "loc": ["body", place], "input": {}});
        check(b"", at(0));
        check(b"{\"content\":", at(10));
        check(b"{\"content\": NaN}", at(12));
        check(b"{\n\"content\": \"\xff\"}", at(14));
        let deep = [&b"{\"content\":\"x\",\"metadata\":{\"a\":"[..], &b"[".repeat(200)].concat();
        let problem = parse_json::<Sample>(&deep).expect_err("too deep");
        assert_eq!((problem.status().as_u16(), problem.code()), (422, "invalid_json"));
    }

    #[test]
    fn what_follows_the_object_is_a_fault() {
        let problem = parse_json::<Sample>(b"{\"content\":\"x\"} {}").expect_err("two objects");
        assert_eq!(problem.code(), "invalid_json");
    }

    #[test]
    fn unknown_keys_are_ignored() {
        assert!(parse_json::<Sample>(br#"{"content": "x", "more": {}}"#).is_ok());
    }

    #[test]
    fn a_long_input_is_not_repeated() {
        let body = json!({"content": ["y".repeat(300)]}).to_string();
        check(
            body.as_bytes(),
            json!({"type": "string_type", "loc": ["body", "content"], "input": null}),
        );
    }

    #[test]
    fn only_json_or_nothing_is_a_good_media_type() {
        let check = |kind: Option<&str>, good: bool| {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            }
            assert_eq!(require_json(&headers).is_ok(), good, "{kind:?}");
        };
        check(None, true);
        check(Some("application/json"), true);
        check(Some("Application/JSON; charset=utf-8"), true);
        check(Some("application/merge-patch+json"), true);
        check(Some("text/plain"), false);
        check(Some("application/x-www-form-urlencoded"), false);
        check(Some(""), false);
    }
}
