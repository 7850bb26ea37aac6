//! Replication: carries out on NATS and on the store what the replicator decides.
//!
//! `memnode-cluster` knows what to do and no IO; this module knows the IO and no rule. One task
//! (`driver`) feeds the replicator and hands its effects to short tasks, whose outcomes come back
//! as inputs. Nothing here is needed to serve: without a server a node works on its own file.

mod answer;
mod connect;
mod driver;
mod effect;
mod erase;
mod establish;
mod limit;
mod packing;
mod publish;
mod snapshot;
mod span;
mod stream;
mod subject;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::{Client, jetstream};
use memnode_cluster::replicator::{Identity, Input, Replicator, Status};
use memnode_cluster::wire::SnapshotObject;
use memnode_cluster::{ClusterId, NodeName};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ClusterConfig;
use crate::store::{BatchOutcome, Reader, Store, StoreError};

pub use answer::answer;
pub use connect::ConnectError;
pub use snapshot::SnapshotError;
pub use wait::{Awaited, Waited};

use subject::Subjects;

/// Inputs that may wait for the replicator.
const INPUT_COUNT_MAX: usize = 1_024;
/// How long reading the start state may take.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What replication is built from.
pub struct ReplicaParts {
    /// Names and limits.
    pub config: ClusterConfig,
    /// This node.
    pub node: NodeName,
    /// The open file.
    pub store: Arc<Store>,
    /// Where long tasks run.
    pub tasks: TaskTracker,
}

/// A cheap handle on a node's replication.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
}

/// What all tasks of one node's replication share.
struct Shared {
    config: ClusterConfig,
    node: NodeName,
    run: u64,
    store: Arc<Store>,
    client: Client,
    context: jetstream::Context,
    subjects: Subjects,
    replicator: Mutex<Replicator>,
    cluster: Mutex<ClusterId>,
    /// An id that others on the same subjects have.
    heard_cluster: Mutex<Option<ClusterId>>,
    inputs: mpsc::Sender<Input>,
    /// Counts what the replicator took in.
    changed: watch::Sender<u64>,
    /// Writes whose authors wait until the stream or peers have them.
    awaited: AtomicUsize,
    /// Those among them that wait for peers.
    ack_wanted: AtomicUsize,
    snapshots: snapshot::Snapshots,
    started: Instant,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Why replication cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The settings of the connection can never work.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replica {
    /// Starts replication if servers are configured; it goes on in the background, whether they
    /// can be reached or not.
    ///
    /// # Errors
    /// Settings that can never work; those of the file.
    pub async fn start(parts: ReplicaParts) -> Result<Option<Replica>, ReplicaError> {
        let ReplicaParts { config, node, store, tasks } = parts;
        let Some(nats) = config.nats.clone() else { return Ok(None) };
        let (client, changes) = connect::connect(&nats, &node).await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(effect::REQUEST_TIMEOUT);
        let run = rand::random();
        // A newer version may understand what an older one put aside. A file that takes no writes
        // is told of by its health.
        if let Err(error) = store.write(|writer| writer.retry_quarantine(None)).await {
            tracing::warn!(%error, "writes in quarantine were not tried again");
        }
        let now = crate::clock::now_seconds();
        let read =
            move |reader: &Reader<'_>| Ok((reader.cluster_id()?, reader.replica_start(now)?));
        let (cluster, start) = store.read(START_DEADLINE, read).await?;
        let identity = Identity { cluster, node: node.clone(), run };
        let (inputs, inbox) = mpsc::channel(INPUT_COUNT_MAX);
        let shared = Arc::new(Shared {
            subjects: Subjects::new(&config.name),
            config,
            node,
            run,
            client,
            context,
            replicator: Mutex::new(Replicator::new(identity, start, 0)),
            cluster: Mutex::new(cluster),
            heard_cluster: Mutex::new(None),
            inputs,
            changed: watch::channel(0).0,
            awaited: AtomicUsize::new(0),
            ack_wanted: AtomicUsize::new(0),
            snapshots: snapshot::Snapshots::default(),
            started: Instant::now(),
            tasks: tasks.clone(),
            shutdown: CancellationToken::new(),
            store,
        });
        tasks.spawn(driver::run(Arc::clone(&shared), inbox));
        tasks.spawn(erase::run(Arc::clone(&shared)));
        tasks.spawn(limit::run(Arc::clone(&shared)));
        tasks.spawn(establish::run(Arc::clone(&shared), changes));
        Ok(Some(Replica { shared }))
    }

    /// How replication stands.
    pub fn status(&self) -> Status {
        self.shared.replicator.lock().status()
    }

    /// Bytes that came and went over NATS since the start.
    pub fn traffic_bytes(&self) -> (u64, u64) {
        let statistics = self.shared.client.statistics();
        let order = Ordering::Relaxed;
        (statistics.in_bytes.load(order), statistics.out_bytes.load(order))
    }

    /// Whether a new node has its first state, or is alone.
    pub fn is_ready(&self) -> bool {
        self.shared.replicator.lock().has_joined()
    }

    /// Ends replication, once own writes are in the stream or the time is over.
    pub async fn stop(&self, within: Duration) {
        let is_sent = |replicator: &Replicator| {
            (replicator.outbox_count() == 0 || !replicator.is_connected()).then_some(())
        };
        if self.until(within, is_sent).await.is_none() {
            tracing::info!("some writes are not sent yet: the next start sends them");
        }
        self.shared.shutdown.cancel();
    }

    /// The name of the cluster.
    pub fn cluster_name(&self) -> &str {
        &self.shared.config.name
    }

    /// Takes in that quarantined writes were tried again in the store.
    pub async fn retried(&self, outcome: BatchOutcome) {
        self.shared.tell(Input::Retried(Box::new(outcome.into_applied(&[])))).await;
    }

    /// Makes a snapshot for nodes that join, and puts it into the object store.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn snapshot(&self) -> Result<SnapshotObject, SnapshotError> {
        snapshot::make(&self.shared).await
    }

    /// Reads again which nodes are forgotten and which writes were given up.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn decide(&self) -> Result<(), StoreError> {
        effect::decide(&self.shared).await
    }
}

impl Shared {
    /// Milliseconds since the start, on a clock that never goes back.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The instant that those milliseconds mean; the next one, as a timer knows no fractions.
    fn instant(&self, now: u64) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.started + Duration::from_millis(now))
    }

    /// Hands something to the replicator; a node that stops listens no more.
    async fn tell(&self, input: Input) {
        if self.inputs.send(input).await.is_err() {
            tracing::debug!("replication has ended");
        }
    }

    /// Waits until the replicator can take more ops in.
    async fn wait_for_room(&self) {
        let mut changed = self.changed.subscribe();
        while !self.replicator.lock().has_room() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    fn wants_acks(&self) -> bool {
        self.ack_wanted.load(Ordering::Relaxed) > 0
    }
}
