//! Which page and chunk size suit the commit of one memory and the point read of one vector.
//!
//! The file is laid out as the store's: a row with its indexes, FTS5 and vec0 in one transaction,
//! WAL, `synchronous=FULL`. An argument changes the number of memories (20,000).

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{SEED, ms, percentile, table, texts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, params};

const DIMENSION: usize = 384;
const COMMIT_COUNT: usize = 400;
const READ_COUNT: usize = 5_000;
const SEARCH_COUNT: usize = 30;
/// Bytes of an encoded record of a memory with two tags, its text left out.
const RECORD_BYTES: usize = 300;

const SCHEMA: &str = "
    CREATE TABLE memory (row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,
      namespace TEXT NOT NULL, created_at REAL, content TEXT, tags TEXT, record BLOB) STRICT;
    CREATE INDEX memory_by_time ON memory (created_at DESC, row DESC);
    CREATE INDEX memory_by_namespace ON memory (namespace, created_at DESC, row DESC);
    CREATE VIRTUAL TABLE memory_fts USING fts5 (content, tags, content = 'memory',
      content_rowid = 'row', tokenize = \"porter unicode61 remove_diacritics 2\");
    CREATE TRIGGER memory_fts_insert AFTER INSERT ON memory BEGIN
      INSERT INTO memory_fts (rowid, content, tags) VALUES (NEW.row, NEW.content, NEW.tags);
    END;";

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    register_sqlite_vec();
    let texts = texts(count + COMMIT_COUNT, 40);
    let head = [
        "page",
        "chunk",
        "commit p50",
        "p99",
        "CPU",
        "log",
        "vector p50",
        "p99",
        "CPU",
        "10 of all",
        "CPU",
        "file",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for page_size in [4_096, 8_192, 16_384] {
        for chunk_size in [8, 64, 1_024] {
            rows.push(measure(page_size, chunk_size, count, &texts));
        }
    }
    table(&format!("{count} memories of about 60 tokens, vectors of {DIMENSION} numbers"), &rows);
}

/// The store registers it for the whole process.
fn register_sqlite_vec() {
    let directory = tempfile::tempdir().expect("a directory");
    memnode::store::Store::open(&memnode::store::StoreOptions {
        path: directory.path().join("memory.db"),
        node: memnode_cluster::NodeName::new("bench").expect("a valid name"),
        model: "bench".to_owned(),
        dimension: DIMENSION,
        any_model: false,
        reader_count: 1,
        write_queue_count_max: 1,
        keeps_ops: false,
    })
    .expect("a store")
    .close();
}

fn measure(page_size: usize, chunk_size: usize, count: usize, texts: &[String]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("layout.db");
    let mut connection = open(&path, page_size, chunk_size);
    let mut random = StdRng::seed_from_u64(SEED);
    fill(&mut connection, &texts[..count], &mut random);

    let log = directory.path().join("layout.db-wal");
    let pages = "PRAGMA wal_autocheckpoint = 0; PRAGMA wal_checkpoint(TRUNCATE)";
    connection.execute_batch(pages).expect("a checkpoint");
    let commits = timed(COMMIT_COUNT, |number| {
        let transaction = connection.transaction().expect("a transaction");
        insert(&transaction, &texts[count + number], &vector(&mut random));
        transaction.commit().expect("a commit");
    });
    let log_bytes = size(&log) / COMMIT_COUNT as u64;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");

    let mut read = connection
        .prepare("SELECT embedding FROM memory_embeddings WHERE rowid = ?1")
        .expect("a statement");
    let reads = timed(READ_COUNT, |_| {
        let row = random.random_range(1..=count);
        let bytes: Vec<u8> = read.query_row([row], |row| row.get(0)).expect("a vector");
        assert_eq!(bytes.len(), DIMENSION * 4);
    });
    let mut search = connection
        .prepare("SELECT rowid FROM memory_embeddings WHERE embedding MATCH ?1 AND k = 10")
        .expect("a statement");
    let searches = timed(SEARCH_COUNT, |_| {
        let found = search.query_map([vector(&mut random)], |row| row.get::<_, i64>(0));
        assert_eq!(found.expect("a search").count(), 10);
    });
    vec![
        page_size.to_string(),
        chunk_size.to_string(),
        ms(commits.p50),
        ms(commits.p99),
        us(commits.cpu),
        format!("{} KiB", log_bytes / 1024),
        us(reads.p50),
        us(reads.p99),
        us(reads.cpu),
        ms(searches.p50),
        ms(searches.cpu),
        format!("{} MiB", size(&path) >> 20),
    ]
}

fn open(path: &Path, page_size: usize, chunk_size: usize) -> Connection {
    let connection = Connection::open(path).expect("a database");
    let settings = format!(
        "PRAGMA page_size = {page_size}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA cache_size = -16384; {SCHEMA}
         CREATE VIRTUAL TABLE memory_embeddings USING vec0
           (embedding FLOAT[{DIMENSION}] distance_metric=cosine, chunk_size={chunk_size});"
    );
    connection.execute_batch(&settings).expect("a schema");
    connection
}

fn fill(connection: &mut Connection, texts: &[String], random: &mut StdRng) {
    for group in texts.chunks(1_000) {
        let transaction = connection.transaction().expect("a transaction");
        group.iter().for_each(|text| insert(&transaction, text, &vector(random)));
        transaction.commit().expect("a commit");
    }
}

fn insert(connection: &Connection, text: &str, vector: &[u8]) {
    // Ids and records are hashes and times: bytes without order.
    let mut random = StdRng::seed_from_u64(
        text.bytes().fold(0, |sum, byte| u64::from(byte) + sum.wrapping_mul(31)),
    );
    let (mut id, mut record) = ([0_u8; 16], [0_u8; RECORD_BYTES]);
    random.fill(&mut id);
    random.fill(&mut record[..]);
    connection
        .prepare_cached(
            "INSERT INTO memory (id, namespace, created_at, content, tags, record) \
             VALUES (?1, 'default', ?2, ?3, '[\"note\",\"work\"]', ?4)",
        )
        .expect("a statement")
        .execute(params![id, random.random::<f64>(), text, record])
        .expect("a row");
    connection
        .prepare_cached("INSERT INTO memory_embeddings (rowid, embedding) VALUES (?1, ?2)")
        .expect("a statement")
        .execute(params![connection.last_insert_rowid(), vector])
        .expect("a vector");
}

/// Numbers as sqlite-vec keeps them; their length does not matter to the layout.
fn vector(random: &mut StdRng) -> Vec<u8> {
    (0..DIMENSION).flat_map(|_| random.random_range(-1.0_f32..1.0).to_le_bytes()).collect()
}

struct Timed {
    p50: Duration,
    p99: Duration,
    cpu: Duration,
}

/// Runs something so many times: wall time of each, CPU time on average.
fn timed(count: usize, mut run: impl FnMut(usize)) -> Timed {
    let cpu = cpu();
    let mut walls: Vec<Duration> = (0..count)
        .map(|number| {
            let started = Instant::now();
            run(number);
            started.elapsed()
        })
        .collect();
    let cpu = (self::cpu() - cpu) / u32::try_from(count).expect("a small number");
    walls.sort_unstable();
    Timed { p50: percentile(&walls, 0.5), p99: percentile(&walls, 0.99), cpu }
}

/// Time that this thread has spent on a processor (Linux, in nanoseconds).
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn us(duration: Duration) -> String {
    format!("{:.1} us", duration.as_secs_f64() * 1e6)
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}
