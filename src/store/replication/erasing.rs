//! Erasures that are done in the file and not yet on the servers.

use memnode_cluster::{NodeName, RecordId};
use rusqlite::Connection;
use serde_json::json;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;

/// The namespace of confirmations: that a node holds nothing of an erased memory any more.
pub(super) const NAMESPACE: &str = "_erase";

/// Notes that messages of an erased memory must go.
pub(super) fn begin(connection: &Connection, id: &RecordId) -> Result<(), StoreError> {
    connection.execute("INSERT OR IGNORE INTO erasure (id) VALUES (?1)", [id.0])?;
    Ok(())
}

impl Reader<'_> {
    /// Erased memories of which the servers may still hold something of this node's.
    ///
    /// # Errors
    /// Those of the file.
    pub fn erasing(&self, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let sql = "SELECT id FROM erasure LIMIT ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = statement.query_map([limit], |row| Ok(RecordId(row.get(0)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

impl Writer<'_> {
    /// Confirms to all nodes that this one holds nothing of an erased memory any more.
    ///
    /// # Errors
    /// Those of the file.
    pub fn confirm_erasure(&mut self, id: &RecordId, node: &NodeName) -> Result<(), StoreError> {
        let connection = self.connection();
        connection.execute("DELETE FROM erasure WHERE id = ?1", [id.0])?;
        let value = json!({ "at": self.now() });
        self.write_reserved(NAMESPACE, &format!("{id}/{node}"), &value)?;
        Ok(())
    }
}
