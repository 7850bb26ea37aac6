//! How long a search takes through HTTP, the question embedded, and how long a node takes to start,
//! on the files that the bench `search` has left in a directory.
//!
//! `cargo bench --bench search_http -- DIRECTORY [FILE]`, with the directory and the FILE of texts
//! that `search` was given: its last lines are the questions, and of no text that is stored. The
//! node runs as users run it. CPU is that of the whole node. Before a cold start the system is
//! asked to drop what it keeps of the file and of the model.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Server, cpu_seconds, ms, percentile, status_mib, table, texts};
use serde_json::{Value, json};

/// Questions: as many as `search` asks.
const QUERY_COUNT: usize = 60;
/// Each is asked so often, after once that does not count.
const ROUND_COUNT: usize = 3;
/// Starts of which the median counts.
const START_COUNT: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let paths = || std::env::args().skip(1).filter(|one| one != "--bench").map(PathBuf::from);
    let Some(directory) = paths().find(|path| path.is_dir()) else {
        return println!("a directory with files of `cargo bench --bench search` is needed");
    };
    let queries = match paths().find(|path| path.is_file()) {
        Some(path) => {
            let text = std::fs::read_to_string(path).expect("a file of texts");
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines[lines.len() - QUERY_COUNT..].to_vec()
        }
        None => texts(QUERY_COUNT, 9),
    };
    let mut counts: Vec<usize> = std::fs::read_dir(&directory)
        .expect("a directory")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    counts.sort_unstable();
    for count in counts {
        measure(&directory.join(count.to_string()), count, &queries);
    }
}

fn measure(directory: &Path, count: usize, queries: &[String]) {
    // Codes that are missing are made, and the log of the last writes is taken in.
    let (server, _) = Server::start(directory);
    indexed(&server);
    drop(server);
    let mut rows = vec![["", "takes requests", "ready", "index", "RssAnon"].map(str::to_owned)];
    rows.push(start("start, nothing of the file in memory", directory, drop_cache));
    rows.push(start("start, the file in memory", directory, |_| {}));
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    table(&format!("{count} memories"), &rows);

    let (server, _) = Server::start(directory);
    server.wait_ready();
    indexed(&server);
    let mut rows = vec![["", "wall p50", "wall p95", "CPU each"].map(str::to_owned).to_vec()];
    for (name, mode, tags) in [
        ("semantic", "semantic", &[][..]),
        ("semantic, a tag of 1 %", "semantic", &["one-in-100"]),
        ("keyword", "keyword", &[]),
        ("hybrid", "hybrid", &[]),
        ("hybrid, a tag of 1 %", "hybrid", &["one-in-100"]),
    ] {
        rows.push(search(&server, name, mode, tags, queries));
    }
    table("a search for ten through HTTP, the question embedded", &rows);
    println!("\n  RssAnon afterwards: {:.0} MiB", status_mib(server.pid(), "RssAnon"));
}

/// Waits until searches use the index.
fn indexed(server: &Server) {
    let started = Instant::now();
    let url = format!("{}/api/index", server.url);
    loop {
        let answer = ureq::get(&url).call().expect("an answer").body_mut().read_json::<Value>();
        if answer.expect("JSON")["status"] == "ready" {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "the index is not ready");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn start(name: &str, directory: &Path, before: impl Fn(&Path)) -> [String; 5] {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let mut memory = 0.0;
    for _ in 0..START_COUNT {
        before(directory);
        let started = Instant::now();
        let (server, up) = Server::start(directory);
        server.wait_ready();
        let ready = started.elapsed();
        indexed(&server);
        for (times, time) in times.iter_mut().zip([up, ready, started.elapsed()]) {
            times.push(time);
        }
        memory = status_mib(server.pid(), "RssAnon");
    }
    let [up, ready, index] = times.map(|mut times| {
        times.sort();
        ms(percentile(&times, 0.5))
    });
    [name.to_owned(), up, ready, index, format!("{memory:.0} MiB")]
}

/// Asks the system to forget the file and the model.
fn drop_cache(directory: &Path) {
    let model = std::env::home_dir().expect("a home directory").join(".cache/memnode/model");
    for directory in [directory, &model] {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("readable").path();
            if path.is_file() {
                let dropped = Command::new("dd")
                    .args([format!("if={}", path.display()), "iflag=nocache".to_owned()])
                    .args(["count=0", "status=none"])
                    .status();
                assert!(dropped.expect("dd runs").success(), "{}", path.display());
            }
        }
    }
}

fn search(
    server: &Server,
    name: &str,
    mode: &str,
    tags: &[&str],
    queries: &[String],
) -> Vec<String> {
    let agent = ureq::Agent::new_with_defaults();
    let url = format!("{}/api/search", server.url);
    let ask = |query: &String| {
        let body = json!({"query": query, "mode": mode, "tags": tags, "n_results": 10});
        let started = Instant::now();
        let found = agent.post(&url).send_json(body).expect("found").body_mut().read_to_string();
        assert!(found.expect("text").contains("\"results\""), "{query}");
        started.elapsed()
    };
    queries.iter().map(ask).for_each(drop);
    let cpu = cpu_seconds(server.pid());
    let mut times: Vec<Duration> = (0..ROUND_COUNT).flat_map(|_| queries.iter().map(ask)).collect();
    let cpu = (cpu_seconds(server.pid()) - cpu) / times.len() as f64;
    times.sort();
    vec![
        name.to_owned(),
        ms(percentile(&times, 0.5)),
        ms(percentile(&times, 0.95)),
        ms(Duration::from_secs_f64(cpu)),
    ]
}
