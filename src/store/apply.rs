//! The one way in: whatever changes a record, an op or another node's state, is merged here and
//! all that follows from it is written.

use std::borrow::Cow;

use memnode_cluster::{Dot, Op, Outcome, Part, Record, RecordId, Register, Replaced, Vector};
use rusqlite::{Connection, OptionalExtension, params};

use super::applied;
use super::compounds;
use super::digest;
use super::error::StoreError;
use super::reader::vector_bytes;
use super::record::{self, Projection, Stored, is_reserved};
use super::replication::erasure;
use super::snapshot;

/// The name of a record, and what the name is made of.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) id: RecordId,
    pub(super) namespace: &'a str,
    pub(super) content_hash: &'a [u8; 32],
}

impl<'a> Subject<'a> {
    /// What an op writes to.
    pub(super) fn of(op: &'a Op) -> Self {
        Subject { id: op.id(), namespace: &op.namespace, content_hash: &op.content_hash }
    }
}

/// The write that a change of a row is due to, and when it came here (Unix seconds).
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) origin_id: i64,
    pub(super) oseq: u64,
    pub(super) at: f64,
}

/// What the vectors of the file are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) dimension: usize,
}

/// An embedding as it is stored, and the encoded body that it is of.
pub(super) struct Meaning<'a> {
    pub(super) numbers: Cow<'a, [u8]>,
    pub(super) body: &'a [u8],
}

impl<'a> Meaning<'a> {
    /// What an op brings, if the file's model made it.
    pub(super) fn of(op: &'a Op, model: &Model) -> Option<Self> {
        let embedding = op.embedding.as_ref()?;
        let fits = embedding.model == model.name && embedding.vector.len() == model.dimension;
        let body = op.parts.get(&Part::Body)?;
        fits.then(|| Meaning { numbers: Cow::Owned(vector_bytes(&embedding.vector)), body })
    }
}

/// What came of a merge.
pub(super) struct Applied {
    /// The record's row, if it has one.
    pub(super) row: Option<i64>,
    pub(super) outcome: Outcome,
    /// Whether an erasure took effect: the file must not keep the text anywhere.
    pub(super) is_erased: bool,
    /// The newest erase clock that the record knows of.
    pub(super) era: memnode_cluster::Clock,
}

/// Keeps an op's encoding until every peer has it. The caller counts it in the origin's row.
pub(super) fn keep(
    connection: &Connection,
    source: Source,
    id: &RecordId,
    payload: &[u8],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO op (origin_id, oseq, id, at, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![source.origin_id, source.oseq, id.0, source.at, payload])?;
    Ok(())
}

/// Changes the record that `stored` holds by `merge`, and writes all that follows but the vector
/// of dots, the payload and the conflict log.
pub(super) fn settle(
    connection: &Connection,
    subject: Subject<'_>,
    source: Source,
    stored: Option<Stored>,
    meaning: Option<Meaning<'_>>,
    merge: impl FnOnce(&mut Record) -> Outcome,
) -> Result<Applied, StoreError> {
    let (row, mut record, old_version) = match stored {
        Some(stored) => (Some(stored.row), stored.record, Some(stored.version)),
        None => (None, Record::default(), None),
    };
    let was_live = record.is_live() && !is_reserved(subject.namespace);
    let old_era = record.era();
    let outcome = merge(&mut record);
    let era = record.era();
    let is_erased = era > old_era;
    let version = record.state_hash(&subject.id);
    if old_version == Some(version) || (row.is_none() && record.is_empty()) {
        return Ok(Applied { row, outcome, is_erased, era });
    }
    let shown = record::project(&record, subject.namespace)?;
    if let (Some(row), true, false, false) = (row, was_live, shown.live, is_erased) {
        snapshot::keep(connection, row, source.at)?;
    }
    let blob = record::encode(&record, &shown);
    let line = Line { subject, source, version: &version, blob: &blob };
    // The names of erased parts would tell the tags and keys that there were.
    let is_told = |part: &&Part| !is_erased || record.get(part).is_some();
    let changed = names(outcome.changed.iter().filter(is_told));
    let is_new = row.is_none();
    let row = match row {
        Some(row) => line.update(connection, row, &shown, &changed)?,
        None => line.insert(connection, &shown, &changed)?,
    };
    digest::replace(connection, &subject.id, old_version.as_ref(), &version)?;
    if shown.live && !was_live && !is_new {
        snapshot::drop_kept(connection, row)?;
    }
    let new_body = shown.live && (!was_live || outcome.changed.contains(&Part::Body));
    if was_live && (!shown.live || new_body) {
        drop_vector(connection, row)?;
        compounds::forget(connection, row)?;
    }
    if new_body {
        let body = record.get(&Part::Body).map(|register| register.value.as_slice());
        write_vector(connection, row, meaning.filter(|meaning| Some(meaning.body) == body))?;
        compounds::write(connection, row, shown.content.unwrap_or_default())?;
    }
    if is_erased {
        erasure::sweep(connection, subject, row)?;
    }
    Ok(Applied { row: Some(row), outcome, is_erased, era })
}

