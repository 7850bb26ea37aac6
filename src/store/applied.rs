//! Which writes are in: origins and intervals of their numbers.

use memnode_cluster::{Dot, IntervalSet, NodeName, Origin, Vector};
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

use super::error::StoreError;
use super::reader::damaged;

/// The row of an origin, made when it is new. Epochs are stored as the signed twin of their bits.
pub(super) fn origin_row(connection: &Connection, origin: &Origin) -> Result<i64, StoreError> {
    if let Some(found) = known_row(connection, origin)? {
        return Ok(found);
    }
    let key = params![origin.node.as_str(), origin.epoch.cast_signed()];
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
pub(super) fn draw_oseq(
    connection: &Connection,
    origin_id: i64,
    at: f64,
) -> Result<u64, StoreError> {
    let next = "UPDATE origin SET head = head + 1, changed_at = ?2 WHERE origin_id = ?1";
    connection.prepare_cached(next)?.execute(params![origin_id, at])?;
    let drawn = "SELECT head FROM origin WHERE origin_id = ?1";
    Ok(connection.prepare_cached(drawn)?.query_row([origin_id], |row| row.get(0))?)
}

/// Notes that writes of an origin came in.
pub(super) fn touch(connection: &Connection, origin_id: i64, at: f64) -> Result<(), StoreError> {
    let sql = "UPDATE origin SET changed_at = max(changed_at, ?2) WHERE origin_id = ?1";
    connection.prepare_cached(sql)?.execute(params![origin_id, at])?;
    Ok(())
}

/// Adds `lo..=hi` to what was applied of an origin.
pub(super) fn insert(
    connection: &Connection,
    origin_id: i64,
    lo: u64,
    hi: u64,
) -> Result<(), StoreError> {
    insert_into(connection, "applied", origin_id, lo, hi)
}

/// Adds `lo..=hi` to a table of intervals, which melt with those they touch.
pub(super) fn insert_into(
    connection: &Connection,
    table: &'static str,
    origin_id: i64,
    lo: u64,
    hi: u64,
) -> Result<(), StoreError> {
    let near = format!(
        "SELECT lo, hi FROM {table} WHERE origin_id = ?1 AND lo <= ?3 + 1 AND hi >= ?2 - 1"
    );
    let touched: Vec<(u64, u64)> = connection
        .prepare_cached(&near)?
        .query_map(params![origin_id, lo, hi], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if let [(first, last)] = touched[..]
        && first <= lo
    {
        // As nearly always: the next write of an origin.
        connection
            .prepare_cached(&format!(
                "UPDATE {table} SET hi = ?3 WHERE origin_id = ?1 AND lo = ?2"
            ))?
            .execute(params![origin_id, first, hi.max(last)])?;
        return Ok(());
    }
    let (mut first, mut last) = (lo, hi);
    for (lo, hi) in touched {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE origin_id = ?1 AND lo = ?2"))?
            .execute(params![origin_id, lo])?;
        (first, last) = (first.min(lo), last.max(hi));
    }
    connection
        .prepare_cached(&format!("INSERT INTO {table} (origin_id, lo, hi) VALUES (?1, ?2, ?3)"))?
        .execute(params![origin_id, first, last])?;
    Ok(())
}

/// What a table of intervals holds of an origin.
pub(super) fn intervals(
    connection: &Connection,
    table: &'static str,
    origin_id: i64,
) -> Result<IntervalSet, StoreError> {
    let sql = format!("SELECT lo, hi FROM {table} WHERE origin_id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([origin_id])?;
    let mut found = IntervalSet::default();
    while let Some(row) = rows.next()? {
        found.insert_range(row.get(0)?, row.get(1)?);
    }
    Ok(found)
}

/// The row of an origin that was seen before.
pub(super) fn known_row(
    connection: &Connection,
    origin: &Origin,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT origin_id FROM origin WHERE node = ?1 AND epoch = ?2";
    let key = params![origin.node.as_str(), origin.epoch.cast_signed()];
    Ok(connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?)
}

/// The whole vector.
pub(super) fn read(connection: &Connection) -> Result<Vector, StoreError> {
    let sql = "SELECT node, epoch, lo, hi FROM applied JOIN origin USING (origin_id)";
    let mut statement = connection.prepare_cached(sql)?;
    vector_of(statement.query([])?)
}

/// The part of the vector that changed since a time, in Unix seconds.
pub(super) fn read_since(connection: &Connection, since: f64) -> Result<Vector, StoreError> {
    let sql = "SELECT node, epoch, lo, hi FROM applied JOIN origin USING (origin_id) \
               WHERE changed_at >= ?1";
    let mut statement = connection.prepare_cached(sql)?;
    vector_of(statement.query([since])?)
}

/// The writes that lie in quarantine.
pub(super) fn held(connection: &Connection) -> Result<Vector, StoreError> {
    let sql = "SELECT node, epoch, oseq, oseq FROM quarantine JOIN origin USING (origin_id)";
    let mut statement = connection.prepare_cached(sql)?;
    vector_of(statement.query([])?)
}

fn vector_of(mut rows: Rows<'_>) -> Result<Vector, StoreError> {
    let mut vector = Vector::default();
    while let Some(row) = rows.next()? {
        vector.insert_range(&origin_at(row, 0)?, row.get(2)?, row.get(3)?);
    }
    Ok(vector)
}

/// The origin whose node and epoch stand in two neighbouring columns.
pub(super) fn origin_at(row: &Row<'_>, column: usize) -> Result<Origin, StoreError> {
    let node = row.get_ref(column)?.as_str().map_err(damaged)?;
    let epoch: i64 = row.get(column + 1)?;
    Ok(Origin { node: NodeName::new(node).map_err(damaged)?, epoch: epoch.cast_unsigned() })
}

/// A write's name from the columns that hold it.
pub(super) fn dot(connection: &Connection, origin_id: i64, oseq: u64) -> Result<Dot, StoreError> {
    Ok(Dot { origin: origin_of(connection, origin_id)?, oseq })
}
