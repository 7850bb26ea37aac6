//! Everything that can go wrong, at random and together, for as long as one likes:
//! `make soak MINUTES=10`. Without that variable it is a short round of each run of the tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use crate::common::clock::{AHEAD, faketime};
use crate::common::cluster::{Backup, Cluster, HEAL_DEADLINE, NAME, STREAM};
use crate::common::damage::flip_bits;
use crate::common::disk::Disk;
use crate::common::embedder::Stub;
use crate::common::history::{Call, Clocks, Outcome, check};
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::proxy::Mode;
use crate::common::within;
use crate::common::writers::{Ack, Writers};

/// How long the short run of the ordinary tests takes.
const SHORT: Duration = Duration::from_secs(20);
/// How long a node hangs in a long run: longer than its peers wait before they call it gone.
const HANG: Duration = Duration::from_secs(30);
/// Writes that are acknowledged while something is broken.
const WRITE_COUNT: usize = 60;
/// Room of the node whose disk is filled, in KiB.
const DISK_KIBIBYTES: usize = 512 * 1024;
/// Rounds after which everything is checked, beside the end.
const CHECK_INTERVAL: usize = 20;

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    NodeKilled,
    NodeStopped,
    NodeHangs,
    ServerKilled,
    TwoServersKilled,
    AllServersKilled,
    AllServersWiped,
    BlocksDamaged,
    StreamDeleted,
    StreamRecreated,
    StreamPurged,
    StreamLimited,
    PoisonPublished,
    NetworkDrops,
    NetworkDelays,
    NetworkHalfOpen,
    DiskFull,
    BackupRestored,
    DirectoryCopied,
    ClockAhead,
}

const FAULTS: [Fault; 20] = [
    Fault::NodeKilled,
    Fault::NodeStopped,
    Fault::NodeHangs,
    Fault::ServerKilled,
    Fault::TwoServersKilled,
    Fault::AllServersKilled,
    Fault::AllServersWiped,
    Fault::BlocksDamaged,
    Fault::StreamDeleted,
    Fault::StreamRecreated,
    Fault::StreamPurged,
    Fault::StreamLimited,
    Fault::PoisonPublished,
    Fault::NetworkDrops,
    Fault::NetworkDelays,
    Fault::NetworkHalfOpen,
    Fault::DiskFull,
    Fault::BackupRestored,
    Fault::DirectoryCopied,
    Fault::ClockAhead,
];

/// A cluster that is broken and mended.
struct Soak {
    random: SmallRng,
    cluster: Cluster,
    /// The model of the second node, which the others do not have.
    _embedder: Stub,
    /// The disk of the last node, where one can be mounted.
    disk: Option<Disk>,
    ballast: Option<PathBuf>,
    /// An older state of each node.
    backups: Vec<Option<Backup>>,
    /// Nodes that do not run because something froze or ended them.
    hanging: Vec<usize>,
    counts: BTreeMap<Fault, usize>,
    longest: Duration,
    is_short: bool,
}

#[test]
fn a_cluster_that_is_broken_at_random_loses_nothing() {
    let seed = setting("TEST_SOAK_SEED").unwrap_or_else(rand::random);
    let minutes = setting("TEST_SOAK_MINUTES");
    let duration = minutes.map_or(SHORT, |minutes| Duration::from_secs(60 * minutes));
    println!("TEST_SOAK_SEED={seed}");
    let Some(mut soak) = Soak::start(seed, minutes.is_none()) else { return };
    let writers = Writers::start(&soak.cluster.nodes, Ack::Local, seed);
    let until = Instant::now() + duration;
    for round in 1.. {
        soak.round(&writers);
        let is_over = Instant::now() >= until;
        if is_over || round % CHECK_INTERVAL == 0 {
            soak.judge(&writers.calls(), is_over);
        }
        if is_over {
            return;
        }
        writers.resume();
    }
}

#[allow(clippy::disallowed_methods, reason = "a test may be told how long to run")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

