//! What a deleted memory was, kept on this node so that it can be restored.

use memnode_cluster::RecordId;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::reader::{MEMORY_COLUMNS, Reader, damaged, memory_of};
use super::writer::Target;
use crate::memory::Memory;

/// Keeps a live memory as it is; call before it dies.
pub(super) fn keep(connection: &Connection, row: i64, at: f64) -> Result<(), StoreError> {
    let sql = format!("SELECT {MEMORY_COLUMNS} FROM memory m WHERE m.row = ?1 AND m.live = 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([row])?;
    let Some(found) = rows.next()? else { return Ok(()) };
    let snapshot = serde_json::to_string(&memory_of(found)?.memory).map_err(damaged)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO deleted (row, at, snapshot) VALUES (?1, ?2, ?3)")?
        .execute(params![row, at, snapshot])?;
    Ok(())
}

/// Drops what was kept: the memory lives again, or is erased.
pub(super) fn drop_kept(connection: &Connection, row: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM deleted WHERE row = ?1")?.execute([row])?;
    Ok(())
}

impl Reader<'_> {
    /// What this node kept of a deleted memory.
    pub fn deleted_snapshot(&self, target: &Target) -> Result<Option<Memory>, StoreError> {
        let id = RecordId::new(target.namespace.as_str(), target.content_hash.as_bytes());
        let sql = "SELECT snapshot FROM deleted JOIN memory USING (row) WHERE id = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let found: Option<String> = statement.query_row([id.0], |row| row.get(0)).optional()?;
        found.map(|snapshot| serde_json::from_str(&snapshot).map_err(damaged)).transpose()
    }
}
