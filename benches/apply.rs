//! What replication costs the store: local writes of a node with peers beside one without, taking
//! in peers' writes, joining records, and snapshots.
//!
//! Batches of 500 memories with vectors of 384 numbers. An argument changes the number of memories
//! (20,000).

mod common;

use std::time::{Duration, Instant};

use common::{SEED, cpu_seconds, table, texts};
use memnode::memory::Namespace;
use memnode::store::{Reader, Store, StoreError, StoreOptions};
use memnode_cluster::replicator::Incoming;
use memnode_cluster::wire::TransferRecord;
use memnode_cluster::{
    CreateValues, Dot, Embedding, NodeName, Op, OpKind, Origin, RecordId, Vector,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

const DIMENSION: usize = 384;
const MODEL: &str = "bench";
const BATCH_COUNT: usize = 500;
const BUCKET_LAST: u16 = 4095;
/// Unix seconds of the oldest memory.
const FIRST: f64 = 1_700_000_000.0;
const DEADLINE: Duration = Duration::from_secs(600);
/// Turns that local writes of both kinds take, so that a busy machine hits both.
const TURN_COUNT: usize = 10;

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(count));
}

async fn run(count: usize) {
    let head = ["step", "memories a second", "CPU a memory"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    let (alone, author) = (Node::new("alone", false), Node::new("author", true));
    rows.extend(local(&alone, &author, count).await);
    let vector = author.read(|reader| reader.vector()).await;
    rows.push(batches(&author, &vector, count).await);
    rows.push(joins(&author, &vector, count).await);
    rows.extend(snapshots(&author, count).await);
    table(&format!("{count} memories of about 60 tokens in batches of {BATCH_COUNT}"), &rows);
}

struct Node {
    directory: TempDir,
    store: Store,
}

impl Node {
    fn new(name: &str, keeps_ops: bool) -> Node {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&StoreOptions {
            path: directory.path().join("memory.db"),
            node: NodeName::new(name).expect("a valid name"),
            model: MODEL.to_owned(),
            dimension: DIMENSION,
            any_model: false,
            reader_count: 1,
            write_queue_count_max: 1024,
            keeps_ops,
        });
        Node { directory, store: store.expect("a store") }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.read(DEADLINE, work).await.expect("a read")
    }

    /// In the cluster of another.
    async fn beside(name: &str, other: &Node) -> Node {
        let node = Node::new(name, true);
        let cluster = other.read(|reader| reader.cluster_id()).await;
        node.store.write(move |writer| writer.set_cluster(cluster)).await.expect("a write");
        node
    }
}

/// Wall and CPU time of this process.
struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    fn start() -> Stopwatch {
        Stopwatch { wall: Instant::now(), cpu: cpu_seconds(std::process::id()) }
    }

    fn stop(self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), cpu_seconds(std::process::id()) - self.cpu)
    }
}

fn row(step: &str, count: usize, (wall, cpu): (f64, f64)) -> Vec<String> {
    let each = cpu * 1_000_000.0 / count as f64;
    vec![step.to_owned(), format!("{:.0}", count as f64 / wall), format!("{each:.0} us")]
}

/// The same writes on a node without peers and on one with peers, in turns.
async fn local(alone: &Node, author: &Node, count: usize) -> Vec<Vec<String>> {
    let texts = texts(count, 40);
    let mut random = StdRng::seed_from_u64(SEED);
    let vectors: Vec<Vec<f32>> = texts.iter().map(|_| vector(&mut random)).collect();
    let mut sums = [(0.0, 0.0); 2];
    let turn = count.div_ceil(TURN_COUNT);
    for (texts, vectors) in texts.chunks(turn).zip(vectors.chunks(turn)) {
        for (sum, node) in sums.iter_mut().zip([alone, author]) {
            let watch = Stopwatch::start();
            write(node, texts, vectors).await;
            let (wall, cpu) = watch.stop();
            *sum = (sum.0 + wall, sum.1 + cpu);
        }
    }
    vec![
        row("local writes without peers", count, sums[0]),
        row("local writes with peers", count, sums[1]),
    ]
}

