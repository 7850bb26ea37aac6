//! `/api/admin/audit`: who did what, where and when.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tracing::error;
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::{Query, within};
use super::line::{NDJSON, write_line};
use super::memory_body::rfc3339;
use super::problem::Problem;
use crate::auth::Principal;
use crate::memory::time_phrase::parse_instant;
use crate::memory::{AuditEntry, AuditFilter};
use crate::service::{AUDIT_PAGE_COUNT_MAX, AuditOrder, Service};
use crate::{Error, Result};

/// Entries read at a time for an export.
const EXPORT_PAGE_COUNT: usize = 500;

/// Which entries to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditParameters {
    /// At this instant or later: a date, a date-time, Unix seconds, or such as `2 days ago`.
    after: Option<String>,
    /// Before this instant.
    before: Option<String>,
    /// Of this caller: its name, or the id of its key.
    principal: Option<String>,
    /// Of this operation, such as `POST /api/memories`.
    operation: Option<String>,
    /// That asked for this namespace.
    namespace: Option<String>,
    /// Only callers that were turned away (`true`), or only the others (`false`).
    refused: Option<bool>,
}

/// Which page to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditPageParameters {
    /// Most entries.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Where the page before ended (`next_cursor`).
    cursor: Option<String>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audit)]
pub struct AuditResponse {
    /// Newest first.
    entries: Vec<AuditBody>,
    /// Where the next page starts; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditBody {
    /// When it was over, in seconds since 1970.
    at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime)]
    at_iso: String,
    /// Who; null for a caller that was not recognised.
    #[schema(required)]
    principal: Option<String>,
    /// The id of its key; null when it showed none that has an id.
    #[schema(required)]
    key_id: Option<String>,
    /// What: method and route, or the tool.
    #[schema(example = "POST /api/memories")]
    operation: String,
    /// Which namespaces it asked for; `*` is all of them.
    #[schema(example = json!(["default"]))]
    namespaces: Vec<String>,
    /// From where; `local` is this machine.
    #[schema(required, example = "192.0.2.7")]
    address: Option<String>,
    /// The status of the answer; null for a tool.
    #[schema(required, example = 200)]
    status: Option<u16>,
    /// `ok`, or the code of what was wrong.
    #[schema(example = "ok")]
    outcome: String,
    /// Whether the caller was turned away.
    refused: bool,
    /// The trace that it belongs to; null without one.
    #[schema(required)]
    trace_id: Option<String>,
}

impl From<AuditEntry> for AuditBody {
    fn from(entry: AuditEntry) -> Self {
        AuditBody {
            at: entry.at,
            at_iso: rfc3339(entry.at),
            principal: entry.principal,
            key_id: entry.key_id,
            operation: entry.operation,
            namespaces: entry.namespaces,
            address: entry.address,
            status: entry.status,
            outcome: entry.outcome,
            refused: entry.is_refused,
            trace_id: entry.trace_id,
        }
    }
}

impl AuditParameters {
    fn into_filter(self, service: &Service) -> Result<AuditFilter, Problem> {
        let now = service.now(None)?;
        let instant = |text: Option<String>| {
            text.map(|text| parse_instant(&text, &now)).transpose().map_err(Problem::query)
        };
        Ok(AuditFilter {
            after: instant(self.after)?,
            before: instant(self.before)?,
            principal: self.principal,
            operation: self.operation,
            namespace: self.namespace,
            is_refused: self.refused,
        })
    }
}

/// Show the audit log
///
/// Writes, administration and refusals, and reads where `MEMNODE_AUDIT_READS` says so; each node
/// has its own. There is no text of memories in it and no query. Needs the scope `admin`.
#[utoipa::path(get, path = "/api/admin/audit", tag = "maintenance",
    params(AuditParameters, AuditPageParameters),
    responses((status = 200, body = AuditResponse, description = "Newest first.")))]
pub async fn audit(
    State(state): State<AppState>,
    who: Principal,
    Query(parameters): Query<AuditParameters>,
    Query(page): Query<AuditPageParameters>,
) -> Result<axum::Json<AuditResponse>, Problem> {
    let limit = within("limit", page.limit.unwrap_or(100), 1..=AUDIT_PAGE_COUNT_MAX)?;
    let start = page.cursor.map_or(Ok(i64::MAX), |cursor| {
        i64::from_str_radix(&cursor, 16).map_err(|_| {
            let wrong = Error::invalid("the cursor is not one that a page gave");
            Problem::query(wrong.reason("bad_cursor"))
        })
    })?;
    let filter = parameters.into_filter(&state.service)?;
    let order = AuditOrder::NewestBefore(start);
    let page = state.service.audit_page(&who, filter, order, limit).await?;
    Ok(axum::Json(AuditResponse {
        entries: page.entries.into_iter().map(AuditBody::from).collect(),
        next_cursor: page.next.map(|n| format!("{n:x}")),
    }))
}

/// Export the audit log
///
/// An entry a line, the oldest first. A failure on the way breaks the connection off. Needs the
/// scope `admin`.
#[utoipa::path(get, path = "/api/admin/audit/export", tag = "maintenance",
    params(AuditParameters),
    responses((status = 200, body = AuditBody, content_type = "application/x-ndjson",
        description = "An entry a line.")))]
pub async fn export_audit(
    State(state): State<AppState>,
    who: Principal,
    Query(parameters): Query<AuditParameters>,
) -> Result<Response, Problem> {
    let filter = parameters.into_filter(&state.service)?;
    let mut pages = Pages { service: state.service, who, filter, after: Some(0) };
    // The first page decides the status: what is wrong with the request shows there.
    let first = pages.next().await?.unwrap_or_default();
    let rest = stream::try_unfold(pages, |mut pages| async move {
        let page = pages.next().await.inspect_err(|error| {
            error!("an export of the audit log broke off: {error}");
        })?;
        Ok::<_, Error>(page.map(|lines| (lines, pages)))
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let name = HeaderValue::from_static("attachment; filename=\"memnode-audit.jsonl\"");
    Ok(([(CONTENT_TYPE, NDJSON), (CONTENT_DISPOSITION, name)], body).into_response())
}

/// The pages of an export that are still to come.
struct Pages {
    service: Service,
    who: Principal,
    filter: AuditFilter,
    after: Option<i64>,
}

impl Pages {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(after) = self.after else { return Ok(None) };
        let (filter, order) = (self.filter.clone(), AuditOrder::OldestAfter(after));
        let page = self.service.audit_page(&self.who, filter, order, EXPORT_PAGE_COUNT).await?;
        self.after = page.next;
        let mut lines = Vec::new();
        page.entries.into_iter().for_each(|entry| write_line(&mut lines, &AuditBody::from(entry)));
        Ok(Some(lines.into()))
    }
}
