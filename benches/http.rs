//! What storing and finding one memory over HTTP costs, alone and with 1,000 callers at once.

mod common;

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use common::{Server, cpu_seconds, ms, percentile, status_mib, table, texts};
use memnode::config::{Flags, Sources};
use memnode::embed::EmbedderChoice;
use serde_json::json;

/// Requests one after another.
const SEQUENTIAL_COUNT: usize = 200;
/// Callers at once.
const CONCURRENT_COUNT: usize = 1_000;
/// Words of a text: about 30 tokens.
const WORD_COUNT: usize = 24;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, _) = Server::start(directory.path());
    server.wait_ready();
    let texts = texts(SEQUENTIAL_COUNT + CONCURRENT_COUNT, WORD_COUNT);
    let (sequential, concurrent) = texts.split_at(SEQUENTIAL_COUNT);
    let mut rows = vec![row(["", "wall p50", "wall p99", "CPU each", "a second"])];
    rows.push(one_by_one("store, one caller", &server, sequential, |agent, url, text| {
        let body = json!({"content": text, "tags": ["bench"]});
        agent.post(format!("{url}/api/memories")).send_json(body).expect("stored");
    }));
    rows.push(one_by_one("search, one caller", &server, sequential, |agent, url, text| {
        let body = json!({"query": text, "n_results": 10});
        agent.post(format!("{url}/api/search")).send_json(body).expect("found");
    }));
    rows.push(one_by_one("list a page", &server, sequential, |agent, url, _| {
        agent.get(format!("{url}/api/memories")).call().expect("listed");
    }));
    rows.push(all_at_once(&server, concurrent));
    rows.push(embedding_alone(directory.path(), concurrent));
    table("HTTP on loopback, texts of about 30 tokens, synchronous=FULL", &rows);
    println!("\n  resident memory afterwards: {:.0} MiB", status_mib(server.pid(), "VmRSS"));
    count(&server, SEQUENTIAL_COUNT + CONCURRENT_COUNT);
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn line(name: &str, mut times: Vec<Duration>, cpu: f64, wall: Duration) -> Vec<String> {
    times.sort();
    let count = times.len() as f64;
    vec![
        name.to_owned(),
        ms(percentile(&times, 0.5)),
        ms(percentile(&times, 0.99)),
        format!("{:.2} ms", cpu * 1000.0 / count),
        format!("{:.0}", count / wall.as_secs_f64()),
    ]
}

fn one_by_one(
    name: &str,
    server: &Server,
    texts: &[String],
    call: impl Fn(&ureq::Agent, &str, &str),
) -> Vec<String> {
    let agent = ureq::Agent::new_with_defaults();
    let (cpu, started) = (cpu_seconds(server.pid()), Instant::now());
    let timed = |text: &String| {
        let started = Instant::now();
        call(&agent, &server.url, text);
        started.elapsed()
    };
    let times = texts.iter().map(timed).collect();
    line(name, times, cpu_seconds(server.pid()) - cpu, started.elapsed())
}

/// Every text by a caller of its own, all let go at the same moment.
fn all_at_once(server: &Server, texts: &[String]) -> Vec<String> {
    let barrier = Arc::new(Barrier::new(texts.len() + 1));
    let caller = |text: &String| {
        let (barrier, url, text) = (Arc::clone(&barrier), server.url.clone(), text.clone());
        let call = move || {
            barrier.wait();
            let started = Instant::now();
            let body = json!({"content": text});
            ureq::post(format!("{url}/api/memories")).send_json(body).expect("stored");
            started.elapsed()
        };
        let builder = std::thread::Builder::new().stack_size(256 * 1024);
        builder.spawn(call).expect("room for a thread")
    };
    let callers: Vec<_> = texts.iter().map(caller).collect();
    let cpu = cpu_seconds(server.pid());
    barrier.wait();
    let started = Instant::now();
    let times = callers.into_iter().map(|caller| caller.join().expect("stored")).collect();
    line("store, 1,000 at once", times, cpu_seconds(server.pid()) - cpu, started.elapsed())
}

/// The limit of the line before: the same texts embedded in this process, nothing stored.
fn embedding_alone(directory: &std::path::Path, texts: &[String]) -> Vec<String> {
    let setting = |key: &str, value: String| (key.to_owned(), value);
    let settings = vec![setting("store.base_dir", directory.display().to_string())];
    let flags = Flags { file: None, settings };
    let environment = memnode::config::environment();
    let loaded =
        memnode::config::load(&Sources { flags, environment }).expect("default settings load");
    let embedder = EmbedderChoice::from(&loaded.config.embed).load().expect("the model is fetched");
    let (cpu, started) = (cpu_seconds(std::process::id()), Instant::now());
    let half = texts.len() / 2;
    std::thread::scope(|scope| {
        for part in [&texts[..half], &texts[half..]] {
            scope.spawn(|| {
                for chunk in part.chunks(32) {
                    let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
                    embedder.embed(&chunk).expect("embedded");
                }
            });
        }
    });
    let wall = started.elapsed();
    let each = wall / u32::try_from(texts.len()).expect("few texts");
    let cpu = cpu_seconds(std::process::id()) - cpu;
    line("limit: embedding alone", vec![each; texts.len()], cpu, wall)
}

/// None may be lost.
fn count(server: &Server, expected: usize) {
    let mut answer = ureq::get(format!("{}/api/memories", server.url)).call().expect("listed");
    let page: serde_json::Value = answer.body_mut().read_json().expect("JSON");
    assert_eq!(page["total"], expected, "memories were lost");
    println!("  {expected} stored, {} there", page["total"]);
}
