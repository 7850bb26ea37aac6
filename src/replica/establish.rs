//! From a connection to a cluster: whose id counts, where the stream is, who listens to what.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt;
use memnode_cluster::ClusterId;
use memnode_cluster::replicator::{Identity, Input, Replicator};
use memnode_cluster::wire::{Ack, Ask, Heartbeat, Reply, Request};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::effect::spawn;
use super::packing::{pack, unpack};
use super::stream::{self, StreamError, hex};
use super::{Shared, answer, connect, snapshot};
use crate::store::{Membership, StoreError};

/// How often the stream is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often while something is wrong.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How long a new node listens for others before it founds a cluster.
const LISTEN: Duration = Duration::from_secs(3);
/// Longest read of the store for an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Requests that are answered at once; others wait in the subscription.
const ANSWER_COUNT_MAX: usize = 4;
/// Longest answer: what servers take by default, less some room.
const ANSWER_BYTES_MAX: usize = 1_000_000;

/// Keeps the node in its cluster until it stops.
pub(super) async fn run(shared: Arc<Shared>, changes: connect::Changes) {
    let work = established(Arc::clone(&shared), changes);
    tokio::select! {
        () = shared.shutdown.cancelled() => {}
        () = work => {}
    }
}

async fn established(shared: Arc<Shared>, mut changes: connect::Changes) {
    let mut tried = 0_u32;
    while let Err(error) = listen(&shared).await {
        tried += 1;
        tracing::error!(%error, tried, "cannot subscribe: trying again");
        tokio::time::sleep(LOOK_SOON).await;
    }
    let mut up_since: Option<Instant> = None;
    let mut is_told = false;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(true) => {
                    tracing::info!(cluster = shared.config.name, "connected to NATS");
                    up_since = Some(Instant::now());
                }
                Some(false) => {
                    tracing::warn!("the connection to NATS broke: writes wait here meanwhile");
                    up_since = None;
                    is_told = false;
                    shared.tell(Input::Disconnected).await;
                }
                None => return,
            },
            () = tokio::time::sleep_until(due) => {}
        }
        let Some(since) = up_since else {
            due = Instant::now() + LOOK_INTERVAL;
            continue;
        };
        let is_well = look(&shared, since, &mut is_told).await;
        due = Instant::now() + if is_well { LOOK_INTERVAL } else { LOOK_SOON };
    }
}

/// Looks at the stream and acts on it; whether all is well.
async fn look(shared: &Arc<Shared>, since: Instant, is_told: &mut bool) -> bool {
    match try_look(shared, since, is_told).await {
        Ok(is_well) => is_well,
        Err(error) => {
            tracing::warn!(%error, "the stream cannot be used");
            false
        }
    }
}

async fn try_look(
    shared: &Arc<Shared>,
    since: Instant,
    is_told: &mut bool,
) -> Result<bool, LookError> {
    let membership = membership(shared).await?;
    if membership == Membership::Joined && !*is_told {
        // Peers can be asked although JetStream may be out of order.
        *is_told = true;
        super::effect::decide(shared).await?;
        shared.tell(Input::Connected).await;
    }
    let own = *shared.cluster.lock();
    let found = match stream::look(&shared.context, &shared.subjects).await? {
        Some(found) => found,
        None if membership == Membership::Joined => make(shared).await?,
        None => {
            let heard = *shared.heard_cluster.lock();
            match heard {
                Some(id) if id != own && membership != Membership::Standalone => {
                    adopt(shared, id).await?;
                    return Ok(false);
                }
                _ if since.elapsed() < LISTEN => return Ok(false),
                _ => make(shared).await?,
            }
        }
    };
    let (cluster, info) = found;
    if cluster != own {
        if membership == Membership::Joined || membership == Membership::Standalone {
            let mut replicator = shared.replicator.lock();
            replicator.meet_cluster(&hex(&cluster));
            drop(replicator);
            return Err(StreamError::OtherCluster(cluster).into());
        }
        adopt(shared, cluster).await?;
        return Ok(false);
    }
    if membership != Membership::Joined {
        shared.store.write(|writer| writer.set_joined()).await?;
        return Ok(false);
    }
    shared.tell(Input::Stream(info)).await;
    Ok(true)
}

