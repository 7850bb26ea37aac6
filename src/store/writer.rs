//! Writes inside the writer thread's transaction: local ones draw a dot, all go through one merge.

use std::ops::Deref;

use memnode_cluster::{
    Clock, ClusterId, CreateValues, Dot, Embedding, LocalClock, NodeName, Observed, Op, OpKind,
    Origin, Parts, Record, RecordId, UnknownFields, UpdateValues, Vector, Version,
};
use rusqlite::Connection;

use super::applied;
use super::apply;
use super::error::StoreError;
use super::open::{meta, set_meta};
use super::reader::{Located, Reader};
use super::record;
use crate::memory::{ContentHash, Namespace};
use crate::{Code, Error};

/// Most different tags, metadata keys and other parts that one record may gather.
const PART_COUNT_MAX: usize = 4096;

/// What the writer thread knows beside its connection.
pub struct WriterState {
    node: NodeName,
    cluster: ClusterId,
    /// This run of this file; its row is made at the first write.
    epoch: u64,
    origin_row: Option<i64>,
    clock: LocalClock,
    keeps_ops: bool,
}

impl WriterState {
    /// For one run of a file: `epoch` must never have been used before.
    pub fn new(
        connection: &Connection,
        node: NodeName,
        epoch: u64,
        keeps_ops: bool,
        now_ms: u64,
    ) -> Result<Self, StoreError> {
        let cluster: [u8; 16] = meta(connection, "cluster_id")?
            .ok_or_else(|| StoreError::Damaged("the file has no cluster id".to_owned()))?;
        let clock: i64 = meta(connection, "clock")?.unwrap_or_default();
        let clock = LocalClock::resume(Clock::from_u64(clock.cast_unsigned()), now_ms);
        Ok(WriterState {
            node,
            cluster: ClusterId(cluster),
            epoch,
            origin_row: None,
            clock,
            keeps_ops,
        })
    }

    /// After a rollback the row of the origin may be gone; it is looked up or made again.
    pub fn forget_origin_row(&mut self) {
        self.origin_row = None;
    }
}

/// The identity that a write is about.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its namespace.
    pub namespace: Namespace,
    /// The hash of its text.
    pub content_hash: ContentHash,
}

/// A write on the connection of the writer thread.
pub struct Writer<'c> {
    reader: Reader<'c>,
    state: &'c mut WriterState,
    now_ms: u64,
}

