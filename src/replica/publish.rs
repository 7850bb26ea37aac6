//! Own ops on their way into the stream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use memnode_cluster::Origin;
use memnode_cluster::replicator::{Input, payload_hash};
use memnode_cluster::wire::{Batch, MESSAGE_BYTES_MAX};

use super::Shared;
use super::packing::pack;
use crate::store::StoreError;

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
    let messages = match read(&shared, &origin, lo, hi).await {
        Ok(messages) => messages,
        Err(error) => {
            tracing::warn!(%error, "own writes could not be read to be sent");
            return shared.tell(Input::PublishFailed { origin, lo, hi, refused: None }).await;
        }
    };
    let mut next = lo;
    for (first, payloads) in messages {
        let hashes: Vec<u64> = payloads.iter().map(|payload| payload_hash(payload)).collect();
        let last = first + payloads.len() as u64 - 1;
        match send(&shared, &origin, first, last, payloads).await {
            Ok(seq) => {
                // What is not kept any more was sent by an earlier run.
                let run =
                    Input::Published { origin: origin.clone(), lo: next, hi: last, seq, hashes };
                shared.tell(run).await;
                next = last + 1;
            }
            Err(failed) => {
                let refused = match failed {
                    Failed::Unreachable(why) => {
                        tracing::debug!(why, "own writes are not in the stream yet");
                        None
                    }
                    Failed::Refused(why) => Some(why),
                };
                let failed = Input::PublishFailed { origin, lo: next, hi, refused };
                return shared.tell(failed).await;
            }
        }
    }
    if next <= hi {
        let rest = Input::Published { origin, lo: next, hi, seq: 0, hashes: Vec::new() };
        shared.tell(rest).await;
    }
}

type Message = (u64, Vec<Vec<u8>>);

/// The ops, cut into messages: consecutive numbers, no more bytes than one may have.
async fn read(
    shared: &Shared,
    origin: &Origin,
    lo: u64,
    hi: u64,
) -> Result<Vec<Message>, StoreError> {
    let asked = origin.clone();
    let read = move |reader: &crate::store::Reader<'_>| reader.op_payloads(&asked, lo, hi);
    let payloads = shared.store.read(READ_DEADLINE, read).await?;
    let mut messages: Vec<Message> = Vec::new();
    let mut bytes = 0;
    for (oseq, payload) in payloads {
        bytes += payload.len() + 8;
        match messages.last_mut() {
            Some((first, run))
                if *first + run.len() as u64 == oseq && bytes <= MESSAGE_BYTES_MAX =>
            {
                run.push(payload);
            }
            _ => {
                bytes = payload.len() + 8;
                messages.push((oseq, vec![payload]));
            }
        }
    }
    Ok(messages)
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
