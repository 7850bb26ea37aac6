//! All replicated state as a file of its own, for nodes that join.

use std::path::Path;

use memnode_cluster::wire::TransferRecord;
use memnode_cluster::{BUCKET_COUNT, Bucket, RecordId, Vector, bucket_of};
use rusqlite::Connection;

use super::super::error::StoreError;
use super::super::open::{
    FileKind, create_new, identify, meta, open_reader, open_writer, read_only_uri, set_meta,
};
use super::super::reader::Reader;
use super::super::reembed::create_embeddings;
use super::super::{applied, digest};
use super::copy;
use crate::Error;

/// The key of the table `meta` that holds the digest root of a snapshot.
const ROOT: &str = "snapshot_root";

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The writes that its state is the join of.
    pub vector: Vector,
    /// Its digest root.
    pub root: [u8; 16],
    /// Records, dead ones included.
    pub record_count: u64,
}

/// What came of taking a snapshot in.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// What the snapshot held.
    pub snapshot: Snapshot,
    /// Whether it was copied into an empty file, or joined with what was there.
    pub is_copied: bool,
    /// Records that break the rules, and how: its vector was not adopted.
    pub refused: Vec<(RecordId, String)>,
}

/// Writes all replicated state of a file into a new one, as of one moment, and nothing local: no
/// payloads, no logs, no answers, no settings but the model.
pub(in super::super) fn write(source: &Path, target: &Path) -> Result<Snapshot, StoreError> {
    let mut made = None;
    create_new(target, |connection| {
        copy::attach(connection, &read_only_uri(source))?;
        let (model, dimension) = source_model(connection)?;
        set_meta(connection, "model", &model)?;
        set_meta(connection, "dimension", dimension)?;
        create_embeddings(connection, usize::try_from(dimension).unwrap_or_default())?;
        let cluster: [u8; 16] = connection.query_row(
            "SELECT value FROM source.meta WHERE key = 'cluster_id'",
            [],
            |row| row.get(0),
        )?;
        set_meta(connection, "cluster_id", cluster)?;
        made = Some(copy::copy(connection, |connection| {
            let snapshot = describe(connection)?;
            set_meta(connection, ROOT, snapshot.root)?;
            Ok(snapshot)
        })?);
        Ok(())
    })?;
    Ok(made.expect("a file that was made is filled"))
}

fn source_model(connection: &Connection) -> Result<(String, i64), StoreError> {
    let sql = "SELECT m.value, d.value FROM source.meta m, source.meta d \
               WHERE m.key = 'model' AND d.key = 'dimension'";
    Ok(connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Opens a snapshot, which the caller has for itself: one of an older schema is brought up to
/// date.
///
/// # Errors
/// `Refused` for a file that is no snapshot, or whose root its records do not make.
pub(in super::super) fn open(path: &Path) -> Result<(Connection, Snapshot), StoreError> {
    read(path).map_err(untrusted)
}

fn read(path: &Path) -> Result<(Connection, Snapshot), StoreError> {
    let FileKind::Ours(_) = identify(path)? else { return Err(refused("the file is no snapshot")) };
    drop(open_writer(path, |_| Ok(()))?);
    let connection = open_reader(path)?;
    let root: [u8; 16] =
        meta(&connection, ROOT)?.ok_or_else(|| refused("the file is no snapshot"))?;
    let snapshot = describe(&connection)?;
    if snapshot.root != root || recount(&connection)? != digest::buckets(&connection)? {
        return Err(refused("the snapshot does not hold what it says"));
    }
    Ok((connection, snapshot))
}

/// Whether nothing was ever taken in or written here, so that a snapshot can take the place of
/// everything.
pub(in super::super) fn is_fresh(connection: &Connection) -> Result<bool, StoreError> {
    for table in ["memory", "applied", "quarantine", "op"] {
        if connection.prepare(&format!("SELECT 1 FROM {table} LIMIT 1"))?.exists([])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies a snapshot into a fresh file, to which all of it is as new as `now` (Unix seconds):
/// others, who knew the file empty, hear in its next heartbeats what it has. Uses a connection of
/// its own, so that the writer's sees the new word index as another's change.
///
/// # Errors
/// `Refused` when the copy is not what the snapshot says.
pub(in super::super) fn install(
    target: &Path,
    source: &Path,
    snapshot: &Snapshot,
    now: f64,
) -> Result<(), StoreError> {
    let connection = open_writer(target, |_| Ok(()))?;
    copy::attach(&connection, &read_only_uri(source)).map_err(untrusted)?;
    let copied = copy::copy(&connection, |connection| {
        connection.execute("UPDATE origin SET changed_at = max(changed_at, ?1)", [now])?;
        let counts = recount(connection)? == digest::buckets(connection)?;
        if counts && describe(connection)? == *snapshot {
            Ok(())
        } else {
            Err(refused("the copy of the snapshot is not what it should be"))
        }
    });
    copied.map_err(untrusted)?;
    // What was copied need not lie in the write-ahead log as well.
    connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)")?;
    Ok(())
}

/// Damage that is met while a snapshot is read is taken to be the snapshot's: the store itself
/// must not stop over it. Were it the store's own, the next write would meet it again.
fn untrusted(error: StoreError) -> StoreError {
    if error.is_fatal() {
        let why = "the snapshot or its copy cannot be read";
        return Error::invalid(why).reason("invalid_snapshot").source(error).into();
    }
    error
}

/// A page of a snapshot's records, for joining.
pub(in super::super) fn records(
    connection: &Connection,
    after: Option<RecordId>,
) -> Result<(Vec<TransferRecord>, bool), StoreError> {
    let last = BUCKET_COUNT as u16 - 1;
    Reader::new(connection).transfer_bucket_records(0, last, after)
}

fn describe(connection: &Connection) -> Result<Snapshot, StoreError> {
    let buckets = digest::buckets(connection)?;
    Ok(Snapshot {
        vector: applied::read(connection)?,
        root: memnode_cluster::root(&buckets),
        record_count: buckets.iter().map(|bucket| bucket.count).sum(),
    })
}

/// The buckets that the state hashes of all records make.
fn recount(connection: &Connection) -> Result<Vec<Bucket>, StoreError> {
    let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
    let mut statement = connection.prepare("SELECT id, version FROM memory")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        if let Some(bucket) = buckets.get_mut(usize::from(bucket_of(&id))) {
            bucket.insert(&row.get(1)?);
        }
    }
    Ok(buckets)
}

fn refused(why: &str) -> StoreError {
    Error::invalid(why).reason("invalid_snapshot").into()
}
