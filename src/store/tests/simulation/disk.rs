//! A node's file, driven through the store's own transaction functions.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use memnode_cluster::replicator::{Applied, Incoming, Member, Position, Start};
use memnode_cluster::wire::TransferRecord;
use memnode_cluster::{
    Dot, IntervalSet, NodeName, Op, OpKind, Origin, Outcome, Part, Record, RecordId, Register,
    Vector, Version,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::super::super::apply::{self, Meaning, Model, Source, Subject};
use super::super::super::replication::{Beat, prune, snapshot};
use super::super::super::{
    Reader, StoreError, Writer, WriterState, applied, initialise, open, record,
};
use super::super::{DIMENSION, MODEL, options};
use super::wire;

/// Where the files of one run lie; they go with it.
pub(super) struct Shelf {
    directory: TempDir,
    count: RefCell<u64>,
}

impl Shelf {
    pub(super) fn new() -> Rc<Shelf> {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let directory = tempfile::tempdir_in(parent).unwrap();
        Rc::new(Shelf { directory, count: RefCell::new(0) })
    }

    fn next(&self) -> PathBuf {
        *self.count.borrow_mut() += 1;
        self.directory.path().join(self.count.borrow().to_string())
    }
}

/// An empty file of the cluster, made once.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let shelf = Shelf::new();
        let path = shelf.next();
        let connection = open::open_writer(&path, |_| Ok(())).unwrap();
        initialise(&connection, &options(&path)).unwrap();
        open::set_meta(&connection, "cluster_id", super::CLUSTER.0).unwrap();
        connection.pragma_update(None, "journal_mode", "DELETE").unwrap();
        connection.close().unwrap();
        std::fs::read(&path).unwrap()
    })
}

pub(super) struct Disk {
    shelf: Rc<Shelf>,
    path: PathBuf,
    connection: Connection,
    state: WriterState,
    node: NodeName,
    epoch: u64,
    /// Messages that were not brought in order, by stream: the cursor need not cover them.
    pub(super) missed: BTreeSet<(String, u64)>,
    /// The last heartbeat, and at how many changes of the file it was made.
    beat: RefCell<Option<(u64, Beat)>>,
}

impl Disk {
    pub(super) fn new(shelf: &Rc<Shelf>, node: &NodeName) -> Disk {
        let path = shelf.next();
        std::fs::write(&path, template()).unwrap();
        Disk::open(shelf, path, node)
    }

    fn open(shelf: &Rc<Shelf>, path: PathBuf, node: &NodeName) -> Disk {
        let connection = Connection::open(&path).unwrap();
        for (name, value) in
            [("synchronous", "OFF"), ("journal_mode", "MEMORY"), ("locking_mode", "EXCLUSIVE")]
        {
            connection.pragma_update(None, name, value).unwrap();
        }
        connection.set_prepared_statement_cache_capacity(128);
        let state = WriterState::new(&connection, node.clone(), 0, true, 0).unwrap();
        let (shelf, node) = (Rc::clone(shelf), node.clone());
        let (missed, beat) = (BTreeSet::new(), RefCell::new(None));
        Disk { shelf, path, connection, state, node, epoch: 0, missed, beat }
    }

    /// The same file on another machine, as it is now.
    pub(super) fn copy(&self) -> Disk {
        let path = self.shelf.next();
        std::fs::copy(&self.path, &path).unwrap();
        let mut copy = Disk::open(&self.shelf, path, &self.node);
        (copy.epoch, copy.missed) = (self.epoch, self.missed.clone());
        copy
    }

    /// What a node that joins takes over.
    pub(super) fn snapshot(&self) -> PathBuf {
        let (copy, target) = (self.shelf.next(), self.shelf.next());
        std::fs::copy(&self.path, &copy).unwrap();
        snapshot::write(&copy, &target).unwrap();
        target
    }

    pub(super) fn is_fresh(&self) -> bool {
        snapshot::is_fresh(&self.connection).unwrap()
    }

