//! Several real nodes that share memories over real NATS servers, each behind proxies of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::history::{Contents, Seen};
use super::nats::{NatsServer, Version};
use super::node::{Place, Server};
use super::proxy::{Mode, Proxy};
use super::stream::Admin;
use super::{eventually, within};

/// How soon after healing all nodes must hold the same.
pub const HEAL_DEADLINE: Duration = Duration::from_secs(30);
/// How often digests are compared.
const DIGEST_INTERVAL: Duration = Duration::from_millis(100);
/// How long one answer of a node may take that is to have one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Lines of a node's log that a failed test shows.
const LOG_LINE_COUNT: usize = 60;
/// Alarms that nothing but a defect of the program raises.
const DEFECTS: [&str; 2] = ["divergence", "contradiction"];
/// The name of every cluster here, and of its stream.
pub const NAME: &str = "memnode";
pub const STREAM: &str = "memnode-memnode";

/// Nodes and the servers between them.
pub struct Cluster {
    // The nodes end before the servers.
    pub nodes: Vec<Node>,
    pub nats: Vec<NatsServer>,
}

/// A node, its files, and its ways to the NATS servers.
pub struct Node {
    pub name: String,
    pub place: Place,
    pub links: Vec<Proxy>,
    server: Option<Server>,
    door: Arc<Mutex<Door>>,
}

/// Where a node is reached at this time; the writers look it up for every call.
#[derive(Clone, Debug)]
pub struct Door {
    /// `None` while it is down.
    pub url: Option<String>,
    /// The node and how many files it had: what happened on one file is in order.
    pub file: String,
    file_count: usize,
}

/// What nodes that hold the same have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub root: String,
    pub vector: BTreeMap<String, Value>,
}

impl Cluster {
    /// So many nodes on one NATS server; `None`, after `skip`, where there is none.
    pub fn start(count: usize, version: Version) -> Option<Self> {
        Some(Self::on(vec![NatsServer::start(version)?], count))
    }

    /// So many nodes on these servers; on none, a node is on its own.
    pub fn on(nats: Vec<NatsServer>, count: usize) -> Self {
        Self::of(nats, (0..count).map(|_| Place::new()).collect())
    }

    /// A node at each of these places, which may bring settings of their own.
    pub fn of(nats: Vec<NatsServer>, places: Vec<Place>) -> Self {
        let mut cluster = Cluster { nodes: Vec::new(), nats };
        for place in places {
            cluster.add(place).start();
        }
        cluster.ready();
        if !cluster.nats.is_empty() {
            cluster.form();
        }
        cluster
    }

    /// Waits until the nodes know each other: each has what each of them wrote.
    fn form(&self) {
        for node in &self.nodes {
            let content = format!("{} was here at the beginning", node.name);
            super::rest::store_text(&node.client(), &content);
        }
        self.digests_equal(super::DEADLINE);
    }

    /// Adds a node that does not run yet.
    pub fn add(&mut self, place: Place) -> &mut Node {
        let name = format!("node-{}", self.nodes.len() + 1);
        self.add_named(&name, place)
    }

    /// Adds a node under a name that another may have, too.
    pub fn add_named(&mut self, name: &str, place: Place) -> &mut Node {
        self.nodes.push(Node::new(name, place, &self.nats));
        self.nodes.last_mut().expect("it was added")
    }

    /// Waits until every node says that it is ready.
    pub fn ready(&self) {
        for node in &self.nodes {
            let client = node.client();
            eventually("the node is ready", || (client.get("/readyz").status == 200).then_some(()));
        }
    }

    /// An administrator of the first server.
    pub fn admin(&self) -> Admin {
        Admin::of(&self.nats[0]).ready()
    }

    /// Sets every way of these nodes to all servers.
    pub fn network(&self, nodes: &[usize], mode: Mode) {
        for index in nodes {
            for link in &self.nodes[*index].links {
                link.set(mode);
            }
        }
    }

    /// Waits until every node has applied the same writes and holds the same; gives how long that
    /// took.
    ///
    /// # Panics
    /// When they do not in time, with what they say about themselves.
    pub fn digests_equal(&self, deadline: Duration) -> Duration {
        let start = Instant::now();
        let equal = within(deadline, DIGEST_INTERVAL, || {
            let digests: Option<Vec<Digest>> = self.nodes.iter().map(Node::digest).collect();
            digests.is_some_and(|all| all.windows(2).all(|pair| pair[0] == pair[1])).then_some(())
        });
        assert!(equal.is_some(), "not equal within {deadline:?}:\n{}", self.describe());
        start.elapsed()
    }

