//! What the benches share: seeded texts, CPU and memory of a process, percentiles, tables.
#![allow(dead_code, reason = "every bench uses a part of it")]

pub mod nats;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The seed of every text and vector.
pub const SEED: u64 = 20_260;
/// Clock ticks a second in /proc (Linux fixes it at 100 for user space).
const TICKS: f64 = 100.0;

/// English words of everyday notes; texts are drawn from them.
const WORDS: &str = "the a to of and in on for with about from after before team project meeting \
    customer invoice server database password key office kitchen garden weather train ticket \
    flight hotel budget plan design review release bug fix test deploy backup restore network \
    router printer camera phone battery charger birthday party dinner recipe coffee lunch doctor \
    dentist school teacher homework exam music guitar concert movie book library author chapter \
    decided prefers likes asked moved bought sold wrote found lost called met agreed needs wants";

/// `count` different texts of about `word_count` words.
pub fn texts(count: usize, word_count: usize) -> Vec<String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut random = StdRng::seed_from_u64(SEED + word_count as u64);
    let text = |number: usize| {
        let drawn: Vec<&str> =
            (0..word_count).map(|_| words[random.random_range(0..words.len())]).collect();
        format!("note {number}: {}", drawn.join(" "))
    };
    (0..count).map(text).collect()
}

/// Sorted durations give percentiles.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[place]
}

/// Milliseconds with two digits.
pub fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// User and system CPU seconds that a running process and its threads have used.
pub fn cpu_seconds(pid: u32) -> f64 {
    try_cpu_seconds(pid).expect("the process runs")
}

/// The same, `None` once the process has ended.
pub fn try_cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// A value in kB of a running process's /proc/PID/status, in MiB.
pub fn status_mib(pid: u32, name: &str) -> f64 {
    try_status_mib(pid, name).expect("the process runs")
}

/// The same, `None` once the process has ended.
pub fn try_status_mib(pid: u32, name: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Prints rows with their columns aligned.
pub fn table(title: &str, rows: &[Vec<String>]) {
    println!("\n{title}");
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
    };
    for row in rows {
        let cells: Vec<String> = (0..columns)
            .map(|column| {
                let cell = row.get(column).map_or("", String::as_str);
                format!("{cell:<width$}", width = width(column).unwrap_or(0))
            })
            .collect();
        println!("  {}", cells.join("   ").trim_end());
    }
}

/// A server process of the built binary on a directory.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    /// Starts one and waits until it takes requests; gives the time that took too.
    pub fn start(directory: &Path) -> (Server, Duration) {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_memnode"))
            .args(["serve", "--http-port", "0", "--log", "error"])
            .env("MCP_MEMORY_BASE_DIR", directory)
            .env("MCP_BACKUP_ENABLED", "false")
            .env("XDG_CONFIG_HOME", directory.join("config"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = line.strip_prefix("REST and MCP")?;
                rest.split_whitespace().next().map(str::to_owned)
            })
            .expect("the server says where it is");
        let elapsed = started.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        (Server { child, url }, elapsed)
    }

    /// Waits until the model is loaded.
    pub fn wait_ready(&self) {
        while ureq::get(format!("{}/readyz", self.url)).call().is_err() {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The bench made the process; whether it ended before does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
