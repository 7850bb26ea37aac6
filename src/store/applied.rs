//! Which writes are in: origins and intervals of their numbers.

use memnode_cluster::{Dot, NodeName, Origin, Vector};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::reader::damaged;

/// The row of an origin, made when it is new. Epochs are stored as the signed twin of their bits.
pub(super) fn origin_row(connection: &Connection, origin: &Origin) -> Result<i64, StoreError> {
    let key = params![origin.node.as_str(), origin.epoch.cast_signed()];
    let mut select =
        connection.prepare_cached("SELECT origin_id FROM origin WHERE node = ?1 AND epoch = ?2")?;
    if let Some(found) = select.query_row(key, |row| row.get(0)).optional()? {
        return Ok(found);
    }
    connection.prepare_cached("INSERT INTO origin (node, epoch) VALUES (?1, ?2)")?.execute(key)?;
    Ok(connection.last_insert_rowid())
}

/// The origin in a row.
pub(super) fn origin_of(connection: &Connection, origin_id: i64) -> Result<Origin, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT node, epoch FROM origin WHERE origin_id = ?1")?;
    let (node, epoch): (String, i64) =
        select.query_row([origin_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let node = NodeName::new(&node).map_err(damaged)?;
    Ok(Origin { node, epoch: epoch.cast_unsigned() })
}

/// Takes the next number of an own origin. Undone with the savepoint of a write that fails.
pub(super) fn draw_oseq(connection: &Connection, origin_id: i64) -> Result<u64, StoreError> {
    let sql = "UPDATE origin SET head = head + 1 WHERE origin_id = ?1 RETURNING head";
    Ok(connection.prepare_cached(sql)?.query_row([origin_id], |row| row.get(0))?)
}

/// Whether a write is in already.
pub(super) fn contains(
    connection: &Connection,
    origin_id: i64,
    oseq: u64,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM applied WHERE origin_id = ?1 AND lo <= ?2 AND hi >= ?2";
    Ok(connection.prepare_cached(sql)?.exists(params![origin_id, oseq])?)
}

/// Adds a write, joining it to the intervals it touches.
pub(super) fn insert(connection: &Connection, origin_id: i64, oseq: u64) -> Result<(), StoreError> {
    let below = connection
        .prepare_cached("SELECT lo FROM applied WHERE origin_id = ?1 AND hi = ?2")?
        .query_row(params![origin_id, oseq - 1], |row| row.get::<_, u64>(0))
        .optional()?;
    let above = connection
        .prepare_cached("DELETE FROM applied WHERE origin_id = ?1 AND lo = ?2 RETURNING hi")?
        .query_row(params![origin_id, oseq + 1], |row| row.get::<_, u64>(0))
        .optional()?;
    let (lo, hi) = (below.unwrap_or(oseq), above.unwrap_or(oseq));
    connection
        .prepare_cached("INSERT OR REPLACE INTO applied (origin_id, lo, hi) VALUES (?1, ?2, ?3)")?
        .execute(params![origin_id, lo, hi])?;
    Ok(())
}

/// The whole vector.
pub(super) fn read(connection: &Connection) -> Result<Vector, StoreError> {
    let mut vector = Vector::default();
    let sql = "SELECT node, epoch, lo, hi FROM applied JOIN origin USING (origin_id)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let node: String = row.get(0)?;
        let epoch: i64 = row.get(1)?;
        let node = NodeName::new(&node).map_err(damaged)?;
        let origin = Origin { node, epoch: epoch.cast_unsigned() };
        vector.insert_range(&origin, row.get(2)?, row.get(3)?);
    }
    Ok(vector)
}

/// A write's name from the columns that hold it.
pub(super) fn dot(connection: &Connection, origin_id: i64, oseq: u64) -> Result<Dot, StoreError> {
    Ok(Dot { origin: origin_of(connection, origin_id)?, oseq })
}
