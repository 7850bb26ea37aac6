//! Snapshots: the whole state as one file in the object store, for nodes that begin with nothing.
//!
//! One is made when somebody asks, and serves whoever asks within the hour. An object's name is
//! never used twice; a new one is there and read back before the old one goes.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_nats::jetstream::object_store::{Config, ObjectStore};
use futures::StreamExt;
use memnode_cluster::Vector;
use memnode_cluster::replicator::{Applied, PeerKey};
use memnode_cluster::wire::{Reply, Request, SnapshotObject};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, ReadBuf};
use tokio::time::Instant;

use super::{Shared, effect};
use crate::store::StoreError;

/// How long a snapshot serves others.
const YOUNG: Duration = Duration::from_secs(3600);
/// How long none is tried again after one could not be made.
const FAILURE_PAUSE: Duration = Duration::from_secs(60);
/// How long a joining node waits for one to be made.
const MAKE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long making or fetching one may take: 300 GB at 100 MB/s.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long a server may pause while one is fetched.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it asks meanwhile.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// How long an object lives: nobody needs a snapshot older than a day.
const OBJECT_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of one chunk of an object: messages of a size that servers take by default.
const CHUNK_BYTES: usize = 512 * 1024;
/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What became of asking for a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The server said no, or nothing.
    #[error("the object store of NATS does not work: {0}")]
    Server(String),
    /// The file on the way.
    #[error("the file of the snapshot: {0}")]
    File(#[from] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What came is not what was sent.
    #[error("the snapshot is damaged: its checksum differs")]
    Damaged,
    /// The peer has none, or took too long.
    #[error("the peer gives no snapshot: {0}")]
    Refused(String),
}

