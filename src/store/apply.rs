//! The one way in: a local or replicated op is merged and all that follows from it is written.

use std::borrow::Cow;

use memnode_cluster::{Dot, Op, Outcome, Part, RecordId, Register, Vector};
use rusqlite::{Connection, OptionalExtension, params};

use super::applied;
use super::digest;
use super::error::StoreError;
use super::reader::vector_bytes;
use super::record::{self, Projection, Stored};
use super::snapshot;

/// Keeps an op's encoding until every peer has it.
pub(super) fn keep(
    connection: &Connection,
    origin_id: i64,
    op: &Op,
    payload: &[u8],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO op (origin_id, oseq, id, payload) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![origin_id, op.dot.oseq, op.id().0, payload])?;
    Ok(())
}

/// Merges an op whose dot is new into the record that `stored` holds, and writes all that follows
/// but the conflict log. Gives the row, if the record has one, and what the merge did.
pub(super) fn apply(
    connection: &Connection,
    op: &Op,
    origin_id: i64,
    stored: Option<Stored>,
    model: &str,
    at: f64,
) -> Result<Option<(i64, Outcome)>, StoreError> {
    applied::insert(connection, origin_id, op.dot.oseq)?;
    let id = op.id();
    let (row, mut record, old_version) = match stored {
        Some(stored) => (Some(stored.row), stored.record, Some(stored.version)),
        None => (None, Default::default(), None),
    };
    let was_live = record.is_live();
    let outcome = record.apply(op);
    let version = record.state_hash(&id);
    if old_version == Some(version) {
        return Ok(row.map(|row| (row, outcome)));
    }
    let projection = record::project(&record)?;
    if let (Some(row), true, false) = (row, was_live, projection.live) {
        snapshot::keep(connection, row, at)?;
    }
    let blob = record::encode(&record, &projection);
    let line = Line { id: &id, op, origin_id, version: &version, blob: &blob, at };
    let changed = changed_names(&outcome);
    let row = match row {
        Some(row) => line.update(connection, row, &projection, &changed)?,
        None => line.insert(connection, &projection, &changed)?,
    };
    digest::replace(connection, &id, old_version.as_ref(), &version)?;
    if projection.live && !was_live {
        snapshot::drop_kept(connection, row)?;
    }
    let new_body = projection.live && (!was_live || outcome.changed.contains(&Part::Body));
    write_vector(connection, row, op, model, was_live, projection.live, new_body)?;
    Ok(Some((row, outcome)))
}

/// The columns that do not follow from the projection.
struct Line<'a> {
    id: &'a RecordId,
    op: &'a Op,
    origin_id: i64,
    version: &'a [u8; 16],
    blob: &'a [u8],
    at: f64,
}

impl Line<'_> {
    fn insert(
        &self,
        connection: &Connection,
        shown: &Projection<'_>,
        changed: &str,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO memory (id, namespace, content_hash, live, created_at, updated_at, \
                   memory_type, tags, metadata, origin, content, version, record, write_origin, \
                   write_oseq, write_at, write_changed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
                   ?16, ?17)";
        connection.prepare_cached(sql)?.execute(params![
            self.id.0,
            self.op.namespace,
            self.op.content_hash,
            shown.live,
            shown.created_at,
            shown.updated_at,
            shown.memory_type,
            shown.tags,
            shown.metadata,
            shown.origin,
            shown.content,
            self.version,
            self.blob,
            self.origin_id,
            self.op.dot.oseq,
            self.at,
            changed,
        ])?;
        Ok(connection.last_insert_rowid())
    }

    fn update(
        &self,
        connection: &Connection,
        row: i64,
        shown: &Projection<'_>,
        changed: &str,
    ) -> Result<i64, StoreError> {
        let sql = "UPDATE memory SET live = ?2, created_at = ?3, updated_at = ?4, \
                   memory_type = ?5, tags = ?6, metadata = ?7, origin = ?8, content = ?9, \
                   version = ?10, record = ?11, write_origin = ?12, write_oseq = ?13, \
                   write_at = ?14, write_changed = ?15 WHERE row = ?1";
        connection.prepare_cached(sql)?.execute(params![
            row,
            shown.live,
            shown.created_at,
            shown.updated_at,
            shown.memory_type,
            shown.tags,
            shown.metadata,
            shown.origin,
            shown.content,
            self.version,
            self.blob,
            self.origin_id,
            self.op.dot.oseq,
            self.at,
            changed,
        ])?;
        Ok(row)
    }
}

/// The names of the changed parts as a JSON list, for the change log.
fn changed_names(outcome: &Outcome) -> String {
    let names: Vec<_> = outcome.changed.iter().map(Part::name).collect();
    serde_json::to_string(&names).expect("a list of strings is JSON")
}

/// Keeps `memory_embeddings` in step: a vector for every live memory whose op brought one.
fn write_vector(
    connection: &Connection,
    row: i64,
    op: &Op,
    model: &str,
    was_live: bool,
    is_live: bool,
    new_body: bool,
) -> Result<(), StoreError> {
    if was_live && (!is_live || new_body) {
        connection
            .prepare_cached("DELETE FROM memory_embeddings WHERE rowid = ?1")?
            .execute([row])?;
    }
    let fitting = op.embedding.as_ref().filter(|embedding| embedding.model == model);
    if let (true, Some(embedding)) = (new_body, fitting) {
        connection
            .prepare_cached("INSERT INTO memory_embeddings (rowid, embedding) VALUES (?1, ?2)")?
            .execute(params![row, vector_bytes(&embedding.vector)])?;
    }
    Ok(())
}

/// Puts values that lost against a write which had not seen them into the conflict log. Local
/// writes saw everything that is here and need no such look.
pub(super) fn keep_conflicts(
    connection: &Connection,
    row: i64,
    op: &Op,
    outcome: &Outcome,
    at: f64,
) -> Result<(), StoreError> {
    let lost = outcome.conflicts(|winner| {
        if *winner == op.dot {
            Some(Cow::Borrowed(&op.context))
        } else {
            context_of(connection, winner).map(Cow::Owned)
        }
    });
    for replaced in lost {
        let Register { stamp: loser, value } = &replaced.loser;
        let winner = &replaced.winner.stamp.dot;
        connection
            .prepare_cached(
                "INSERT INTO conflict (row, part, value, clock, origin_id, oseq, \
                 winner_origin_id, winner_oseq, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                row,
                replaced.part.name(),
                value,
                loser.clock.as_u64().cast_signed(),
                applied::origin_row(connection, &loser.dot.origin)?,
                loser.dot.oseq,
                applied::origin_row(connection, &winner.origin)?,
                winner.oseq,
                at,
            ])?;
    }
    Ok(())
}

/// The context of an op that is still kept here.
fn context_of(connection: &Connection, dot: &Dot) -> Option<Vector> {
    let sql = "SELECT payload FROM op JOIN origin USING (origin_id) \
               WHERE node = ?1 AND epoch = ?2 AND oseq = ?3";
    let key = params![dot.origin.node.as_str(), dot.origin.epoch.cast_signed(), dot.oseq];
    let payload: Option<Vec<u8>> =
        connection.prepare_cached(sql).ok()?.query_row(key, |row| row.get(0)).optional().ok()?;
    Some(Op::decode(&payload?).ok()?.context)
}
