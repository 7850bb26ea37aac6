//! Changes of the node's own state, as events.

use std::collections::BTreeSet;

use memnode_cluster::replicator::TransferReason;
use serde_json::json;
use tokio::time::Instant;

use super::super::cluster::reason_name;
use super::super::{IndexState, ModelState, Service, StoreState};
use crate::events::Notice;
use crate::replica::Replica;

/// How the node was when it was last looked at.
pub(super) struct Health {
    state: State,
    /// The alarms that the file knew of when it could be read last.
    of_file: Vec<&'static str>,
    transfer: Option<Transfer>,
    transfer_count: u64,
}

/// What `health_update` tells of: what `/readyz` and `/api/health/detailed` tell, without the
/// reasons and the numbers.
#[derive(Clone, PartialEq)]
struct State {
    store: &'static str,
    model: &'static str,
    index: &'static str,
    is_connected: Option<bool>,
    has_joined: bool,
    alarms: BTreeSet<&'static str>,
}

/// A state transfer that runs.
struct Transfer {
    sync_type: &'static str,
    synced_count: u64,
    started: Instant,
}

impl Health {
    pub(super) async fn of(service: &Service) -> Self {
        let status = service.parts.replica.as_ref().map(Replica::status);
        let transfer_count = status.map_or(0, |status| status.transfer_count);
        let of_file = service.alarms_of_file().await.unwrap_or_default();
        let state = State::of(service, &of_file);
        Health { state, of_file, transfer: None, transfer_count }
    }

    pub(super) fn status(&self) -> &'static str {
        self.state.status()
    }

    /// What changed since the last look.
    pub(super) async fn news(&mut self, service: &Service) -> Vec<Notice> {
        let mut news = Vec::new();
        match service.alarms_of_file().await {
            Ok(alarms) => self.of_file = alarms,
            // A file that cannot be read makes no alarm go away.
            Err(error) => tracing::debug!(%error, "the alarms of the file were not read"),
        }
        let state = State::of(service, &self.of_file);
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
    fn of(service: &Service, of_file: &[&'static str]) -> Self {
        let readiness = service.readiness();
        let status = service.parts.replica.as_ref().map(Replica::status);
        let alarms = status.iter().flat_map(|status| &status.alarms);
        State {
            store: match readiness.store {
                StoreState::Ok => "ok",
                StoreState::Full => "full",
                StoreState::ReadOnly(_) => "read_only",
            },
            model: match readiness.model {
                ModelState::Ready => "ready",
                ModelState::Loading => "loading",
                ModelState::Failed(_) => "failed",
            },
            index: match service.index_view().state {
                IndexState::Ready => "ready",
                IndexState::Building { .. } => "building",
                IndexState::Failed(_) => "failed",
            },
            is_connected: status.as_ref().map(|status| status.is_connected),
            has_joined: readiness.has_joined,
            alarms: alarms
                .map(|alarm| alarm.kind.as_str())
                .chain(of_file.iter().copied())
                .collect(),
        }
    }

    fn status(&self) -> &'static str {
        if self.store != "ok" || self.model == "failed" {
            return "unhealthy";
        }
        let is_whole = self.model == "ready" && self.index != "failed" && self.has_joined;
        if !is_whole || self.is_connected == Some(false) || !self.alarms.is_empty() {
            return "degraded";
        }
        "healthy"
    }

    fn notice(&self) -> Notice {
        let nats = self.is_connected.map(|is| if is { "connected" } else { "disconnected" });
        Notice::HealthUpdate {
            status: self.status(),
            details: json!({
                "store": self.store,
                "model": self.model,
                "index": self.index,
                "joined": self.has_joined,
                "nats": nats,
                "alarms": self.alarms,
            }),
            message: self.sentence(nats),
        }
    }

    fn sentence(&self, nats: Option<&str>) -> String {
        let mut parts = vec![match self.store {
            "full" => "the disk is full: writes are refused".to_owned(),
            "read_only" => "the database takes no writes until the node is started anew".to_owned(),
            _ => "the database takes writes".to_owned(),
        }];
        match self.model {
            "loading" => parts.push("the model is still loading".to_owned()),
            "failed" => parts.push("the model could not be loaded".to_owned()),
            _ => {}
        }
        match self.index {
            "building" => parts.push("the search index is being made".to_owned()),
            "failed" => parts.push("the search index could not be made".to_owned()),
            _ => {}
        }
        if !self.has_joined {
            parts.push("the node takes the memories of its cluster over".to_owned());
        }
        parts.extend(nats.map(|nats| format!("NATS: {nats}")));
        if !self.alarms.is_empty() {
            let alarms: Vec<&str> = self.alarms.iter().copied().collect();
            parts.push(format!("alarms: {}", alarms.join(", ")));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node of a cluster with nothing wrong.
    fn well() -> State {
        State {
            store: "ok",
            model: "ready",
            index: "ready",
            is_connected: Some(true),
            has_joined: true,
            alarms: BTreeSet::new(),
        }
    }

    fn check(state: State, status: &str, told: &str) {
        assert_eq!(state.status(), status, "{}", state.sentence(None));
        assert!(state.sentence(Some("connected")).contains(told), "{told}");
    }

    #[test]
    fn what_is_wrong_decides_the_status_and_is_in_the_sentence() {
        check(well(), "healthy", "the database takes writes; NATS: connected");
        check(State { is_connected: None, ..well() }, "healthy", "takes writes");
        check(State { index: "building", ..well() }, "healthy", "index is being made");
        check(State { store: "full", ..well() }, "unhealthy", "the disk is full");
        check(State { store: "read_only", ..well() }, "unhealthy", "takes no writes");
        check(State { model: "failed", ..well() }, "unhealthy", "could not be loaded");
        check(State { model: "loading", ..well() }, "degraded", "still loading");
        check(State { index: "failed", ..well() }, "degraded", "index could not be made");
        check(State { has_joined: false, ..well() }, "degraded", "takes the memories");
        check(State { is_connected: Some(false), ..well() }, "degraded", "NATS");
        let alarms = BTreeSet::from(["file_damaged", "forged_key"]);
        check(State { alarms, ..well() }, "degraded", "alarms: file_damaged, forged_key");
    }
}
