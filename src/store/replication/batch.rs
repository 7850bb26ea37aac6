//! Taking in the writes of peers, many in one transaction.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use memnode_cluster::replicator::{self, Incoming, Position};
use memnode_cluster::{
    Dot, IntervalSet, NodeName, OSEQ_MAX, Observed, Op, OpKind, Origin, RecordId, Vector,
};
use rusqlite::params;

use super::super::applied;
use super::super::apply::{self, Applied, Meaning, Model, Source, Subject};
use super::super::error::StoreError;
use super::super::record;
use super::super::writer::Writer;
use super::{prune, quarantine, rules};

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchOutcome {
    /// Writes that are in now and were not before.
    pub applied: Vector,
    /// Writes of the batch that lie in quarantine now.
    pub held: Vector,
    /// Nodes whose clocks run more than a minute ahead of this one's.
    pub far_ahead: Vec<NodeName>,
    /// Dots that came with another value than is known of them.
    pub contradictions: Vec<Dot>,
    /// Records that were erased.
    pub erased: Vec<RecordId>,
}

impl BatchOutcome {
    /// The same in the words of the replicator; what of the batch was in already counts too.
    pub fn into_applied(self, batch: &[Incoming]) -> replicator::Applied {
        let dots: Vector = batch.iter().map(|incoming| incoming.dot.clone()).collect();
        let mut applied = dots.subtract(&self.held);
        applied.join(&self.applied);
        replicator::Applied {
            applied,
            held: self.held,
            far_ahead: self.far_ahead,
            contradictions: self.contradictions,
            refused: Vec::new(),
        }
    }
}

/// What a batch knows of the origins in it, so that each is read and written once.
#[derive(Default)]
struct Tracks(BTreeMap<Origin, Track>);

struct Track {
    origin_id: i64,
    known: IntervalSet,
    held: IntervalSet,
    added: IntervalSet,
    kept_count: i64,
    kept_bytes: i64,
}