impl Soak {
    fn start(seed: u64, is_short: bool) -> Option<Self> {
        let servers = NatsServer::start_three(Version::Newer)?;
        let disk = Disk::new(DISK_KIBIBYTES);
        let embedder = Stub::new();
        let first = Place::new();
        let second = embedder.at(&Place::new());
        let third = disk.as_ref().map_or_else(Place::new, Disk::place);
        // So little is kept for peers that who was away has to take over state.
        let places = [first, second, third].map(|place| place.with("MEMNODE_OP_BYTES_MAX", "1MiB"));
        let cluster = Cluster::of(servers.into(), places.into());
        Some(Soak {
            _embedder: embedder,
            random: SmallRng::seed_from_u64(seed),
            backups: cluster.nodes.iter().map(|_| None).collect(),
            cluster,
            disk,
            ballast: None,
            hanging: Vec::new(),
            counts: BTreeMap::new(),
            longest: Duration::ZERO,
            is_short,
        })
    }

    /// Breaks up to three things, mends all, and waits until the nodes hold the same; the clients
    /// pause then.
    fn round(&mut self, writers: &Writers) {
        let count = self.random.random_range(1..=3);
        let faults: Vec<Fault> = FAULTS.iter().copied().choose_multiple(&mut self.random, count);
        println!("{faults:?}");
        // What only the node has whose file is replaced would be lost, and rightly.
        let (quiet, others): (Vec<Fault>, Vec<Fault>) =
            faults.into_iter().partition(|fault| *fault == Fault::BackupRestored);
        quiet.into_iter().for_each(|fault| self.break_with(fault));
        writers.resume();
        writers.progress(WRITE_COUNT);
        others.into_iter().for_each(|fault| self.break_with(fault));
        writers.progress(WRITE_COUNT);
        if !self.hanging.is_empty() && !self.is_short {
            let never = || None::<()>;
            within(HANG, HANG, never);
        }
        self.mend();
        writers.pause();
        self.longest = self.longest.max(self.cluster.digests_equal(HEAL_DEADLINE));
    }

    fn break_with(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
        let node = self.random.random_range(0..self.backups.len());
        match fault {
            Fault::NodeKilled => self.end_node(node, |soak| drop(soak.cluster.nodes[node].kill())),
            Fault::NodeStopped => self.end_node(node, |soak| {
                soak.cluster.nodes[node].stop();
                // The disk of the last node lies elsewhere.
                if node + 1 < soak.backups.len() || soak.disk.is_none() {
                    soak.backups[node] = Some(soak.cluster.nodes[node].back_up());
                }
            }),
            Fault::NodeHangs => {
                if self.cluster.nodes[node].runs() {
                    self.cluster.nodes[node].signal("STOP");
                    self.hanging.push(node);
                }
            }
            Fault::ServerKilled => self.kill_servers(1),
            Fault::TwoServersKilled => self.kill_servers(2),
            Fault::AllServersKilled => self.kill_servers(3),
            Fault::AllServersWiped => {
                self.kill_servers(3);
                self.cluster.nats.iter().for_each(NatsServer::wipe);
            }
            Fault::BlocksDamaged => self.damage_blocks(),
            Fault::StreamDeleted
            | Fault::StreamRecreated
            | Fault::StreamPurged
            | Fault::StreamLimited
            | Fault::PoisonPublished => self.tamper(fault),
            Fault::NetworkDrops => self.break_network(Mode::Drop),
            Fault::NetworkDelays => self.break_network(Mode::Delay(Duration::from_millis(300))),
            Fault::NetworkHalfOpen => self.break_network(Mode::HalfOpen),
            Fault::DiskFull => {
                self.ballast = self.disk.as_ref().map(|disk| disk.fill_up(0));
            }
            Fault::BackupRestored => self.restore_backup(),
            Fault::DirectoryCopied => self.copy_directory(),
            Fault::ClockAhead => self.set_clock(node),
        }
    }

    /// Ends a node that runs and is not frozen.
    fn end_node(&mut self, node: usize, end: impl FnOnce(&mut Self)) {
        if self.cluster.nodes[node].runs() && !self.hanging.contains(&node) {
            end(self);
        }
    }

    fn kill_servers(&mut self, count: usize) {
        let first = self.random.random_range(0..self.cluster.nats.len());
        for offset in 0..count {
            let index = (first + offset) % self.cluster.nats.len();
            if self.cluster.nats[index].runs() {
                self.cluster.nats[index].kill();
            }
        }
    }

