//! Erasing a memory for good, everywhere.

use memnode_cluster::RecordId;

use super::super::position::written;
use super::super::{Service, memory_not_found};
use crate::Result;
use crate::auth::{Access, Principal};
use crate::memory::{ContentHash, Namespace, Written};
use crate::store::{Known, Target};

/// How far an erasure is.
#[derive(Clone, Debug, PartialEq)]
pub struct Erased {
    /// The nodes that must confirm, by name.
    pub nodes: Vec<ErasedAt>,
    /// What no node can reach, in sentences.
    pub unreachable: Vec<String>,
}

/// How far an erasure is on one node.
#[derive(Clone, Debug, PartialEq)]
pub struct ErasedAt {
    /// The node.
    pub node: String,
    /// Whether it has confirmed that nothing is left.
    pub is_confirmed: bool,
    /// When it confirmed, in Unix seconds.
    pub at: Option<f64>,
    /// Whether it was heard in the last seconds.
    pub is_live: bool,
}

impl Service {
    /// Erases a memory, live or deleted, and says how far that is. One that is erased already stays
    /// as it is, so asking again tells the progress.
    ///
    /// # Errors
    /// `Forbidden` without `admin` in the namespace; `NotFound` for one that was never here.
    pub async fn purge(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
    ) -> Result<Written<Erased>> {
        who.require(Access::Admin, namespace)?;
        let target = Target { namespace: namespace.clone(), content_hash: hash };
        let erased = self
            .parts
            .store
            .write(move |writer| {
                if let Known::Never = writer.find(&target.namespace, &target.content_hash)? {
                    return Err(memory_not_found().into());
                }
                if !writer.is_erased(&target)? {
                    writer.withdraw_confirmations(&target)?;
                    writer.purge(&target)?;
                }
                Ok(written(writer, ()))
            })
            .await?;
        let id = RecordId::new(namespace.as_str(), hash.as_bytes());
        let confirmed = self.read(move |reader| reader.confirmations(&id)).await?;
        Ok(erased.map(|()| self.progress(&confirmed)))
    }

    fn progress(&self, confirmed: &[(String, f64)]) -> Erased {
        let at = |node: &str| confirmed.iter().find(|(name, _)| name == node).map(|(_, at)| *at);
        let status = self.parts.replica.as_ref().map(crate::replica::Replica::status);
        let own = at(&self.parts.node);
        let mut nodes = vec![ErasedAt {
            node: self.parts.node.clone(),
            // A node on its own has nothing outside its file, and that is clean by now.
            is_confirmed: own.is_some() || status.is_none(),
            at: own,
            is_live: true,
        }];
        for peer in status.iter().flat_map(|status| &status.peers) {
            let name = peer.node.as_str();
            if let Some(known) = nodes.iter_mut().find(|known| known.node == name) {
                known.is_live |= peer.is_live;
                continue;
            }
            let at = at(name);
            nodes.push(ErasedAt {
                node: name.to_owned(),
                is_confirmed: at.is_some(),
                at,
                is_live: peer.is_live,
            });
        }
        let away = nodes.iter().filter(|node| !node.is_confirmed && !node.is_live);
        let mut unreachable: Vec<String> = away
            .map(|node| format!("node `{}` is away: it erases when it is back", node.node))
            .collect();
        unreachable
            .push("exports, backups and other copies of files that were made before".to_owned());
        Erased { nodes, unreachable }
    }
}
