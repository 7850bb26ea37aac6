//! A service that speaks the embeddings call of OpenAI, as deterministic as a test needs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use super::node::Place;

/// Numbers in a vector of the stub.
pub const DIMENSION: usize = 8;

/// The service: each word adds to one number of the vector.
pub struct Stub {
    pub url: String,
    /// Texts that were answered.
    answered: Arc<AtomicUsize>,
    pub gate: Arc<Gate>,
}

/// Holds answers back once so many texts were answered.
#[derive(Default)]
pub struct Gate {
    open_until: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    fn wait(&self, answered: usize) {
        let limit = self.open_until.lock().expect("no panic");
        let held = self.changed.wait_while(limit, |limit| answered >= *limit);
        drop(held.expect("no panic"));
    }

    pub fn open(&self, until: usize) {
        *self.open_until.lock().expect("no panic") = until;
        self.changed.notify_all();
    }
}

impl Stub {
    /// One that answers so many texts and then waits.
    pub fn until(count: usize) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1/embeddings", listener.local_addr().expect("an address"));
        let stub = Stub { url, answered: Arc::default(), gate: Arc::default() };
        stub.gate.open(count);
        let (answered, gate) = (Arc::clone(&stub.answered), Arc::clone(&stub.gate));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answered, gate) = (Arc::clone(&answered), Arc::clone(&gate));
                std::thread::spawn(move || answer(stream, &answered, &gate));
            }
        });
        stub
    }

    pub fn new() -> Stub {
        Stub::until(usize::MAX)
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// The same place with this as its configured embedder.
    pub fn at(&self, place: &Place) -> Place {
        place
            .clone()
            .with("MEMNODE_EMBEDDER", "openai")
            .with("MEMNODE_EMBEDDER_URL", &self.url)
            .with("MEMNODE_EMBEDDER_MODEL", "stub")
            .with("MEMNODE_EMBEDDER_DIMENSION", DIMENSION.to_string())
    }
}

/// Answers one connection until it is closed.
fn answer(mut stream: TcpStream, answered: &AtomicUsize, gate: &Gate) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let request: Value = serde_json::from_slice(&body).ok()?;
        let texts = request["input"].as_array()?;
        gate.wait(answered.load(Ordering::SeqCst));
        let vectors: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"index": index, "embedding": vector(text.as_str())}))
            .collect();
        let body = json!({"data": vectors, "model": "stub"}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        answered.fetch_add(texts.len(), Ordering::SeqCst);
    }
}

fn vector(text: Option<&str>) -> Vec<f64> {
    let mut numbers = vec![0.001; DIMENSION];
    for word in text.unwrap_or_default().to_lowercase().split_whitespace() {
        let place = word.bytes().fold(7_usize, |sum, byte| sum * 31 + usize::from(byte));
        numbers[place % DIMENSION] += 1.0;
    }
    numbers
}