async fn make(
    shared: &Shared,
) -> Result<(ClusterId, memnode_cluster::replicator::StreamInfo), LookError> {
    let own = *shared.cluster.lock();
    let made = stream::make(&shared.context, &shared.subjects, &shared.config, &own).await?;
    tracing::info!(cluster.id = hex(&made.0), stream = shared.subjects.stream(), "made the stream");
    Ok(made)
}

async fn membership(shared: &Shared) -> Result<Membership, StoreError> {
    shared.store.read(ANSWER_DEADLINE, |reader| reader.membership()).await
}

/// Takes on the id of a cluster that is there already: this node has never been in another.
async fn adopt(shared: &Shared, id: ClusterId) -> Result<(), StoreError> {
    let start = shared
        .store
        .write(move |writer| {
            writer.set_cluster(id)?;
            writer.set_joined()?;
            writer.replica_start(writer.now())
        })
        .await?;
    tracing::info!(cluster.id = hex(&id), "joined the cluster `{}`", shared.config.name);
    *shared.cluster.lock() = id;
    let identity = Identity { cluster: id, node: shared.node.clone(), run: shared.run };
    *shared.replicator.lock() = Replicator::new(identity, start, shared.now());
    Ok(())
}

/// Why the stream could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Subscribes to all that peers say; the client subscribes again after every reconnection.
async fn listen(shared: &Arc<Shared>) -> Result<(), async_nats::SubscribeError> {
    let subjects = &shared.subjects;
    let beats = shared.client.subscribe(subjects.all_beats()).await?;
    let acks = shared.client.subscribe(subjects.all_acks()).await?;
    let requests = shared.client.subscribe(subjects.request(&shared.node, shared.run)).await?;
    spawn(shared, hear_beats(Arc::clone(shared), beats));
    spawn(shared, hear_acks(Arc::clone(shared), acks));
    spawn(shared, answer_requests(Arc::clone(shared), requests));
    Ok(())
}

async fn hear_beats(shared: Arc<Shared>, mut beats: Subscriber) {
    while let Some(message) = beats.next().await {
        match unpack::<Heartbeat>(&message.payload) {
            Ok(beat) => {
                if beat.run != shared.run {
                    *shared.heard_cluster.lock() = Some(beat.cluster);
                }
                shared.tell(Input::Beat(Box::new(beat))).await;
            }
            Err(error) => tracing::debug!(error, "a heartbeat cannot be read"),
        }
    }
}

async fn hear_acks(shared: Arc<Shared>, mut acks: Subscriber) {
    while let Some(message) = acks.next().await {
        match unpack::<Ack>(&message.payload) {
            Ok(ack) if ack.run != shared.run => shared.tell(Input::Acked(ack)).await,
            Ok(_) => {}
            Err(error) => tracing::debug!(error, "an acknowledgement cannot be read"),
        }
    }
}

async fn answer_requests(shared: Arc<Shared>, mut requests: Subscriber) {
    let free = Arc::new(Semaphore::new(ANSWER_COUNT_MAX));
    while let Some(message) = requests.next().await {
        let Some(to) = message.reply.clone() else { continue };
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let task = Arc::clone(&shared);
        spawn(&shared, async move {
            let reply = answer_one(&task, &message.payload).await;
            if let Err(error) = task.client.publish(to, reply.into()).await {
                tracing::debug!(%error, "an answer was not sent");
            }
            drop(permit);
        });
    }
}

async fn answer_one(shared: &Arc<Shared>, payload: &[u8]) -> Vec<u8> {
    let reply = match unpack::<Ask>(payload) {
        Ok(ask) if is_snapshot(shared, &ask) => snapshot::offer(shared),
        Ok(ask) => {
            let cluster = *shared.cluster.lock();
            let read = shared
                .store
                .read(ANSWER_DEADLINE, move |reader| answer::answer_ask(reader, cluster, &ask));
            read.await.unwrap_or_else(|error| refused(error.to_string()))
        }
        Err(error) => refused(error),
    };
    let packed = pack(&reply);
    if packed.len() <= ANSWER_BYTES_MAX {
        return packed;
    }
    pack(&refused("the answer is longer than a message".to_owned()))
}

fn is_snapshot(shared: &Shared, ask: &Ask) -> bool {
    ask.cluster == *shared.cluster.lock() && ask.request == Request::Snapshot
}

fn refused(reason: String) -> Reply {
    Reply::Refused { reason }
}
