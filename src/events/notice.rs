//! What belongs to one node alone: it is told as it happens and never replayed.

use serde::Serialize;

use super::EventKind;
use crate::memory::NamespaceSet;

/// How a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// From now on.
    Fresh,
    /// Where the consumer left off.
    Resumed,
    /// From now on; the log does not tell all that the consumer missed: it should read anew what
    /// it shows.
    Reset,
}

/// The status of a replay as the wire shows it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReplayStatus {
    /// How the stream begins.
    pub status: Replay,
}

impl From<Replay> for ReplayStatus {
    fn from(status: Replay) -> Self {
        ReplayStatus { status }
    }
}

/// Something to tell the subscribers of this node.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Notice {
    /// The stream begins, or begins anew.
    ConnectionEstablished {
        /// Random.
        connection_id: String,
        /// For people.
        message: &'static str,
        /// Seconds between heartbeats.
        heartbeat_interval: u64,
        /// How the stream begins.
        replay: ReplayStatus,
    },
    /// A search was answered.
    SearchCompleted {
        /// Where it looked; only who may read all of that is told.
        #[serde(skip)]
        namespaces: NamespaceSet,
        /// What was asked.
        query: String,
        /// How it was answered.
        search_type: &'static str,
        /// How many were found.
        results_count: usize,
        /// How long it took.
        processing_time_ms: f64,
        /// For people.
        message: String,
    },
    /// How a backup goes on.
    BackupStatus {
        /// `copying`, `verifying`, `completed` or `failed`.
        phase: &'static str,
        /// Bytes so far.
        bytes_done: u64,
        /// Bytes in all.
        bytes_total: u64,
        /// For people.
        message: String,
    },
    /// The node got better or worse.
    HealthUpdate {
        /// `healthy`, `degraded` or `unhealthy`.
        status: &'static str,
        /// Part by part.
        details: serde_json::Value,
        /// For people.
        message: String,
    },
    /// How far the node is with taking in what it missed.
    SyncProgress {
        /// Why: `joining`, `pruned`, `divergence` or `catch_up`.
        sync_type: &'static str,
        /// So far.
        synced_count: u64,
        /// In all, as far as is known.
        total_count: u64,
        /// What is left, as far as is known.
        remaining_count: u64,
        /// For people.
        message: String,
    },
    /// The node has taken in what it missed.
    SyncCompleted {
        /// Why it was missed.
        sync_type: &'static str,
        /// How much there was.
        synced_count: u64,
        /// The same.
        total_count: u64,
        /// How long it took.
        time_taken_seconds: f64,
        /// For people.
        message: String,
    },
    /// The node is there.
    Heartbeat {
        /// Subscribers.
        active_connections: u64,
        /// As in `health_update`.
        server_status: &'static str,
    },
}

impl Notice {
    /// What it is told as.
    pub fn kind(&self) -> EventKind {
        match self {
            Notice::ConnectionEstablished { .. } => EventKind::ConnectionEstablished,
            Notice::SearchCompleted { .. } => EventKind::SearchCompleted,
            Notice::BackupStatus { .. } => EventKind::BackupStatus,
            Notice::HealthUpdate { .. } => EventKind::HealthUpdate,
            Notice::SyncProgress { .. } => EventKind::SyncProgress,
            Notice::SyncCompleted { .. } => EventKind::SyncCompleted,
            Notice::Heartbeat { .. } => EventKind::Heartbeat,
        }
    }
}

/// The data of a notice.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) timestamp: String,
    #[serde(flatten)]
    pub(super) notice: &'a Notice,
}
