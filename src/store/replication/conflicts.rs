//! The values that lost, of all memories, for people.

use memnode_cluster::{Clock, Dot, Part};
use serde_json::Value;

use super::super::applied;
use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::record::{is_reserved, value_json};
use crate::memory::{ContentHash, NamespaceSet};

/// A value that lost against a concurrent write.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Its place in the log.
    pub n: i64,
    /// The namespace of the memory.
    pub namespace: String,
    /// The memory.
    pub content_hash: ContentHash,
    /// The part's name.
    pub part: String,
    /// The value that lost.
    pub value: Value,
    /// Hybrid clock of the losing write, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The losing write.
    pub loser: Dot,
    /// The winning write.
    pub winner: Dot,
    /// When it was noticed here, in Unix seconds.
    pub at: f64,
}

impl Reader<'_> {
    /// Losing values, newest first, at most `limit`, those before an entry of the log if one is
    /// given. Records of the cluster itself are left out.
    ///
    /// # Errors
    /// Those of the file.
    pub fn conflicts(
        &self,
        namespaces: &NamespaceSet,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<Conflict>, StoreError> {
        let connection = self.connection();
        let sql = "SELECT n, namespace, content_hash, part, value, clock, origin_id, oseq, \
                   winner_origin_id, winner_oseq, at FROM conflict JOIN memory USING (row) \
                   WHERE n < ?1 ORDER BY n DESC";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([before.unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let namespace: String = row.get(1)?;
            // Whoever pages through them must not be able to count what lies in between.
            if is_reserved(&namespace) || !names(namespaces, &namespace) {
                continue;
            }
            let part: String = row.get(3)?;
            let value: Vec<u8> = row.get(4)?;
            let clock: i64 = row.get(5)?;
            found.push(Conflict {
                n: row.get(0)?,
                namespace,
                content_hash: ContentHash::from_bytes(row.get(2)?),
                value: value_json(&Part::from_name(&part), &value),
                part,
                clock_ms: Clock::from_u64(clock.cast_unsigned()).millis(),
                loser: applied::dot(connection, row.get(6)?, row.get(7)?)?,
                winner: applied::dot(connection, row.get(8)?, row.get(9)?)?,
                at: row.get(10)?,
            });
        }
        Ok(found)
    }
}

fn names(namespaces: &NamespaceSet, name: &str) -> bool {
    match namespaces {
        NamespaceSet::All => true,
        NamespaceSet::Only(list) => list.iter().any(|namespace| namespace.as_str() == name),
    }
}
