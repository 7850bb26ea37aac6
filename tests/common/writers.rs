//! Clients that write, change, delete and read while something goes wrong, and note every call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::{Answer, Client};
use super::cluster::{Door, Node, TYPE, seen};
use super::eventually;
use super::history::{Action, Call, History, Outcome};

/// Longest wait for one answer; a node that is stopped gives none.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Rest after every call: faults are to be met, not processors to be filled.
const PAUSE: Duration = Duration::from_millis(4);
/// How long a client waits when no node is up, or while all pause.
const NOBODY_PAUSE: Duration = Duration::from_millis(20);
const CLIENT_COUNT: usize = 4;
/// Most memories that are changed and deleted at a time.
const KNOWN_COUNT_MAX: usize = 200;
/// Values of a memory that clients replace.
const NAMES: [&str; 3] = ["first", "second", TYPE];
const WORDS: [&str; 8] = ["lamp", "river", "stone", "paper", "garden", "music", "winter", "bread"];

/// What the clients ask for with every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// The node itself has it on disk.
    Local,
    /// Another node has it too, so that losing the file of one loses nothing.
    Replicated,
}

/// Running clients.
pub struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    doors: Vec<Arc<Mutex<Door>>>,
    ack: Ack,
    history: History,
    /// Hashes of memories that are there, for all clients, so that they meet.
    known: Mutex<Vec<String>>,
    acknowledged: AtomicUsize,
    is_paused: AtomicBool,
    /// Calls that have no answer yet.
    under_way: AtomicUsize,
    is_over: AtomicBool,
}

