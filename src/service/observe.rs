//! What metrics show of the node at one moment: read when somebody asks, at most once a second, and
//! without a scan of the file.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use memnode_cluster::Vector;
use memnode_cluster::replicator::{AlarmKind, Status};
use tokio::sync::Mutex;

use super::{ModelState, Service, StoreState};
use crate::auth::{Access, Principal};
use crate::index::shared::State as IndexState;
use crate::replica::Replica;
use crate::store::Reader;
use crate::telemetry::{self, Reading, gauges};
use crate::{Result, machine};

/// A reading is shown for so long before another is made.
const AGE_MAX: Duration = Duration::from_secs(1);
/// How often a node is read that sends its metrics by itself.
const INTERVAL: Duration = Duration::from_secs(5);

/// What is kept between two readings.
#[derive(Default)]
pub(super) struct Observed(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    at: Option<Instant>,
    /// Whether peers that had applied the same writes held the same, when that was last seen.
    equal: BTreeMap<String, bool>,
}

/// What the file says.
struct OfFile {
    live_count: u64,
    code_head: i64,
    change_head: u64,
    kept_bytes: u64,
    held: Vector,
    vector_hash: [u8; 16],
    root: [u8; 16],
    dead_count: u64,
    has_forged_keys: bool,
}

impl Service {
    /// Reads the node, for the metrics of this process to show.
    ///
    /// # Errors
    /// `Forbidden` without `read` everywhere; those of the file.
    pub async fn observe(&self, who: &Principal) -> Result<()> {
        who.require_everywhere(Access::Read)?;
        self.observe_now().await
    }

    /// Reads the node every few seconds until it stops, for a collector.
    pub fn observe_regularly(&self) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            loop {
                if let Err(error) = service.observe_now().await {
                    tracing::debug!(%error, "the node was not read for its metrics");
                }
                tokio::select! {
                    () = service.parts.shutdown.cancelled() => return,
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
        });
    }

    async fn observe_now(&self) -> Result<()> {
        let mut kept = self.observed.0.lock().await;
        if kept.at.is_some_and(|at| at.elapsed() < AGE_MAX) {
            return Ok(());
        }
        let file = self.read(of_file).await?;
        let newest_backup = self.newest_backup().await;
        let mut reading = Reading::default();
        self.read_parts(&file, &mut reading);
        reading.set(gauges::BACKUP_TIME, newest_backup.unwrap_or(0.0));
        reading.set_whether(gauges::BACKUP_SCHEDULED, self.backups_are_scheduled());
        read_process(self.uptime(), &mut reading);
        let status = self.parts.replica.as_ref().map(Replica::status);
        self.read_alarms(status.as_ref(), &file, &mut reading);
        if let (Some(replica), Some(status)) = (&self.parts.replica, &status) {
            compare(&file, status, &mut kept.equal);
            read_replica(replica, &file, status, &kept.equal, &mut reading);
        }
        telemetry::publish(reading);
        kept.at = Some(Instant::now());
        Ok(())
    }

    fn read_parts(&self, file: &OfFile, reading: &mut Reading) {
        let readiness = self.readiness();
        let (is_writable, has_model) =
            (readiness.store == StoreState::Ok, readiness.model == ModelState::Ready);
        let (file_bytes, wal_bytes) = self.parts.store.sizes_bytes();
        let index = self.index_view();
        let index_head = self.index.present().map_or(0, |present| present.head());
        let (subscriber_count, told_n) = self.told().unwrap_or((0, file.change_head));
        reading.set_of(gauges::BUILD, env!("CARGO_PKG_VERSION"), 1.0);
        reading.set_whether(gauges::READY, is_writable && has_model && readiness.has_joined);
        reading.set(gauges::MEMORIES, file.live_count as f64);
        reading.set(gauges::FILE_SIZE, file_bytes as f64);
        reading.set(gauges::WAL_SIZE, wal_bytes as f64);
        if let Some(free) = machine::disk_free_bytes(self.parts.store.path()) {
            reading.set(gauges::DISK_FREE, free as f64);
        }
        reading.set_whether(gauges::WRITABLE, is_writable);
        reading.set(gauges::INDEX_ROWS, index.row_count as f64);
        reading.set(gauges::INDEX_SIZE, index.size_bytes as f64);
        reading.set_whether(gauges::INDEX_READY, index.state == IndexState::Ready);
        reading.set(gauges::INDEX_BEHIND, (file.code_head - index_head).max(0) as f64);
        reading.set(gauges::INDEX_GENERATION, index_head as f64);
        reading.set_whether(gauges::MODEL_READY, has_model);
        reading.set(gauges::EMBED_WAITING, self.parts.embedder.waiting_count() as f64);
        reading.set(gauges::SUBSCRIBERS, subscriber_count as f64);
        reading.set(gauges::EVENTS_BEHIND, file.change_head.saturating_sub(told_n) as f64);
        reading.set(gauges::WEBHOOKS_DEAD, file.dead_count as f64);
        reading.set(gauges::HELD, file.held.count() as f64);
    }

    /// 0 or 1 for every kind, so that each is there before it is needed.
    fn read_alarms(&self, status: Option<&Status>, file: &OfFile, reading: &mut Reading) {
        let up: Vec<&str> = status
            .map(|status| status.alarms.iter().map(|alarm| alarm.kind.as_str()).collect())
            .unwrap_or_default();
        for kind in AlarmKind::ALL.map(AlarmKind::as_str) {
            reading.set_of(gauges::ALARMS, kind, f64::from(u8::from(up.contains(&kind))));
        }
        let of_file = [
            (super::recount::ALARM, self.file_alarm().is_some()),
            (super::forged::ALARM, file.has_forged_keys),
        ];
        for (kind, is_up) in of_file {
            reading.set_of(gauges::ALARMS, kind, f64::from(u8::from(is_up)));
        }
    }
}