    /// # Panics
    /// When a node shows an alarm that nothing but a defect raises.
    pub fn assert_no_defects(&self) {
        for node in &self.nodes {
            let alarms = node.alarms();
            let defect = alarms.iter().find(|alarm| DEFECTS.contains(&alarm.as_str()));
            assert_eq!(defect, None, "{}:\n{}", node.name, self.describe());
        }
    }

    /// What every node holds, by its name.
    pub fn contents(&self) -> Vec<(String, Contents)> {
        self.nodes.iter().map(|node| (node.name.clone(), node.contents())).collect()
    }

    /// What the nodes say about the cluster.
    pub fn describe(&self) -> String {
        let describe = |node: &Node| {
            let told = node.try_get("/api/cluster").map_or("no answer".to_owned(), |value| {
                serde_json::to_string_pretty(&value).expect("JSON is text")
            });
            let digest = node.digest();
            format!("{}: {told}\n{digest:?}", node.name)
        };
        self.nodes.iter().map(describe).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for node in &mut self.nodes {
            let Some(server) = node.server.take() else { continue };
            let log = server.kill();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINE_COUNT)..];
            eprintln!("--- log of {}\n{}", node.name, last.join("\n"));
        }
    }
}

impl Node {
    fn new(name: &str, place: Place, nats: &[NatsServer]) -> Self {
        let links: Vec<Proxy> = nats.iter().map(|server| Proxy::to(server.address())).collect();
        let urls: Vec<String> =
            links.iter().map(|link| format!("nats://{}", link.address())).collect();
        let mut place = place.with("MEMNODE_NODE_ID", name);
        if !urls.is_empty() {
            place = place.with("MEMNODE_CLUSTER", NAME).with("MEMNODE_NATS_URL", urls.join(","));
        }
        let door = Door { url: None, file: format!("{name}/0"), file_count: 0 };
        Node { name: name.to_owned(), place, links, server: None, door: Arc::new(Mutex::new(door)) }
    }

    /// # Panics
    /// When the node runs or does not start.
    pub fn start(&mut self) {
        self.start_at(self.place.clone());
    }

    /// Starts the node with other settings, this once.
    ///
    /// # Panics
    /// When the node runs or does not start.
    pub fn start_at(&mut self, place: Place) {
        assert!(self.server.is_none(), "{} runs", self.name);
        let server = place.serve();
        self.with_door(|door| door.url = Some(server.url.clone()));
        self.server = Some(server);
    }

    pub fn runs(&self) -> bool {
        self.server.is_some()
    }

    /// Waits until the node says that it is ready.
    pub fn ready(&self) {
        let client = self.client();
        eventually("the node is ready", || (client.get("/readyz").status == 200).then_some(()));
    }

    /// Ends the process at once, as a crash would; gives what it logged.
    pub fn kill(&mut self) -> String {
        self.with_door(|door| door.url = None);
        self.server.take().expect("the node runs").kill()
    }

    /// Ends the process in good order; gives what it logged.
    pub fn stop(&mut self) -> String {
        self.with_door(|door| door.url = None);
        self.server.take().expect("the node runs").stop().1
    }

    /// Sends the process a signal by name.
    pub fn signal(&self, name: &str) {
        self.server.as_ref().expect("the node runs").signal(name);
    }

    pub fn url(&self) -> &str {
        &self.server.as_ref().expect("the node runs").url
    }

    pub fn client(&self) -> Client {
        Client::within(ANSWER_TIMEOUT, self.url())
    }

    pub fn door(&self) -> Arc<Mutex<Door>> {
        Arc::clone(&self.door)
    }

    /// Copies its files; the node must not run.
    pub fn back_up(&self) -> Backup {
        assert!(self.server.is_none(), "{} runs", self.name);
        let directory = tempfile::tempdir().expect("a directory");
        copy_files(self.place.path(), directory.path());
        Backup { directory }
    }

    /// Puts copied files in the place of its own; the node must not run. It is another file then.
    pub fn restore(&mut self, backup: &Backup) {
        assert!(self.server.is_none(), "{} runs", self.name);
        for path in database_files(self.place.path()) {
            fs::remove_file(path).expect("a file");
        }
        copy_files(backup.directory.path(), self.place.path());
        self.with_door(|door| {
            door.file_count += 1;
            door.file = format!("{}/{}", self.name, door.file_count);
        });
    }

