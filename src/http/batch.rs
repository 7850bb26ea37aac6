//! `/api/memories/batch`: storing many memories in one call.

use std::collections::VecDeque;

use axum::extract::{FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::AppState;
use super::extract::{
    Ack, NamespaceParameters, Once, Query, Sender, media_type, once, parse_any, parse_json,
    parse_value, read_body,
};
use super::line::{LineCutter, LineResult, NDJSON, write_line};
use super::memories::StoreRequest;
use super::problem::Problem;
use super::rate_limit::Cost;
use crate::auth::Principal;
use crate::limit::Budget;
use crate::memory::{BATCH_COUNT_MAX, Idempotency, ImportItem};

/// A memory to store, or what is wrong with it, and where it stands in the body.
type Item = (u64, Result<StoreRequest, Problem>);

/// The body of a batch, and the idempotency key of the whole.
pub struct Batch {
    items: Vec<Item>,
    once: Option<Idempotency>,
}

impl<S: Send + Sync> FromRequest<S> for Batch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_media_type(request.headers())?;
        let (parts, body) = request.into_parts();
        let bytes = read_body(Request::from_parts(parts.clone(), body)).await?;
        let items = items_of(&bytes)?;
        if items.len() > BATCH_COUNT_MAX {
            let detail = format!("a batch holds at most {BATCH_COUNT_MAX} memories");
            return Err(Problem::too_large(detail));
        }
        Ok(Batch { items, once: once(&parts, &bytes)? })
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(kind) = media_type(headers) else { return Ok(()) };
    match kind.strip_prefix("application/").map(|kind| kind.trim_start_matches("x-")) {
        Some("json" | "jsonl" | "ndjson" | "jsonlines") => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the batch as `application/json` or `application/x-ndjson`",
        )),
    }
}

/// Tells the two forms apart by how they start: no line of a memory starts like an array.
fn items_of(bytes: &[u8]) -> Result<Vec<Item>, Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok(line_items(bytes));
    }
    let values: Vec<Value> = parse_any(bytes)?;
    Ok((1..).zip(values.iter().map(parse_value)).collect())
}

fn line_items(bytes: &[u8]) -> Vec<Item> {
    let mut cutter = LineCutter::default();
    let mut lines = VecDeque::new();
    cutter.push(bytes, &mut lines);
    lines.extend(cutter.finish());
    let read = |text: Vec<u8>| parse_json(&text);
    lines.into_iter().map(|line| (line.number, line.into_text().and_then(read))).collect()
}

/// Store many memories
///
/// One result a line, in the order of the items; an item that fails does not stop the others.
#[utoipa::path(post, path = "/api/memories/batch", tag = "memories",
    params(
        NamespaceParameters,
        Sender,
        Once,
        Ack,
    ),
    request_body(description = "At most 10,000 memories and 32 MiB.",
        content(([StoreRequest] = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, body = LineResult, content_type = "application/x-ndjson",
        description = "A result a line.")))]
pub async fn store_batch(
    State(state): State<AppState>,
    who: Principal,
    Query(namespace): Query<NamespaceParameters>,
    sender: Sender,
    ack: Ack,
    cost: Cost,
    batch: Batch,
) -> Result<Response, Problem> {
    namespace.one()?;
    cost.take(Budget::Writes, batch.items.len())?;
    let (mut items, mut results) = (Vec::new(), Vec::new());
    for (position, item) in batch.items {
        match item.and_then(|item| item.into_memory(&namespace, &sender)) {
            Ok(memory) => items.push(ImportItem { position, memory }),
            Err(problem) => results.push(LineResult::failed(position, &problem)),
        }
    }
    let stored = state.service.remember_batch(&who, items, batch.once).await?;
    results.extend(stored.value.into_iter().map(|outcome| LineResult::of(outcome, false)));
    results.sort_by_key(|result| result.line);
    let mut body = Vec::new();
    results.iter().for_each(|result| write_line(&mut body, result));
    Ok(ack.answer(&stored.position, ([(CONTENT_TYPE, NDJSON)], body)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[(u64, Option<&str>)]) {
        let items = items_of(body.as_bytes()).expect("readable");
        let found: Vec<_> =
            items.iter().map(|(at, item)| (*at, item.as_ref().err().map(Problem::code))).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn lines_and_arrays_are_read_item_by_item() {
        check("", &[]);
        check("[]", &[]);
        let good = r#"{"content":"x"}"#;
        check(&format!("{good}\n\n{good}"), &[(1, None), (3, None)]);
        check(&format!(" [{good}, {good}]"), &[(1, None), (2, None)]);
        check(
            &format!("{good}\n{{\"content\":\n7\n{good}"),
            &[(1, None), (2, Some("invalid_json")), (3, Some("invalid_body")), (4, None)],
        );
        check(
            &format!("[{good}, 7, {{\"content\": 1}}]"),
            &[(1, None), (2, Some("invalid_body")), (3, Some("invalid_body"))],
        );
    }

    #[test]
    fn an_array_that_is_no_json_is_refused_whole() {
        assert_eq!(items_of(b"[{}, ").expect_err("cut off").code(), "invalid_json");
    }

    #[test]
    fn media_types_of_both_forms_are_good() {
        for (kind, good) in [
            ("application/json", true),
            ("application/x-ndjson; charset=utf-8", true),
            ("application/jsonl", true),
            ("text/plain", false),
            ("x-ndjson", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().expect("a value"))]);
            assert_eq!(check_media_type(&headers).is_ok(), good, "{kind}");
        }
    }
}
