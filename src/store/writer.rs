//! Writes inside the writer thread's transaction: local ones draw a dot, all go through one merge.

use std::ops::Deref;
use std::sync::Arc;

use memnode_cluster::{
    Clock, ClusterId, CreateValues, Dot, Embedding, IntervalSet, LocalClock, NodeName, Op, OpKind,
    Origin, Parts, Record, RecordId, UnknownFields, UpdateValues, Vector, Version,
};
use rusqlite::Connection;

use super::applied;
use super::apply::{self, Meaning, Model, Source, Subject};
use super::error::StoreError;
use super::open::{meta, set_meta};
use super::reader::{Located, Reader};
use super::record;
use super::reembed::recorded_model;
use super::replication::{Seal, prune};
use super::traces::Traces;
use crate::memory::{ContentHash, Namespace};
use crate::{Code, Error};

/// Most different tags, metadata keys and other parts that one record may gather.
const PART_COUNT_MAX: usize = 4096;

/// How long the context of local writes is kept before origins that fell silent leave it.
const CONTEXT_AGE_MS: u64 = 3600 * 1000;
/// How far back a context reaches, in seconds (REPLICATION.md, "Op").
const CONTEXT_SECONDS: f64 = 30.0 * 24.0 * 3600.0;

/// What the writer thread knows beside its connection.
pub struct WriterState {
    pub(super) node: NodeName,
    /// This run of this file; its row is made at the first write.
    epoch: u64,
    pub(super) clock: LocalClock,
    pub(super) keeps_ops: bool,
    cached: Option<Cached>,
    /// The traces of the last writes.
    traces: Arc<Traces>,
    /// The span that the present write belongs to.
    traceparent: Option<String>,
    /// Whether own numbers were drawn since the last commit.
    has_drawn: bool,
    /// Whether an erasure took effect since the last commit.
    pub(super) has_erased: bool,
    /// What API keys of peers are held against.
    pub(super) seal: Option<Seal>,
}

/// What is read from the file once, and again after a rollback.
struct Cached {
    cluster: ClusterId,
    model: Arc<Model>,
    origin_id: Option<i64>,
    /// What this node has seen of the origins that changed lately.
    context: Vector,
    read_at_ms: u64,
}

