//! Replication in a few numbers.

use super::super::Service;
use crate::Result;
use crate::auth::{Access, Principal};
use crate::replica::Replica;

/// Replication in a few numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncView {
    /// Whether this node has peers, or waits for some.
    pub is_enabled: bool,
    /// Whether the servers between the nodes can be reached.
    pub is_connected: bool,
    /// Nodes heard in the last seconds, this one not counted.
    pub live_peer_count: u64,
    /// Writes that are still to be exchanged, in both directions.
    pub pending_count: u64,
    /// Writes that are applied here.
    pub applied_count: u64,
    /// Writes in quarantine.
    pub held_count: u64,
    /// When nothing was known to be missing here, in Unix seconds; `None` while cut off.
    pub last_sync: Option<f64>,
    /// Seconds since then.
    pub since_sync_s: f64,
    /// The names of what is wrong.
    pub alarms: Vec<&'static str>,
}

impl Service {
    /// Replication in a few numbers. Those that count writes are 0 for a caller who may not read
    /// everything: they would tell how much others write.
    ///
    /// # Errors
    /// `Forbidden` without `read`; those of the file.
    pub async fn sync(&self, who: &Principal) -> Result<SyncView> {
        who.require_somewhere(Access::Read)?;
        let view = self.sync_view().await?;
        Ok(match who.require_everywhere(Access::Read) {
            Ok(()) => view,
            Err(_) => SyncView { pending_count: 0, applied_count: 0, held_count: 0, ..view },
        })
    }

    async fn sync_view(&self) -> Result<SyncView> {
        let (applied, held) =
            self.read(|reader| Ok((reader.vector()?.count(), reader.held()?.count()))).await?;
        let view = SyncView { applied_count: applied, held_count: held, ..SyncView::default() };
        let Some(status) = self.parts.replica.as_ref().map(Replica::status) else {
            return Ok(SyncView { alarms: self.alarms_of_file().await?, ..view });
        };
        let pending_count =
            status.outbox_count + status.inbox_count as u64 + status.missing.count();
        let missed_ms = status.origins.iter().map(|origin| origin.behind_ms).max();
        let since_sync_s = missed_ms.unwrap_or_default() as f64 / 1000.0;
        let last_sync = status.is_connected.then(|| crate::clock::now_seconds() - since_sync_s);
        let mut alarms: Vec<&str> = status.alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
        alarms.dedup();
        alarms.extend(self.alarms_of_file().await?);
        Ok(SyncView {
            is_enabled: true,
            is_connected: status.is_connected,
            live_peer_count: status.peers.iter().filter(|peer| peer.is_live).count() as u64,
            pending_count,
            last_sync,
            since_sync_s,
            alarms,
            ..view
        })
    }
}
