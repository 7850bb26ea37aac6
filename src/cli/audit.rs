//! `memnode audit`: who did what, where and when.

use clap::{Args, value_parser};
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::Call;
use super::exit::Failure;
use super::output::table;
use crate::client::{Payload, path_with_query};
use crate::node::Need;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only entries of this instant or later, such as 2026-11-23 or "2 days ago"
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what this caller did: its name, or the id of its key
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Only callers that were turned away
    #[arg(long)]
    refused: bool,
    /// Most entries, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = value_parser!(u64).range(1..=1000))]
    limit: u64,
}

/// `GET /api/admin/audit`.
#[derive(Debug, Deserialize, Serialize)]
struct Page {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    at: f64,
    at_iso: String,
    principal: Option<String>,
    key_id: Option<String>,
    operation: String,
    namespaces: Vec<String>,
    address: Option<String>,
    status: Option<u16>,
    outcome: String,
    refused: bool,
    trace_id: Option<String>,
}

pub(super) async fn run(call: &Call, args: AuditArgs) -> Result<(), Failure> {
    let refused = args.refused.then(|| "true".to_owned());
    let path = path_with_query(
        "/api/admin/audit",
        &[
            ("after", args.since),
            ("principal", args.principal),
            ("limit", Some(args.limit.to_string())),
            ("refused", refused),
        ],
    );
    call.with_node(Need::StoreOnly, async |client| {
        let page: Page = client.json(Method::GET, &path, Payload::Empty).await?;
        if call.output.json {
            return call.output.document(&page);
        }
        // As a log is read: the newest last.
        let rows: Vec<Vec<String>> = page.entries.iter().rev().map(row).collect();
        call.output.write(table(&rows).as_bytes())
    })
    .await
}

fn row(entry: &Entry) -> Vec<String> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        entry.at_iso.clone(),
        or_none(&entry.principal),
        or_none(&entry.address),
        entry.operation.clone(),
        entry.namespaces.join(","),
        entry.outcome.clone(),
    ]
}
