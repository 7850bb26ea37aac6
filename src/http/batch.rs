//! `/api/memories/batch`: storing many memories in one call.

use axum::extract::{FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::AppState;
use super::extract::{Ack, NamespaceParameters, Once, Query, Sender, media_type, once, read_body};
use super::line::{LineResult, NDJSON, write_line};
use super::new_memory::{BatchItem, StoreRequest, batch_items};
use super::problem::Problem;
use super::rate_limit::Cost;
use crate::auth::Principal;
use crate::limit::Budget;
use crate::memory::{BATCH_COUNT_MAX, Idempotency, ImportItem};

/// The body of a batch, and the idempotency key of the whole.
pub struct Batch {
    items: Vec<BatchItem>,
    once: Option<Idempotency>,
}

impl<S: Send + Sync> FromRequest<S> for Batch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_media_type(request.headers())?;
        let (parts, body) = request.into_parts();
        let bytes = read_body(Request::from_parts(parts.clone(), body)).await?;
        let items = batch_items(&bytes)?;
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
