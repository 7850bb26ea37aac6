//! One SQLite file: memories, vectors, words, change log, clocks and digests.
//!
//! Transactions are plain functions over a connection ([`Reader`], [`Writer`]); the threads in
//! `pool` wrap them. Nothing outside this folder knows SQL.

mod answer;
mod applied;
mod apply;
mod audit;
mod backup;
mod codes;
mod compounds;
mod digest;
mod error;
mod exchange;
mod feed;
mod filter;
mod history;
mod open;
mod peer;
mod pool;
mod position;
mod ranges;
mod reader;
mod record;
mod reembed;
mod register;
mod replication;
mod snapshot;
mod survey;
mod traces;
mod vectors;
mod verify;
mod wanted;
mod webhook;
mod words;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memnode_cluster::{Dot, NodeName};
use rusqlite::Connection;
use tokio::sync::watch;
use tracing::Instrument;

pub use audit::AuditOrder;
pub use backup::{BackupContents, BackupDirectory, BackupFile, BackupStep, Staged, back_up, stage};
pub use codes::{CODE_CHUNK_ROWS, CodeChange, CodeRow, SavedCodes, StaleChunk};
pub use digest::Digest;
pub use error::StoreError;
pub use feed::{FeedHead, FeedPage, Resume};
pub use open::{FileKind, identify};
pub use peer::{PeerCounts, PeerFile, PeerMemory};
pub use pool::StoreState;
pub use reader::{Known, Located, NEIGHBOUR_COUNT_MAX, Reader};
pub use reembed::{ReembedProgress, Unembedded};
pub use replication::{
    BatchOutcome, Beat, Conflict, ForgedKeys, Installed, Membership, MergeOutcome, OwnHead,
    Quarantined, Seal, Sealed, Snapshot, holds_decisions,
};
pub use survey::SLOT_SECONDS;
pub use wanted::Wanted;
pub use webhook::DeadLetter;
pub use words::{Bounds, Occurrences};
pub use writer::{Target, Writer, WriterState};

use crate::telemetry;
use pool::{ReaderPool, WriterPool};
use traces::Traces;

/// What a store needs to know when it opens a file.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The file; made when it is not there.
    pub path: PathBuf,
    /// This node.
    pub node: NodeName,
    /// The model that vectors will be of.
    pub model: String,
    /// Its dimension.
    pub dimension: usize,
    /// Open the file although its vectors are of another model, as re-embedding must.
    pub any_model: bool,
    /// Reading threads.
    pub reader_count: usize,
    /// Writes that may wait.
    pub write_queue_count_max: usize,
    /// Keep encoded writes for peers.
    pub keeps_ops: bool,
}

/// A database file, open for one process.
pub struct Store {
    path: PathBuf,
    traces: Arc<Traces>,
    writer: WriterPool,
    readers: ReaderPool,
}

