//! The store over real files in temporary directories.

mod answers;
mod audit;
mod backups;
mod codes;
mod conditions;
mod damage;
mod deadline;
mod full_disk;
mod groups;
mod neighbours;
mod opening;
mod peers;
mod plans;
mod reembedding;
mod replication;
mod sequences;
mod simulation;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memnode_cluster::{CreateValues, Embedding, NodeName, OpKind};
use rusqlite::Connection;
use tempfile::TempDir;

use super::reader::Reader;
use super::writer::{Target, Writer, WriterState};
use super::{Bounds, Known, Located, Store, StoreError, StoreOptions, Wanted};
use crate::memory::{ContentHash, Filter, Namespace, NamespaceSet};

/// The model of every test file, and its dimension.
const MODEL: &str = "test-model";
const DIMENSION: usize = 8;
/// 2026-11-22T15:26:24Z.
const NOW_MS: u64 = 1_795_361_184_000;
/// Longer than any read of a test takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(path: &Path) -> StoreOptions {
    StoreOptions {
        path: path.to_owned(),
        node: NodeName::new("node-1").unwrap(),
        model: MODEL.to_owned(),
        dimension: DIMENSION,
        any_model: false,
        reader_count: 2,
        write_queue_count_max: 1024,
        keeps_ops: false,
    }
}

/// One file with its writing connection, its time of day in the test's hands.
struct File {
    directory: TempDir,
    connection: Connection,
    state: WriterState,
    now_ms: u64,
}

impl File {
    /// A new file of a node that keeps its ops; fsyncs are left out.
    fn new(node: &str) -> File {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.db");
        let (connection, state) = open_file(&path, node, 1);
        File { directory, connection, state, now_ms: NOW_MS }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("memory.db")
    }

    /// Another run of the same file.
    fn reopen(&mut self, node: &str, epoch: u64) {
        let (connection, state) = open_file(&self.path(), node, epoch);
        (self.connection, self.state) = (connection, state);
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.connection)
    }

    /// One transaction.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.now_ms += 1;
        self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let result = work(&mut Writer::new(&self.connection, &mut self.state, self.now_ms));
        self.connection.execute_batch("COMMIT").unwrap();
        result
    }

    fn create(&mut self, text: &str) -> Located {
        self.write(|writer| create(writer, text)).unwrap()
    }

    /// One number out of the file.
    fn number(&self, sql: &str) -> i64 {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn check_sound(&self) {
        assert_eq!(self.reader().verify().unwrap(), Vec::<String>::new());
    }
}

fn open_file(path: &Path, node: &str, epoch: u64) -> (Connection, WriterState) {
    let connection = super::open::open_writer(path, |_| Ok(())).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    super::initialise(&connection, &options(path)).unwrap();
    super::open::set_meta(&connection, "cluster_id", [7; 16]).unwrap();
    let node = NodeName::new(node).unwrap();
    let state = WriterState::new(&connection, node, epoch, true, NOW_MS).unwrap();
    (connection, state)
}

/// A store on a file of its own.
struct Opened {
    directory: TempDir,
    store: Store,
}

impl Opened {
    fn new() -> Opened {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&options(&directory.path().join("memory.db"))).unwrap();
        Opened { directory, store }
    }

    async fn check_sound(&self) {
        let problems = self.store.read(PATIENCE, |reader| reader.verify()).await.unwrap();
        assert_eq!(problems, Vec::<String>::new());
    }
}

fn space(name: &str) -> Namespace {
    name.parse().unwrap()
}

fn target(text: &str) -> Target {
    Target { namespace: Namespace::default(), content_hash: ContentHash::of(text) }
}

fn values(text: &str) -> CreateValues {
    CreateValues {
        created_at: 1000.0,
        updated_at: 1000.0,
        content: text.to_owned(),
        tags: vec!["all".to_owned()],
        memory_type: Some("note".to_owned()),
        metadata: BTreeMap::from([("k".to_owned(), "1".to_owned())]),
    }
}

fn create(writer: &mut Writer<'_>, text: &str) -> Result<Located, StoreError> {
    writer.create(&Namespace::default(), &values(text), OpKind::Create, meaning(text))
}

fn meaning(text: &str) -> Embedding {
    Embedding { model: MODEL.to_owned(), vector: direction(text, DIMENSION) }
}

/// A unit vector that depends on the text alone.
fn direction(text: &str, dimension: usize) -> Vec<f32> {
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    let numbers: Vec<f32> = (0..dimension).map(|_| next()).collect();
    let length = crate::index::dot(&numbers, &numbers).sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

/// Every namespace, no condition.
fn everything() -> Filter {
    Filter { namespaces: NamespaceSet::All, ..Filter::default() }
}

/// Rows that hold some words.
fn holding(reader: &Reader<'_>, words: &[&str]) -> Result<Vec<i64>, StoreError> {
    let bounds = Bounds { limit: 1_000, looked_at_max: 1_000, first_row: 0 };
    Ok(reader.occurrences(Wanted::Every(words), |_| Ok(true), bounds)?.rows)
}

fn is_live(known: &Known) -> bool {
    matches!(known, Known::Live(_))
}

/// Waits until a condition holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        look.tick().await;
    }
}
