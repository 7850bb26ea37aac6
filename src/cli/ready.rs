//! `memnode ready`: whether the node on this file takes requests, for health checks.

use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use super::Call;
use super::exit::Failure;
use crate::client::{ApiClient, Payload};
use crate::node;

/// How long a node may think about it; below the time that health checks usually give.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// Asks the owner of the file; unlike other commands it never becomes the owner.
pub(super) async fn run(call: &Call) -> Result<(), Failure> {
    let path = &call.config.store.path;
    let owner = node::owner(path)
        .ok_or_else(|| Failure::NotRunning(format!("no node runs on {}", path.display())))?;
    let client = ApiClient::unix(owner.socket);
    let asked = client.json::<Value>(Method::GET, "/readyz", Payload::Empty);
    let answer = call
        .until_stopped(async {
            tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(|_| {
                Failure::NotRunning(format!(
                    "the node with process id {} does not answer",
                    owner.pid
                ))
            })
        })
        .await??;
    if call.output.json { call.output.document(&answer) } else { call.output.line("ready") }
}