impl Writer<'_> {
    /// Takes in a batch and says how far the stream is read by that.
    ///
    /// Writes that are in already are passed over. What does not decode or breaks the rules for
    /// memories goes to quarantine; what lay there and is in now leaves it.
    ///
    /// # Errors
    /// Those of the file: then nothing of the batch is in.
    pub fn apply_batch(
        &mut self,
        batch: &[Incoming],
        cursor: Option<&Position>,
    ) -> Result<BatchOutcome, StoreError> {
        let cluster = self.cluster()?;
        let is_foreign = |op: &Op| op.cluster != cluster;
        let outcome = self.take_in(batch, is_foreign)?;
        if let Some(cursor) = cursor {
            self.keep_cursor(cursor)?;
        }
        Ok(outcome)
    }

    /// Takes in writes; those that `is_foreign` picks are held.
    pub(super) fn take_in(
        &mut self,
        batch: &[Incoming],
        is_foreign: impl Fn(&Op) -> bool,
    ) -> Result<BatchOutcome, StoreError> {
        let model = self.vectors_are_of()?;
        let (mut tracks, mut outcome) = (Tracks::default(), BatchOutcome::default());
        let mut far_ahead = BTreeSet::new();
        for incoming in batch {
            if !(1..=OSEQ_MAX).contains(&incoming.dot.oseq) {
                // No write has such a name: there is nothing to wait for, nor to hold.
                continue;
            }
            let track = tracks.get(self, &incoming.dot.origin)?;
            if track.known.contains(incoming.dot.oseq) {
                continue;
            }
            let checked = match &incoming.op {
                Ok(op) if is_foreign(op) => Err("it belongs to another cluster".to_owned()),
                Ok(op) if op.dot != incoming.dot => Err(format!("it calls itself {}", op.dot)),
                Ok(op) => rules::check_op(op, self.state.seal.as_ref()).map(|()| op),
                Err(reason) => Err(reason.clone()),
            };
            match checked {
                Ok(op) => {
                    if self.take_op(track, op, &incoming.payload, &model, &mut outcome)? {
                        far_ahead.insert(op.dot.origin.node.clone());
                    }
                }
                Err(reason) => {
                    quarantine::put(self, track.origin_id, incoming, &reason)?;
                    track.held.insert(incoming.dot.oseq);
                    outcome.held.insert(&incoming.dot);
                }
            }
        }
        outcome.far_ahead = far_ahead.into_iter().collect();
        tracks.finish(self, &mut outcome)?;
        Ok(outcome)
    }

    /// Merges one op and says whether its clock runs far ahead.
    fn take_op(
        &mut self,
        track: &mut Track,
        op: &Op,
        payload: &[u8],
        model: &Model,
        outcome: &mut BatchOutcome,
    ) -> Result<bool, StoreError> {
        let (connection, at) = (self.connection(), self.now());
        let is_ahead = self.state.clock.observe(op.clock, self.now_ms) == Observed::TooFarAhead;
        let subject = Subject::of(op);
        let source = Source { origin_id: track.origin_id, oseq: op.dot.oseq, at };
        let stored = record::load(connection, &subject.id)?;
        let meaning = Meaning::of(op, model);
        let applied =
            apply::settle(connection, subject, source, stored, meaning, |record| record.apply(op))?;
        if let Some(row) = applied.row {
            let lost = apply::conflicts_of(connection, op, &applied.outcome);
            apply::keep_conflicts(connection, row, &lost, at)?;
        }
        if self.state.keeps_ops && !is_erased_by(op, &applied) {
            apply::keep(connection, source, &subject.id, payload)?;
            track.kept_count += 1;
            track.kept_bytes += payload.len() as i64;
        }
        if track.held.contains(op.dot.oseq) {
            quarantine::drop_one(connection, source.origin_id, source.oseq)?;
        }
        if applied.is_erased {
            self.state.has_erased = true;
            outcome.erased.push(subject.id);
        }
        outcome.contradictions.extend(applied.outcome.contradictions);
        self.keep_trace(op);
        track.known.insert(op.dot.oseq);
        track.added.insert(op.dot.oseq);
        Ok(is_ahead)
    }

    fn keep_cursor(&mut self, cursor: &Position) -> Result<(), StoreError> {
        let connection = self.connection();
        connection
            .prepare_cached("DELETE FROM cursor WHERE stream_created <> ?1")?
            .execute([&cursor.created])?;
        connection
            .prepare_cached("INSERT OR REPLACE INTO cursor (stream_created, seq) VALUES (?1, ?2)")?
            .execute(params![cursor.created, cursor.seq])?;
        Ok(())
    }
}

/// Whether an erasure that is known here took all that the op says; its payload must not stay.
fn is_erased_by(op: &Op, applied: &Applied) -> bool {
    op.kind != OpKind::Purge && op.era < applied.era
}

impl Tracks {
    fn get(&mut self, writer: &mut Writer<'_>, origin: &Origin) -> Result<&mut Track, StoreError> {
        if !self.0.contains_key(origin) {
            let connection = writer.connection();
            let origin_id = applied::origin_row(connection, origin)?;
            let track = Track {
                origin_id,
                known: applied::intervals(connection, "applied", origin_id)?,
                held: quarantine::held_of(connection, origin_id)?,
                added: IntervalSet::default(),
                kept_count: 0,
                kept_bytes: 0,
            };
            self.0.insert(origin.clone(), track);
        }
        Ok(self.0.get_mut(origin).expect("it was just put there"))
    }

    /// Writes what the batch added.
    fn finish(self, writer: &mut Writer<'_>, outcome: &mut BatchOutcome) -> Result<(), StoreError> {
        let (connection, now) = (writer.connection(), writer.now());
        for (origin, track) in self.0 {
            if track.added.is_empty() {
                continue;
            }
            for (lo, hi) in track.added.iter() {
                applied::insert(connection, track.origin_id, lo, hi)?;
                outcome.applied.insert_range(&origin, lo, hi);
            }
            applied::touch(connection, track.origin_id, now)?;
            if track.kept_count > 0 {
                let id = track.origin_id;
                prune::count_kept(connection, id, track.kept_count, track.kept_bytes)?;
            }
            writer.saw(&origin, track.known);
            writer.shun(&origin);
        }
        Ok(())
    }
}