    fn with_door(&self, change: impl FnOnce(&mut Door)) {
        change(&mut self.door.lock().expect("no panic"));
    }

    fn try_get(&self, path: &str) -> Option<Value> {
        let server = self.server.as_ref()?;
        let client = Client::within(ANSWER_TIMEOUT, &server.url);
        let answer = client.try_send("GET", path, &[], Vec::new()).ok()?;
        (answer.status == 200).then(|| answer.value())
    }

    /// The digest, if the node gives one.
    pub fn digest(&self) -> Option<Digest> {
        let told = self.try_get("/api/cluster/digest")?;
        let root = told["root"].as_str()?.to_owned();
        let vector = told["vector"].as_object()?.clone().into_iter().collect();
        Some(Digest { root, vector })
    }

    /// Everything that the node holds.
    pub fn contents(&self) -> Contents {
        let lines = self.client().get("/api/export").expect(200).lines();
        lines
            .iter()
            .map(|memory| (super::rest::text(&memory["content_hash"]), seen(memory)))
            .collect()
    }

    /// Waits until the node has applied more than it has now.
    pub fn wait_for_growth(&self) {
        let before = eventually("the node tells its digest", || self.digest());
        eventually("the node applies writes", || {
            self.digest().filter(|digest| *digest != before).map(drop)
        });
    }

    /// Waits until the node no longer hears a peer.
    pub fn wait_until_gone(&self, name: &str) {
        eventually("the peer is gone", || {
            let told = self.try_get("/api/cluster")?;
            let mut nodes = told["nodes"].as_array()?.iter();
            nodes.find(|node| node["node"] == name && node["live"] == false).map(drop)
        });
    }

    /// Waits until the node has lost the servers.
    pub fn wait_until_disconnected(&self) {
        eventually("the node is disconnected", || {
            (self.try_get("/api/cluster")?["connected"] == false).then_some(())
        });
    }

    /// Waits until a search finds a memory first.
    pub fn wait_until_found(&self, query: &str, hash: &Value) {
        let client = self.client();
        eventually("the memory is found", || {
            let body = json!({"query": query, "n_results": 1});
            let found = client.post("/api/search", body).expect(200).value();
            (found["results"][0]["memory"]["content_hash"] == *hash).then_some(())
        });
    }

    /// The kinds of alarm that the node shows.
    pub fn alarms(&self) -> Vec<String> {
        let told = self.try_get("/api/cluster").unwrap_or_default();
        let alarms = told["alarms"].as_array().cloned().unwrap_or_default();
        alarms.iter().filter_map(|alarm| Some(alarm["kind"].as_str()?.to_owned())).collect()
    }

    /// Waits until the node shows an alarm of this kind.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_alarm(&self, kind: &str) {
        let is_up = || self.alarms().iter().any(|shown| shown == kind).then_some(());
        let shown = within(HEAL_DEADLINE, DIGEST_INTERVAL, is_up);
        assert!(shown.is_some(), "{} shows no {kind}: {:?}", self.name, self.alarms());
    }
}

/// The files of a node at some time.
pub struct Backup {
    directory: tempfile::TempDir,
}

impl Backup {
    /// A place of its own that begins with these files.
    pub fn place(&self) -> Place {
        let place = Place::new();
        copy_files(self.directory.path(), place.path());
        place
    }
}

/// The database and what SQLite keeps beside it; not the lock, which belongs to a process.
fn database_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("memnode.db") && !name.ends_with(".lock") && path.is_file()
    });
    paths
}

fn copy_files(from: &Path, to: &Path) {
    for path in database_files(from) {
        let name = path.file_name().expect("it is a file");
        fs::copy(&path, to.join(name)).expect("a copy");
    }
}

/// A memory as the wire shows it, as far as histories follow it.
pub fn seen(memory: &Value) -> Seen {
    let metadata = memory["metadata"].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut values: BTreeMap<String, String> =
        metadata.into_iter().filter_map(|(name, value)| Some((name, text(&value)?))).collect();
    values.extend(text(&memory["memory_type"]).map(|value| (TYPE.to_owned(), value)));
    Seen { content: text(&memory["content"]).unwrap_or_default(), values }
}

/// The name under which histories keep the type of a memory.
pub const TYPE: &str = "memory_type";
