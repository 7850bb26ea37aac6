//! Joining the state of another node: records first, its vector last.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memnode_cluster::replicator::Applied;
use memnode_cluster::wire::{TransferEmbedding, TransferRecord};
use memnode_cluster::{Dot, Origin, Part, Record, RecordId, Register, Vector};
use rusqlite::params;

use super::super::applied;
use super::super::apply::{self, Meaning, Model, Source, Subject};
use super::super::error::StoreError;
use super::super::record;
use super::super::writer::Writer;
use super::{quarantine, rules};

/// What came of joining records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MergeOutcome {
    /// Records that are joined.
    pub merged: u64,
    /// Records that break the rules, and how: the sender's vector must not be adopted.
    pub refused: Vec<(RecordId, String)>,
    /// Dots that came with another value than is known of them.
    pub contradictions: Vec<Dot>,
    /// Records that were erased.
    pub erased: Vec<RecordId>,
}

impl MergeOutcome {
    /// The same in the words of the replicator.
    pub fn into_applied(self) -> Applied {
        Applied {
            refused: self.refused.into_iter().map(|(_, reason)| reason).collect(),
            contradictions: self.contradictions,
            ..Applied::default()
        }
    }
}

impl Writer<'_> {
    /// Joins records of another node part by part, dead ones included. `ours` and `theirs` are the
    /// vectors of both sides before the transfer.
    ///
    /// # Errors
    /// Those of the file.
    pub fn merge_records(
        &mut self,
        records: &[TransferRecord],
        ours: &Vector,
        theirs: &Vector,
    ) -> Result<MergeOutcome, StoreError> {
        self.note_join()?;
        let model = self.vectors_are_of()?;
        let (mut outcome, mut rows) = (MergeOutcome::default(), BTreeMap::new());
        for theirs_record in records {
            let id = theirs_record.id();
            match rules::check_record(&theirs_record.namespace, &theirs_record.record) {
                Err(reason) => outcome.refused.push((id, reason)),
                Ok(()) => {
                    let Some(newest) = newest(&theirs_record.record) else { continue };
                    let origin_id = self.row_of(&mut rows, &newest.stamp.dot.origin)?;
                    let oseq = newest.stamp.dot.oseq;
                    let source = Source { origin_id, oseq, at: self.now() };
                    self.state.clock.observe(newest.stamp.clock, self.now_ms);
                    let sides = (ours, theirs);
                    self.join(theirs_record, id, source, &model, sides, &mut outcome)?;
                    outcome.merged += 1;
                }
            }
        }
        Ok(outcome)
    }

    fn join(
        &mut self,
        other: &TransferRecord,
        id: RecordId,
        source: Source,
        model: &Model,
        (ours, theirs): (&Vector, &Vector),
        outcome: &mut MergeOutcome,
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        let (namespace, content_hash) = (other.namespace.as_str(), &other.content_hash);
        let subject = Subject { id, namespace, content_hash };
        let stored = record::load(connection, &id)?;
        let meaning = meaning_of(other, model);
        let applied = apply::settle(connection, subject, source, stored, meaning, |record| {
            record.merge(&other.record)
        })?;
        if let Some(row) = applied.row {
            let lost = applied.outcome.conflicts_in_transfer(ours, theirs);
            apply::keep_conflicts(connection, row, &lost, source.at)?;
        }
        if applied.is_erased {
            self.state.has_erased = true;
            outcome.erased.push(id);
        }
        outcome.contradictions.extend(applied.outcome.contradictions);
        Ok(())
    }

    fn row_of(&self, rows: &mut BTreeMap<Origin, i64>, origin: &Origin) -> Result<i64, StoreError> {
        if let Some(row) = rows.get(origin) {
            return Ok(*row);
        }
        let row = applied::origin_row(self.connection(), origin)?;
        rows.insert(origin.clone(), row);
        Ok(row)
    }

    /// Adds the dots of a joined state to the vector and gives those that are new. What lay in
    /// quarantine is in the state too and leaves it, but for writes of another major version:
    /// what they mean to a record cannot be known here.
    ///
    /// # Errors
    /// Those of the file.
    pub fn adopt(&mut self, vector: &Vector) -> Result<Vector, StoreError> {
        let connection = self.connection();
        let known = applied::read(connection)?;
        let held = applied::held(connection)?.intersect(vector);
        let added = vector.subtract(&known).subtract(&quarantine::settle(connection, &held)?);
        for (origin, set) in added.iter() {
            let origin_id = applied::origin_row(connection, origin)?;
            for (lo, hi) in set.iter() {
                applied::insert(connection, origin_id, lo, hi)?;
            }
            applied::touch(connection, origin_id, self.now())?;
            self.saw(origin, applied::intervals(connection, "applied", origin_id)?);
            self.shun(origin);
        }
        Ok(added)
    }

    /// Makes the file part of another cluster. Memories and dots stay; payloads, which only the
    /// former cluster could use, go, and with them what was known of its stream and members.
    ///
    /// # Errors
    /// Those of the file.
    pub fn set_cluster(&mut self, id: memnode_cluster::ClusterId) -> Result<(), StoreError> {
        let connection = self.connection();
        super::super::open::set_meta(connection, "cluster_id", id.0)?;
        for table in ["op", "cursor", "published", "message", "roster"] {
            connection.execute(&format!("DELETE FROM {table}"), [])?;
        }
        connection.execute("UPDATE origin SET kept_count = 0, kept_bytes = 0", [])?;
        self.state.forget();
        Ok(())
    }

    /// Keeps a vector of the file's model for a live row that had none, if its text is still
    /// `content`; says whether it did.
    ///
    /// # Errors
    /// Those of the file; `ModelChanged` for a vector of another dimension.
    pub fn put_vector(
        &mut self,
        row: i64,
        content: &str,
        vector: &[f32],
    ) -> Result<bool, StoreError> {
        if vector.len() != self.vectors_are_of()?.dimension {
            return Err(StoreError::ModelChanged);
        }
        let connection = self.connection();
        let sql = "DELETE FROM pending_vector WHERE row = ?1 \
                   AND EXISTS (SELECT 1 FROM memory WHERE row = ?1 AND live = 1 AND content = ?2)";
        if connection.prepare_cached(sql)?.execute(params![row, content])? == 0 {
            return Ok(false);
        }
        let numbers = super::super::reader::vector_bytes(vector);
        connection
            .prepare_cached("INSERT INTO memory_embeddings (rowid, embedding) VALUES (?1, ?2)")?
            .execute(params![row, numbers])?;
        Ok(true)
    }
}

/// The register that was written last.
fn newest(record: &Record) -> Option<&Register> {
    record.parts().map(|(_, register)| register).max_by_key(|register| register.stamp.clock)
}

/// What a transfer brings, if the file's model made it.
fn meaning_of<'a>(other: &'a TransferRecord, model: &Model) -> Option<Meaning<'a>> {
    let TransferEmbedding { model: name, numbers } = other.embedding.as_ref()?;
    let (chunks, rest) = numbers.as_chunks::<4>();
    let is_finite = chunks.iter().all(|number| f32::from_le_bytes(*number).is_finite());
    let fits = *name == model.name && chunks.len() == model.dimension && rest.is_empty();
    let body = other.record.get(&Part::Body)?;
    (fits && is_finite)
        .then(|| Meaning { numbers: Cow::Borrowed(numbers.as_slice()), body: &body.value })
}
