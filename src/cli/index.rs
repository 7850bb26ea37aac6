//! `memnode index`: how the search index is, making it anew, holding it against sqlite-vec.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use super::Call;
use super::args::IndexCommand;
use super::exit::Failure;
use super::output::{counted, grouped};
use super::progress::Progress;
use super::wire::{IndexChecked, IndexStatus};
use crate::client::{ApiClient, Payload};
use crate::node::Need;

/// How often a node is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Below this share of what sqlite-vec finds, an index is not in order.
const RECALL_MIN: f64 = 0.95;

pub(super) async fn run(call: &Call, command: IndexCommand) -> Result<(), Failure> {
    call.with_node(Need::Model, async |client| match command {
        IndexCommand::Status => {
            let status = client.json(Method::GET, "/api/index", Payload::Empty).await?;
            report(call, &status)
        }
        IndexCommand::Rebuild => {
            let begun: IndexStatus =
                client.json(Method::POST, "/api/index/rebuild", Payload::Empty).await?;
            report(call, &follow(client, begun, ASK_EVERY).await?)
        }
        IndexCommand::Check { sample } => {
            let status = client.json(Method::GET, "/api/index", Payload::Empty).await?;
            follow(client, status, ASK_EVERY).await?;
            verdict(call, check(client, sample).await?)
        }
    })
    .await
}

/// Asks until the index is made, or cannot be.
async fn follow(
    client: &ApiClient,
    mut status: IndexStatus,
    ask_every: Duration,
) -> Result<IndexStatus, Failure> {
    let mut progress = Progress::start(100);
    let mut ticks = tokio::time::interval(ask_every);
    while status.status == "building" {
        progress.update(status.percent as u64, || "building the index".to_owned());
        ticks.tick().await;
        status = client.json(Method::GET, "/api/index", Payload::Empty).await?;
    }
    progress.finish();
    Ok(status)
}

/// Asks one question after the other, so that it is seen how far it is.
async fn check(client: &ApiClient, sample: u64) -> Result<IndexChecked, Failure> {
    let mut progress = Progress::start(sample);
    let mut all = IndexChecked::default();
    for asked in 1..=sample {
        let body = json!({"sample": 1});
        let one: IndexChecked =
            client.json(Method::POST, "/api/index/check", Payload::Json(body)).await?;
        all = IndexChecked {
            rows: one.rows,
            vectors: one.vectors,
            expected: all.expected + one.expected,
            found: all.found + one.found,
        };
        progress
            .update(asked, || format!("{asked} of {}", counted(sample, "question", "questions")));
    }
    progress.finish();
    Ok(all)
}

fn report(call: &Call, status: &IndexStatus) -> Result<(), Failure> {
    if call.output.json {
        call.output.document(status)?;
    } else {
        call.output.line(format!(
            "{}: {} in {} MiB, scanned with {}",
            status.status,
            counted(status.rows, "memory", "memories"),
            grouped(status.bytes.div_ceil(1 << 20)),
            status.kernel
        ))?;
    }
    match status.status.strip_prefix("failed") {
        Some(_) => Err(Failure::Found(format!("there is no index: {}", status.status))),
        None => Ok(()),
    }
}

fn verdict(call: &Call, checked: IndexChecked) -> Result<(), Failure> {
    let recall = checked.recall();
    if call.output.json {
        let IndexChecked { rows, vectors, expected, found } = checked;
        call.output.document(&json!({"rows": rows, "vectors": vectors, "expected": expected,
            "found": found, "recall": recall}))?;
    } else {
        call.output.line(format!(
            "{} of {} found: recall {recall:.4}; {} in the index, {} in the file",
            grouped(checked.found),
            counted(checked.expected, "nearest memory", "nearest memories"),
            counted(checked.rows, "row", "rows"),
            counted(checked.vectors, "vector", "vectors"),
        ))?;
    }
    // Writes may come between the two counts, so that only the answers decide.
    if recall < RECALL_MIN {
        let why =
            format!("recall is {recall:.4}: make the index anew with `memnode index rebuild`");
        return Err(Failure::Found(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::{get, post};

    use super::*;

    fn status(status: &str) -> IndexStatus {
        let (kernel, percent) = ("portable".to_owned(), 0.0);
        IndexStatus { status: status.to_owned(), percent, rows: 1, bytes: 2, kernel }
    }

    #[tokio::test]
    async fn a_rebuild_is_followed_to_its_end() {
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = async move || {
            let states = ["building", "ready"];
            let state = states[asked.fetch_add(1, Ordering::Relaxed)];
            serde_json::to_string(&status(state)).expect("plain values")
        };
        let client = ApiClient::in_process(Router::new().route("/api/index", get(answer)));
        let ended = follow(&client, status("building"), Duration::from_millis(1)).await;
        assert_eq!(ended.expect("it ends").status, "ready");
    }

    #[tokio::test]
    async fn a_check_adds_up_its_questions() {
        let answer = json!({"rows": 5, "vectors": 5, "expected": 10, "found": 9}).to_string();
        let router = Router::new().route("/api/index/check", post(async move || answer));
        let checked = check(&ApiClient::in_process(router), 4).await.expect("a check");
        assert_eq!((checked.expected, checked.found), (40, 36));
        assert!((checked.recall() - 0.9).abs() < 1e-9);
        assert!((IndexChecked::default().recall() - 1.0).abs() < 1e-9, "nothing to find");
    }
}
