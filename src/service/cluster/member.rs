//! Which cluster the file belongs to.

use memnode_cluster::ClusterId;

use super::super::Service;
use super::view::hex;
use crate::auth::{Access, Principal};
use crate::store::{self, Reader, StoreError};
use crate::{Code, Error, Result};

/// The cluster that a file belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The name that its nodes share.
    pub name: String,
    /// Its random id, in hexadecimal.
    pub id: String,
    /// This node.
    pub node: String,
    /// `standalone`, `pending` or `joined`.
    pub state: &'static str,
    /// Live memories in the file.
    pub memory_count: u64,
}

impl Service {
    /// Makes the file the first of its cluster, unless it belongs to one.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; those of the file.
    pub async fn found_cluster(&self, who: &Principal) -> Result<Membership> {
        who.require_everywhere(Access::Admin)?;
        let found = self.parts.store.write(|writer| {
            writer.set_joined()?;
            read(writer)
        });
        Ok(self.membership(found.await?))
    }

    /// Makes the file part of another cluster; the memories in it go there when the node starts.
    /// `is_confirmed`: the caller knows that it holds some.
    ///
    /// # Errors
    /// `Conflict` while the node has peers, and for memories that the caller did not confirm;
    /// `InvalidInput` for what is no id.
    pub async fn join_cluster(
        &self,
        who: &Principal,
        id: &str,
        is_confirmed: bool,
    ) -> Result<Membership> {
        who.require_everywhere(Access::Admin)?;
        let id = parse_id(id)?;
        if self.parts.replica.is_some() {
            let detail = "the node exchanges writes with its peers: stop it, join, start it again";
            return Err(Error::new(Code::Conflict, detail).reason("node_runs"));
        }
        let joined = self.parts.store.write(move |writer| {
            let count = writer.live_count()?;
            if writer.cluster_id()? != id {
                if count > 0 && !is_confirmed {
                    return Err(unconfirmed(count).into());
                }
                writer.set_cluster(id)?;
            }
            writer.set_joined()?;
            read(writer)
        });
        Ok(self.membership(joined.await?))
    }

    fn membership(&self, (id, state, memory_count): (ClusterId, &'static str, u64)) -> Membership {
        Membership {
            name: self.parts.cluster.clone(),
            id: hex(&id.0),
            node: self.parts.node.clone(),
            state,
            memory_count,
        }
    }
}

/// The stable name of a state.
pub(super) fn state_name(membership: store::Membership) -> &'static str {
    match membership {
        store::Membership::Standalone => "standalone",
        store::Membership::Pending => "pending",
        store::Membership::Joined => "joined",
    }
}

fn read(reader: &Reader<'_>) -> Result<(ClusterId, &'static str, u64), StoreError> {
    let state = state_name(reader.membership()?);
    Ok((reader.cluster_id()?, state, reader.live_count()?))
}

fn unconfirmed(count: u64) -> Error {
    let detail = format!(
        "the file holds {count} memories, which every node of that cluster would get: confirm that \
         they shall"
    );
    Error::new(Code::Conflict, detail).reason("holds_memories")
}

fn parse_id(text: &str) -> Result<ClusterId> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = (0..32).step_by(2).map(byte).collect();
    bytes.filter(|_| is_hex).and_then(|bytes| bytes.try_into().ok()).map(ClusterId).ok_or_else(
        || {
            Error::invalid(
                "the id of a cluster is 32 hexadecimal digits, as `cluster status` shows it",
            )
            .reason("invalid_cluster_id")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_digits() {
        let id = "00ff00ff00ff00ff00ff00ff00ff00fE";
        assert_eq!(hex(&parse_id(id).expect("an id").0), id.to_lowercase());
        for text in [
            "",
            "00",
            &id[1..],
            &format!("{id}0"),
            "zz".repeat(16).as_str(),
            "é".repeat(16).as_str(),
        ] {
            assert!(parse_id(text).is_err(), "{text:?}");
        }
    }
}
