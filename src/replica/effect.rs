//! One short task for each thing that the replicator wants done.

use std::sync::Arc;
use std::time::Duration;

use memnode_cluster::Vector;
use memnode_cluster::replicator::{Applied, AskId, Asked, Effect, Input, PeerKey};
use memnode_cluster::wire::{Ack, Ask, Heartbeat, Reply, Request, Root};

use super::driver::StreamReader;
use super::packing::{pack, unpack};
use super::{Shared, answer, publish, snapshot, span, stream};
use crate::store::{MergeOutcome, Reader, StoreError, holds_decisions};
use crate::telemetry::metrics;

/// How long a peer or the server may take to answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read of the store may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);
/// Payloads dropped in one transaction.
const PRUNE_COUNT: u64 = 2_000;
/// Origins that changed within this time are listed in heartbeats: a day.
const RECENT_SECONDS: f64 = 24.0 * 3600.0;

/// Starts to carry out an effect; what comes of it is told as an input.
pub(super) fn carry_out(shared: &Arc<Shared>, effect: Effect, reader: &mut StreamReader) {
    let task = Arc::clone(shared);
    match effect {
        Effect::Publish { origin, lo, hi } => {
            spawn(shared, publish::publish(task, origin, lo, hi));
        }
        Effect::Read { reader: number, from } => {
            let reading = stream::read(task, number, from);
            reader.replace(shared.tasks.spawn(until_stopped(Arc::clone(shared), reading)));
        }
        Effect::Beat { with_root } => spawn(shared, beat(task, with_root)),
        Effect::Ack(applied) => spawn(shared, ack(task, applied)),
        Effect::Ask { ask, to, request } => spawn(shared, ask_for(task, ask, to, request)),
        Effect::Alarm(alarm) => {
            let kind = alarm.kind.as_str();
            tracing::warn!(alarm.kind = kind, alarm.subject, "{}", alarm.detail);
        }
        Effect::TakeSnapshot { number, peer } => spawn(shared, async move {
            let outcome = snapshot::take(&task, &peer).await.map(Box::new);
            task.tell(Input::Applied { number, outcome }).await;
            tell_of(decide(&task).await);
        }),
        on_store => spawn(shared, write(task, on_store)),
    }
}

/// Runs work for as long as the node does.
async fn until_stopped(shared: Arc<Shared>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = shared.shutdown.cancelled() => {}
        () = work => {}
    }
}

pub(super) fn spawn(shared: &Arc<Shared>, work: impl Future<Output = ()> + Send + 'static) {
    shared.tasks.spawn(until_stopped(Arc::clone(shared), work));
}

/// An effect on the store.
async fn write(shared: Arc<Shared>, effect: Effect) {
    let store = &shared.store;
    let done = match effect {
        Effect::Apply { number, ops, position } => {
            let decides = ops.iter().flat_map(|op| &op.op).any(|op| holds_decisions(&op.namespace));
            let spans = span::taking_in(&shared, &ops);
            let applied = store
                .write(move |writer| {
                    let outcome = writer.apply_batch(&ops, position.as_ref())?;
                    Ok((outcome.applied.count(), outcome.into_applied(&ops)))
                })
                .await
                .map(|(count, applied)| {
                    metrics().applied(count);
                    applied
                });
            drop(spans);
            shared.applied(number, applied).await;
            decide_if(&shared, decides).await
        }
        Effect::Merge { number, records, ours, theirs } => {
            let decides = records.iter().any(|record| holds_decisions(&record.namespace));
            let merged = store
                .write(move |writer| writer.merge_records(&records, &ours, &theirs))
                .await
                .map(MergeOutcome::into_applied);
            shared.applied(number, merged).await;
            decide_if(&shared, decides).await
        }
        Effect::Adopt { number, vector } => {
            let adopted = store
                .write(move |writer| writer.adopt(&vector))
                .await
                .map(|applied| Applied { applied, ..Applied::default() });
            return shared.applied(number, adopted).await;
        }
        Effect::MarkPublished(runs) => {
            store
                .write(move |writer| {
                    runs.iter().try_for_each(|(origin, lo, hi, seq)| {
                        writer.mark_published(origin, *lo, *hi, *seq)
                    })
                })
                .await
        }
        Effect::NewEpoch => {
            let epoch = rand::random();
            let renewed = store
                .write(move |writer| {
                    writer.new_epoch(epoch);
                    Ok(())
                })
                .await;
            // Own writes that the old epoch drew meanwhile are still to be sent.
            load_outbox(&shared).await.and(renewed)
        }
        Effect::Prune(everywhere) => prune(&shared, everywhere).await,
        Effect::Remember(member) => {
            store.write(move |writer| writer.remember_member(&member)).await
        }
        Effect::LoadOutbox => start_over(&shared).await,
        _ => Ok(()),
    };
    tell_of(done);
}

fn tell_of(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the store did not take a step of replication");
    }
}