    fn damage_blocks(&mut self) {
        self.kill_servers(1);
        let down = self.cluster.nats.iter().find(|server| !server.runs());
        let blocks = down.map(NatsServer::blocks).unwrap_or_default();
        if let Some(block) = blocks.choose(&mut self.random) {
            flip_bits(block);
        }
    }

    /// What somebody with the keys of the server may do; with servers down he can do nothing.
    fn tamper(&mut self, fault: Fault) {
        if !self.cluster.nats.iter().all(NatsServer::runs) {
            return;
        }
        let admin = self.cluster.admin();
        // Another fault of this round may have deleted it, and no node has made it anew yet.
        if admin.info(STREAM).is_none() {
            return;
        }
        match fault {
            Fault::StreamDeleted => admin.delete(STREAM),
            Fault::StreamRecreated => admin.recreate(STREAM),
            Fault::StreamPurged => admin.purge(STREAM),
            Fault::StreamLimited => admin.limit_messages(STREAM, 5),
            _ => {
                admin.try_publish(&format!("mem.{NAME}.ev.node-1.0"), b"poison");
            }
        }
    }

    fn break_network(&mut self, mode: Mode) {
        let all: Vec<usize> = (0..self.backups.len()).collect();
        let count = self.random.random_range(1..=all.len());
        let some = all.iter().copied().choose_multiple(&mut self.random, count);
        self.cluster.network(&some, mode);
    }

    /// All nodes hold the same at this time, so nothing that only one of them has is lost.
    fn restore_backup(&mut self) {
        let with_backup = (0..self.backups.len()).filter(|node| self.backups[*node].is_some());
        let Some(node) = with_backup.choose(&mut self.random) else { return };
        if !self.cluster.nodes[node].runs() || self.hanging.contains(&node) {
            return;
        }
        self.cluster.nodes[node].kill();
        let backup = self.backups[node].take().expect("it was chosen for having one");
        self.cluster.nodes[node].restore(&backup);
        self.cluster.nodes[node].start();
    }

    /// Runs an older state of the first node beside it until things are mended.
    fn copy_directory(&mut self) {
        if let Some(backup) = &self.backups[0] {
            let place = backup.place();
            self.cluster.add_named("node-1", place).start();
        }
    }

    fn set_clock(&mut self, node: usize) {
        let Some(library) = faketime() else { return };
        let offset = *AHEAD.choose(&mut self.random).expect("there are offsets");
        self.end_node(node, |soak| {
            let node = &mut soak.cluster.nodes[node];
            node.kill();
            node.start_at(node.place.clone().at_time(&library, offset));
        });
    }

    /// Ends everything that is broken.
    fn mend(&mut self) {
        self.cluster.nodes.truncate(self.backups.len());
        for server in self.cluster.nats.iter_mut().filter(|server| !server.runs()) {
            server.restart();
        }
        for node in self.hanging.drain(..) {
            self.cluster.nodes[node].signal("CONT");
        }
        if let Some(ballast) = self.ballast.take() {
            std::fs::remove_file(ballast).expect("the ballast");
        }
        let all: Vec<usize> = (0..self.backups.len()).collect();
        self.cluster.network(&all, Mode::Pass);
        for node in self.cluster.nodes.iter_mut().filter(|node| !node.runs()) {
            node.start();
        }
        self.cluster.admin().unlimit(STREAM);
    }

    /// Checks every call so far against every node.
    fn judge(&self, calls: &[Call], is_over: bool) {
        let violations = check(calls, &self.cluster.contents(), Clocks::Apart);
        let first: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
        if is_over {
            self.print(calls, violations.len());
        }
        assert!(violations.is_empty(), "{} faults:\n{}", violations.len(), first.join("\n"));
        self.cluster.assert_no_defects();
    }

    fn print(&self, calls: &[Call], lost_count: usize) {
        let writes = calls.iter().filter(|call| call.writes());
        let acknowledged = writes.filter(|call| call.outcome == Outcome::Acknowledged).count();
        println!("operations    {}", calls.len());
        println!("acknowledged  {acknowledged}");
        println!("lost          {lost_count}");
        println!("longest time to equal digests  {:.1} s", self.longest.as_secs_f64());
        for (fault, count) in &self.counts {
            println!("{count:>6}  {fault:?}");
        }
    }
}
