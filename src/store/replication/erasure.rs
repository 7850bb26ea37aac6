//! Erasing for good: nothing of the text stays in the file.

use std::time::Duration;

use memnode_cluster::{Dot, Op, OpKind};
use rusqlite::{Connection, params};

use super::super::apply::Subject;
use super::super::codes::CODE_CHUNK_ROWS;
use super::super::error::StoreError;
use super::super::open::BUSY_TIMEOUT;
use super::super::reader::hex;
use super::super::record;
use super::super::writer::{Target, Writer};
use super::{erasing, prune};

/// How long a checkpoint waits for reads to end before it is tried again later.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(200);

impl Writer<'_> {
    /// Erases a memory, live or dead, and gives the write's name. Once it is committed the file
    /// holds nothing of it but that it was erased.
    ///
    /// # Errors
    /// Those of the file.
    pub fn purge(&mut self, target: &Target) -> Result<Dot, StoreError> {
        let (namespace, content_hash) = (target.namespace.as_str(), target.content_hash);
        self.write_to(namespace, content_hash.as_bytes(), OpKind::Purge, None, |_, clock| {
            memnode_cluster::purge(clock)
        })
    }
}

/// Call once the transaction is committed: folds the write-ahead log into the file and empties it.
/// Says whether it is empty; a read that goes on may keep it.
pub(in super::super) fn after(connection: &Connection) -> Result<bool, StoreError> {
    connection.busy_timeout(CHECKPOINT_TIMEOUT)?;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}

/// Drops everything that is kept of an erased memory beside its row.
pub(in super::super) fn sweep(
    connection: &Connection,
    subject: Subject<'_>,
    row: i64,
) -> Result<(), StoreError> {
    for table in ["deleted", "conflict", "reembed_vector"] {
        connection.execute(&format!("DELETE FROM {table} WHERE row = ?1"), [row])?;
    }
    // Codes tell something of the text, and spell its tags.
    let sql = "DELETE FROM code_chunk WHERE chunk = ?1 / ?2";
    connection.execute(sql, [row, CODE_CHUNK_ROWS])?;
    // The names of its parts tell its tags and keys.
    connection.execute("UPDATE change_log SET changed = '[]' WHERE row = ?1", [row])?;
    // A payload that does not decode still spells the hash, as every answer does.
    let sql = "DELETE FROM quarantine WHERE instr(payload, ?1) > 0";
    connection.execute(sql, [subject.content_hash.as_slice()])?;
    let sql = "DELETE FROM idempotency WHERE instr(answer, ?1) > 0";
    connection.execute(sql, [hex(subject.content_hash)])?;
    erasing::begin(connection, &subject.id)?;
    sweep_payloads(connection, subject)
}

/// Drops the payloads of writes that the erasure took: their dots stay applied.
fn sweep_payloads(connection: &Connection, subject: Subject<'_>) -> Result<(), StoreError> {
    let era = match record::load(connection, &subject.id)? {
        Some(stored) => stored.record.era(),
        None => return Ok(()),
    };
    let mut dropped = Vec::new();
    {
        let sql = "SELECT origin_id, oseq, payload FROM op WHERE id = ?1";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([subject.id.0])?;
        while let Some(line) = rows.next()? {
            let payload: Vec<u8> = line.get(2)?;
            let op = Op::decode(&payload).map_err(super::super::reader::damaged)?;
            if op.era < era && op.kind != OpKind::Purge {
                let key: (i64, u64) = (line.get(0)?, line.get(1)?);
                dropped.push((key, payload.len() as i64));
            }
        }
    }
    for ((origin_id, oseq), bytes) in dropped {
        let sql = "DELETE FROM op WHERE origin_id = ?1 AND oseq = ?2";
        connection.execute(sql, params![origin_id, oseq])?;
        prune::count_kept(connection, origin_id, -1, -bytes)?;
    }
    Ok(())
}
