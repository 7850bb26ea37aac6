//! How fast `memnode import` takes in short texts, and what it holds in memory meanwhile.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{table, texts, try_cpu_seconds, try_status_mib};

/// Lines of each file: memory must not grow with them.
const LINE_COUNTS: [usize; 3] = [2_000, 5_000, 10_000];
/// How often the process is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

fn main() {
    let head = ["lines", "a second", "a second a core", "CPU each", "most memory"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(LINE_COUNTS.map(import));
    table("memnode import of JSONL, texts of about 12 tokens", &rows);
}

fn import(line_count: usize) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("notes.jsonl");
    let mut lines = std::fs::File::create(&file).expect("a file");
    for text in texts(line_count, 8) {
        writeln!(lines, "{}", serde_json::json!({"content": text})).expect("room on the disk");
    }
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_memnode"))
        .arg("import")
        .arg(&file)
        .env("MCP_MEMORY_BASE_DIR", directory.path())
        .env("XDG_CONFIG_HOME", directory.path().join("config"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let (mut most, mut cpu) = (0.0_f64, 0.0);
    while child.try_wait().expect("the process is ours").is_none() {
        if let Some(memory) = try_status_mib(child.id(), "VmHWM") {
            most = most.max(memory);
        }
        cpu = try_cpu_seconds(child.id()).unwrap_or(cpu);
        std::thread::park_timeout(INTERVAL);
    }
    let wall = started.elapsed().as_secs_f64();
    let count = line_count as f64;
    vec![
        line_count.to_string(),
        format!("{:.0}", count / wall),
        format!("{:.0}", count / cpu),
        format!("{:.2} ms", cpu * 1000.0 / count),
        format!("{most:.0} MiB"),
    ]
}