impl<'c> Deref for Writer<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl<'c> Writer<'c> {
    /// Over an open transaction. `now_ms`: Unix milliseconds.
    pub fn new(connection: &'c Connection, state: &'c mut WriterState, now_ms: u64) -> Self {
        state.clock.tick(now_ms);
        Writer { reader: Reader::new(connection), state, now_ms }
    }

    /// Unix seconds of this write.
    pub fn now(&self) -> f64 {
        self.now_ms as f64 / 1000.0
    }

    /// Creates a memory, also over a deleted one.
    ///
    /// # Errors
    /// `ModelChanged` when `meaning` is not of the file's model: embed again.
    pub fn create(
        &mut self,
        namespace: &Namespace,
        values: &CreateValues,
        kind: OpKind,
        meaning: Embedding,
    ) -> Result<Located, StoreError> {
        if meaning.model != self.model()? {
            return Err(StoreError::ModelChanged);
        }
        let content_hash = ContentHash::of(&values.content);
        let target = Target { namespace: namespace.clone(), content_hash };
        self.write(&target, kind, Some(meaning), |record, clock| {
            memnode_cluster::create(record, clock, values)
        })?;
        self.located(&target)
    }

    /// Changes parts of a live memory.
    pub fn update(
        &mut self,
        target: &Target,
        values: &UpdateValues,
    ) -> Result<Located, StoreError> {
        self.write(target, OpKind::Update, None, |record, _| {
            memnode_cluster::update(record, values)
        })?;
        self.located(target)
    }

    /// Deletes a memory; what it was stays restorable on this node.
    pub fn delete(&mut self, target: &Target) -> Result<(), StoreError> {
        self.write(target, OpKind::Delete, None, |_, clock| memnode_cluster::delete(clock))
    }

    /// Runs `work` so that an error undoes all of it and nothing else.
    pub fn atomically<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.connection();
        connection.execute_batch("SAVEPOINT part")?;
        let result = work(self);
        if result.is_err() {
            self.state.forget_origin_row();
            // On a full disk and the like SQLite may have rolled back everything by itself.
            if connection.is_autocommit() {
                return result;
            }
            connection.execute_batch("ROLLBACK TO part")?;
        }
        connection.execute_batch("RELEASE part")?;
        result
    }

    fn id(&self, target: &Target) -> RecordId {
        RecordId::new(target.namespace.as_str(), target.content_hash.as_bytes())
    }

    fn located(&self, target: &Target) -> Result<Located, StoreError> {
        match self.find(&target.namespace, &target.content_hash)? {
            super::reader::Known::Live(located) => Ok(*located),
            _ => Err(StoreError::Damaged("a memory that was just written is not there".into())),
        }
    }

    /// Makes an op of the parts that `author` gives for the present record, and applies it.
    fn write(
        &mut self,
        target: &Target,
        kind: OpKind,
        embedding: Option<Embedding>,
        author: impl FnOnce(&Record, Clock) -> Parts,
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        let stored = record::load(connection, &self.id(target))?;
        let none = Record::default();
        let present = stored.as_ref().map_or(&none, |stored| &stored.record);
        let clock = self.state.clock.draw(self.now_ms, present.newest_clock()).map_err(|_| {
            Error::new(Code::Conflict, "the memory carries a clock beyond the year 2100")
                .reason("clock_exhausted")
        })?;
        let parts = author(present, clock);
        check_growth(present, &parts)?;
        let era = present.era();
        let (origin_id, dot) = self.draw_dot()?;
        set_meta(connection, "clock", self.state.clock.last().as_u64().cast_signed())?;
        let context =
            if self.state.keeps_ops { applied::read(connection)? } else { Vector::default() };
        let op = Op {
            version: Version::CURRENT,
            cluster: self.state.cluster,
            namespace: target.namespace.as_str().to_owned(),
            content_hash: *target.content_hash.as_bytes(),
            dot,
            clock,
            era,
            context,
            kind,
            parts,
            embedding,
            traceparent: None,
            unknown: UnknownFields::default(),
        };
        let payload = op.encode().map_err(too_large)?;
        if self.state.keeps_ops {
            apply::keep(connection, origin_id, &op, &payload)?;
        }
        apply::apply(connection, &op, origin_id, stored, &self.model()?, self.now())?;
        Ok(())
    }

    /// The next dot of this run.
    fn draw_dot(&mut self) -> Result<(i64, Dot), StoreError> {
        let origin = Origin { node: self.state.node.clone(), epoch: self.state.epoch };
        let origin_id = match self.state.origin_row {
            Some(row) => row,
            None => applied::origin_row(self.connection(), &origin)?,
        };
        self.state.origin_row = Some(origin_id);
        let oseq = applied::draw_oseq(self.connection(), origin_id)?;
        Ok((origin_id, Dot { origin, oseq }))
    }

    /// Applies a write of another node, once, whatever the order and the repetitions.
    pub fn apply_remote(&mut self, op: &Op, payload: &[u8]) -> Result<bool, StoreError> {
        let connection = self.connection();
        let origin_id = applied::origin_row(connection, &op.dot.origin)?;
        if applied::contains(connection, origin_id, op.dot.oseq)? {
            return Ok(false);
        }
        if let Observed::TooFarAhead = self.state.clock.observe(op.clock, self.now_ms) {
            tracing::warn!(op.dot = %op.dot, "a peer's clock runs far ahead of this node's");
        }
        if self.state.keeps_ops {
            apply::keep(connection, origin_id, op, payload)?;
        }
        let stored = record::load(connection, &op.id())?;
        let now = self.now();
        let applied = apply::apply(connection, op, origin_id, stored, &self.model()?, now)?;
        if let Some((row, outcome)) = applied {
            apply::keep_conflicts(connection, row, op, &outcome, now)?;
        }
        Ok(true)
    }
}

/// A write that the protocol cannot carry is refused before anything is changed.
fn too_large(invalid: memnode_cluster::Invalid) -> StoreError {
    let code = match invalid {
        memnode_cluster::Invalid::TooLarge { .. } => Code::TooLarge,
        _ => Code::InvalidInput,
    };
    Error::new(code, format!("the write cannot be replicated: {invalid}")).into()
}

/// Removed tags and keys stay in a record for ever; their number is bounded here.
fn check_growth(record: &Record, parts: &Parts) -> Result<(), StoreError> {
    if record.parts().count() + parts.len() <= PART_COUNT_MAX {
        return Ok(());
    }
    Err(Error::new(
        Code::TooLarge,
        format!(
            "the memory has had {PART_COUNT_MAX} different tags and metadata keys over its life: \
             store its text anew"
        ),
    )
    .reason("too_many_parts")
    .into())
}
