//! What happens to callers when twice as much is asked of a node as it can do.
//!
//! `cargo bench --bench overload -- [SECONDS]`, by default 60. Stores arrive at a fixed pace,
//! whether or not earlier ones were answered, each over a connection of its own. The callers run on
//! the same cores as the node: what they cost is not told apart.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Server, cpu_seconds, ms, percentile, status_mib, table, texts};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Words of a text: about 30 tokens.
const WORD_COUNT: usize = 24;
/// Callers that find out what the node can do, each sending when the last answer is there.
const CALLER_COUNT: usize = 8;
/// How long that takes, and how long the node is asked before and after.
const QUIET: Duration = Duration::from_secs(10);
/// Stores a second of an idle node.
const IDLE_RATE: f64 = 20.0;
/// The longest wait of a caller.
const PATIENCE: Duration = Duration::from_secs(35);

/// Status, 0 for none, and time of one request.
type Answered = (u16, Duration);

#[tokio::main]
async fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let busy = Duration::from_secs(seconds.unwrap_or(60));
    let directory = tempfile::tempdir().expect("a directory");
    let (server, _) = Server::start(directory.path());
    server.wait_ready();
    let address: SocketAddr = server.url.trim_start_matches("http://").parse().expect("an address");
    let caller = Caller { address, number: Arc::default() };

    let mut rows = vec![
        ["", "offered", "answered", "429/503", "no answer", "p50", "p99", "slowest refusal", "RSS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut phase = |name: &str, rate: f64, time: Duration, answers: &[Answered]| {
        rows.push(line(name, rate, time, answers, &server));
    };
    let idle = caller.at_pace(IDLE_RATE, QUIET).await;
    phase("idle", IDLE_RATE, QUIET, &idle);
    let cpu = cpu_seconds(server.pid());
    let steady = caller.one_after_another(QUIET).await;
    let rate = steady.len() as f64 / QUIET.as_secs_f64();
    let cpu = (cpu_seconds(server.pid()) - cpu) / steady.len() as f64;
    phase("as much as it can do", rate, QUIET, &steady);
    let twice = caller.at_pace(2.0 * rate, busy).await;
    phase("twice as much", 2.0 * rate, busy, &twice);
    let after = caller.at_pace(IDLE_RATE, QUIET).await;
    phase("idle again", IDLE_RATE, QUIET, &after);
    table("stores of about 30 tokens on loopback", &rows);
    let ratio = p99(&twice).as_secs_f64() / p99(&idle).as_secs_f64();
    println!("\n  p99 of what is answered, twice as much against idle: {ratio:.1} times");
    println!("  CPU of the node for a store at full load: {:.2} ms", cpu * 1000.0);
}

/// Sends stores of texts that never repeat.
#[derive(Clone)]
struct Caller {
    address: SocketAddr,
    number: Arc<AtomicUsize>,
}

impl Caller {
    async fn at_pace(&self, rate: f64, time: Duration) -> Vec<Answered> {
        let (mut calls, started) = (JoinSet::new(), Instant::now());
        for number in 0..(rate * time.as_secs_f64()) as usize {
            let at = started + Duration::from_secs_f64(number as f64 / rate);
            tokio::time::sleep_until(at.into()).await;
            let caller = self.clone();
            calls.spawn(async move { caller.store().await });
        }
        calls.join_all().await
    }

    async fn one_after_another(&self, time: Duration) -> Vec<Answered> {
        let mut callers = JoinSet::new();
        let until = Instant::now() + time;
        for _ in 0..CALLER_COUNT {
            let caller = self.clone();
            callers.spawn(async move {
                let mut answers = Vec::new();
                while Instant::now() < until {
                    answers.push(caller.store().await);
                }
                answers
            });
        }
        callers.join_all().await.concat()
    }

    async fn store(&self) -> Answered {
        let started = Instant::now();
        let status = tokio::time::timeout(PATIENCE, self.try_store()).await;
        (status.ok().and_then(Result::ok).unwrap_or(0), started.elapsed())
    }

    async fn try_store(&self) -> std::io::Result<u16> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let text = format!("{number} {}", texts(1, WORD_COUNT)[0]);
        let body = json!({"content": text}).to_string();
        let head = format!(
            "POST /api/memories HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all((head + &body).as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
        Ok(status.and_then(|status| status.parse().ok()).unwrap_or(0))
    }
}

fn times(answers: &[Answered], of: impl Fn(u16) -> bool) -> Vec<Duration> {
    let chosen = answers.iter().filter(|(status, _)| of(*status));
    let mut times: Vec<Duration> = chosen.map(|(_, time)| *time).collect();
    times.sort();
    times
}

fn p99(answers: &[Answered]) -> Duration {
    percentile(&times(answers, |status| status == 200), 0.99)
}

fn line(
    name: &str,
    rate: f64,
    time: Duration,
    answers: &[Answered],
    server: &Server,
) -> Vec<String> {
    let good = times(answers, |status| status == 200);
    let refused = times(answers, |status| status == 429 || status == 503);
    let seconds = time.as_secs_f64();
    vec![
        name.to_owned(),
        format!("{rate:.0}/s"),
        format!("{:.0}/s", good.len() as f64 / seconds),
        format!("{:.0}/s", refused.len() as f64 / seconds),
        (answers.len() - good.len() - refused.len()).to_string(),
        ms(percentile(&good, 0.5)),
        ms(percentile(&good, 0.99)),
        refused.last().map_or_else(|| "-".to_owned(), |time| ms(*time)),
        format!("{:.0} MiB", status_mib(server.pid(), "VmRSS")),
    ]
}
