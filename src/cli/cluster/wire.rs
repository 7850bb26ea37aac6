//! The parts of the cluster's answers that are shown to people.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Ranges of numbers, both ends included, by node run.
pub(super) type Vector = BTreeMap<String, Vec<(u64, u64)>>;

/// How many numbers ranges hold.
pub(super) fn count(runs: &[(u64, u64)]) -> u64 {
    runs.iter().map(|(lo, hi)| hi.saturating_sub(*lo).saturating_add(1)).sum()
}

/// `GET /api/cluster/digest`.
#[derive(Debug, Deserialize)]
pub(super) struct Digest {
    pub(super) root: String,
    pub(super) count: u64,
    pub(super) vector: Vector,
    pub(super) buckets: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Bucket {
    pub(super) bucket: u16,
    pub(super) digest: Option<String>,
}

/// `POST /api/cluster/init` and `join`.
#[derive(Debug, Deserialize)]
pub(super) struct Membership {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) node: String,
    pub(super) membership: String,
    pub(super) memories: u64,
}

/// `POST /api/cluster/snapshot`.
#[derive(Debug, Deserialize)]
pub(super) struct Snapshot {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) records: u64,
}

/// A decision that was taken.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub(super) message: String,
}

/// `GET /api/cluster/quarantine`.
#[derive(Debug, Deserialize)]
pub(super) struct Quarantine {
    pub(super) quarantine: Vec<Held>,
    pub(super) count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Held {
    pub(super) position: String,
    pub(super) reason: String,
    pub(super) at: f64,
    pub(super) bytes: u64,
}

/// `GET /api/cluster`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) enabled: bool,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) membership: String,
    pub(super) connected: bool,
    pub(super) joining: String,
    pub(super) outbox: u64,
    pub(super) quarantined: u64,
    pub(super) stream: Option<Stream>,
    pub(super) transfer: Option<Transfer>,
    pub(super) origins: Vec<Origin>,
    pub(super) nodes: Vec<Node>,
    pub(super) pruning: Pruning,
    pub(super) alarms: Vec<Alarm>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) behind: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Transfer {
    pub(super) from: String,
    pub(super) reason: String,
    pub(super) records: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Origin {
    pub(super) origin: String,
    pub(super) lag_ops: u64,
    pub(super) lag_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) node: String,
    pub(super) this: bool,
    pub(super) live: bool,
    pub(super) state: String,
    pub(super) heard_ms: u64,
    pub(super) lacks_ops: u64,
    pub(super) root: Option<String>,
    pub(super) version: Option<String>,
    pub(super) records: Option<u64>,
    pub(super) disk_percent: Option<u8>,
    pub(super) clock_offset_ms: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pruning {
    pub(super) kept_ops: u64,
    pub(super) kept_bytes: u64,
    pub(super) not_everywhere_ops: u64,
    pub(super) held_back_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alarm {
    pub(super) kind: String,
    pub(super) detail: String,
    pub(super) since: f64,
}
