//! Changes of the node's own state, as events.

use std::collections::BTreeSet;

use memnode_cluster::replicator::TransferReason;
use serde_json::json;
use tokio::time::Instant;

use super::super::cluster::reason_name;
use super::super::{Service, StoreState};
use crate::events::Notice;
use crate::replica::Replica;

/// How the node was when it was last looked at.
pub(super) struct Health {
    state: State,
    transfer: Option<Transfer>,
    transfer_count: u64,
}

/// What `health_update` tells of.
#[derive(Clone, PartialEq)]
struct State {
    store: &'static str,
    is_connected: Option<bool>,
    alarms: BTreeSet<&'static str>,
}

/// A state transfer that runs.
struct Transfer {
    sync_type: &'static str,
    synced_count: u64,
    started: Instant,
}

impl Health {
    pub(super) fn of(service: &Service) -> Self {
        let status = service.parts.replica.as_ref().map(Replica::status);
        let transfer_count = status.map_or(0, |status| status.transfer_count);
        Health { state: State::of(service), transfer: None, transfer_count }
    }

    pub(super) fn status(&self) -> &'static str {
        self.state.status()
    }

    /// What changed since the last look.
    pub(super) fn news(&mut self, service: &Service) -> Vec<Notice> {
        let mut news = Vec::new();
        let state = State::of(service);
        if state != self.state {
            news.push(state.notice());
            self.state = state;
        }
        news.extend(self.sync(service));
        news
    }

    /// How a state transfer goes on.
    fn sync(&mut self, service: &Service) -> Option<Notice> {
        let status = service.parts.replica.as_ref()?.status();
        if let Some((peer, reason, record_count)) = &status.transfer {
            let (sync_type, synced_count) = (reason_name(*reason), *record_count);
            let before = self.transfer.take().filter(|before| before.sync_type == sync_type);
            let started = before.as_ref().map_or_else(Instant::now, |before| before.started);
            let is_news = before.is_none_or(|before| before.synced_count != synced_count);
            self.transfer = Some(Transfer { sync_type, synced_count, started });
            // A new node lacks all that the peer has; how much another lacks is known at the end.
            let beats = status.peers.iter().filter(|other| other.node == *peer);
            let told = beats.filter_map(|other| Some(other.beat.as_ref()?.record_count)).max();
            let is_joining = *reason == TransferReason::Joining;
            let total_count = told.filter(|_| is_joining).unwrap_or_default().max(synced_count);
            return is_news.then(|| Notice::SyncProgress {
                sync_type,
                synced_count,
                total_count,
                remaining_count: total_count - synced_count,
                message: format!("{synced_count} records taken over so far"),
            });
        }
        let is_done = status.transfer_count > self.transfer_count;
        self.transfer_count = status.transfer_count;
        let seen = self.transfer.take();
        // A short one may have come and gone between two looks.
        let (reason, count) = status.transferred.filter(|_| is_done)?;
        Some(Notice::SyncCompleted {
            sync_type: reason_name(reason),
            synced_count: count,
            total_count: count,
            time_taken_seconds: seen.map_or(0.0, |it| it.started.elapsed().as_secs_f64()),
            message: "another node's state was taken over".to_owned(),
        })
    }
}

impl State {
    fn of(service: &Service) -> Self {
        let store = match service.parts.store.state() {
            StoreState::Ok => "ok",
            StoreState::Full => "full",
            StoreState::ReadOnly(_) => "read_only",
        };
        let status = service.parts.replica.as_ref().map(Replica::status);
        let alarms = status.iter().flat_map(|status| &status.alarms);
        State {
            store,
            alarms: alarms.map(|alarm| alarm.kind.as_str()).collect(),
            is_connected: status.as_ref().map(|status| status.is_connected),
        }
    }

    fn status(&self) -> &'static str {
        if self.store != "ok" {
            "unhealthy"
        } else if self.is_connected == Some(false) || !self.alarms.is_empty() {
            "degraded"
        } else {
            "healthy"
        }
    }

    fn notice(&self) -> Notice {
        let nats = self.is_connected.map(|is| if is { "connected" } else { "disconnected" });
        let mut message = match self.store {
            "full" => "the disk is full: writes are refused".to_owned(),
            "read_only" => "the database takes no writes until the node is started anew".to_owned(),
            _ => "the database takes writes".to_owned(),
        };
        if let Some(nats) = nats {
            message.push_str(&format!("; NATS: {nats}"));
        }
        if !self.alarms.is_empty() {
            let alarms: Vec<&str> = self.alarms.iter().copied().collect();
            message.push_str(&format!("; alarms: {}", alarms.join(", ")));
        }
        Notice::HealthUpdate {
            status: self.status(),
            details: json!({"store": self.store, "nats": nats, "alarms": self.alarms}),
            message,
        }
    }
}
