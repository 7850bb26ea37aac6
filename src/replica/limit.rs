//! Bounds on what is kept for peers that lag.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::store::StoreError;

/// How often what is kept is counted.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Payloads older than this are dropped, whoever lacks them: 30 days.
const AGE_SECONDS_MAX: f64 = 30.0 * 24.0 * 3600.0;
/// How long counting may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// Drops what is kept beyond the limits, until the node stops.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        match step(&shared).await {
            Ok(0) => {}
            Ok(count) => shared.replicator.lock().prune_early(count),
            Err(error) => tracing::debug!(%error, "what is kept for peers was not counted"),
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

/// How many payloads were dropped that some node lacks.
async fn step(shared: &Shared) -> Result<u64, StoreError> {
    let bytes_max = shared.config.op_bytes_max;
    let now = crate::clock::now_seconds();
    let (old, older) = (now - AGE_SECONDS_MAX, now - shared.config.stream_age_max.as_secs_f64());
    let is_due = shared
        .store
        .read(READ_DEADLINE, move |reader| {
            Ok(reader.op_bytes()?.1 > bytes_max || reader.keeps_older(old)?)
        })
        .await?;
    if !is_due {
        return Ok(0);
    }
    shared
        .store
        .write(move |writer| {
            writer.forget_messages(older)?;
            writer.prune_beyond(bytes_max, old)
        })
        .await
}
