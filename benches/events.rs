//! From commit to event, with 1 and with 1,000 subscribers at 100 writes a second, on the same node
//! and on a peer over a NATS server, and what 10,000 open event streams cost a node.
//!
//! The subscribers are a process of their own: this program with `subscribe URL COUNT EVENTS`. It
//! checks that every stream got every event once. `latency`, `peer` and `memory` choose parts; a
//! number changes how many streams the memory is measured with. Needs as many descriptors as
//! streams in either process (`ulimit -n`).

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use common::nats::NatsServer;
use common::{Server, cpu_seconds, ms, percentile, status_mib, table, texts};
use memnode::clock::now_seconds;
use memnode::config::{
    AuditConfig, BackupConfig, BackupInterval, ConnectionLimit, CorsOrigins, DedupConfig,
    EventsConfig, HttpConfig, LimitsConfig, Networks, RateLimit, ToolLimits,
};
use memnode::embed::EmbedderChoice;
use memnode::embed::lazy::LazyEmbedder;
use memnode::http::AppState;
use memnode::limit::Limits;
use memnode::memory::Namespace;
use memnode::replica::{Replica, ReplicaParts, Waited};
use memnode::service::{KeyParts, Service, ServiceParts};
use memnode::store::{Store, StoreOptions};
use memnode_cluster::{CreateValues, Dot, Embedding, OpKind, Vector};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

/// Changes that are told.
const CHANGE_COUNT: usize = 1_000;
/// Time between two of them: 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);
/// Streams whose memory is measured.
const STREAM_COUNT: usize = 10_000;
/// Numbers of a vector, which nobody looks at here.
const DIMENSION: usize = 8;
const MODEL: &str = "bench";
/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, url, count, events] = &arguments[..]
        && word == "subscribe"
    {
        // One thread: what listens should take little of what the node runs on.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let number = |text: &str| text.parse().expect("a number");
        runtime.block_on(subscribe(url, number(count), number(events)));
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let wants = |part: &str| {
        let named = |name: &str| arguments.iter().any(|argument| argument == name);
        named(part) || !["latency", "peer", "memory"].into_iter().any(named)
    };
    if wants("latency") {
        let head = ["subscribers", "p50", "p99", "worst", "CPU a write, both processes"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.push(runtime.block_on(latency(1)));
        rows.push(runtime.block_on(latency(1_000)));
        table("From commit to event on the same node, 100 writes a second, loopback", &rows);
    }
    if wants("peer") {
        let head = ["from commit on one node", "p50", "p99", "worst"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(runtime.block_on(peer()));
        table("From commit to event on another node, 100 writes a second, loopback", &rows);
    }
    if wants("memory") {
        let count = arguments.iter().find_map(|argument| argument.parse().ok());
        memory(count.unwrap_or(STREAM_COUNT));
    }
}

/// Times the way from the commit to each of `count` subscribers.
async fn latency(count: usize) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("memnode.db");
    let store = open(&path, "bench", false);
    let url = serve(&store, None, &path).await;
    let mut subscribers = Subscribers::start(&url, count, CHANGE_COUNT);
    let cpu = cpu_seconds(std::process::id()) + cpu_seconds(subscribers.child.id());
    let (mut commits, mut committed) = (store.changes(), Vec::with_capacity(CHANGE_COUNT));
    let mut tick = tokio::time::interval(INTERVAL);
    for text in texts(CHANGE_COUNT, 12) {
        tick.tick().await;
        commits.borrow_and_update();
        let writing = create(&store, text);
        let told = async {
            commits.changed().await.expect("the store is open");
            now_seconds()
        };
        let (_, at) = tokio::join!(writing, told);
        committed.push(at);
    }
    let arrivals = subscribers.finish();
    let cpu = cpu_seconds(std::process::id()) + arrivals.cpu_seconds - cpu;
    let arrived = arrivals.seconds.iter().flat_map(|stream| stream.iter().zip(&committed));
    let mut row = line(&count.to_string(), arrived);
    row.push(format!("{:.2} ms", cpu * 1000.0 / CHANGE_COUNT as f64));
    row
}

/// Times the way from a commit on one node to the disk of another, and to a subscriber there: what
/// the second adds to the first is what events cost.
async fn peer() -> Vec<Vec<String>> {
    let (directory, nats) = (tempfile::tempdir().expect("a directory"), NatsServer::start());
    let path = |name: &str| directory.path().join(format!("{name}.db"));
    let (near, from) = joined(&path("node-1"), "node-1", &nats).await;
    let (far, to) = joined(&path("node-2"), "node-2", &nats).await;
    let url = serve(&far, Some(to.clone()), &path("node-2")).await;
    let mut subscribers = Subscribers::start(&url, 1, CHANGE_COUNT);
    let (mut committed, mut readable) = (Vec::new(), Vec::new());
    let mut tick = tokio::time::interval(INTERVAL);
    for text in texts(CHANGE_COUNT, 12) {
        tick.tick().await;
        let written = Vector::from_iter([create(&near, text).await]);
        committed.push(now_seconds());
        assert_eq!(to.applied(&written, DEADLINE).await, Waited::Reached, "it does not arrive");
        readable.push(now_seconds());
    }
    let arrivals = subscribers.finish();
    let told = &arrivals.seconds[0];
    for replica in [from, to] {
        replica.stop(Duration::from_secs(10)).await;
    }
    vec![
        line("readable on the other: the replication lag", readable.iter().zip(&committed)),
        line("event at a subscriber of the other", told.iter().zip(&committed)),
        line("event after it was readable", told.iter().zip(&readable)),
    ]
}

/// A row about how much later the first of each pair was.
fn line<'a>(name: &str, pairs: impl Iterator<Item = (&'a f64, &'a f64)>) -> Vec<String> {
    let later = |(end, start): (&f64, &f64)| Duration::from_secs_f64((end - start).max(0.0));
    let mut times: Vec<Duration> = pairs.map(later).collect();
    times.sort();
    let worst = *times.last().expect("there are some");
    vec![name.to_owned(), ms(percentile(&times, 0.5)), ms(percentile(&times, 0.99)), ms(worst)]
}

