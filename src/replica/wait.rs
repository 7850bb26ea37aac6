//! Waiting for a write to be somewhere: in the stream, on peers, here.

use std::sync::atomic::Ordering;
use std::time::Duration;

use memnode_cluster::replicator::Replicator;
use memnode_cluster::{Dot, Vector};

use super::Replica;

/// What came of waiting for writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// All of them are here.
    Reached,
    /// Some were not in time.
    NotReached,
    /// One of them will not come: nobody holds it.
    WrittenOff,
}

/// While it lives, writes are sent without delay, and ask peers to say when they have them on disk
/// if that is what is waited for.
pub struct Awaited {
    replica: Replica,
    is_of_peers: bool,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let shared = &self.replica.shared;
        shared.awaited.fetch_sub(1, Ordering::Relaxed);
        if self.is_of_peers {
            shared.ack_wanted.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Replica {
    /// Announces a write whose author will wait for the stream; take it before the write.
    pub fn expect_logged(&self) -> Awaited {
        self.shared.awaited.fetch_add(1, Ordering::Relaxed);
        Awaited { replica: self.clone(), is_of_peers: false }
    }

    /// Announces a write whose author will wait for peers; take it before the write.
    pub fn expect_ack(&self) -> Awaited {
        let mut awaited = self.expect_logged();
        self.shared.ack_wanted.fetch_add(1, Ordering::Relaxed);
        awaited.is_of_peers = true;
        awaited
    }

    /// Whether an own write is in the stream, within a time.
    pub async fn logged(&self, dot: &Dot, within: Duration) -> bool {
        self.until(within, |replicator| replicator.is_logged(dot).then_some(())).await.is_some()
    }

    /// Whether that many other live nodes have a write on disk, within a time.
    pub async fn replicated(&self, dot: &Dot, count: usize, within: Duration) -> bool {
        let reached =
            |replicator: &Replicator| (replicator.replica_count(dot) >= count).then_some(());
        self.until(within, reached).await.is_some()
    }

    /// Whether writes are applied here, within a time.
    pub async fn applied(&self, writes: &Vector, within: Duration) -> Waited {
        let look = |replicator: &Replicator| {
            let missing = replicator.lacks(writes);
            if missing.is_empty() {
                return Some(Waited::Reached);
            }
            replicator.is_any_written_off(&missing).then_some(Waited::WrittenOff)
        };
        self.until(within, look).await.unwrap_or(Waited::NotReached)
    }

    /// Looks again whenever the replicator took something in.
    pub(super) async fn until<T>(
        &self,
        within: Duration,
        look: impl Fn(&Replicator) -> Option<T>,
    ) -> Option<T> {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = look(&self.shared.replicator.lock()) {
                    return Some(found);
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(within, waiting).await.ok().flatten()
    }
}
