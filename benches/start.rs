//! How long a node with 100,000 memories takes from start to ready, and what it holds in memory.

mod common;

use std::time::{Duration, Instant};

use common::{SEED, Server, ms, percentile, status_mib, table, texts};
use memnode::store::{Store, StoreOptions};
use memnode_cluster::{CreateValues, Embedding, NodeName, OpKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Memories in the file.
const COUNT: usize = 100_000;
/// Starts that are timed.
const START_COUNT: usize = 7;
/// Memories of one transaction while the file is made.
const CHUNK_COUNT: usize = 500;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(&directory.path().join("memnode.db"));
    let mut up = Vec::new();
    let mut ready = Vec::new();
    let mut memory = (0.0, 0.0);
    for _ in 0..START_COUNT {
        let started = Instant::now();
        let (server, until_up) = Server::start(directory.path());
        server.wait_ready();
        ready.push(started.elapsed());
        up.push(until_up);
        let idle = status_mib(server.pid(), "VmRSS");
        let body = serde_json::json!({"query": "when is the meeting with the customer"});
        ureq::post(format!("{}/api/search", server.url)).send_json(body).expect("found");
        memory = (idle, status_mib(server.pid(), "VmRSS"));
    }
    let line = |name: &str, mut times: Vec<Duration>| {
        times.sort();
        vec![name.to_owned(), ms(percentile(&times, 0.5)), ms(percentile(&times, 1.0))]
    };
    let head = ["", "median", "slowest"].map(str::to_owned).to_vec();
    let rows = [head, line("takes requests", up), line("ready, model loaded", ready)];
    table(&format!("Start with {COUNT} memories, {START_COUNT} starts"), &rows);
    println!(
        "\n  resident memory: {:.0} MiB when ready, {:.0} MiB after a semantic search",
        memory.0, memory.1
    );
}

/// Fills a file through the store itself, with random directions for vectors.
fn fill(path: &std::path::Path) {
    let options = StoreOptions {
        path: path.to_owned(),
        node: NodeName::new("bench").expect("a name"),
        model: "all-MiniLM-L6-v2".to_owned(),
        dimension: 384,
        any_model: true,
        reader_count: 1,
        write_queue_count_max: 16,
        keeps_ops: false,
    };
    let store = Store::open(&options).expect("a new file");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let started = Instant::now();
    let mut random = StdRng::seed_from_u64(SEED);
    for (number, chunk) in texts(COUNT, 12).chunks(CHUNK_COUNT).enumerate() {
        let items: Vec<(CreateValues, Embedding)> = chunk
            .iter()
            .enumerate()
            .map(|(place, text)| {
                let created_at = 1.7e9 + (number * CHUNK_COUNT + place) as f64;
                (values(text, created_at), embedding(&mut random))
            })
            .collect();
        let write = store.write(move |writer| {
            for (values, embedding) in items {
                writer.create(&Default::default(), &values, OpKind::Create, embedding)?;
            }
            Ok(())
        });
        runtime.block_on(write).expect("room on the disk");
    }
    store.close();
    let rate = COUNT as f64 / started.elapsed().as_secs_f64();
    println!("  filled with ready vectors at {rate:.0} memories a second");
}

fn values(text: &str, created_at: f64) -> CreateValues {
    CreateValues {
        created_at,
        updated_at: created_at,
        content: text.to_owned(),
        tags: vec!["bench".to_owned()],
        ..CreateValues::default()
    }
}

fn embedding(random: &mut StdRng) -> Embedding {
    let numbers: Vec<f32> = (0..384).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    let vector = numbers.into_iter().map(|number| number / length).collect();
    Embedding { model: "all-MiniLM-L6-v2".to_owned(), vector }
}
