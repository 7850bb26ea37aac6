//! Whether this file belongs to a cluster, and what the cluster decided about nodes and writes.

use memnode_cluster::{ClusterId, Dot, NodeName, Vector};
use serde_json::{Value, json};

use super::super::error::StoreError;
use super::super::open::{meta, set_meta};
use super::super::reader::Reader;
use super::super::writer::Writer;

/// The namespace of what was said about nodes.
const ROSTER_NAMESPACE: &str = "_roster";
/// The namespace of writes that were given up.
const VOID_NAMESPACE: &str = "_void";
/// The row of `meta` that tells the membership.
const KEY: &str = "membership";

/// How a file stands to clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It was made by a node on its own and holds memories: it joins only when told to.
    Standalone,
    /// It was made by a node with peers, or is empty: it joins the first cluster that it meets.
    Pending,
    /// It belongs to the cluster whose id it carries.
    Joined,
}

/// Whether records of a namespace say what the cluster decided ([`Reader::decisions`]).
pub fn holds_decisions(namespace: &str) -> bool {
    [ROSTER_NAMESPACE, VOID_NAMESPACE].contains(&namespace)
}

impl Reader<'_> {
    /// How the file stands to clusters.
    ///
    /// # Errors
    /// Those of the file.
    pub fn membership(&self) -> Result<Membership, StoreError> {
        let connection = self.connection();
        Ok(match meta::<String>(connection, KEY)?.as_deref() {
            Some("joined") => Membership::Joined,
            Some(_) => Membership::Pending,
            None if connection.prepare_cached("SELECT 1 FROM memory LIMIT 1")?.exists([])? => {
                Membership::Standalone
            }
            None => Membership::Pending,
        })
    }

    /// The id of the cluster that the file belongs to, or would found.
    ///
    /// # Errors
    /// Those of the file.
    pub fn cluster_id(&self) -> Result<ClusterId, StoreError> {
        let id: Option<[u8; 16]> = meta(self.connection(), "cluster_id")?;
        id.map(ClusterId)
            .ok_or_else(|| StoreError::Damaged("the file has no cluster id".to_owned()))
    }

    /// Nodes that are forgotten and writes that were given up, as the cluster's records say.
    ///
    /// # Errors
    /// Those of the file.
    pub fn decisions(&self) -> Result<(Vec<NodeName>, Vector), StoreError> {
        let forgotten = self.reserved(ROSTER_NAMESPACE)?.into_iter().filter_map(|(key, value)| {
            (value["state"] == "forgotten").then(|| NodeName::new(&key).ok())?
        });
        Ok((forgotten.collect(), self.voided()?))
    }

    /// The writes that were given up.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn voided(&self) -> Result<Vector, StoreError> {
        Ok(dots(&self.reserved(VOID_NAMESPACE)?))
    }
}

impl Writer<'_> {
    /// The file belongs to the cluster whose id it carries.
    ///
    /// # Errors
    /// Those of the file.
    pub fn set_joined(&mut self) -> Result<(), StoreError> {
        set_meta(self.connection(), KEY, "joined")
    }

    /// Says on all nodes that nothing is kept for a node any more.
    ///
    /// # Errors
    /// Those of the file.
    pub fn forget_node(&mut self, node: &NodeName) -> Result<(), StoreError> {
        self.write_reserved(ROSTER_NAMESPACE, node.as_str(), &json!({"state": "forgotten"}))?;
        Ok(())
    }

    /// Says on all nodes that a write is waited for no longer.
    ///
    /// # Errors
    /// Those of the file.
    pub fn void(&mut self, dot: &Dot) -> Result<(), StoreError> {
        self.write_reserved(VOID_NAMESPACE, &dot.to_string(), &json!({"state": "void"}))?;
        Ok(())
    }
}

/// The dots that records are named by; other keys say nothing to this version.
fn dots(records: &[(String, Value)]) -> Vector {
    let mut voided = Vector::default();
    for (key, value) in records {
        if let (Ok(dot), false) = (key.parse::<Dot>(), value.is_null()) {
            voided.insert(&dot);
        }
    }
    voided
}