async fn write(node: &Node, texts: &[String], vectors: &[Vec<f32>]) {
    for (texts, vectors) in texts.chunks(BATCH_COUNT).zip(vectors.chunks(BATCH_COUNT)) {
        let work: Vec<(CreateValues, Embedding)> = texts
            .iter()
            .zip(vectors)
            .map(|(text, vector)| {
                (values(text), Embedding { model: MODEL.to_owned(), vector: vector.clone() })
            })
            .collect();
        let written = node.store.write(move |writer| {
            let namespace = Namespace::default();
            for (values, meaning) in work {
                writer.create(&namespace, &values, OpKind::Create, meaning)?;
            }
            Ok(())
        });
        written.await.expect("a group of writes");
    }
}

fn values(text: &str) -> CreateValues {
    CreateValues {
        created_at: FIRST,
        updated_at: FIRST,
        content: text.to_owned(),
        tags: vec!["work".to_owned(), "notes".to_owned()],
        memory_type: Some("note".to_owned()),
        metadata: [("source".to_owned(), "\"bench\"".to_owned())].into(),
    }
}

/// A unit vector.
fn vector(random: &mut StdRng) -> Vec<f32> {
    let numbers: Vec<f32> = (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

/// Decoding and taking in what the author wrote.
async fn batches(author: &Node, vector: &Vector, count: usize) -> Vec<String> {
    let node = Node::beside("follower", author).await;
    let (origin, set) = vector.iter().next().expect("the author wrote");
    let (origin, head) = (origin.clone(), set.head());
    let (mut wall, mut cpu) = (0.0, 0.0);
    for lo in (1..=head).step_by(BATCH_COUNT) {
        let run = origin.clone();
        let hi = lo + BATCH_COUNT as u64 - 1;
        let payloads = author.read(move |reader| reader.op_payloads(&run, lo, hi)).await;
        let watch = Stopwatch::start();
        let batch = payloads.into_iter().map(|found| incoming(&origin, found)).collect::<Vec<_>>();
        let taken = node.store.write(move |writer| writer.apply_batch(&batch, None)).await;
        assert!(taken.expect("a batch").held.is_empty());
        let (more_wall, more_cpu) = watch.stop();
        (wall, cpu) = (wall + more_wall, cpu + more_cpu);
    }
    check_equal(author, &node).await;
    row("taking in writes of a peer", count, (wall, cpu))
}

fn incoming(origin: &Origin, (oseq, payload): (u64, Vec<u8>)) -> Incoming {
    let op = Op::decode(&payload).map(Box::new).map_err(|error| error.to_string());
    Incoming { dot: Dot { origin: origin.clone(), oseq }, payload, op }
}

/// A whole state transfer, page by page.
async fn joins(author: &Node, theirs: &Vector, count: usize) -> Vec<String> {
    let node = Node::beside("joiner", author).await;
    let mut after = None::<RecordId>;
    let (mut wall, mut cpu) = (0.0, 0.0);
    loop {
        let mut records: Vec<TransferRecord> = Vec::new();
        let mut more = true;
        while more && records.len() < BATCH_COUNT {
            let page;
            (page, more) = author
                .read(move |reader| reader.transfer_bucket_records(0, BUCKET_LAST, after))
                .await;
            records.extend(page);
            after = records.last().map(TransferRecord::id);
        }
        let watch = Stopwatch::start();
        let whole = theirs.clone();
        let joined = node
            .store
            .write(move |writer| writer.merge_records(&records, &Vector::default(), &whole));
        assert!(joined.await.expect("a page").refused.is_empty());
        let (more_wall, more_cpu) = watch.stop();
        (wall, cpu) = (wall + more_wall, cpu + more_cpu);
        if !more {
            break;
        }
    }
    let whole = theirs.clone();
    node.store.write(move |writer| writer.adopt(&whole)).await.expect("a write");
    check_equal(author, &node).await;
    row("joining records", count, (wall, cpu))
}

async fn snapshots(author: &Node, count: usize) -> Vec<Vec<String>> {
    let path = author.directory.path().join("snapshot.db");
    let watch = Stopwatch::start();
    author.store.snapshot_to(&path).expect("a snapshot");
    let written = row("writing a snapshot", count, watch.stop());
    let node = Node::new("newcomer", true);
    let watch = Stopwatch::start();
    let installed = node.store.install_snapshot(&path, 0.0).await.expect("a whole snapshot");
    let taken = row("taking a snapshot over", count, watch.stop());
    assert!(installed.is_copied);
    check_equal(author, &node).await;
    vec![written, taken]
}

async fn check_equal(a: &Node, b: &Node) {
    let (a, b) = (a.read(|reader| reader.digest()).await, b.read(|reader| reader.digest()).await);
    assert_eq!((a.root(), a.vector), (b.root(), b.vector));
}