fn of_file(reader: &Reader<'_>) -> Result<OfFile, crate::store::StoreError> {
    let beat = reader.beat(f64::MAX)?;
    Ok(OfFile {
        live_count: reader.live_count()?,
        code_head: reader.code_head()?,
        change_head: beat.change_head,
        kept_bytes: reader.op_bytes()?.1,
        vector_hash: beat.vector.hash(),
        root: beat.root,
        held: beat.held,
        dead_count: reader.dead_letters(0)?.1,
        has_forged_keys: reader.forged_keys()?.is_some(),
    })
}

/// Takes note of the peers that say what they hold of just the writes that are applied here.
fn compare(file: &OfFile, status: &Status, equal: &mut BTreeMap<String, bool>) {
    for peer in &status.peers {
        let Some(beat) = &peer.beat else { continue };
        let Some(root) = &beat.root else { continue };
        if beat.vector_hash == file.vector_hash {
            equal.insert(peer.node.to_string(), root.0 == file.root);
        }
    }
    equal.retain(|node, _| status.peers.iter().any(|peer| peer.node.as_str() == node));
}

fn read_replica(
    replica: &Replica,
    file: &OfFile,
    status: &Status,
    equal: &BTreeMap<String, bool>,
    reading: &mut Reading,
) {
    let (received, sent) = replica.traffic_bytes();
    reading.set_whether(gauges::NATS_CONNECTED, status.is_connected);
    reading.set(gauges::NATS_RECEIVED, received as f64);
    reading.set(gauges::NATS_SENT, sent as f64);
    reading.set(gauges::OUTBOX, status.outbox_count as f64);
    reading.set(gauges::INBOX, status.inbox_count as f64);
    reading.set(gauges::STREAM_BEHIND, status.stream_behind_count as f64);
    reading.set(gauges::KEPT_SIZE, file.kept_bytes as f64);
    reading.set(gauges::TRANSFERS, status.transfer_count as f64);
    let live = status.peers.iter().filter(|peer| peer.is_live).count();
    reading.set(gauges::PEERS_LIVE, live as f64);
    // A node that was restarted is known under several runs: what counts is the node.
    let mut lags: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for origin in &status.origins {
        let lag = lags.entry(origin.origin.node.as_str()).or_default();
        *lag = (lag.0 + origin.behind_count, lag.1.max(origin.behind_ms));
    }
    for (node, (count, ms)) in lags {
        reading.set_of(gauges::LAG_OPS, node, count as f64);
        reading.set_of(gauges::LAG_TIME, node, ms as f64 / 1000.0);
    }
    let mut peers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for peer in &status.peers {
        let fresh = (peer.age_ms, peer.lacks_count);
        let known = peers.entry(peer.node.as_str()).or_insert(fresh);
        *known = (*known).min(fresh);
    }
    for (node, (age_ms, lacks_count)) in peers {
        reading.set_of(gauges::PEER_AGE, node, age_ms as f64 / 1000.0);
        reading.set_of(gauges::PEER_LACKS, node, lacks_count as f64);
        let is_equal = equal.get(node).copied().unwrap_or(true);
        reading.set_of(gauges::DIGEST_EQUAL, node, f64::from(u8::from(is_equal)));
    }
}

fn read_process(uptime: Duration, reading: &mut Reading) {
    let known = [
        (gauges::CPU, machine::cpu_seconds()),
        (gauges::RESIDENT, machine::resident_bytes().map(|bytes| bytes as f64)),
        (gauges::DESCRIPTORS, machine::descriptor_count().map(|count| count as f64)),
        (gauges::DESCRIPTORS_MAX, machine::descriptor_count_max().map(|count| count as f64)),
        (gauges::START_TIME, Some(crate::clock::now_seconds() - uptime.as_secs_f64())),
    ];
    for (gauge, number) in known {
        if let Some(number) = number {
            reading.set(gauge, number);
        }
    }
}
