//! Own writes on their way into the stream.

use memnode_cluster::{IntervalSet, NodeName, OSEQ_MAX, Origin, RecordId, Vector};
use rusqlite::{Connection, params};

use super::super::applied;
use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;

impl Reader<'_> {
    /// The kept payloads of `lo..=hi`, ascending, for publishing.
    pub fn op_payloads(
        &self,
        origin: &Origin,
        lo: u64,
        hi: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let connection = self.connection();
        let Some(origin_id) = applied::known_row(connection, origin)? else {
            return Ok(Vec::new());
        };
        let sql = "SELECT oseq, payload FROM op WHERE origin_id = ?1 AND oseq BETWEEN ?2 AND ?3 \
                   ORDER BY oseq";
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement
            .query_map(params![origin_id, lo, hi], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The messages of the stream that hold this node's writes to a record, as far as it is still
    /// known which: for deleting what was erased.
    pub fn messages_of(
        &self,
        node: &NodeName,
        id: &RecordId,
    ) -> Result<Vec<(Origin, u64)>, StoreError> {
        let sql = "SELECT DISTINCT o.node, o.epoch, s.stream_seq FROM memory m \
                   JOIN change_log c ON c.row = m.row \
                   JOIN origin o ON o.origin_id = c.origin_id AND o.node = ?2 \
                   JOIN message s ON s.origin_id = c.origin_id AND c.oseq BETWEEN s.lo AND s.hi \
                   WHERE m.id = ?1 ORDER BY s.stream_seq";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(params![id.0, node.as_str()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((applied::origin_at(row, 0)?, row.get(2)?));
        }
        Ok(found)
    }
}

impl Writer<'_> {
    /// Notes that `lo..=hi` of an own origin need not be sent any more: a message of the stream
    /// holds them, or nothing is kept of them.
    ///
    /// # Errors
    /// Those of the file.
    pub fn mark_published(
        &mut self,
        origin: &Origin,
        lo: u64,
        hi: u64,
        stream_seq: Option<u64>,
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        let origin_id = applied::origin_row(connection, origin)?;
        applied::insert_into(connection, "published", origin_id, lo, hi)?;
        let Some(stream_seq) = stream_seq else { return Ok(()) };
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO message (origin_id, lo, hi, stream_seq, at) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![origin_id, lo, hi, stream_seq, self.now()])?;
        Ok(())
    }

    /// Forgets messages that were published before a time (Unix seconds): the stream has too.
    ///
    /// # Errors
    /// Those of the file.
    pub fn forget_messages(&mut self, before: f64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM message WHERE at < ?1";
        Ok(self.connection().prepare_cached(sql)?.execute([before])? as u64)
    }
}

impl Reader<'_> {
    /// The writes of this file whose payloads are kept.
    ///
    /// # Errors
    /// Those of the file.
    pub fn own_ops(&self) -> Result<Vector, StoreError> {
        let connection = self.connection();
        let mut own = Vector::default();
        for (origin_id, origin) in kept_origins(connection)? {
            let mut kept = IntervalSet::default();
            kept_within(connection, origin_id, (1, OSEQ_MAX), &mut kept)?;
            own.replace(&origin, kept);
        }
        Ok(own)
    }
}

/// The writes of this file that are kept and not in the stream.
pub(super) fn unpublished(connection: &Connection) -> Result<Vector, StoreError> {
    let mut found = Vector::default();
    for (origin_id, origin) in kept_origins(connection)? {
        let applied = applied::intervals(connection, "applied", origin_id)?;
        let published = applied::intervals(connection, "published", origin_id)?;
        let mut rest = IntervalSet::default();
        for (lo, hi) in applied.subtract(&published).iter() {
            kept_within(connection, origin_id, (lo, hi), &mut rest)?;
        }
        found.replace(&origin, rest);
    }
    Ok(found)
}

/// The runs of this file, under whatever name, of which payloads are kept.
fn kept_origins(connection: &Connection) -> Result<Vec<(i64, Origin)>, StoreError> {
    let sql = "SELECT node, epoch, origin_id FROM origin WHERE head > 0 AND kept_count > 0 \
               ORDER BY origin_id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(2)?, applied::origin_at(row, 0)?));
    }
    Ok(found)
}

fn kept_within(
    connection: &Connection,
    origin_id: i64,
    (lo, hi): (u64, u64),
    kept: &mut IntervalSet,
) -> Result<(), StoreError> {
    let sql = "SELECT oseq FROM op WHERE origin_id = ?1 AND oseq BETWEEN ?2 AND ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![origin_id, lo, hi])?;
    while let Some(row) = rows.next()? {
        kept.insert(row.get(0)?);
    }
    Ok(())
}