impl Cached {
    fn read(connection: &Connection, now_ms: u64) -> Result<Self, StoreError> {
        let cluster: [u8; 16] = meta(connection, "cluster_id")?
            .ok_or_else(|| StoreError::Damaged("the file has no cluster id".to_owned()))?;
        let (name, dimension) = recorded_model(connection)?.unwrap_or_default();
        let since = now_ms as f64 / 1000.0 - CONTEXT_SECONDS;
        Ok(Cached {
            cluster: ClusterId(cluster),
            model: Arc::new(Model { name, dimension }),
            origin_id: None,
            context: applied::read_since(connection, since)?,
            read_at_ms: now_ms,
        })
    }
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
        let clock: i64 = meta(connection, "clock")?.unwrap_or_default();
        Ok(WriterState {
            node,
            epoch,
            clock: LocalClock::resume(Clock::from_u64(clock.cast_unsigned()), now_ms),
            keeps_ops,
            cached: Some(Cached::read(connection, now_ms)?),
            traces: Arc::default(),
            traceparent: None,
            has_drawn: false,
            has_erased: false,
            seal: None,
        })
    }

    /// What was read from the file may no longer be what it holds, as after a rollback.
    pub fn forget(&mut self) {
        self.cached = None;
    }

    /// The traces of the last writes.
    pub(super) fn traces(&self) -> Arc<Traces> {
        Arc::clone(&self.traces)
    }

    /// The origin of this run.
    pub(super) fn origin(&self) -> Origin {
        Origin { node: self.node.clone(), epoch: self.epoch }
    }

    /// Whether own numbers were drawn since this was last asked.
    pub(super) fn take_drawn(&mut self) -> bool {
        std::mem::take(&mut self.has_drawn)
    }

    fn cached(&mut self, connection: &Connection, now_ms: u64) -> Result<&mut Cached, StoreError> {
        let cached = match self.cached.take() {
            Some(cached) if now_ms < cached.read_at_ms.saturating_add(CONTEXT_AGE_MS) => cached,
            _ => Cached::read(connection, now_ms)?,
        };
        Ok(self.cached.insert(cached))
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
    pub(super) state: &'c mut WriterState,
    pub(super) now_ms: u64,
    drawn: Vec<Dot>,
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
        Writer { reader: Reader::new(connection), state, now_ms, drawn: Vec::new() }
    }

    /// Says which span the writes that follow belong to.
    pub(super) fn trace(&mut self, traceparent: Option<String>) {
        self.state.traceparent = traceparent;
    }

    /// Unix seconds of this write.
    pub fn now(&self) -> f64 {
        self.now_ms as f64 / 1000.0
    }

    /// The names of the local writes made through this so far, those undone since included.
    pub fn drawn(&self) -> &[Dot] {
        &self.drawn
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
        if meaning.model != self.vectors_are_of()?.name {
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
        self.write(target, OpKind::Delete, None, |_, clock| memnode_cluster::delete(clock))?;
        Ok(())
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
            self.state.forget();
            // On a full disk and the like SQLite may have rolled back everything by itself.
            if connection.is_autocommit() {
                return result;
            }
            connection.execute_batch("ROLLBACK TO part")?;
        }
        connection.execute_batch("RELEASE part")?;
        result
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
    ) -> Result<Dot, StoreError> {
        let (namespace, content_hash) = (target.namespace.as_str(), target.content_hash);
        self.write_to(namespace, content_hash.as_bytes(), kind, embedding, author)
    }

    /// As [`write`](Self::write), into any namespace.
    pub(super) fn write_to(
        &mut self,
        namespace: &str,
        content_hash: &[u8; 32],
        kind: OpKind,
        embedding: Option<Embedding>,
        author: impl FnOnce(&Record, Clock) -> Parts,
    ) -> Result<Dot, StoreError> {
        let connection = self.connection();
        let id = RecordId::new(namespace, content_hash);
        let stored = record::load(connection, &id)?;
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
        keep_clock(connection, self.state.clock.last())?;
        let keeps_ops = self.state.keeps_ops;
        let traceparent = self.state.traceparent.clone();
        let cached = self.state.cached(connection, self.now_ms)?;
        if cached.context.get(&dot.origin).is_none() {
            // This run was silent for long.
            let known = applied::intervals(connection, "applied", origin_id)?;
            cached.context.replace(&dot.origin, known);
        }
        let op = Op {
            version: Version::CURRENT,
            cluster: cached.cluster,
            namespace: namespace.to_owned(),
            content_hash: *content_hash,
            dot,
            clock,
            era,
            context: if keeps_ops { cached.context.clone() } else { Vector::default() },
            kind,
            parts,
            embedding,
            traceparent,
            unknown: UnknownFields::default(),
        };
        cached.context.insert(&op.dot);
        let model = Arc::clone(&cached.model);
        let payload = op.encode().map_err(too_large)?;
        let source = Source { origin_id, oseq: op.dot.oseq, at: self.now() };
        if keeps_ops {
            apply::keep(connection, source, &id, &payload)?;
            prune::count_kept(connection, origin_id, 1, payload.len() as i64)?;
        }
        applied::insert(connection, origin_id, op.dot.oseq, op.dot.oseq)?;
        let meaning = Meaning::of(&op, &model);
        let applied =
            apply::settle(connection, Subject::of(&op), source, stored, meaning, |record| {
                record.apply(&op)
            })?;
        self.state.has_erased |= applied.is_erased;
        self.keep_trace(&op);
        self.drawn.push(op.dot.clone());
        Ok(op.dot)
    }

    /// Remembers which trace an op belongs to.
    pub(super) fn keep_trace(&self, op: &Op) {
        if let Some(traceparent) = &op.traceparent {
            self.state.traces.keep(&op.dot, traceparent);
        }
    }

    /// The next dot of this run.
    fn draw_dot(&mut self) -> Result<(i64, Dot), StoreError> {
        let connection = self.connection();
        let origin = self.state.origin();
        let cached = self.state.cached(connection, self.now_ms)?;
        let origin_id = match cached.origin_id {
            Some(row) => row,
            None => applied::origin_row(connection, &origin)?,
        };
        cached.origin_id = Some(origin_id);
        let oseq = applied::draw_oseq(connection, origin_id, self.now())?;
        self.state.has_drawn = true;
        Ok((origin_id, Dot { origin, oseq }))
    }

    /// Gives all further local writes another epoch.
    pub fn new_epoch(&mut self, epoch: u64) {
        self.state.epoch = epoch;
        self.state.forget();
    }

    /// Takes another epoch if a write of the present one came from elsewhere: a copy of this
    /// process, memory and all, goes on under the same name.
    pub(super) fn shun(&mut self, origin: &Origin) {
        if *origin == self.state.origin() {
            tracing::error!(%origin, "another process writes as this run: a new one begins");
            self.new_epoch(rand::random());
        }
    }

    /// What vectors of this file are of.
    pub(super) fn vectors_are_of(&mut self) -> Result<Arc<Model>, StoreError> {
        let connection = self.connection();
        Ok(Arc::clone(&self.state.cached(connection, self.now_ms)?.model))
    }

    /// The vectors of the file are of another model now.
    pub(super) fn forget_model(&mut self) {
        self.state.forget();
    }

    /// The cluster that the file belongs to.
    pub(super) fn cluster(&mut self) -> Result<ClusterId, StoreError> {
        let connection = self.connection();
        Ok(self.state.cached(connection, self.now_ms)?.cluster)
    }

    /// Lets contexts know all that was applied of an origin.
    pub(super) fn saw(&mut self, origin: &Origin, known: IntervalSet) {
        if let Some(cached) = &mut self.state.cached {
            cached.context.replace(origin, known);
        }
    }
}

/// Replacing the row would fire a trigger, and so take what migration 9 saves.
fn keep_clock(connection: &Connection, clock: Clock) -> Result<(), StoreError> {
    let value = clock.as_u64().cast_signed();
    let sql = "UPDATE meta SET value = ?1 WHERE key = 'clock'";
    match connection.prepare_cached(sql)?.execute([value])? {
        0 => set_meta(connection, "clock", value),
        _ => Ok(()),
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
