//! Own ops on their way into the stream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use memnode_cluster::Origin;
use memnode_cluster::replicator::{Input, payload_hash};
use memnode_cluster::wire::{Batch, MESSAGE_BYTES_MAX, Stretch, cut};

use super::packing::pack;
use super::{Shared, span};
use crate::store::StoreError;
use crate::telemetry::metrics;

/// How long reading the ops may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// Why ops are not in the stream.
enum Failed {
    /// The server, or the way to it, is gone for now.
    Unreachable(String),
    /// The server says no.
    Refused(String),
}

/// Sends a run of ops, in as few messages as fit, and tells what came of each.
pub(super) async fn publish(shared: Arc<Shared>, origin: Origin, lo: u64, hi: u64) {
    let stretches = match read(&shared, &origin, lo, hi).await {
        Ok(stretches) => stretches,
        Err(error) => {
            tracing::warn!(%error, "own writes could not be read to be sent");
            return shared.tell(Input::PublishFailed { origin, lo, hi, refused: None }).await;
        }
    };
    for stretch in stretches {
        let (lo, payloads) = match stretch {
            Stretch::Ops { lo, payloads } => (lo, payloads),
            // Erased, or written in another cluster: peers get the state of it.
            Stretch::Missing { lo, hi } => {
                let (origin, hashes) = (origin.clone(), Vec::new());
                shared.tell(Input::Published { origin, lo, hi, seq: None, hashes }).await;
                continue;
            }
        };
        let hashes: Vec<u64> = payloads.iter().map(|payload| payload_hash(payload)).collect();
        let last = lo + payloads.len() as u64 - 1;
        let spans = span::sending(&shared, &origin, lo, last);
        let sent = send(&shared, &origin, lo, last, payloads).await;
        drop(spans);
        match sent {
            Ok(seq) => {
                metrics().published(last + 1 - lo);
                let (origin, seq) = (origin.clone(), Some(seq));
                shared.tell(Input::Published { origin, lo, hi: last, seq, hashes }).await;
            }
            Err(failed) => {
                let refused = match failed {
                    Failed::Unreachable(why) => {
                        tracing::debug!(why, "own writes are not in the stream yet");
                        None
                    }
                    Failed::Refused(why) => Some(why),
                };
                return shared.tell(Input::PublishFailed { origin, lo, hi, refused }).await;
            }
        }
    }
}

/// What is kept of the run, cut into messages.
async fn read(
    shared: &Shared,
    origin: &Origin,
    lo: u64,
    hi: u64,
) -> Result<Vec<Stretch>, StoreError> {
    let asked = origin.clone();
    let read = move |reader: &crate::store::Reader<'_>| reader.op_payloads(&asked, lo, hi);
    let payloads = shared.store.read(READ_DEADLINE, read).await?;
    Ok(cut(lo, hi, payloads, MESSAGE_BYTES_MAX))
}

async fn send(
    shared: &Shared,
    origin: &Origin,
    lo: u64,
    hi: u64,
    payloads: Vec<Vec<u8>>,
) -> Result<u64, Failed> {
    let batch = Batch {
        cluster: *shared.cluster.lock(),
        run: shared.run,
        origin: origin.clone(),
        lo,
        ops: payloads.into_iter().map(Into::into).collect(),
        wants_ack: shared.wants_acks(),
    };
    let message = PublishMessage::build()
        .payload(pack(&batch).into())
        .message_id(format!("{origin}/{lo}-{hi}"))
        .expected_stream(shared.subjects.stream());
    let subject = shared.subjects.ops(origin);
    let failed = |error: async_nats::jetstream::context::PublishError| match error.kind() {
        PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::StreamNotFound
        | PublishErrorKind::MaxAckPending => Failed::Unreachable(error.to_string()),
        _ => Failed::Refused(error.to_string()),
    };
    let ack = shared.context.send_publish(subject, message).await.map_err(failed)?;
    Ok(ack.await.map_err(failed)?.sequence)
}
