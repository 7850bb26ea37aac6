//! `/api/import`: memories as they come in, a line each, in memory that does not grow with them.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::future::FutureExt;
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tracing::error;
use utoipa::{IntoParams, ToSchema};

use super::AppState;
use super::extract::{Ack, NamespaceParameters, Query, media_type, parse_json, refuse_codings};
use super::line::{Line, LineCutter, LineResult, LineStatus, NDJSON, write_line};
use super::new_memory::ImportLine;
use super::problem::Problem;
use super::rate_limit::Cost;
use crate::auth::{Access, Principal};
use crate::limit::Budget;
use crate::memory::{ImportItem, NewMemory};
use crate::service::Service;
use crate::{Code, Error};

/// Lines that go to the service together.
const CHUNK_COUNT: usize = 128;
/// No more is read while lines of so many bytes wait.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest wait for the next part of the body: a person may be typing it.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How to import.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportParameters {
    /// Only say what would be stored.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// Store texts even though they were deleted before.
    #[serde(default)]
    #[param(required = false)]
    restore_deleted: bool,
    /// Which results to send.
    #[serde(default)]
    #[param(required = false, inline)]
    results: WhichResults,
}

/// Which results an import sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum WhichResults {
    /// One for each line. Read them while you send: neither side waits for the other then.
    #[default]
    All,
    /// Only those of lines that failed.
    Failed,
}

/// The last line of an import.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportSummary {
    /// Whether the whole body was taken in; false when it or the node broke off.
    done: bool,
    /// Whether this was only a rehearsal.
    dry_run: bool,
    /// Lines that hold something.
    lines: u64,
    /// Memories that were stored, or would be.
    stored: u64,
    /// Memories that were there already.
    duplicates: u64,
    /// Lines that failed.
    failed: u64,
    /// Why it broke off, for programs.
    #[schema(required)]
    code: Option<String>,
    /// Why it broke off, for people.
    #[schema(required)]
    detail: Option<String>,
}

impl ImportSummary {
    fn count(&mut self, status: LineStatus) {
        self.lines += 1;
        match status {
            LineStatus::Stored | LineStatus::WouldStore => self.stored += 1,
            LineStatus::Duplicate | LineStatus::SemanticDuplicate => self.duplicates += 1,
            LineStatus::Failed => self.failed += 1,
        }
    }
}

/// Import memories
///
/// The body is a memory a line, of any length; each line is at most 1 MiB. The answer comes in
/// while the body goes out: a result for each line, in order, then a summary. What is there
/// already is left alone, so an import that broke off is simply sent again.
#[utoipa::path(post, path = "/api/import", tag = "transfer",
    params(NamespaceParameters, ImportParameters),
    request_body(content = ImportLine, content_type = "application/x-ndjson",
        description = "A memory a line."),
    responses((status = 200, body = LineResult, content_type = "application/x-ndjson",
        description = "A result a line, then an `ImportSummary`.")))]
pub async fn import(
    State(state): State<AppState>,
    who: Principal,
    Query(namespace): Query<NamespaceParameters>,
    Query(parameters): Query<ImportParameters>,
    headers: HeaderMap,
    (ack, cost): (Ack, Cost),
    body: Body,
) -> Result<Response, Problem> {
    refuse_ack(&ack)?;
    check_media_type(&headers)?;
    refuse_codings(&headers)?;
    let default = namespace.one()?;
    if !parameters.dry_run {
        who.announce(Access::Write, default.as_str());
    }
    let options = Options {
        is_dry_run: parameters.dry_run,
        restore_deleted: parameters.restore_deleted,
        results: parameters.results,
        namespace,
    };
    let import = Import::new(state.service, who, options, cost, body);
    let results = stream::unfold(import, |mut import| async move {
        import.step().await.map(|lines| (Ok::<_, Error>(Bytes::from(lines)), import))
    });
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(results)).into_response())
}

/// The answer starts before anything is stored, so it cannot wait for what comes of it.
fn refuse_ack(ack: &Ack) -> Result<(), Problem> {
    if !ack.is_asked() {
        return Ok(());
    }
    let detail = "an import answers while it stores: use `POST /api/memories/batch`, or send the \
                  positions of its lines in `Memnode-After`";
    Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_ack", detail))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(kind) = media_type(headers) else { return Ok(()) };
    match kind.strip_prefix("application/").map(|kind| kind.trim_start_matches("x-")) {
        Some("jsonl" | "ndjson" | "jsonlines") => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the memories as `application/x-ndjson`",
        )),
    }
}

/// How an import was asked for.
struct Options {
    is_dry_run: bool,
    restore_deleted: bool,
    results: WhichResults,
    namespace: NamespaceParameters,
}

/// An import under way.
struct Import {
    service: Service,
    who: Principal,
    options: Options,
    cost: Cost,
    body: BodyDataStream,
    cutter: LineCutter,
    waiting: VecDeque<Line>,
    /// No more will be read.
    is_read: bool,
    /// The summary was sent.
    is_over: bool,
    summary: ImportSummary,
}

impl Import {
    fn new(service: Service, who: Principal, options: Options, cost: Cost, body: Body) -> Self {
        let summary = ImportSummary { dry_run: options.is_dry_run, ..ImportSummary::default() };
        Import {
            service,
            who,
            options,
            cost,
            body: body.into_data_stream(),
            cutter: LineCutter::default(),
            waiting: VecDeque::new(),
            is_read: false,
            is_over: false,
            summary,
        }
    }