/// A store that exchanges writes with others, once it knows the stream.
async fn joined(path: &Path, name: &str, nats: &NatsServer) -> (Arc<Store>, Replica) {
    let store = open(path, name, true);
    let node = name.parse().expect("a name");
    let parts = ReplicaParts {
        config: nats.cluster(),
        node,
        store: Arc::clone(&store),
        tasks: TaskTracker::new(),
    };
    let replica = Replica::start(parts).await.expect("it starts").expect("it has servers");
    let until = Instant::now() + DEADLINE;
    while replica.status().stream.is_none() {
        assert!(Instant::now() < until, "the stream is not there in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (store, replica)
}

async fn create(store: &Store, text: String) -> Dot {
    let writing = store.write(move |writer| {
        let values = CreateValues { content: text, ..values(writer.now()) };
        let meaning = Embedding { model: MODEL.to_owned(), vector: vec![0.5; DIMENSION] };
        drop(writer.create(&Namespace::default(), &values, OpKind::Create, meaning)?);
        Ok(writer.drawn().last().cloned())
    });
    writing.await.expect("written").expect("a write has a name")
}

fn values(now: f64) -> CreateValues {
    CreateValues {
        content: String::new(),
        created_at: now,
        updated_at: now,
        memory_type: None,
        tags: Default::default(),
        metadata: Default::default(),
    }
}

fn open(path: &Path, name: &str, keeps_ops: bool) -> Arc<Store> {
    let store = Store::open(&StoreOptions {
        path: path.to_owned(),
        node: name.parse().expect("a name"),
        model: MODEL.to_owned(),
        dimension: DIMENSION,
        any_model: false,
        reader_count: 2,
        write_queue_count_max: 1024,
        keeps_ops,
    });
    Arc::new(store.expect("a new file"))
}

/// A node in this process, so that the moment of each commit is known; gives its address.
async fn serve(store: &Arc<Store>, replica: Option<Replica>, path: &Path) -> String {
    let model_dir = path.with_extension("none");
    let service = Service::new(ServiceParts {
        store: Arc::clone(store),
        replica,
        webhooks: None,
        node: "bench".to_owned(),
        cluster: "bench".to_owned(),
        embedder: LazyEmbedder::start(EmbedderChoice::Builtin { model_dir }),
        reranker: None,
        dedup: DedupConfig { enabled: false, threshold: 0.85, time_window_hours: 24 },
        events: EventsConfig { heartbeat: Duration::from_secs(30), log_rows_max: 100_000 },
        audit: AuditConfig { days: 90, reads: false },
        backup: BackupConfig {
            dir: path.with_extension("backups"),
            enabled: false,
            interval: BackupInterval::Daily,
            retention_days: 7,
            max_count: 10,
        },
        keys: KeyParts::open_to_all(),
        time_zone: None,
        deadline: Duration::from_secs(30),
        slow_query: Duration::ZERO,
        tasks: Default::default(),
        shutdown: Default::default(),
    });
    let http = HttpConfig {
        enabled: None,
        host: [127, 0, 0, 1].into(),
        port: 0,
        cors_origins: CorsOrigins::Own,
        request_timeout: Duration::from_secs(30),
        body_bytes_max: 1 << 20,
        batch_bytes_max: 1 << 25,
        connection_count_max: std::num::NonZeroUsize::MAX,
        allowed_hosts: Vec::new(),
        tls: None,
        trusted_proxies: Networks::default(),
    };
    let state = AppState {
        limits: Arc::new(Limits::new(LimitsConfig {
            reads: RateLimit::Off,
            writes: RateLimit::Off,
            searches: RateLimit::Off,
            events: RateLimit::Off,
            failures: RateLimit::Off,
            connections: ConnectionLimit::Off,
            tools: ToolLimits::default(),
            caller_count_max: std::num::NonZeroUsize::MIN,
        })),
        service,
        authenticator: KeyParts::open_to_all().authenticator,
        http: Arc::new(http),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream: &mut TcpStream| {
        stream.set_nodelay(true).expect("a socket");
    });
    let router = memnode::http::router(state, Router::new());
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await });
    // It serves for as long as the bench runs.
    serving.detach_all();
    url
}

