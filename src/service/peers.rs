//! What writes and reads ask of the other nodes, and what a node on its own says in their place.

use std::time::Duration;

use super::Service;
use crate::memory::{AckLevel, Position};
use crate::{Code, Error, Result};

/// A write that is to be sure; made before it, so that what cannot be reached changes nothing.
pub struct AckWait {
    level: AckLevel,
}

impl Service {
    /// Gets ready to wait for a write to be as sure as this.
    ///
    /// # Errors
    /// `Conflict` where there is nobody to wait for.
    pub fn expect_ack(&self, level: AckLevel) -> Result<AckWait> {
        if level > AckLevel::Local {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "this node has no peers, so a write can only be `local`, not `{level}`: \
                     leave `Memnode-Ack` out, or connect the node with MEMNODE_NATS_URL"
                ),
            )
            .reason("no_peers"));
        }
        Ok(AckWait { level })
    }

    /// Waits a moment until all that a position names is applied here.
    ///
    /// # Errors
    /// `Unavailable` when it is not in time; `Gone` when it never will be.
    pub async fn await_position(&self, position: &Position) -> Result<()> {
        let writes = position.vector().clone();
        if self.read(move |reader| reader.has_applied(&writes)).await? {
            return Ok(());
        }
        Err(not_reached(position))
    }
}

impl AckWait {
    /// Waits until the writes are as sure as was asked, and gives how sure they are.
    pub async fn reached(self, _position: &Position, _within: Duration) -> AckLevel {
        self.level
    }
}

fn not_reached(position: &Position) -> Error {
    let detail = format!("the write `{position}` is not applied on this node");
    Error::new(Code::Unavailable, detail).reason("position_not_reached")
}