/// The columns that do not follow from the projection.
struct Line<'a> {
    subject: Subject<'a>,
    source: Source,
    version: &'a [u8; 16],
    blob: &'a [u8],
}

impl Line<'_> {
    fn insert(
        &self,
        connection: &Connection,
        shown: &Projection<'_>,
        changed: &str,
    ) -> Result<i64, StoreError> {
        // OR FAIL, and no trigger on it that could abort: see migration 9. Whatever fails is undone
        // by the transaction or savepoint around it.
        let sql = "INSERT OR FAIL INTO memory (id, namespace, content_hash, live, created_at, \
                   updated_at, memory_type, tags, metadata, origin, content, version, record, \
                   write_origin, write_oseq, write_at, write_changed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
                   ?16, ?17)";
        connection.prepare_cached(sql)?.execute(params![
            self.subject.id.0,
            self.subject.namespace,
            self.subject.content_hash,
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
            self.source.origin_id,
            self.source.oseq,
            self.source.at,
            changed,
        ])?;
        let row = connection.last_insert_rowid();
        if shown.live {
            let sql = "INSERT INTO memory_fts (rowid, content, tags) VALUES (?1, ?2, ?3)";
            let words = params![row, shown.content, shown.tags];
            connection.prepare_cached(sql)?.execute(words)?;
        }
        Ok(row)
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
            self.source.origin_id,
            self.source.oseq,
            self.source.at,
            changed,
        ])?;
        Ok(row)
    }
}

/// The names of parts as a JSON list, for the change log.
fn names<'p>(parts: impl Iterator<Item = &'p Part>) -> String {
    let names: Vec<_> = parts.map(Part::name).collect();
    serde_json::to_string(&names).expect("a list of strings is JSON")
}

fn drop_vector(connection: &Connection, row: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM memory_embeddings WHERE rowid = ?1")?.execute([row])?;
    connection.prepare_cached("DELETE FROM pending_vector WHERE row = ?1")?.execute([row])?;
    Ok(())
}

/// Writes the vector of a live row that has none, or notes that it is to be made.
fn write_vector(
    connection: &Connection,
    row: i64,
    meaning: Option<Meaning<'_>>,
) -> Result<(), StoreError> {
    match meaning {
        Some(meaning) => connection
            .prepare_cached("INSERT INTO memory_embeddings (rowid, embedding) VALUES (?1, ?2)")?
            .execute(params![row, meaning.numbers])?,
        None => connection
            .prepare_cached("INSERT INTO pending_vector (row) VALUES (?1)")?
            .execute([row])?,
    };
    Ok(())
}

/// The values that an op won or lost against without its author, or theirs, having seen it. Local
/// writes saw everything that is here and need no such look.
pub(super) fn conflicts_of<'o>(
    connection: &Connection,
    op: &Op,
    outcome: &'o Outcome,
) -> Vec<&'o Replaced> {
    outcome.conflicts(|winner| {
        if *winner == op.dot {
            Some(Cow::Borrowed(&op.context))
        } else {
            context_of(connection, winner).map(Cow::Owned)
        }
    })
}

/// Puts values that lost into the conflict log.
pub(super) fn keep_conflicts(
    connection: &Connection,
    row: i64,
    lost: &[&Replaced],
    at: f64,
) -> Result<(), StoreError> {
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
