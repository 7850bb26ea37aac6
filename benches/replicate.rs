//! What replication costs and how far behind a node is, over one NATS server on loopback.
//!
//! Nodes are stores with their replication, all in this process: no HTTP, no model. A number as an
//! argument changes how many memories a node catches up with (100,000); `lag`, `cost`, `catch-up`
//! and `sizes` choose parts.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::nats::NatsServer;
use common::{SEED, cpu_seconds, ms, percentile, table, texts};
use memnode::memory::Namespace;
use memnode::replica::{Replica, ReplicaParts, Waited};
use memnode::store::{Store, StoreOptions};
use memnode_cluster::{CreateValues, Dot, Embedding, NodeName, OpKind, Vector};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::task::TaskTracker;

const DIMENSION: usize = 384;
const MODEL: &str = "bench";
/// Writes whose way is timed.
const TIMED_COUNT: usize = 1_000;
/// Time between two of them: 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);
/// Writes whose CPU is counted.
const COUNTED: usize = 3_000;
/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(600);

/// One node.
struct Node {
    store: Arc<Store>,
    replica: Option<Replica>,
}

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(count));
}

async fn run(count: usize) {
    let parts = ["lag", "cost", "catch-up", "sizes"];
    let named: Vec<String> =
        std::env::args().filter(|argument| parts.contains(&argument.as_str())).collect();
    let wants = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wants("lag") {
        let mut rows = vec![row(["from commit on one node", "p50", "p99", "CPU a write"])];
        rows.push(raw().await);
        for nodes in [2, 3, 5] {
            rows.extend(lag(nodes).await);
        }
        table("100 writes a second with a vector of 384 numbers, loopback", &rows);
    }
    if wants("cost") {
        let mut rows = vec![row(["writes one by one", "wall p50", "CPU each", "of standalone"])];
        rows.extend(cost().await);
        table("the local write path, fsync included", &rows);
    }
    if wants("catch-up") {
        let mut rows = vec![row(["way", "memories", "wall", "a second", "CPU"])];
        rows.extend(catch_up(count).await);
        table("an empty node catches up", &rows);
    }
    if wants("sizes") {
        table("bytes", &sizes().await);
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn open(path: &Path, name: &str, keeps_ops: bool) -> Arc<Store> {
    let options = StoreOptions {
        path: path.to_owned(),
        node: NodeName::new(name).expect("a valid name"),
        model: MODEL.to_owned(),
        dimension: DIMENSION,
        any_model: false,
        reader_count: 2,
        write_queue_count_max: 4096,
        keeps_ops,
    };
    Arc::new(Store::open(&options).expect("a store"))
}

impl Node {
    async fn start(directory: &Path, name: &str, nats: &NatsServer) -> Node {
        let store = open(&directory.join(format!("{name}.db")), name, true);
        let config = nats.cluster();
        let node = NodeName::new(name).expect("a valid name");
        let parts =
            ReplicaParts { config, node, store: Arc::clone(&store), tasks: TaskTracker::new() };
        let replica = Replica::start(parts).await.expect("it starts");
        Node { store, replica }
    }

    fn replica(&self) -> &Replica {
        self.replica.as_ref().expect("it has servers")
    }

    /// Waits until the stream is known.
    async fn connected(&self) {
        let until = Instant::now() + DEADLINE;
        while self.replica().status().stream.is_none() {
            assert!(Instant::now() < until, "the stream is not there in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn create(&self, text: &str, vector: Vec<f32>) -> Dot {
        create(&self.store, text, vector).await
    }

    async fn stop(self) {
        self.replica().stop(Duration::from_secs(10)).await;
        let store = self.store;
        tokio::task::spawn_blocking(move || store.close()).await.expect("it closes");
    }
}

async fn create(store: &Store, text: &str, vector: Vec<f32>) -> Dot {
    let values = values(text);
    let meaning = Embedding { model: MODEL.to_owned(), vector };
    let write = store.write(move |writer| {
        let created = writer.create(&Namespace::default(), &values, OpKind::Create, meaning)?;
        drop(created);
        Ok(writer.drawn().last().cloned())
    });
    write.await.expect("written").expect("a write has a name")
}

fn values(text: &str) -> CreateValues {
    CreateValues {
        created_at: 1_700_000_000.0,
        updated_at: 1_700_000_000.0,
        content: text.to_owned(),
        tags: vec!["bench".to_owned()],
        memory_type: Some("note".to_owned()),
        metadata: [("source".to_owned(), "\"bench\"".to_owned())].into(),
    }
}

fn vector(random: &mut StdRng) -> Vec<f32> {
    let numbers: Vec<f32> = (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

fn own_cpu() -> f64 {
    cpu_seconds(std::process::id())
}

/// The limit: the same bytes through JetStream alone.
async fn raw() -> Vec<String> {
    let nats = NatsServer::start();
    let (times, cpu) = nats.publish_to_consume(2_000, TIMED_COUNT, INTERVAL).await;
    line("limit: NATS publish to consume, 2,000 bytes", times, cpu)
}

fn line(name: &str, mut times: Vec<Duration>, cpu: f64) -> Vec<String> {
    times.sort();
    let each = cpu * 1000.0 / times.len() as f64;
    let p = |share| ms(percentile(&times, share));
    vec![name.to_owned(), p(0.5), p(0.99), format!("{each:.2} ms")]
}

/// How long a write takes to the last of the other nodes, and to the first one's disk and back.
async fn lag(count: usize) -> Vec<Vec<String>> {
    let (directory, nats) = (tempfile::tempdir().expect("a directory"), NatsServer::start());
    let mut nodes = Vec::new();
    for number in 1..=count {
        let node = Node::start(directory.path(), &format!("node-{number}"), &nats).await;
        node.connected().await;
        nodes.push(node);
    }
    let mut random = StdRng::seed_from_u64(SEED);
    let texts = texts(2 * TIMED_COUNT, 40);
    let (plain, acked) = texts.split_at(TIMED_COUNT);
    let (mut times, cpu) = (Vec::new(), own_cpu());
    let started = Instant::now();
    for (number, text) in plain.iter().enumerate() {
        let due = started + INTERVAL * u32::try_from(number).expect("few writes");
        tokio::time::sleep_until(due.into()).await;
        let written = Vector::from_iter([nodes[0].create(text, vector(&mut random)).await]);
        let committed = Instant::now();
        for node in &nodes[1..] {
            let waited = node.replica().applied(&written, DEADLINE).await;
            assert_eq!(waited, Waited::Reached, "a write did not arrive");
        }
        times.push(committed.elapsed());
    }
    let cpu = own_cpu() - cpu;
    let mut rows = vec![line(&format!("readable on all of {count} nodes"), times, cpu)];
    if count == 2 {
        rows.push(acknowledged(&nodes[0], &acked[..300], &mut random).await);
    }
    for node in nodes {
        node.stop().await;
    }
    rows
}

/// A whole write whose author waits for one other node.
async fn acknowledged(node: &Node, texts: &[String], random: &mut StdRng) -> Vec<String> {
    let (mut times, cpu) = (Vec::new(), own_cpu());
    for text in texts {
        let vector = vector(random);
        let started = Instant::now();
        let wanted = node.replica().expect_ack();
        let dot = node.create(text, vector).await;
        assert!(node.replica().replicated(&dot, 1, DEADLINE).await, "nobody acknowledged");
        drop(wanted);
        times.push(started.elapsed());
    }
    line("whole write with replicated:1, one by one", times, own_cpu() - cpu)
}

/// CPU of local writes: on its own, keeping ops, and sending them to a server.
async fn cost() -> Vec<Vec<String>> {
    let (directory, nats) = (tempfile::tempdir().expect("a directory"), NatsServer::start());
    let mut random = StdRng::seed_from_u64(SEED);
    let texts = texts(COUNTED, 40);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut standalone = 0.0;
    for (name, is_clustered) in [("standalone", false), ("in a cluster, sending", true)] {
        let node = if is_clustered {
            let node = Node::start(directory.path(), "node-1", &nats).await;
            node.connected().await;
            node
        } else {
            Node { store: open(&directory.path().join("alone.db"), "alone", false), replica: None }
        };
        let vectors: Vec<Vec<f32>> = texts.iter().map(|_| vector(&mut random)).collect();
        let (mut times, cpu) = (Vec::new(), own_cpu());
        for (text, vector) in texts.iter().zip(vectors) {
            let started = Instant::now();
            node.create(text, vector).await;
            times.push(started.elapsed());
        }
        let each = (own_cpu() - cpu) * 1000.0 / COUNTED as f64;
        standalone = if is_clustered { standalone } else { each };
        times.sort();
        let share = format!("{:.0} %", each / standalone * 100.0);
        let wall = ms(percentile(&times, 0.5));
        rows.push(vec![name.to_owned(), wall, format!("{each:.3} ms"), share]);
    }
    rows
}

/// Three ways of an empty node to the state of one that holds many memories.
async fn catch_up(count: usize) -> Vec<Vec<String>> {
    let directory = tempfile::tempdir().expect("a directory");
    let texts = texts(count, 40);
    let mut rows = Vec::new();
    for (name, keeps_ops, has_written) in [
        ("op by op from the stream", true, true),
        ("record by record", false, true),
        ("snapshot", false, false),
    ] {
        let place = directory.path().join(name.replace(' ', "-"));
        std::fs::create_dir_all(&place).expect("a directory");
        rows.push(one_way(&place, name, &texts, keeps_ops, has_written).await);
    }
    rows
}

async fn one_way(
    place: &Path,
    name: &str,
    texts: &[String],
    keeps_ops: bool,
    has_written: bool,
) -> Vec<String> {
    let nats = NatsServer::start();
    let full = Node::start(place, "full", &nats).await;
    full.connected().await;
    let mut random = StdRng::seed_from_u64(SEED);
    if has_written {
        // One that has written something of its own takes no snapshot.
        let empty = Node::start(place, "empty", &nats).await;
        empty.connected().await;
        empty.create("something of its own", vector(&mut random)).await;
        empty.stop().await;
    }
    full.stop().await;
    fill(&place.join("full.db"), texts, keeps_ops).await;
    let full = Node::start(place, "full", &nats).await;
    full.connected().await;
    let until = Instant::now() + DEADLINE;
    while full.replica().status().outbox_count > 0 {
        assert!(Instant::now() < until, "not sent in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (started, cpu) = (Instant::now(), own_cpu());
    let empty = Node::start(place, "empty", &nats).await;
    let wanted = full.replica().status().vector;
    loop {
        if empty.replica().status().vector.covers(&wanted) {
            break;
        }
        assert!(Instant::now() < until, "not level in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), own_cpu() - cpu);
    let count = texts.len() as f64;
    for node in [full, empty] {
        node.stop().await;
    }
    vec![
        name.to_owned(),
        texts.len().to_string(),
        format!("{wall:.2} s"),
        format!("{:.0}", count / wall),
        format!("{:.0} us a memory", cpu * 1e6 / count),
    ]
}

async fn fill(path: &Path, texts: &[String], keeps_ops: bool) {
    let store = open(path, "full", keeps_ops);
    let mut random = StdRng::seed_from_u64(SEED);
    for group in texts.chunks(1_000) {
        let work: Vec<_> = group.iter().map(|text| (values(text), vector(&mut random))).collect();
        let write = store.write(move |writer| {
            work.into_iter().try_for_each(|(values, vector)| {
                let meaning = Embedding { model: MODEL.to_owned(), vector };
                writer.create(&Namespace::default(), &values, OpKind::Create, meaning).map(drop)
            })
        });
        write.await.expect("a group of writes");
    }
    store.close();
}

/// How long the things are that nodes send and keep.
async fn sizes() -> Vec<Vec<String>> {
    const COUNT: usize = 1_000;
    let (directory, nats) = (tempfile::tempdir().expect("a directory"), NatsServer::start());
    let node = Node::start(directory.path(), "node-1", &nats).await;
    node.connected().await;
    let mut random = StdRng::seed_from_u64(SEED);
    for text in texts(COUNT, 40) {
        node.create(&text, vector(&mut random)).await;
    }
    let kept = node.store.read(DEADLINE, |reader| reader.op_bytes()).await.expect("counted");
    let beat = nats.next_message_bytes("mem.bench.hb.*").await;
    let until = Instant::now() + DEADLINE;
    while node.replica().status().outbox_count > 0 {
        assert!(Instant::now() < until, "not sent in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (messages, bytes) = nats.stream_size("memnode-bench").await;
    let snapshot = node.replica().snapshot().await.expect("made");
    let each = |bytes: u64, count: u64| format!("{:.0}", bytes as f64 / count as f64);
    let rows = vec![
        row(["what", "bytes"]),
        row(["an op as a node keeps it", &each(kept.1, kept.0)]),
        row(["an op in the stream", &each(bytes, COUNT as u64)]),
        row(["a message, of the ops of 5 ms", &each(bytes, messages)]),
        row(["a heartbeat of a cluster with one run", &beat.to_string()]),
        row(["a memory in a snapshot", &each(snapshot.bytes, snapshot.record_count)]),
    ];
    node.stop().await;
    rows
}