impl Writers {
    /// Starts clients, which choose one of these nodes anew for every call.
    pub fn start<'n>(nodes: impl IntoIterator<Item = &'n Node>, ack: Ack, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            doors: nodes.into_iter().map(Node::door).collect(),
            ack,
            history: History::new(),
            known: Mutex::default(),
            acknowledged: AtomicUsize::new(0),
            is_paused: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let threads = (0..CLIENT_COUNT).map(|number| {
            let shared = Arc::clone(&shared);
            let random = SmallRng::seed_from_u64(seed.wrapping_add(number as u64));
            let writer = Writer {
                shared,
                random,
                number,
                call_count: 0,
                clients: HashMap::new(),
                last: None,
            };
            std::thread::spawn(move || writer.run())
        });
        let threads = threads.collect();
        Writers { shared, threads }
    }

    /// Waits until so many more writes are acknowledged.
    pub fn progress(&self, count: usize) {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let wanted = acknowledged() + count;
        eventually("writes are acknowledged", || (acknowledged() >= wanted).then_some(()));
    }

    /// Lets no new call begin and waits for the answers of those under way.
    pub fn pause(&self) {
        self.shared.is_paused.store(true, Ordering::SeqCst);
        eventually("calls are answered", || {
            (self.shared.under_way.load(Ordering::SeqCst) == 0).then_some(())
        });
    }

    pub fn resume(&self) {
        self.shared.is_paused.store(false, Ordering::SeqCst);
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.history.calls()
    }

    /// Ends the clients; gives every call they made.
    pub fn stop(mut self) -> Vec<Call> {
        self.end();
        self.shared.history.calls()
    }

    fn end(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client does not panic");
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

/// One client.
struct Writer {
    shared: Arc<Shared>,
    random: SmallRng,
    number: usize,
    call_count: usize,
    /// One to each address, as connections are kept.
    clients: HashMap<String, Client>,
    /// Its last acknowledged write: number, memory and position.
    last: Option<(usize, String, String)>,
}

impl Writer {
    fn run(mut self) {
        while !self.shared.is_over.load(Ordering::Relaxed) {
            self.shared.under_way.fetch_add(1, Ordering::SeqCst);
            let is_paused = self.shared.is_paused.load(Ordering::SeqCst);
            let node = self.choose_node().filter(|_| !is_paused);
            if let Some((client, file)) = &node {
                self.call(client, file);
            }
            self.shared.under_way.fetch_sub(1, Ordering::SeqCst);
            std::thread::park_timeout(if node.is_some() { PAUSE } else { NOBODY_PAUSE });
        }
    }

    /// A node that is up, and its file.
    fn choose_node(&mut self) -> Option<(Client, String)> {
        let door = |door: &Arc<Mutex<Door>>| door.lock().expect("no panic").clone();
        let doors: Vec<Door> = self.shared.doors.iter().map(door).collect();
        let up: Vec<&Door> = doors.iter().filter(|door| door.url.is_some()).collect();
        let door = up.choose(&mut self.random)?;
        let url = door.url.clone()?;
        let client = self.clients.entry(url);
        let client = client.or_insert_with_key(|url| Client::within(TIMEOUT, url));
        Some((client.clone(), door.file.clone()))
    }

    fn call(&mut self, client: &Client, file: &str) {
        self.call_count += 1;
        match self.random.random_range(0..100) {
            0..52 => self.store(client, file),
            52..80 => self.set(client, file),
            80..90 => self.delete(client, file),
            _ => self.read(client, file),
        }
    }

    fn store(&mut self, client: &Client, file: &str) {
        let word = |random: &mut SmallRng| *WORDS.choose(random).expect("there are words");
        let (first, second) = (word(&mut self.random), word(&mut self.random));
        let content = format!("{first} {second} {} {}", self.number, self.call_count);
        let hash = hash(&content);
        let body = json!({"content": content, "tags": [first]});
        let action = Action::Store { content };
        if self.write(client, file, &hash, action, ("POST", "/api/memories".to_owned(), body)) {
            let mut known = self.shared.known.lock().expect("no panic");
            known.push(hash);
            if known.len() > KNOWN_COUNT_MAX {
                known.swap_remove(0);
            }
        }
    }

    fn set(&mut self, client: &Client, file: &str) {
        let Some(hash) = self.choose_memory() else { return };
        let name = *NAMES.choose(&mut self.random).expect("there are names");
        let value = format!("value {} {}", self.number, self.call_count);
        let body = match name {
            TYPE => json!({TYPE: value}),
            name => json!({"metadata": {name: value}}),
        };
        let action = Action::Set { name: name.to_owned(), value };
        self.write(client, file, &hash, action, ("PUT", format!("/api/memories/{hash}"), body));
    }

    fn delete(&mut self, client: &Client, file: &str) {
        let Some(hash) = self.choose_memory() else { return };
        let path = format!("/api/memories/{hash}");
        if self.write(client, file, &hash, Action::Delete, ("DELETE", path, Value::Null)) {
            self.shared.known.lock().expect("no panic").retain(|known| *known != hash);
        }
    }

    fn choose_memory(&mut self) -> Option<String> {
        let known = self.shared.known.lock().expect("no panic");
        known.choose(&mut self.random).cloned()
    }

    /// Sends a write and notes how it went; whether it was acknowledged.
    fn write(
        &mut self,
        client: &Client,
        file: &str,
        hash: &str,
        action: Action,
        (method, path, body): (&str, String, Value),
    ) -> bool {
        let mut headers = vec![("content-type", "application/json")];
        if self.shared.ack == Ack::Replicated {
            headers.push(("memnode-ack", "replicated:1"));
        }
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let start = self.shared.history.now();
        let answer = client.try_send(method, &path, &headers, bytes).ok();
        let outcome = answer.as_ref().map_or(Outcome::Unknown, |answer| self.outcome(answer));
        let position = answer.as_ref().and_then(|answer| answer.header("memnode-position"));
        let number = self.note(hash, file, action, outcome, start);
        if outcome != Outcome::Acknowledged {
            return false;
        }
        self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.last = position.map(|position| (number, hash.to_owned(), position.to_owned()));
        true
    }

    fn outcome(&self, answer: &Answer) -> Outcome {
        match answer.status {
            // The node has it, but what was asked for was more than that.
            202 if self.shared.ack == Ack::Replicated => Outcome::Unknown,
            200 | 202 if answer.value()["success"] == true => Outcome::Acknowledged,
            200 | 404 | 409 | 507 => Outcome::Refused,
            _ => Outcome::Unknown,
        }
    }

    /// Reads what this client wrote last, wherever, and so with its position.
    fn read(&mut self, client: &Client, file: &str) {
        let Some((after, hash, position)) = self.last.clone() else { return };
        let start = self.shared.history.now();
        let headers = [("memnode-after", position.as_str())];
        let path = format!("/api/memories/{hash}");
        let answer = client.try_send("GET", &path, &headers, Vec::new()).ok();
        let (seen, outcome) = match answer {
            Some(answer) if answer.status == 200 => {
                (Some(seen(&answer.value())), Outcome::Acknowledged)
            }
            Some(answer) if answer.status == 404 => (None, Outcome::Acknowledged),
            Some(_) => (None, Outcome::Refused),
            None => (None, Outcome::Unknown),
        };
        self.note(&hash, file, Action::Read { after, seen }, outcome, start);
    }

    fn note(
        &self,
        hash: &str,
        file: &str,
        action: Action,
        outcome: Outcome,
        start: Duration,
    ) -> usize {
        let history = &self.shared.history;
        let (memory, node, end) = (hash.to_owned(), file.to_owned(), history.now());
        history.add(Call { memory, node, action, outcome, start, end })
    }
}

/// The hash of a text that is in lower case and without outer space.
fn hash(content: &str) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