/// The snapshot that this node made last.
#[derive(Default)]
pub(super) struct Snapshots {
    state: parking_lot::Mutex<State>,
    /// One at a time: all of them go through one file.
    making: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
enum State {
    #[default]
    None,
    Making,
    Made {
        object: SnapshotObject,
        at: Instant,
    },
    Failed {
        at: Instant,
    },
}

/// A snapshot for a peer: a young one, or one that is begun now.
pub(super) fn offer(shared: &Arc<Shared>) -> Reply {
    let mut state = shared.snapshots.state.lock();
    match &*state {
        State::Made { object, at } if at.elapsed() < YOUNG => {
            return Reply::Snapshot { object: Some(object.clone()) };
        }
        State::Making => return Reply::Snapshot { object: None },
        // Whoever asks has other ways, and should not wait for what will not come.
        State::Failed { at } if at.elapsed() < FAILURE_PAUSE => {
            return Reply::Refused { reason: "it could not be made".to_owned() };
        }
        State::Made { .. } | State::Failed { .. } | State::None => {}
    }
    *state = State::Making;
    drop(state);
    let task = Arc::clone(shared);
    effect::spawn(shared, async move {
        if let Err(error) = make(&task).await {
            tracing::warn!(%error, "no snapshot was made");
        }
    });
    Reply::Snapshot { object: None }
}

/// Makes a snapshot and puts it into the object store.
pub(super) async fn make(shared: &Shared) -> Result<SnapshotObject, SnapshotError> {
    let _turn = shared.snapshots.making.lock().await;
    let former = match shared.snapshots.state.lock().clone() {
        State::Made { object, .. } => Some(object.name.clone()),
        State::None | State::Making | State::Failed { .. } => None,
    };
    let made = in_time(try_make(shared, former)).await;
    let mut state = shared.snapshots.state.lock();
    *state = match &made {
        Ok(object) => State::Made { object: object.clone(), at: Instant::now() },
        Err(_) => State::Failed { at: Instant::now() },
    };
    made
}

/// Neither the server nor a peer may keep this node waiting for ever.
async fn in_time<T>(
    work: impl Future<Output = Result<T, SnapshotError>>,
) -> Result<T, SnapshotError> {
    let late = |_| SnapshotError::Server(format!("not done within {TRANSFER_TIMEOUT:?}"));
    tokio::time::timeout(TRANSFER_TIMEOUT, work).await.map_err(late)?
}

async fn try_make(
    shared: &Shared,
    former: Option<String>,
) -> Result<SnapshotObject, SnapshotError> {
    let bucket = bucket(shared).await?;
    let file = Stage::new(shared.store.path(), "snapshot-out");
    let (store, path) = (Arc::clone(&shared.store), file.path.clone());
    let writing = tokio::task::spawn_blocking(move || store.snapshot_to(&path));
    let record_count = writing.await.map_err(std::io::Error::other)??.record_count;
    let name = format!("{}-{:016x}-{}", shared.node, shared.run, crate::clock::now_ms());
    let meta = async_nats::jetstream::object_store::ObjectMetadata {
        name: name.clone(),
        chunk_size: Some(CHUNK_BYTES),
        ..Default::default()
    };
    let written = tokio::fs::File::open(&file.path).await?;
    let bytes = written.metadata().await?.len();
    let inner = BufReader::with_capacity(BUFFER_BYTES, written);
    let mut reader = Hashing { inner, hash: Sha256::new() };
    let put = bucket.put(meta, &mut reader).await.map_err(server)?;
    if put.size as u64 != bytes {
        return Err(SnapshotError::Damaged);
    }
    let sha256 = reader.hash.finalize().into();
    let object = SnapshotObject { name, bytes, sha256, record_count };
    tracing::info!(object.name, bytes, record_count, "made a snapshot for nodes that join");
    if let Some(former) = former
        && let Err(error) = bucket.delete(&former).await
    {
        tracing::debug!(%error, former, "the snapshot before was not deleted");
    }
    Ok(object)
}

/// Fetches a peer's snapshot and takes it over; `None` when that cannot be done.
pub(super) async fn take(shared: &Arc<Shared>, peer: &PeerKey) -> Option<Applied> {
    match in_time(try_take(shared, peer)).await {
        Ok(applied) => Some(Applied { applied, ..Applied::default() }),
        Err(error) => {
            tracing::warn!(%error, peer = %peer.node, "no snapshot was taken over");
            None
        }
    }
}

async fn try_take(shared: &Arc<Shared>, peer: &PeerKey) -> Result<Vector, SnapshotError> {
    let object = ask(shared, peer).await?;
    let bucket = shared.context.get_object_store(shared.subjects.bucket()).await.map_err(server)?;
    let mut source = bucket.get(&object.name).await.map_err(server)?;
    let file = Stage::new(shared.store.path(), "snapshot-in");
    let mut target = tokio::fs::File::create(&file.path).await?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = object.bytes;
    loop {
        let read = tokio::time::timeout(READ_TIMEOUT, source.read(&mut buffer));
        let count = read.await.map_err(std::io::Error::from)??;
        if count == 0 {
            break;
        }
        left = left.checked_sub(count as u64).ok_or(SnapshotError::Damaged)?;
        hash.update(&buffer[..count]);
        target.write_all(&buffer[..count]).await?;
    }
    target.flush().await?;
    if left > 0 || hash.finalize().as_slice() != object.sha256 {
        return Err(SnapshotError::Damaged);
    }
    let now = crate::clock::now_seconds();
    let installed = shared.store.install_snapshot(&file.path, now).await?;
    let record_count = installed.snapshot.record_count;
    tracing::info!(record_count, from = %peer.node, "took a snapshot over");
    if installed.refused.is_empty() { Ok(installed.snapshot.vector) } else { Ok(Vector::default()) }
}

/// Deletes the snapshot that this node made last: it may hold what was erased since.
pub(super) async fn drop_own(shared: &Shared) -> Result<(), SnapshotError> {
    let prefix = format!("{}-", shared.node);
    let name = shared.subjects.bucket();
    let Ok(bucket) = shared.context.get_object_store(name).await else { return Ok(()) };
    let mut objects = bucket.list().await.map_err(server)?;
    while let Some(object) = objects.next().await {
        let object = object.map_err(server)?;
        if object.name.starts_with(&prefix) {
            bucket.delete(&object.name).await.map_err(server)?;
        }
    }
    let mut state = shared.snapshots.state.lock();
    if matches!(*state, State::Made { .. }) {
        *state = State::None;
    }
    Ok(())
}

/// Asks until the snapshot is made.
async fn ask(shared: &Arc<Shared>, peer: &PeerKey) -> Result<SnapshotObject, SnapshotError> {
    let deadline = Instant::now() + MAKE_TIMEOUT;
    loop {
        match effect::ask_peer(shared, peer, Request::Snapshot).await {
            Ok(Reply::Snapshot { object: Some(object) }) => return Ok(object),
            Ok(Reply::Snapshot { object: None }) => {}
            Ok(Reply::Refused { reason }) => return Err(SnapshotError::Refused(reason)),
            Ok(_) => return Err(SnapshotError::Refused("it answers something else".to_owned())),
            Err(reason) => return Err(SnapshotError::Refused(reason)),
        }
        if Instant::now() > deadline {
            return Err(SnapshotError::Refused("it takes too long to make one".to_owned()));
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

async fn bucket(shared: &Shared) -> Result<ObjectStore, SnapshotError> {
    let name = shared.subjects.bucket();
    if let Ok(found) = shared.context.get_object_store(&name).await {
        return Ok(found);
    }
    let config = Config {
        bucket: name,
        description: Some("snapshots of memnode".to_owned()),
        max_age: OBJECT_AGE_MAX,
        max_bytes: -1,
        num_replicas: shared.config.replicas(),
        ..Config::default()
    };
    shared.context.create_object_store(config).await.map_err(server)
}

fn server(error: impl std::fmt::Display) -> SnapshotError {
    SnapshotError::Server(error.to_string())
}

/// A reader that computes the checksum of what is read.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: AsyncRead + Unpin> AsyncRead for Hashing<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.hash.update(&buffer.filled()[filled..]);
        read
    }
}

/// A file beside the database, gone with its handle.
struct Stage {
    path: PathBuf,
}

impl Stage {
    fn new(database: &Path, suffix: &str) -> Stage {
        let mut name = database.as_os_str().to_owned();
        name.push(format!(".{suffix}"));
        let stage = Stage { path: PathBuf::from(name) };
        stage.remove();
        stage
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            // It is there after a crash only.
            let _ = std::fs::remove_file(name);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.remove();
    }
}