impl Store {
    /// Opens a file, making or migrating it. Blocks; call it before requests are taken.
    ///
    /// # Errors
    /// Files of others, of later versions and of another model are left untouched.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let connection =
            open::open_writer(&options.path, |connection| initialise(connection, options))?;
        let state = WriterState::new(
            &connection,
            options.node.clone(),
            rand::random(),
            options.keeps_ops,
            crate::clock::now_ms(),
        )?;
        let traces = state.traces();
        let thread = |error: std::io::Error| StoreError::Damaged(error.to_string());
        let readers = ReaderPool::start(&options.path, options.reader_count)?;
        let writer =
            WriterPool::start(connection, state, options.write_queue_count_max).map_err(thread)?;
        Ok(Store { path: options.path.clone(), traces, writer, readers })
    }

    /// Runs `work` in a write transaction; answers once it is on disk.
    ///
    /// # Errors
    /// Those of `work` (its changes are undone) and of the file.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let span = telemetry::child_span(|| {
            tracing::info_span!(
                target: telemetry::SPAN,
                "store.write",
                db.system.name = "sqlite",
                db.operation.name = "commit",
            )
        });
        self.writer.write(work).instrument(span).await
    }

    /// What a write that was lately made or taken in said of its trace.
    pub fn traceparent_of(&self, dot: &Dot) -> Option<String> {
        self.traces.of(dot)
    }

    /// Runs `work` on one snapshot of the file.
    ///
    /// # Errors
    /// Those of `work`; `Deadline` when it takes too long, `QueueFull` when too many wait.
    pub async fn read<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let span = telemetry::child_span(|| {
            tracing::info_span!(
                target: telemetry::SPAN,
                "store.read",
                db.system.name = "sqlite",
                db.operation.name = "select",
            )
        });
        let result = self.readers.read(deadline, work).instrument(span).await;
        if let Err(error) = &result
            && error.is_fatal()
        {
            self.writer.distrust(error);
        }
        result
    }

    /// The last write of this run, told after every commit that held some.
    pub fn committed(&self) -> watch::Receiver<OwnHead> {
        self.writer.committed()
    }

    /// Told after every commit, whoever wrote.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.writer.changes()
    }

    /// Whether the file takes writes.
    pub fn state(&self) -> StoreState {
        self.writer.state()
    }

    /// Bytes of the file and its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        let (file, log) = self.sizes_bytes();
        file + log
    }

    /// Bytes of the file alone, and of its write-ahead log.
    pub fn sizes_bytes(&self) -> (u64, u64) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        (size(&self.path), size(&write_ahead_log(&self.path)))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finishes what is queued and closes the file. Blocks.
    pub fn close(&self) {
        self.readers.close();
        self.writer.close();
    }
}

/// Where SQLite keeps what is not yet folded into a file.
fn write_ahead_log(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The model that a file's vectors are of, without opening it for writing; `None` when the file
/// is not there or records none.
///
/// # Errors
/// As SQLite says.
pub fn recorded_model(path: &Path) -> Result<Option<(String, usize)>, StoreError> {
    let FileKind::Ours(_) = identify(path)? else { return Ok(None) };
    let connection = open::open_reader(path)?;
    // Not what `identify` says: after a crash the schema may lie in the write-ahead log alone.
    if open::version(&connection)? == 0 {
        return Ok(None);
    }
    reembed::recorded_model(&connection)
}

/// The first schema with an index of reserved records; keys are younger.
const RESERVED_SINCE: i64 = 2;

/// Whether a file holds API keys, without opening it for writing.
///
/// # Errors
/// As SQLite says.
pub fn holds_keys(path: &Path) -> Result<bool, StoreError> {
    let FileKind::Ours(_) = identify(path)? else { return Ok(false) };
    let connection = open::open_reader(path)?;
    if open::version(&connection)? < RESERVED_SINCE {
        return Ok(false);
    }
    Reader::new(&connection).has_sealed()
}

/// Fills a new file's settings, or checks an old one's against ours.
fn initialise(connection: &Connection, options: &StoreOptions) -> Result<(), StoreError> {
    if let Some((recorded, dimension)) = reembed::recorded_model(connection)? {
        let same = recorded == options.model && dimension == options.dimension;
        if !same && !options.any_model {
            return Err(StoreError::OtherModel {
                recorded: format!("{recorded} ({dimension} dimensions)"),
                configured: format!("{} ({} dimensions)", options.model, options.dimension),
            });
        }
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    open::set_meta(connection, "cluster_id", rand::random::<[u8; 16]>())?;
    open::set_meta(connection, "model", &options.model)?;
    open::set_meta(connection, "dimension", options.dimension as i64)?;
    open::set_meta(connection, "metric", "cosine")?;
    if options.keeps_ops {
        // A new file of a node with peers: what is written before it meets them does not keep it
        // from joining.
        open::set_meta(connection, "membership", "pending")?;
    }
    reembed::create_embeddings(connection, options.dimension)?;
    connection.execute_batch("COMMIT")?;
    Ok(())
}