/// Acts at once on what peers decided.
async fn decide_if(shared: &Shared, decides: bool) -> Result<(), StoreError> {
    if decides { decide(shared).await } else { Ok(()) }
}

impl Shared {
    async fn applied(&self, number: u64, result: Result<Applied, StoreError>) {
        let outcome = result
            .inspect_err(|error| tracing::warn!(%error, "writes of peers were not applied"))
            .ok()
            .map(Box::new);
        self.tell(Input::Applied { number, outcome }).await;
    }
}

/// Forgets what an older stream held, and lists what the new one should.
async fn start_over(shared: &Shared) -> Result<(), StoreError> {
    shared.store.write(|writer| writer.forget_messages(f64::MAX)).await?;
    load_outbox(shared).await
}

async fn load_outbox(shared: &Shared) -> Result<(), StoreError> {
    let kept = shared.store.read(READ_DEADLINE, |reader| reader.own_ops()).await?;
    shared.tell(Input::Outbox(kept)).await;
    Ok(())
}

async fn prune(shared: &Shared, everywhere: Vector) -> Result<(), StoreError> {
    let mut count = 0;
    loop {
        let vector = everywhere.clone();
        let dropped =
            shared.store.write(move |writer| writer.prune_ops(&vector, PRUNE_COUNT)).await?;
        count += dropped;
        if dropped < PRUNE_COUNT {
            break;
        }
    }
    tracing::debug!(count, "dropped writes that every node has");
    Ok(())
}

/// Tells what the cluster decided: nodes forgotten, writes given up.
pub(super) async fn decide(shared: &Shared) -> Result<(), StoreError> {
    let (forgotten, voided) = shared.store.read(READ_DEADLINE, |reader| reader.decisions()).await?;
    shared.tell(Input::Decided { forgotten, voided }).await;
    Ok(())
}

async fn beat(shared: Arc<Shared>, with_root: bool) {
    let since = crate::clock::now_seconds() - RECENT_SECONDS;
    let read = move |reader: &Reader<'_>| Ok((reader.beat(since)?, reader.model()?));
    let read = shared.store.read(READ_DEADLINE, read).await;
    let (state, embedder) = match read {
        Ok(read) => read,
        Err(error) => return tracing::debug!(%error, "no heartbeat: the store does not answer"),
    };
    let vector_hash = state.vector.hash();
    let disk_percent = crate::machine::disk_percent(shared.store.path());
    let beat = Heartbeat {
        cluster: *shared.cluster.lock(),
        node: shared.node.clone(),
        run: shared.run,
        recent: state.recent,
        vector_hash,
        root: with_root.then_some(Root(state.root)),
        held: state.held,
        clock_ms: crate::clock::now_ms(),
        change_head: state.change_head,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        embedder,
        disk_percent: disk_percent.map(|percent| percent.clamp(0.0, 100.0) as u8),
        record_count: state.record_count,
        outbox_count: shared.replicator.lock().outbox_count(),
    };
    send(&shared, shared.subjects.beat(&shared.node), pack(&beat)).await;
    if with_root {
        shared.tell(Input::OwnBeat { vector_hash, root: state.root }).await;
    }
}

async fn ack(shared: Arc<Shared>, applied: Vector) {
    let ack = Ack {
        cluster: *shared.cluster.lock(),
        node: shared.node.clone(),
        run: shared.run,
        applied,
    };
    send(&shared, shared.subjects.ack(&shared.node), pack(&ack)).await;
}

/// Sends a message that may get lost.
async fn send(shared: &Shared, subject: String, message: Vec<u8>) {
    if let Err(error) = shared.client.publish(subject, message.into()).await {
        tracing::debug!(%error, "a message to the peers was not sent");
    }
}

async fn ask_for(shared: Arc<Shared>, ask: AskId, to: Asked, request: Request) {
    let reply = match to {
        Asked::Own => {
            let read =
                shared.store.read(READ_DEADLINE, move |reader| answer::answer(reader, &request));
            read.await.map_err(|error| error.to_string())
        }
        Asked::Peer(peer) => ask_peer(&shared, &peer, request).await,
    };
    let reply = reply
        .inspect_err(|error| tracing::debug!(error, "a request was not answered"))
        .ok()
        .map(Box::new);
    shared.tell(Input::Replied { ask, reply }).await;
}

pub(super) async fn ask_peer(
    shared: &Shared,
    peer: &PeerKey,
    request: Request,
) -> Result<Reply, String> {
    let subject = shared.subjects.request(&peer.node, peer.run);
    let ask = Ask { cluster: *shared.cluster.lock(), request };
    let request =
        async_nats::Request::new().payload(pack(&ask).into()).timeout(Some(REQUEST_TIMEOUT));
    let answer =
        shared.client.send_request(subject, request).await.map_err(|error| error.to_string())?;
    unpack(&answer.payload)
}
