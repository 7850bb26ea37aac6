//! One fault met by a cluster that clients are writing to, and the judgement afterwards.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::cluster::{Cluster, HEAL_DEADLINE};
use super::history::{Call, Clocks, Outcome, check};
use super::nats::{NatsServer, Version};
use super::writers::{Ack, Writers};

/// Nodes of a trial.
pub const NODE_COUNT: usize = 3;
/// Writes that are acknowledged before a fault, during it and after it.
pub const WRITE_COUNT: usize = 100;

/// A running cluster with clients.
pub struct Trial {
    fault: String,
    version: Version,
    pub cluster: Cluster,
    pub writers: Writers,
    /// What `GET /api/cluster` was seen to tell of the fault.
    alarms: Vec<String>,
}

impl Trial {
    /// Three nodes on one server, with clients of all of them; `None`, after `skip`, without one.
    pub fn start(fault: &str, version: Version) -> Option<Self> {
        let cluster = Cluster::on(vec![NatsServer::start(version)?], NODE_COUNT);
        Some(Self::on(fault, version, cluster))
    }

    /// Clients of all nodes of a cluster that is there.
    pub fn on(fault: &str, version: Version, cluster: Cluster) -> Self {
        let writers = Writers::start(&cluster.nodes, Ack::Local, seed(fault));
        Self::with(fault, version, cluster, writers)
    }

    pub fn with(fault: &str, version: Version, cluster: Cluster, writers: Writers) -> Self {
        writers.progress(WRITE_COUNT);
        Trial { fault: fault.to_owned(), version, cluster, writers, alarms: Vec::new() }
    }

    /// Waits until the clients got some way further.
    pub fn go_on(&self) {
        self.writers.progress(WRITE_COUNT);
    }

    /// Waits until a node shows an alarm of this kind.
    pub fn expect_alarm(&mut self, node: usize, kind: &str) {
        self.cluster.nodes[node].wait_for_alarm(kind);
        self.saw(kind);
    }

    /// Waits until a node shows that it has lost the servers.
    pub fn expect_disconnected(&mut self, node: usize) {
        self.cluster.nodes[node].wait_until_disconnected();
        self.saw("connected: false");
    }

    /// Waits until a node shows that it no longer hears another.
    pub fn expect_gone(&mut self, node: usize, name: &str) {
        self.cluster.nodes[node].wait_until_gone(name);
        self.saw("live: false");
    }

    fn saw(&mut self, what: &str) {
        if !self.alarms.iter().any(|seen| seen == what) {
            self.alarms.push(what.to_owned());
        }
    }

    /// All is healed: the nodes come to hold the same, and nothing that was acknowledged is lost.
    pub fn finish(self) {
        self.finish_with(Clocks::InStep);
    }

    pub fn finish_with(self, clocks: Clocks) {
        self.writers.pause();
        let took = self.cluster.digests_equal(HEAL_DEADLINE);
        self.writers.resume();
        self.go_on();
        let calls = self.writers.stop();
        self.cluster.digests_equal(HEAL_DEADLINE);
        let contents = self.cluster.contents();
        let violations = check(&calls, &contents, clocks);
        let first: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
        print_row(&self.fault, self.version, &calls, violations.len(), took, &self.alarms);
        assert!(violations.is_empty(), "{} faults:\n{}", violations.len(), first.join("\n"));
        self.cluster.assert_no_defects();
    }
}

/// Another course of events for every fault, the same one every time.
fn seed(fault: &str) -> u64 {
    fault.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// One row of the table in docs/reliability.md.
fn print_row(
    fault: &str,
    version: Version,
    calls: &[Call],
    lost_count: usize,
    took: Duration,
    alarms: &[String],
) {
    let writes = calls.iter().filter(|call| call.writes());
    let acknowledged = writes.filter(|call| call.outcome == Outcome::Acknowledged).count();
    let server = match version {
        Version::Newer => "2.15.1",
        Version::Older => "2.9.10",
    };
    let row = format!(
        "| {fault} | {server} | {} | {acknowledged} | {lost_count} | {:.1} s | {} |\n",
        calls.len(),
        took.as_secs_f64(),
        if alarms.is_empty() { "-".to_owned() } else { alarms.join(", ") },
    );
    print!("{row}");
    if let Some(path) = table() {
        let mut file = File::options().create(true).append(true).open(path).expect("a file");
        file.write_all(row.as_bytes()).expect("it can be written");
    }
}

/// Where `make faults` collects the rows.
#[allow(clippy::disallowed_methods, reason = "a test may be told where to write")]
fn table() -> Option<PathBuf> {
    std::env::var_os("TEST_FAULT_TABLE").map(PathBuf::from)
}
