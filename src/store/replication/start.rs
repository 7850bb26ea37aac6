//! What replication needs to know when it starts, and at every heartbeat.

use memnode_cluster::replicator::{Position, Start};
use memnode_cluster::{Origin, Vector};
use rusqlite::{Connection, OptionalExtension};

use super::super::applied;
use super::super::digest;
use super::super::error::StoreError;
use super::super::feed;
use super::super::reader::Reader;
use super::super::writer::WriterState;
use super::members::members;
use super::publish::unpublished;

/// How long after a change its time may be noted, in seconds.
const CHANGED_SLACK_SECONDS: f64 = 60.0;

/// How long after states of a peer were joined a start takes it that the transfer may have been cut
/// short, in seconds: what it left out arrives within minutes.
const JOINED_LATELY_SECONDS: f64 = 600.0;

/// What a node says of itself, of one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Beat {
    /// All that is applied.
    pub vector: Vector,
    /// Of the origins that changed lately or have holes.
    pub recent: Vector,
    /// The digest root.
    pub root: [u8; 16],
    /// Records, dead ones included.
    pub record_count: u64,
    /// The head of the change log.
    pub change_head: u64,
    /// What lies in quarantine.
    pub held: Vector,
}

/// The last write of this run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnHead {
    /// The run; `None` before its first write.
    pub origin: Option<Origin>,
    /// The number of its last write.
    pub head: u64,
}

impl Reader<'_> {
    /// What replication starts from; `now` in Unix seconds.
    ///
    /// # Errors
    /// Those of the file.
    pub fn replica_start(&self, now: f64) -> Result<Start, StoreError> {
        let connection = self.connection();
        let vector = applied::read(connection)?;
        let has_rows = connection.prepare_cached("SELECT 1 FROM memory LIMIT 1")?.exists([])?;
        let (_, voided) = self.decisions()?;
        Ok(Start {
            is_fresh: !has_rows && vector.is_empty(),
            held: applied::held(connection)?,
            cursor: cursor(connection)?,
            unpublished: unpublished(connection)?,
            members: members(connection, now)?,
            has_joined_lately: feed::joined_at(connection)?
                .is_some_and(|at| (now - at).abs() < JOINED_LATELY_SECONDS),
            voided,
            vector,
        })
    }

    /// All that is applied here.
    pub fn vector(&self) -> Result<Vector, StoreError> {
        applied::read(self.connection())
    }

    /// What a heartbeat says, all of one snapshot; `since` (Unix seconds) says what is recent.
    ///
    /// # Errors
    /// Those of the file.
    pub fn beat(&self, since: f64) -> Result<Beat, StoreError> {
        let connection = self.connection();
        let vector = applied::read(connection)?;
        let mut recent = applied::read_since(connection, since - CHANGED_SLACK_SECONDS)?;
        for (origin, set) in vector.iter().filter(|(_, set)| !set.is_gapless()) {
            recent.replace(origin, set.clone());
        }
        let buckets = digest::buckets(connection)?;
        let sql = "SELECT ifnull(max(n), 0) FROM change_log";
        Ok(Beat {
            root: memnode_cluster::root(&buckets),
            record_count: buckets.iter().map(|bucket| bucket.count).sum(),
            change_head: connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?,
            held: applied::held(connection)?,
            vector,
            recent,
        })
    }
}

fn cursor(connection: &Connection) -> Result<Option<Position>, StoreError> {
    let sql = "SELECT stream_created, seq FROM cursor LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement
        .query_row([], |row| Ok(Position { created: row.get(0)?, seq: row.get(1)? }))
        .optional()?;
    Ok(found)
}

/// The last number that this run drew, as it is on disk.
pub(in super::super) fn own_head(
    connection: &Connection,
    state: &WriterState,
) -> Result<OwnHead, StoreError> {
    let origin = state.origin();
    let key = rusqlite::params![origin.node.as_str(), origin.epoch.cast_signed()];
    let sql = "SELECT head FROM origin WHERE node = ?1 AND epoch = ?2 AND head > 0";
    let mut statement = connection.prepare_cached(sql)?;
    let head: Option<u64> = statement.query_row(key, |row| row.get(0)).optional()?;
    Ok(head.map_or_else(OwnHead::default, |head| OwnHead { origin: Some(origin), head }))
}
