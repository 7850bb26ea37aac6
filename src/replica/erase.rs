//! What erased memories left on the servers: own messages of the stream, own snapshots.
//!
//! The file itself is clean once the erasure is applied. Each node takes its own messages out and
//! then confirms, by a replicated record, that it holds nothing any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memnode_cluster::RecordId;

use super::effect::REQUEST_TIMEOUT;
use super::{Shared, snapshot};
use crate::store::StoreError;

/// How often erasures are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long a message may be under way before its sender gives it up, and some time to note it.
const SETTLE_TIME: Duration = Duration::from_secs(2 * REQUEST_TIMEOUT.as_secs());
/// Erasures of one look.
const STEP_COUNT: usize = 100;
/// How long a read may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// Why something is still there.
#[derive(Debug, thiserror::Error)]
enum EraseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Server(String),
}

/// Clears what erased memories left, until the node stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut seen = BTreeMap::new();
    loop {
        let is_connected = shared.replicator.lock().is_connected();
        if is_connected && let Err(error) = step(&shared, &mut seen).await {
            tracing::warn!(%error, "erased memories are not off the servers yet: trying again");
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

async fn step(shared: &Shared, seen: &mut BTreeMap<RecordId, Instant>) -> Result<(), EraseError> {
    let found = shared.store.read(READ_DEADLINE, |reader| reader.erasing(STEP_COUNT)).await?;
    let now = Instant::now();
    seen.retain(|id, _| found.contains(id));
    for id in &found {
        seen.entry(*id).or_insert(now);
    }
    // Nothing of an erased memory is sent any more; what was under way is noted a moment later.
    // A node that writes all the time never has an empty outbox.
    let is_quiet = shared.replicator.lock().outbox_count() == 0;
    let patience = if is_quiet { LOOK_INTERVAL } else { SETTLE_TIME };
    let is_due = |id: &RecordId| seen.get(id).is_some_and(|since| now >= *since + patience);
    let ids: Vec<RecordId> = found.into_iter().filter(is_due).collect();
    if ids.is_empty() {
        return Ok(());
    }
    snapshot::drop_own(shared).await.map_err(|error| EraseError::Server(error.to_string()))?;
    for id in ids {
        erase(shared, id).await?;
    }
    Ok(())
}

async fn erase(shared: &Shared, id: RecordId) -> Result<(), EraseError> {
    let node = shared.node.clone();
    let messages =
        shared.store.read(READ_DEADLINE, move |reader| reader.messages_of(&node, &id)).await?;
    if !messages.is_empty() {
        let server = |error: String| EraseError::Server(error);
        let name = shared.subjects.stream();
        let stream = shared.context.get_stream_no_info(name).await;
        let stream = stream.map_err(|error| server(error.to_string()))?;
        for (origin, seq) in messages {
            // A message that is gone already is what was wanted.
            match stream.delete_message(seq).await {
                Ok(_) => tracing::debug!(%origin, seq, "took an erased message out of the stream"),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(server(error.to_string())),
            }
        }
    }
    let node = shared.node.clone();
    shared.store.write(move |writer| writer.confirm_erasure(&id, &node)).await?;
    tracing::info!(memory.id = %id, "nothing is left here of an erased memory");
    Ok(())
}

fn is_gone(error: &async_nats::jetstream::stream::DeleteMessageError) -> bool {
    use async_nats::jetstream::ErrorCode;
    use async_nats::jetstream::stream::DeleteMessageErrorKind;
    let gone = [ErrorCode::SEQUENCE_NOT_FOUND, ErrorCode::NO_MESSAGE_FOUND];
    match error.kind() {
        DeleteMessageErrorKind::JetStream(error) => gone.contains(&error.error_code()),
        _ => false,
    }
}
