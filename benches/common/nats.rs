//! A NATS server of the bench's own, and what it costs by itself.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use futures::StreamExt;
use memnode::config::{ClusterConfig, NatsConfig};
use tempfile::TempDir;

use super::cpu_seconds;

/// A server with JetStream on a free port.
pub struct NatsServer {
    child: Child,
    url: String,
    _directory: TempDir,
}

impl NatsServer {
    /// Starts one: the program of `TEST_NATS_SERVER`, else `nats-server`.
    #[allow(clippy::disallowed_methods, reason = "a bench may look at where it runs")]
    pub fn start() -> NatsServer {
        let program = std::env::var_os("TEST_NATS_SERVER").map(PathBuf::from);
        let program = program.unwrap_or_else(|| PathBuf::from("nats-server"));
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("nats.conf");
        let ports = directory.path().display();
        let text = format!(
            "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{ports}\"\n\
             jetstream {{ store_dir: \"{ports}/js\" }}\n"
        );
        std::fs::write(&config, text).expect("a file");
        let child = Command::new(program)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server runs: `make bench` fetches one");
        let until = Instant::now() + Duration::from_secs(20);
        let url = loop {
            if let Some(url) = announced(directory.path(), child.id()) {
                break url;
            }
            assert!(Instant::now() < until, "the NATS server does not say where it is");
            std::thread::park_timeout(Duration::from_millis(5));
        };
        NatsServer { child, url, _directory: directory }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The settings of a node that finds its peers here.
    pub fn cluster(&self) -> ClusterConfig {
        ClusterConfig {
            name: "bench".to_owned(),
            secret: None,
            secret_file: None,
            nats: Some(NatsConfig {
                servers: vec![self.url()],
                creds: None,
                nkey: None,
                user: None,
                password: None,
                ca: None,
                cert: None,
                key: None,
            }),
            stream_replicas: None,
            stream_bytes_max: 1 << 30,
            stream_age_max: Duration::from_secs(3600),
            op_bytes_max: 1 << 32,
        }
    }

    /// The length of the next message on a subject.
    pub async fn next_message_bytes(&self, subject: &'static str) -> usize {
        let client = async_nats::connect(&self.url).await.expect("it connects");
        let mut messages = client.subscribe(subject).await.expect("subscribed");
        messages.next().await.expect("a message").payload.len()
    }

    /// Messages of a stream, and the bytes that the server keeps for them.
    pub async fn stream_size(&self, name: &str) -> (u64, u64) {
        let client = async_nats::connect(&self.url).await.expect("it connects");
        let stream = jetstream::new(client).get_stream(name).await.expect("the stream");
        let state = &stream.cached_info().state;
        (state.messages, state.bytes)
    }

    /// Times messages from publishing to a pull consumer; gives CPU of this process and the
    /// server too.
    pub async fn publish_to_consume(
        &self,
        bytes: usize,
        count: usize,
        interval: Duration,
    ) -> (Vec<Duration>, f64) {
        let client = async_nats::connect(&self.url).await.expect("it connects");
        let context = jetstream::new(client);
        let config = stream::Config {
            name: "raw".to_owned(),
            subjects: vec!["raw".to_owned()],
            ..Default::default()
        };
        let stream = context.create_stream(config).await.expect("a stream");
        let config = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let mut messages = consumer.messages().await.expect("messages");
        let cpu = || cpu_seconds(std::process::id());
        let (mut times, before, first) = (Vec::new(), cpu(), Instant::now());
        for number in 0..count {
            let due = first + interval * u32::try_from(number).expect("few messages");
            tokio::time::sleep_until(due.into()).await;
            let started = Instant::now();
            let ack = context.publish("raw", vec![7; bytes].into()).await.expect("published");
            messages.next().await.expect("a message").expect("it is whole");
            times.push(started.elapsed());
            ack.await.expect("acknowledged");
        }
        (times, cpu() - before)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // The bench made the process; whether it ended before does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the file that the server writes once it listens.
fn announced(directory: &std::path::Path, pid: u32) -> Option<String> {
    let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let files = std::fs::read_dir(directory).ok()?.filter_map(Result::ok);
    let mut ports = files.filter(|entry| name(entry).ends_with(&format!("_{pid}.ports")));
    let text = std::fs::read_to_string(ports.next()?.path()).ok()?;
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(ports["nats"][0].as_str()?.to_owned())
}
