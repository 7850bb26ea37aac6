//! What an administrator decides: which nodes and writes are waited for no longer.

use memnode_cluster::{Dot, NodeName};

use super::super::Service;
use super::super::position::written;
use crate::auth::{Access, Principal};
use crate::memory::Written;
use crate::store::{Quarantined, StoreError};
use crate::{Code, Error, Result};

/// Most writes in quarantine that are listed.
pub const QUARANTINE_COUNT_MAX: usize = 1000;

/// A write in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its name.
    pub position: String,
    /// Why it is not applied.
    pub reason: String,
    /// When it came, in Unix seconds.
    pub at: f64,
    /// Its size.
    pub bytes: u64,
}

/// What came of trying quarantined writes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retried {
    /// Writes that are applied now.
    pub applied_count: u64,
    /// Writes that still are not.
    pub held_count: u64,
}

/// A snapshot for nodes that join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The name of the object.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Records in it, deleted ones included.
    pub record_count: u64,
}

impl Service {
    /// The writes in quarantine, oldest first, at most [`QUARANTINE_COUNT_MAX`], and how many there
    /// are.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; those of the file.
    pub async fn quarantine(&self, who: &Principal) -> Result<(Vec<Held>, u64)> {
        who.require_everywhere(Access::Admin)?;
        let (found, count) = self
            .read(|reader| Ok((reader.quarantined(QUARANTINE_COUNT_MAX)?, reader.held()?.count())))
            .await?;
        let held = |Quarantined { dot, reason, at, bytes }| Held {
            position: dot.to_string(),
            reason,
            at,
            bytes,
        };
        Ok((found.into_iter().map(held).collect(), count))
    }

    /// Tries quarantined writes again: one, or all.
    ///
    /// # Errors
    /// `NotFound` for one that is not there; `InvalidInput` for what is none; those of the file.
    pub async fn retry_quarantine(&self, who: &Principal, write: Option<&str>) -> Result<Retried> {
        who.require_everywhere(Access::Admin)?;
        let dot = write.map(parse_dot).transpose()?;
        let outcome = self
            .parts
            .store
            .write(move |writer| {
                if let Some(dot) = &dot
                    && !writer.held()?.contains(dot)
                {
                    return Err(not_held(dot).into());
                }
                writer.retry_quarantine(dot.as_ref())
            })
            .await?;
        let retried =
            Retried { applied_count: outcome.applied.count(), held_count: outcome.held.count() };
        if let Some(replica) = &self.parts.replica {
            replica.retried(outcome).await;
        }
        Ok(retried)
    }

    /// Gives a write up on all nodes: it is waited for no longer. Whoever can apply it still does.
    ///
    /// # Errors
    /// `Conflict` for a write that is applied here; `InvalidInput` for what is none.
    pub async fn void(&self, who: &Principal, write: &str) -> Result<Written<()>> {
        who.require_everywhere(Access::Admin)?;
        let dot = parse_dot(write)?;
        self.decide(move |writer| {
            if writer.vector()?.contains(&dot) {
                let detail = format!("the write `{dot}` is applied here");
                return Err(Error::new(Code::Conflict, detail).reason("already_applied").into());
            }
            writer.void(&dot)?;
            Ok(written(writer, ()))
        })
        .await
    }

    /// Forgets a node on all nodes: nothing is kept for it. When it is heard again it is back.
    ///
    /// # Errors
    /// `NotFound` for a node that was never heard of; `Conflict` for this one, and for one that
    /// lives.
    pub async fn forget_node(&self, who: &Principal, name: &str) -> Result<Written<()>> {
        who.require_everywhere(Access::Admin)?;
        let node = NodeName::new(name).map_err(|error| {
            Error::invalid(format!("{name:?} is not the name of a node: {error}"))
                .reason("invalid_node")
        })?;
        if node.as_str() == self.parts.node {
            let detail = format!("`{node}` is this node: ask another one to forget it");
            return Err(Error::new(Code::Conflict, detail).reason("own_node"));
        }
        let status = self.parts.replica.as_ref().map(crate::replica::Replica::status);
        let peers = status.iter().flat_map(|status| &status.peers);
        let of_name: Vec<bool> =
            peers.filter(|peer| peer.node == node).map(|peer| peer.is_live).collect();
        if of_name.contains(&true) {
            let detail = format!("`{node}` lives: stop it first, or it is back at once");
            return Err(Error::new(Code::Conflict, detail).reason("node_lives"));
        }
        let is_heard = !of_name.is_empty();
        self.decide(move |writer| {
            let is_author = || -> Result<bool, StoreError> {
                Ok(writer.vector()?.iter().any(|(origin, _)| origin.node == node))
            };
            if !is_heard && !is_author()? {
                let detail = format!("no node `{node}` was ever heard of here");
                return Err(Error::new(Code::NotFound, detail).reason("node_not_found").into());
            }
            writer.forget_node(&node)?;
            Ok(written(writer, ()))
        })
        .await
    }

    /// Makes a snapshot for nodes that join.
    ///
    /// # Errors
    /// `Conflict` without peers; `Unavailable` when the servers do not take it.
    pub async fn snapshot(&self, who: &Principal) -> Result<Snapshot> {
        who.require_everywhere(Access::Admin)?;
        let Some(replica) = &self.parts.replica else {
            let detail = "this node has no peers, and nobody to make a snapshot for: \
                          connect it with MEMNODE_NATS_URL";
            return Err(Error::new(Code::Conflict, detail).reason("no_peers"));
        };
        let made = replica.snapshot().await.map_err(|error| {
            Error::new(Code::Unavailable, format!("no snapshot was made: {error}"))
                .reason("snapshot_failed")
                .source(error)
        })?;
        Ok(Snapshot { name: made.name, bytes: made.bytes, record_count: made.record_count })
    }

    /// Writes a decision and acts on it here at once; other nodes act when they apply it.
    async fn decide(
        &self,
        write: impl FnOnce(
            &mut crate::store::Writer<'_>,
        ) -> std::result::Result<Written<()>, StoreError>
        + Send
        + 'static,
    ) -> Result<Written<()>> {
        let decided = self.parts.store.write(write).await?;
        if let Some(replica) = &self.parts.replica {
            replica.decide().await?;
        }
        Ok(decided)
    }
}

fn parse_dot(text: &str) -> Result<Dot> {
    text.parse().map_err(|_| {
        Error::invalid(format!("{text:?} is not a write, such as `node-1~00c0ffee00c0ffee:7`"))
            .reason("invalid_position")
    })
}

fn not_held(dot: &Dot) -> Error {
    Error::new(Code::NotFound, format!("the write `{dot}` is not in quarantine"))
        .reason("not_quarantined")
}
