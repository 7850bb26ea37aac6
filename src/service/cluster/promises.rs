//! What writes and reads ask of the other nodes, and what a node on its own says in their place.

use std::time::{Duration, Instant};

use super::super::Service;
use crate::memory::{AckLevel, Position};
use crate::replica::{Awaited, Replica, Waited};
use crate::{Code, Error, Result};

/// How long a read waits for the writes it must see.
const AFTER_TIMEOUT: Duration = Duration::from_secs(2);

/// A write that is to be sure; made before it, so that what cannot be reached changes nothing.
pub struct AckWait {
    level: AckLevel,
    /// `None` for a level that every write has.
    peers: Option<Peers>,
}

/// Whom to wait for.
struct Peers {
    replica: Replica,
    /// While it lives, writes go out at once, and peers tell at once what they have on disk.
    _awaited: Awaited,
}

impl Service {
    /// Gets ready to wait for a write to be as sure as this.
    ///
    /// # Errors
    /// `Conflict` where there is nobody to wait for.
    pub fn expect_ack(&self, level: AckLevel) -> Result<AckWait> {
        let peers = match (level, &self.parts.replica) {
            (AckLevel::Local, _) => None,
            (AckLevel::Logged, Some(replica)) => {
                Some(Peers { _awaited: replica.expect_logged(), replica: replica.clone() })
            }
            (AckLevel::Replicated(_), Some(replica)) => {
                Some(Peers { _awaited: replica.expect_ack(), replica: replica.clone() })
            }
            (AckLevel::Logged | AckLevel::Replicated(_), None) => return Err(no_peers(level)),
        };
        Ok(AckWait { level, peers })
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
        // On a node on its own nothing comes that is not there.
        let Some(replica) = &self.parts.replica else { return Err(not_reached(position)) };
        match replica.applied(position.vector(), AFTER_TIMEOUT).await {
            Waited::Reached => Ok(()),
            Waited::NotReached => Err(not_reached(position)),
            Waited::WrittenOff => Err(written_off(position)),
        }
    }
}

impl AckWait {
    /// Waits until the writes are as sure as was asked, and gives how sure they are.
    pub async fn reached(self, position: &Position, within: Duration) -> AckLevel {
        let Some(peers) = &self.peers else { return self.level };
        let until = Instant::now() + within;
        let mut level = self.level;
        if peers.reach(level, position, until).await {
            return level;
        }
        while let Some(less) = next_below(level) {
            level = less;
            if peers.reach(level, position, Instant::now()).await {
                break;
            }
        }
        level
    }
}

impl Peers {
    async fn reach(&self, level: AckLevel, position: &Position, until: Instant) -> bool {
        for dot in position.dots() {
            let within = until.saturating_duration_since(Instant::now());
            let is_reached = match level {
                AckLevel::Local => true,
                AckLevel::Logged => self.replica.logged(&dot, within).await,
                AckLevel::Replicated(count) => {
                    self.replica.replicated(&dot, usize::from(count), within).await
                }
            };
            if !is_reached {
                return false;
            }
        }
        true
    }
}

/// The next level that is less sure.
fn next_below(level: AckLevel) -> Option<AckLevel> {
    match level {
        AckLevel::Local => None,
        AckLevel::Logged => Some(AckLevel::Local),
        AckLevel::Replicated(1) => Some(AckLevel::Logged),
        AckLevel::Replicated(count) => Some(AckLevel::Replicated(count - 1)),
    }
}

fn no_peers(level: AckLevel) -> Error {
    let detail = format!(
        "this node has no peers, so a write can only be `local`, not `{level}`: do not ask for \
         more, or connect the node with MEMNODE_NATS_URL"
    );
    Error::new(Code::Conflict, detail).reason("no_peers")
}

fn not_reached(position: &Position) -> Error {
    let detail = format!("not all of `{}` is applied on this node", shortened(position));
    Error::new(Code::Unavailable, detail).reason("position_not_reached")
}

fn written_off(position: &Position) -> Error {
    let detail = format!("a write of `{}` is on no node that lives", shortened(position));
    Error::new(Code::Gone, detail).reason("position_written_off")
}

fn shortened(position: &Position) -> String {
    const CHARS_MAX: usize = 200;
    let text = position.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_tried_downwards() {
        let mut level = AckLevel::Replicated(3);
        let mut tried = vec![level.to_string()];
        while let Some(less) = next_below(level) {
            assert!(less < level);
            level = less;
            tried.push(level.to_string());
        }
        assert_eq!(tried, ["replicated:3", "replicated:2", "replicated:1", "logged", "local"]);
    }
}