/// What many open streams cost, and whether all of them get everything.
fn memory(count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, _) = Server::start(directory.path());
    server.wait_ready();
    // The model and its buffers are there before it is counted.
    let store = |text: &str| {
        let body = json!({"content": text});
        ureq::post(format!("{}/api/memories", server.url)).send_json(body).expect("stored");
    };
    texts(50, 20).iter().for_each(|text| store(text));
    let rss = || status_mib(server.pid(), "VmRSS");
    let before = rss();
    let mut subscribers = Subscribers::start(&server.url, count, CHANGE_COUNT);
    let open = rss();
    let cpu = cpu_seconds(server.pid());
    texts(CHANGE_COUNT, 12).iter().for_each(|text| store(text));
    let arrivals = subscribers.finish();
    let cpu = cpu_seconds(server.pid()) - cpu;
    let told: usize = arrivals.seconds.iter().map(Vec::len).sum();
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = [
        row("more memory when they are open", format!("{:.0} MiB", open - before)),
        row("more memory after the changes", format!("{:.0} MiB", rss() - before)),
        row("events lost or told twice", format!("0 of {told}")),
        row("CPU of the node a change", format!("{:.1} ms", cpu * 1000.0 / CHANGE_COUNT as f64)),
    ];
    table(&format!("{count} open event streams and {CHANGE_COUNT} changes"), &rows);
}

/// The process that listens.
struct Subscribers {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// When which event arrived at each stream, in the order of the changes, in Unix seconds.
struct Arrivals {
    seconds: Vec<Vec<f64>>,
    cpu_seconds: f64,
}

impl Subscribers {
    /// Starts it and waits until all streams are open.
    fn start(url: &str, count: usize, events: usize) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["subscribe", url, &count.to_string(), &events.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert_eq!(first, "open");
        Subscribers { child, lines }
    }

    /// Waits until every stream has every event.
    fn finish(&mut self) -> Arrivals {
        let mut arrivals = Arrivals { seconds: Vec::new(), cpu_seconds: 0.0 };
        for line in self.lines.by_ref().map_while(Result::ok) {
            if let Some(seconds) = line.strip_prefix("cpu ") {
                arrivals.cpu_seconds = seconds.parse().expect("a number");
                break;
            }
            let seconds = line.split(' ').map(|text| text.parse().expect("a number"));
            arrivals.seconds.push(seconds.collect());
        }
        let status = self.child.wait().expect("it is ours");
        assert!(status.success(), "a stream lost an event or got one twice");
        arrivals
    }
}

/// Listens with many streams until each has so many different events; prints when they came.
async fn subscribe(url: &str, count: usize, events: usize) {
    let address = url.strip_prefix("http://").expect("a plain address").to_owned();
    let (opened, mut open) = tokio::sync::mpsc::channel(64);
    let mut streams = JoinSet::new();
    for number in 0..count {
        streams.spawn(listen(address.clone(), events, opened.clone()));
        // The queue of connections that wait to be accepted is short.
        if number % 64 == 63 || number + 1 == count {
            for _ in 0..=number % 64 {
                open.recv().await.expect("a stream opens");
            }
        }
    }
    say("open".to_owned());
    while let Some(arrived) = streams.join_next().await {
        let texts: Vec<String> =
            arrived.expect("no panic").iter().map(|at| format!("{at:.6}")).collect();
        say(texts.join(" "));
    }
    say(format!("cpu {}", cpu_seconds(std::process::id())));
}

fn say(line: String) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("the bench listens");
}

/// One stream: when each of the events came; none may come twice.
async fn listen(address: String, events: usize, opened: tokio::sync::mpsc::Sender<()>) -> Vec<f64> {
    let mut connection = TcpStream::connect(&address).await.expect("a connection");
    let request = format!("GET /events HTTP/1.0\r\nhost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("sent");
    // Small buffers: this process holds many.
    let mut lines = tokio::io::BufReader::with_capacity(1024, connection);
    let (mut line, mut ids) = (String::new(), std::collections::HashSet::new());
    let (mut arrived, mut id, mut is_change) = (Vec::with_capacity(events), 0_u64, false);
    while arrived.len() < events {
        line.clear();
        assert!(lines.read_line(&mut line).await.expect("the stream goes on") > 0, "it ended");
        if let Some(text) = line.strip_prefix("id: ") {
            id = hash_of(text);
        } else if let Some(kind) = line.strip_prefix("event: ") {
            is_change = kind.trim_end() == "memory_stored";
            if kind.trim_end() == "connection_established" {
                opened.send(()).await.expect("it is counted");
            }
        } else if line.starts_with("data: ") && is_change {
            assert!(ids.insert(id), "an event came twice");
            arrived.push(now_seconds());
        }
    }
    arrived
}

fn hash_of(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
