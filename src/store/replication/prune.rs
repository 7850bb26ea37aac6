//! Payloads that no peer needs any more.

use memnode_cluster::{IntervalSet, Vector};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::applied;
use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;

/// Payloads dropped before it is looked again which origin has the oldest.
const BEYOND_COUNT: u64 = 256;
/// Most payloads that one call drops beyond the cap.
const BEYOND_COUNT_MAX: u64 = 10_000;

impl Reader<'_> {
    /// How many payloads are kept, and their bytes.
    pub fn op_bytes(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT ifnull(sum(kept_count), 0), ifnull(sum(kept_bytes), 0) FROM origin";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Whether a payload is kept that was taken in before a time (Unix seconds).
    ///
    /// # Errors
    /// Those of the file.
    pub fn keeps_older(&self, before: f64) -> Result<bool, StoreError> {
        Ok(oldest(self.connection())?.is_some_and(|(_, at)| at < before))
    }
}

impl Writer<'_> {
    /// Drops payloads that everyone has, at most `limit`, and says how many. Own writes that are
    /// not in the stream yet stay.
    ///
    /// # Errors
    /// Those of the file.
    pub fn prune_ops(&mut self, everywhere: &Vector, limit: u64) -> Result<u64, StoreError> {
        let connection = self.connection();
        let mut pruned = 0;
        for (origin, set) in everywhere.iter() {
            let Some(origin_id) = applied::known_row(connection, origin)? else { continue };
            let set = set.subtract(&unpublished_of(connection, origin_id)?);
            pruned += drop_of(connection, origin_id, &set, limit - pruned)?;
            if pruned == limit {
                break;
            }
        }
        Ok(pruned)
    }

    /// Drops the oldest payloads beyond a number of bytes, and those taken in before a time (Unix
    /// seconds); says how many. At most some thousands at a time.
    ///
    /// # Errors
    /// Those of the file.
    pub fn prune_beyond(&mut self, bytes_max: u64, before: f64) -> Result<u64, StoreError> {
        let connection = self.connection();
        let mut pruned = 0;
        while pruned < BEYOND_COUNT_MAX {
            let Some((origin_id, at)) = oldest(connection)? else { break };
            let is_over = self.op_bytes()?.1 > bytes_max;
            let dropped = if is_over {
                drop_first(connection, origin_id, f64::INFINITY)?
            } else if at < before {
                drop_first(connection, origin_id, before)?
            } else {
                break;
            };
            pruned += dropped;
        }
        Ok(pruned)
    }
}

/// The numbers that this file drew and that are not in the stream yet. Later ones of the same
/// origin came from peers, after an older copy of the file took its place.
fn unpublished_of(connection: &Connection, origin_id: i64) -> Result<IntervalSet, StoreError> {
    let sql = "SELECT head FROM origin WHERE origin_id = ?1";
    let head = connection.prepare_cached(sql)?.query_row([origin_id], |row| row.get(0))?;
    let mut drawn = IntervalSet::default();
    if head > 0 {
        drawn.insert_range(1, head);
    }
    Ok(drawn.subtract(&applied::intervals(connection, "published", origin_id)?))
}

/// The origin whose first kept payload is the oldest, and its time.
fn oldest(connection: &Connection) -> Result<Option<(i64, f64)>, StoreError> {
    let sql = "SELECT origin_id, (SELECT at FROM op o WHERE o.origin_id = origin.origin_id \
               ORDER BY oseq LIMIT 1) AS first FROM origin WHERE kept_count > 0 \
               ORDER BY first LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Drops an origin's first payloads, as long as they are older than `before`.
fn drop_first(connection: &Connection, origin_id: i64, before: f64) -> Result<u64, StoreError> {
    let sql = "SELECT oseq, at FROM op WHERE origin_id = ?1 ORDER BY oseq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![origin_id, BEYOND_COUNT])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        if row.get::<_, f64>(1)? >= before {
            break;
        }
        last = Some(row.get(0)?);
    }
    drop(rows);
    let Some(last) = last else { return Ok(0) };
    drop_range(connection, origin_id, 1, last, BEYOND_COUNT)
}

fn drop_of(
    connection: &Connection,
    origin_id: i64,
    set: &IntervalSet,
    limit: u64,
) -> Result<u64, StoreError> {
    let mut pruned = 0;
    for (lo, hi) in set.iter() {
        pruned += drop_range(connection, origin_id, lo, hi, limit - pruned)?;
        if pruned == limit {
            break;
        }
    }
    Ok(pruned)
}

/// Drops the first `limit` payloads of a range.
fn drop_range(
    connection: &Connection,
    origin_id: i64,
    lo: u64,
    hi: u64,
    limit: u64,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM op WHERE origin_id = ?1 AND oseq IN (SELECT oseq FROM op \
               WHERE origin_id = ?1 AND oseq BETWEEN ?2 AND ?3 ORDER BY oseq LIMIT ?4) \
               RETURNING length(payload)";
    let (mut count, mut bytes) = (0, 0);
    {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![origin_id, lo, hi, limit])?;
        while let Some(row) = rows.next()? {
            count += 1;
            bytes += row.get::<_, i64>(0)?;
        }
    }
    if count > 0 {
        count_kept(connection, origin_id, -count, -bytes)?;
    }
    Ok(count.unsigned_abs())
}

/// Counts payloads of an origin in, or out.
pub(in super::super) fn count_kept(
    connection: &Connection,
    origin_id: i64,
    count: i64,
    bytes: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE origin SET kept_count = kept_count + ?2, kept_bytes = kept_bytes + ?3 \
               WHERE origin_id = ?1";
    connection.prepare_cached(sql)?.execute(params![origin_id, count, bytes])?;
    Ok(())
}
