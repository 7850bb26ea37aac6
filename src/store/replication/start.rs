//! What replication needs to know when it starts, and at every heartbeat.

use std::collections::BTreeMap;

use memnode_cluster::{ClusterId, Dot, IntervalSet, Origin, Vector};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::super::applied;
use super::super::digest;
use super::super::error::StoreError;
use super::super::open::meta;
use super::super::reader::Reader;
use super::super::writer::WriterState;
use super::batch::Cursor;
use super::members::{Member, members};
use super::publish::unpublished;

/// The namespace of dots that an administrator gave up.
pub(super) const VOID_NAMESPACE: &str = "_void";
/// How long after a change its time may be noted, in seconds.
const CHANGED_SLACK_SECONDS: f64 = 60.0;

/// What a node was when it was last closed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaStart {
    /// The cluster that the file belongs to.
    pub cluster: ClusterId,
    /// Whether nothing was ever written here.
    pub is_fresh: bool,
    /// What is applied.
    pub vector: Vector,
    /// What lies in quarantine.
    pub held: Vector,
    /// How far the stream was read.
    pub cursor: Option<Cursor>,
    /// Own writes of all runs that are kept and not in the stream.
    pub unpublished: Vec<(Origin, IntervalSet)>,
    /// The live records of every reserved namespace: key and value.
    pub reserved: BTreeMap<String, Vec<(String, Value)>>,
    /// The nodes that are remembered.
    pub members: Vec<Member>,
    /// Dots that an administrator gave up.
    pub voided: Vector,
}

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
    /// What replication starts from.
    ///
    /// # Errors
    /// Those of the file.
    pub fn replica_start(&self) -> Result<ReplicaStart, StoreError> {
        let connection = self.connection();
        let cluster: [u8; 16] = meta(connection, "cluster_id")?
            .ok_or_else(|| StoreError::Damaged("the file has no cluster id".to_owned()))?;
        let vector = applied::read(connection)?;
        let has_rows = connection.prepare_cached("SELECT 1 FROM memory LIMIT 1")?.exists([])?;
        let mut reserved = BTreeMap::new();
        for namespace in self.reserved_namespaces()? {
            reserved.insert(namespace.clone(), self.reserved(&namespace)?);
        }
        Ok(ReplicaStart {
            cluster: ClusterId(cluster),
            is_fresh: !has_rows && vector.is_empty(),
            held: applied::held(connection)?,
            cursor: cursor(connection)?,
            unpublished: unpublished(connection)?,
            members: members(connection)?,
            voided: reserved.get(VOID_NAMESPACE).map(dots).unwrap_or_default(),
            reserved,
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

fn cursor(connection: &Connection) -> Result<Option<Cursor>, StoreError> {
    let sql = "SELECT stream_created, seq FROM cursor LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement
        .query_row([], |row| Ok(Cursor { stream_created: row.get(0)?, seq: row.get(1)? }))
        .optional()?;
    Ok(found)
}

/// The dots that records are named by; other keys say nothing to this version.
pub(super) fn dots(records: &Vec<(String, Value)>) -> Vector {
    let mut voided = Vector::default();
    for (key, value) in records {
        if let (Ok(dot), false) = (key.parse::<Dot>(), value.is_null()) {
            voided.insert(&dot);
        }
    }
    voided
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