    /// Takes a snapshot over in place of nothing.
    pub(super) fn install(&mut self, now_ms: u64, source: &Path) -> Applied {
        let (opened, held) = snapshot::open(source).unwrap();
        drop(opened);
        // The installing connection is another than the writer's.
        self.connection = Connection::open_in_memory().unwrap();
        snapshot::install(&self.path, source, &held, now_ms as f64 / 1000.0).unwrap();
        let plain = Connection::open(&self.path).unwrap();
        plain.pragma_update(None, "journal_mode", "DELETE").unwrap();
        drop(plain);
        let mut again = Disk::open(&self.shelf, self.path.clone(), &self.node);
        again.missed = std::mem::take(&mut self.missed);
        again.start(self.epoch, now_ms);
        *self = again;
        Applied { applied: held.vector, ..Applied::default() }
    }

    /// A process opens the file.
    pub(super) fn start(&mut self, epoch: u64, now_ms: u64) -> Start {
        self.epoch = epoch;
        self.state =
            WriterState::new(&self.connection, self.node.clone(), epoch, true, now_ms).unwrap();
        self.reader().replica_start(now_ms as f64 / 1000.0).unwrap()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.connection)
    }

    /// One transaction, with what the writing thread does around it.
    pub(super) fn write<T>(
        &mut self,
        now_ms: u64,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let result = work(&mut Writer::new(&self.connection, &mut self.state, now_ms));
        if result.is_ok() {
            self.connection.execute_batch("COMMIT")?;
        } else {
            self.connection.execute_batch("ROLLBACK")?;
            self.state.forget();
        }
        result
    }

    /// Takes a batch in as a store does for its replicator.
    pub(super) fn apply(
        &mut self,
        now_ms: u64,
        ops: Vec<Incoming>,
        position: Option<Position>,
    ) -> Applied {
        let outcome =
            self.write(now_ms, |writer| writer.apply_batch(&ops, position.as_ref())).unwrap();
        outcome.into_applied(&ops)
    }

    pub(super) fn merge(
        &mut self,
        now_ms: u64,
        records: &[TransferRecord],
        ours: &Vector,
        theirs: &Vector,
    ) -> Applied {
        self.write(now_ms, |writer| writer.merge_records(records, ours, theirs))
            .unwrap()
            .into_applied()
    }

    pub(super) fn adopt(&mut self, now_ms: u64, vector: &Vector) -> Applied {
        let applied = self.write(now_ms, |writer| writer.adopt(vector)).unwrap();
        Applied { applied, ..Applied::default() }
    }

    pub(super) fn remember(&mut self, now_ms: u64, member: &Member) {
        self.write(now_ms, |writer| writer.remember_member(member)).unwrap();
    }

    /// What a heartbeat says; the file is read again only when it changed.
    pub(super) fn beat(&self, now_ms: u64) -> Beat {
        let changes = self.connection.total_changes();
        let mut kept = self.beat.borrow_mut();
        match &*kept {
            Some((at, beat)) if *at == changes => beat.clone(),
            _ => {
                let since = now_ms as f64 / 1000.0 - 24.0 * 3600.0;
                let beat = self.reader().beat(since).unwrap();
                *kept = Some((changes, beat.clone()));
                beat
            }
        }
    }

    pub(super) fn vector(&self) -> Vector {
        self.reader().vector().unwrap()
    }

    /// Own writes that are kept.
    pub(super) fn own_ops(&self) -> Vector {
        let sql = "SELECT origin_id, oseq FROM op JOIN origin USING (origin_id) WHERE head > 0";
        self.dots(sql)
    }

    /// All payloads that are kept.
    pub(super) fn kept_ops(&self) -> Vector {
        self.dots("SELECT origin_id, oseq FROM op")
    }

    fn dots(&self, sql: &str) -> Vector {
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut found = Vector::default();
        while let Some(row) = rows.next().unwrap() {
            let (id, oseq) = (row.get(0).unwrap(), row.get(1).unwrap());
            found.insert(&applied::dot(&self.connection, id, oseq).unwrap());
        }
        found
    }

    pub(super) fn payloads(&self, origin: &Origin, lo: u64, hi: u64) -> Vec<(u64, Vec<u8>)> {
        self.reader().op_payloads(origin, lo, hi).unwrap()
    }

    pub(super) fn record(&self, id: &RecordId) -> Record {
        record::load(&self.connection, id).unwrap().map(|found| found.record).unwrap_or_default()
    }

    pub(super) fn cursor(&self) -> Option<Position> {
        self.reader().replica_start(0.0).unwrap().cursor
    }

    /// Writes in quarantine.
    pub(super) fn quarantine(&self) -> Vec<(Dot, Vec<u8>)> {
        let sql = "SELECT origin_id, oseq, payload FROM quarantine";
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let (id, oseq) = (row.get(0).unwrap(), row.get(1).unwrap());
            let dot = applied::dot(&self.connection, id, oseq).unwrap();
            found.push((dot, row.get(2).unwrap()));
        }
        found
    }

    /// As if a dot had never been noted.
    pub(super) fn forget_dot(&mut self, dot: &Dot) {
        let origin_id = applied::origin_row(&self.connection, &dot.origin).unwrap();
        let mut left = applied::intervals(&self.connection, "applied", origin_id).unwrap();
        let mut gone = IntervalSet::default();
        gone.insert(dot.oseq);
        left = left.subtract(&gone);
        self.connection.execute("DELETE FROM applied WHERE origin_id = ?1", [origin_id]).unwrap();
        for (lo, hi) in left.iter() {
            applied::insert(&self.connection, origin_id, lo, hi).unwrap();
        }
        let sql = "DELETE FROM op WHERE origin_id = ?1 AND oseq = ?2";
        self.connection.execute(sql, rusqlite::params![origin_id, dot.oseq]).unwrap();
    }

    /// As if a write of a tag had got lost in the record and in all that follows from it.
    pub(super) fn drop_tag(&mut self, now_ms: u64, text: &str) {
        let op = super::steps::op_by_hand(text, OpKind::Update, Version::CURRENT);
        self.write(now_ms, |writer| {
            let connection = writer.connection();
            let stored = record::load(connection, &op.id())?;
            let at = now_ms as f64 / 1000.0;
            let source = Source { origin_id: 1, oseq: 1, at };
            apply::settle(connection, Subject::of(&op), source, stored, None, |record| {
                let is_tag = |(part, _): &(&Part, &Register)| matches!(part, Part::Tag(_));
                let lost = record.parts().find(is_tag).map(|(part, _)| part.clone());
                let rest = record.parts().filter(|(part, _)| Some(*part) != lost.as_ref());
                *record = rest.map(|(part, register)| (part.clone(), register.clone())).collect();
                Outcome { changed: lost.into_iter().collect(), ..Outcome::default() }
            })
        })
        .unwrap();
        self.state.forget();
    }

    pub(super) fn empty_quarantine(&mut self) {
        self.connection.execute("DELETE FROM quarantine", []).unwrap();
    }

    /// Makes an op that no function of the writer makes, and applies it as one of this run.
    pub(super) fn write_by_hand(
        &mut self,
        now_ms: u64,
        make: impl FnOnce(&Record, &mut Op),
        mut op: Op,
    ) -> Op {
        let origin = self.state.origin();
        let id = op.id();
        let present = self.record(&id);
        self.write(now_ms, |writer| {
            let connection = writer.connection();
            let at = now_ms as f64 / 1000.0;
            let origin_id = applied::origin_row(connection, &origin)?;
            let oseq = applied::draw_oseq(connection, origin_id, at)?;
            op.dot = Dot { origin, oseq };
            op.context = applied::read(connection)?;
            op.era = present.era();
            make(&present, &mut op);
            let payload = wire::encode(&op);
            let source = Source { origin_id, oseq, at };
            apply::keep(connection, source, &id, &payload)?;
            prune::count_kept(connection, origin_id, 1, payload.len() as i64)?;
            applied::insert(connection, origin_id, oseq, oseq)?;
            let model = Model { name: MODEL.to_owned(), dimension: DIMENSION };
            let stored = record::load(connection, &id)?;
            let meaning = Meaning::of(&op, &model);
            apply::settle(connection, Subject::of(&op), source, stored, meaning, |record| {
                record.apply(&op)
            })
        })
        .unwrap();
        self.state.forget();
        op
    }
}
