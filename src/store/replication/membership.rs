//! Whether this file belongs to a cluster, and what the cluster decided about nodes and writes.

use memnode_cluster::{ClusterId, NodeName, Vector};

use super::super::error::StoreError;
use super::super::open::{meta, set_meta};
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::start::{VOID_NAMESPACE, dots};

/// The namespace of what was said about nodes.
const ROSTER_NAMESPACE: &str = "_roster";
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
        Ok((forgotten.collect(), dots(&self.reserved(VOID_NAMESPACE)?)))
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
}