    /// The next lines of the answer; `None` behind the summary.
    async fn step(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        while out.is_empty() && !self.is_over {
            self.read().await;
            let chunk = self.take_chunk();
            if chunk.is_empty() {
                self.is_over = true;
                self.summary.done = self.summary.code.is_none();
                write_line(&mut out, &self.summary);
            } else {
                self.cost.take_when_possible(Budget::Writes, chunk.len()).await;
                self.store(chunk, &mut out).await;
            }
        }
        (!out.is_empty()).then_some(out)
    }

    /// Waits for one line, and takes along what has come in with it: a sender that waits for the
    /// result of a line gets it.
    async fn read(&mut self) {
        while !self.is_read && !self.is_full() {
            let part = if self.waiting.is_empty() {
                tokio::time::timeout(IDLE_MAX, self.body.next()).await.map_err(|_| {
                    let detail = format!("nothing came in for {} s", IDLE_MAX.as_secs());
                    Error::new(Code::DeadlineExceeded, detail)
                })
            } else {
                let Some(part) = self.body.next().now_or_never() else { return };
                Ok(part)
            };
            match part {
                Ok(Some(Ok(bytes))) => self.cutter.push(&bytes, &mut self.waiting),
                Ok(None) => {
                    self.waiting.extend(self.cutter.finish());
                    self.is_read = true;
                }
                Ok(Some(Err(error))) => {
                    let detail = "the body broke off";
                    let error = Error::invalid(detail).reason("body_incomplete").source(error);
                    self.break_off(error);
                }
                Err(error) => self.break_off(error),
            }
        }
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.waiting.iter().map(Line::bytes).sum();
        self.waiting.len() >= CHUNK_COUNT || bytes >= WAITING_BYTES_MAX
    }

    /// Lines that are complete are still stored, and the summary says why there are no more.
    fn break_off(&mut self, error: Error) {
        self.is_read = true;
        self.summary.code = Some(error.reason.to_owned());
        self.summary.detail = Some(error.detail);
    }

    fn take_chunk(&mut self) -> Vec<Line> {
        self.waiting.drain(..self.waiting.len().min(CHUNK_COUNT)).collect()
    }

    async fn store(&mut self, chunk: Vec<Line>, out: &mut Vec<u8>) {
        let (mut items, mut results) = (Vec::new(), Vec::new());
        for line in chunk {
            let position = line.number;
            match memory_of(line, &self.options) {
                Ok(memory) => items.push(ImportItem { position, memory }),
                Err(problem) => results.push(LineResult::failed(position, &problem)),
            }
        }
        let outcomes = match self.options.is_dry_run {
            true => self.service.remember_batch_dry_run(&self.who, items).await,
            false => {
                let stored = self.service.remember_batch(&self.who, items, None).await;
                stored.map(|stored| stored.value)
            }
        };
        match outcomes {
            Ok(outcomes) => results
                .extend(outcomes.into_iter().map(|it| LineResult::of(it, self.options.is_dry_run))),
            Err(error) => {
                error!("an import broke off: {error}");
                self.waiting.clear();
                self.break_off(error);
            }
        }
        results.sort_by_key(|result| result.line);
        for result in &results {
            self.summary.count(result.status);
            if self.options.results == WhichResults::All || result.status == LineStatus::Failed {
                write_line(out, result);
            }
        }
    }
}

fn memory_of(line: Line, options: &Options) -> Result<NewMemory, Problem> {
    let line = parse_json::<ImportLine>(&line.into_text()?)?;
    line.into_memory(&options.namespace, options.restore_deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            is_dry_run: false,
            restore_deleted: false,
            results: WhichResults::All,
            namespace: NamespaceParameters { namespace: Some("work".into()), store: None },
        }
    }

    fn check(line: &[u8], expected: Result<(&str, Option<f64>, Option<f64>), &str>) {
        let line = Line { number: 1, text: Some(line.to_vec()) };
        let found = memory_of(line, &options());
        let found = found
            .as_ref()
            .map(|it| (it.namespace.as_str(), it.created_at, it.updated_at))
            .map_err(Problem::code);
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_go_before_texts_of_time() {
        check(br#"{"content": "x"}"#, Ok(("work", None, None)));
        check(
            br#"{"content": "x", "created_at": 1.5, "created_at_iso": "2020-01-01T00:00:00Z",
                "updated_at_iso": "1970-01-01T00:00:02.25Z", "store": "home", "origin": "n"}"#,
            Ok(("home", Some(1.5), Some(2.25))),
        );
    }

    #[test]
    fn a_bad_line_has_a_code() {
        check(b"{\"content\": \"x", Err("invalid_json"));
        check(b"{\"content\": \"\xff\"}", Err("invalid_json"));
        check(b"[1]", Err("invalid_body"));
        check(br#"{"content": "x", "created_at_iso": "soon"}"#, Err("invalid_body"));
        check(br#"{"content": "x", "namespace": "Not valid"}"#, Err("invalid_namespace"));
        let long = memory_of(Line { number: 1, text: None }, &options());
        assert_eq!(long.expect_err("too long").code(), "line_too_long");
    }

    #[test]
    fn the_summary_counts_every_line_once() {
        let mut summary = ImportSummary::default();
        for status in [
            LineStatus::Stored,
            LineStatus::WouldStore,
            LineStatus::Duplicate,
            LineStatus::SemanticDuplicate,
            LineStatus::Failed,
        ] {
            summary.count(status);
        }
        let expected = ImportSummary {
            lines: 5,
            stored: 2,
            duplicates: 2,
            failed: 1,
            ..ImportSummary::default()
        };
        assert_eq!(summary, expected);
    }
}
