//! The nodes of the cluster as this one remembers them.

use memnode_cluster::replicator::Member;
use memnode_cluster::{NodeName, Vector};
use rusqlite::{Connection, params};

use super::super::error::StoreError;
use super::super::reader::damaged;
use super::super::writer::Writer;

/// All that are remembered, by name; `now` in Unix seconds.
pub(super) fn members(connection: &Connection, now: f64) -> Result<Vec<Member>, StoreError> {
    let sql = "SELECT node, seen_at, applied FROM roster ORDER BY node";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let node = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let seen_at: f64 = row.get(1)?;
        let vector: Vec<u8> = row.get(2)?;
        found.push(Member {
            node: NodeName::new(node).map_err(damaged)?,
            age_ms: ((now - seen_at).max(0.0) * 1000.0).round() as u64,
            vector: Vector::decode(&vector).map_err(damaged)?,
        });
    }
    Ok(found)
}

impl Writer<'_> {
    /// Remembers a node, or what is new of it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn remember_member(&mut self, member: &Member) -> Result<(), StoreError> {
        let seen_at = self.now() - member.age_ms as f64 / 1000.0;
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO roster (node, seen_at, applied) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![member.node.as_str(), seen_at, member.vector.encode()])?;
        Ok(())
    }
}
