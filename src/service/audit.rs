//! The audit log: what is kept of it, off the way of requests, and looking at it.
//!
//! Entries wait in a bounded queue and are written together: every write at most a second after
//! it, administration and refusals at once. What does not fit, or cannot be written, is counted
//! and told; requests go on.

use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::MissedTickBehavior;

use super::Service;
use crate::auth::{Access, Noted, Principal};
use crate::memory::{AuditEntry, AuditFilter};
use crate::store::AuditOrder;
use crate::telemetry::metrics;
use crate::{Error, Result};

/// Most entries of one page.
pub const AUDIT_PAGE_COUNT_MAX: usize = 1_000;
/// Entries that may wait to be written.
const QUEUE_COUNT_MAX: usize = 4_096;
/// Entries of one transaction.
const GROUP_COUNT_MAX: usize = 512;
/// How long an entry waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// Most entries that are kept.
const ENTRY_COUNT_MAX: u64 = 1_000_000;
/// How often old ones are dropped.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);
/// Entries dropped in one transaction.
const PRUNE_COUNT: u64 = 2_000;
/// Seconds of a day.
const DAY_SECONDS: f64 = 24.0 * 3600.0;

/// Entries on their way into the file.
pub(super) struct Auditor {
    queue: mpsc::Sender<AuditEntry>,
    waiting: Mutex<mpsc::Receiver<AuditEntry>>,
    is_urgent: Notify,
}

impl Default for Auditor {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_COUNT_MAX);
        Auditor { queue, waiting: Mutex::new(waiting), is_urgent: Notify::new() }
    }
}

/// A page of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// Entries in the order asked for.
    pub entries: Vec<AuditEntry>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<i64>,
}

impl Service {
    /// Notes what a caller did, if that is to be noted: writes, administration, refusals, and
    /// reads where they are asked for. `is_look` is a request that by its nature changes nothing.
    /// Who and where come from `noted`.
    pub fn audit(&self, noted: Noted, is_look: bool, mut entry: AuditEntry) {
        let access = if is_look { noted.access.min(Some(Access::Read)) } else { noted.access };
        let is_wanted = match access {
            _ if entry.is_refused => true,
            None => false,
            Some(Access::Read) => self.parts.audit.reads,
            Some(Access::Write | Access::Admin) => true,
        };
        if !is_wanted {
            return;
        }
        entry.at = crate::clock::now_seconds();
        if let Some(who) = &noted.who {
            entry.key_id = who.key_id().map(str::to_owned);
            // Keys are named by their ids: people know them by what they called them.
            let name = if entry.key_id.is_some() { who.label() } else { who.name() };
            entry.principal = Some(name.to_owned());
        }
        entry.namespaces = noted.namespaces;
        let is_urgent = entry.is_refused || access == Some(Access::Admin);
        if self.auditor.queue.try_send(entry).is_err() {
            metrics().audit_lost(1);
            tracing::debug!("an audit entry was lost: too many wait");
        } else if is_urgent || self.auditor.queue.capacity() < QUEUE_COUNT_MAX / 2 {
            self.auditor.is_urgent.notify_one();
        }
    }

    /// Writes what is noted, and drops what is old, until the node stops.
    pub fn keep_audit(&self) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let shutdown = service.parts.shutdown.clone();
            let mut prune = tokio::time::interval(PRUNE_INTERVAL);
            let mut write = tokio::time::interval(LINGER);
            prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
            write.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = service.auditor.is_urgent.notified() => service.flush_audit().await,
                    _ = write.tick() => service.flush_audit().await,
                    _ = prune.tick() => service.prune_audit().await,
                }
            }
        });
    }

    /// Writes what waits; also for the end of the node, when requests are over.
    pub async fn flush_audit(&self) {
        let mut waiting = self.auditor.waiting.lock().await;
        loop {
            let mut entries = Vec::new();
            while entries.len() < GROUP_COUNT_MAX
                && let Ok(entry) = waiting.try_recv()
            {
                entries.push(entry);
            }
            if entries.is_empty() {
                return;
            }
            self.write_audit(entries).await;
        }
    }

    async fn write_audit(&self, entries: Vec<AuditEntry>) {
        let count = entries.len();
        let written = self.parts.store.write(move |writer| writer.add_audit(&entries)).await;
        if let Err(error) = written {
            metrics().audit_lost(count);
            tracing::warn!(%error, count, "audit entries were lost: the file does not take them");
        }
    }

    async fn prune_audit(&self) {
        let before = crate::clock::now_seconds() - f64::from(self.parts.audit.days) * DAY_SECONDS;
        loop {
            let prune = self
                .parts
                .store
                .write(move |writer| writer.prune_audit(before, ENTRY_COUNT_MAX, PRUNE_COUNT));
            match prune.await {
                Ok(PRUNE_COUNT) => {}
                Ok(_) => return,
                Err(error) => return tracing::debug!(%error, "the audit log was not cut"),
            }
        }
    }

    /// A page of the audit log.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; `InvalidInput` for a limit out of range; those of the file.
    pub async fn audit_page(
        &self,
        who: &Principal,
        filter: AuditFilter,
        order: AuditOrder,
        limit: usize,
    ) -> Result<AuditPage> {
        who.require_everywhere(Access::Admin)?;
        if !(1..=AUDIT_PAGE_COUNT_MAX).contains(&limit) {
            return Err(Error::invalid(format!(
                "ask for 1 to {AUDIT_PAGE_COUNT_MAX} entries, not {limit}"
            ))
            .reason("out_of_range"));
        }
        let found = self.read(move |reader| reader.audit(&filter, order, limit)).await?;
        let next = found.last().map(|(n, _)| *n).filter(|_| found.len() == limit);
        Ok(AuditPage { entries: found.into_iter().map(|(_, entry)| entry).collect(), next })
    }
}
