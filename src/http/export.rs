//! `/api/export`: every memory, a line each, however many there are.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use tracing::error;

use super::AppState;
use super::extract::Query;
use super::line::{NDJSON, write_line};
use super::memory_body::MemoryBody;
use super::problem::Problem;
use super::selection::ExportParameters;
use crate::auth::Principal;
use crate::memory::{Filter, Memory};
use crate::service::Service;
use crate::{Error, Result};

/// Memories read at a time: what is held of an export at any moment.
const PAGE_COUNT: usize = 100;

/// Export memories
///
/// A memory a line, in an order that does not change; what `POST /api/import` takes back. A
/// failure on the way breaks the connection off, so that half an export never looks whole.
#[utoipa::path(get, path = "/api/export", tag = "transfer", params(ExportParameters),
    responses((status = 200, body = MemoryBody, content_type = "application/x-ndjson",
        description = "A memory a line.")))]
pub async fn export(
    State(state): State<AppState>,
    who: Principal,
    Query(parameters): Query<ExportParameters>,
) -> Result<Response, Problem> {
    let mut pages =
        Pages { service: state.service, who, filter: parameters.into_filter()?, cursor: Some(0) };
    // The first page decides the status: what is wrong with the request shows there.
    let first = pages.next().await.map_err(Problem::query)?.unwrap_or_default();
    let rest = stream::try_unfold(pages, |mut pages| async move {
        let page =
            pages.next().await.inspect_err(|error| error!("an export broke off: {error}"))?;
        Ok::<_, Error>(page.map(|lines| (lines, pages)))
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let name = HeaderValue::from_static("attachment; filename=\"memnode-export.jsonl\"");
    Ok(([(CONTENT_TYPE, NDJSON), (CONTENT_DISPOSITION, name)], body).into_response())
}

/// The pages of an export that are still to come.
struct Pages {
    service: Service,
    who: Principal,
    filter: Filter,
    cursor: Option<i64>,
}

impl Pages {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let page = self.service.export_page(&self.who, &self.filter, cursor, PAGE_COUNT).await?;
        let (memories, next): (Vec<Memory>, Option<i64>) = page;
        self.cursor = next;
        let mut lines = Vec::new();
        memories.into_iter().for_each(|memory| write_line(&mut lines, &MemoryBody::from(memory)));
        Ok(Some(lines.into()))
    }
}
