//! Moving a file to another model: searches go on, an interruption loses nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::node::Place;

/// Numbers in a vector of the stub.
const DIMENSION: usize = 8;
/// Memories of a file that moves.
const COUNT: usize = 300;

/// A service that speaks the embeddings call of OpenAI: each word adds to one number.
struct Stub {
    url: String,
    /// Texts that were answered.
    answered: Arc<AtomicUsize>,
    gate: Arc<Gate>,
}

/// Holds answers back once so many texts were answered.
#[derive(Default)]
struct Gate {
    open_until: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    fn wait(&self, answered: usize) {
        let limit = self.open_until.lock().expect("no panic");
        let held = self.changed.wait_while(limit, |limit| answered >= *limit);
        drop(held.expect("no panic"));
    }

    fn open(&self, until: usize) {
        *self.open_until.lock().expect("no panic") = until;
        self.changed.notify_all();
    }
}

impl Stub {
    /// One that answers so many texts and then waits.
    fn until(count: usize) -> Stub {
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

    fn new() -> Stub {
        Stub::until(usize::MAX)
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
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

/// The same place with the stub as its configured embedder.
fn with_stub(place: &Place, stub: &Stub) -> Place {
    place
        .clone()
        .with("MEMNODE_EMBEDDER", "openai")
        .with("MEMNODE_EMBEDDER_URL", &stub.url)
        .with("MEMNODE_EMBEDDER_MODEL", "stub")
        .with("MEMNODE_EMBEDDER_DIMENSION", DIMENSION.to_string())
}

/// A file of the built-in model.
fn filled() -> Place {
    let place = Place::new();
    let lines: String = (0..COUNT)
        .map(|number| format!("{}\n", json!({"content": format!("word{number} alpha beta")})))
        .collect();
    place.run_with_input(&["import", "-"], lines.as_bytes()).ok();
    place
}

fn start(place: &Place) -> Child {
    place.command(&["reembed"]).stdout(Stdio::null()).spawn().expect("the binary runs")
}

#[test]
fn a_file_moves_to_another_model_under_a_running_server() {
    let place = filled();
    let server = place.serve().ready();
    let client = server.client();
    let stub = Stub::until(100);
    let moved = with_stub(&place, &stub);
    let mut moving = start(&moved);
    eventually("some texts are moved", || (stub.answered() >= 100).then_some(()));

    // It stands still in the middle now: the server answers with the old model, and stores.
    let search = |query: &str| {
        let body = json!({"query": query, "n_results": 3});
        let found = client.post("/api/search", body).expect(200).value();
        assert_eq!(found["results"].as_array().map(Vec::len), Some(3), "{found}");
        found["results"][0]["memory"]["content"].clone()
    };
    assert_eq!(search("word7 alpha beta"), "word7 alpha beta");
    client.post("/api/memories", json!({"content": "gamma came in meanwhile"})).expect(200);
    let progress = client.get("/api/reembed").expect(200).value();
    assert_eq!(progress["reembed"]["state"], "running", "{progress}");
    let again = client.send("POST", "/api/reembed", &[], Vec::new());
    assert_eq!(again.status, 403, "only the local socket may change the model: {}", again.text());

    stub.gate.open(usize::MAX);
    assert!(moving.wait().expect("ours").success());
    assert_eq!(search("gamma came in meanwhile"), "gamma came in meanwhile");
    let health = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(health["storage"]["embedding_model"], "stub", "{health}");
    assert_eq!(health["storage"]["embedding_dimension"], DIMENSION, "{health}");
    server.stop();

    assert!(moved.run(&["verify"]).ok().stdout.contains("sound"));
    let found = moved.run(&["search", "gamma came in meanwhile", "--json"]).ok().json();
    assert_eq!(found["results"][0]["memory"]["content"], "gamma came in meanwhile", "{found}");
    for arguments in [&["add", "more"][..], &["list"], &["serve", "--http-port", "0"]] {
        let refused = place.run(arguments).expect_code(74);
        assert!(refused.stderr.contains("memnode reembed"), "{refused:#?}");
    }
}

#[test]
fn a_move_that_is_killed_is_taken_up_where_it_was() {
    let place = filled();
    let stub = Stub::until(150);
    let mut moving = start(&with_stub(&place, &stub));
    eventually("some texts are moved", || (stub.answered() >= 150).then_some(()));
    // Other commands go through the process that moves the file, with the model it still has.
    let found = place.run(&["search", "word7 alpha beta", "--json"]).ok().json();
    assert_eq!(found["results"][0]["memory"]["content"], "word7 alpha beta", "{found}");
    moving.kill().expect("ours");
    moving.wait().expect("ours");

    // Nothing changed for who stays with the old model.
    place.run(&["search", "word7"]).ok();
    let second = Stub::new();
    let moved = with_stub(&place, &second);
    moved.run(&["reembed"]).ok();
    let rest = second.answered();
    assert!(rest < COUNT, "the second run began anew: {rest} texts");
    assert!(moved.run(&["verify"]).ok().stdout.contains("sound"));
    let stats = moved.run(&["stats"]).ok().stdout;
    assert!(stats.contains("stub, 8 dimensions"), "{stats}");
    let nothing = moved.run(&["reembed", "--json"]).ok().json();
    assert_eq!(nothing["state"], "done", "{nothing}");
}

#[test]
fn a_model_that_cannot_be_asked_changes_nothing() {
    let place = filled();
    let stub = Stub::new();
    let gone = Stub { url: "http://127.0.0.1:1/v1/embeddings".to_owned(), ..stub };
    let failed = with_stub(&place, &gone).run(&["reembed"]);
    assert!(matches!(failed.code, Some(1 | 69)), "{failed:#?}");
    assert!(failed.stderr.contains("127.0.0.1:1") || failed.stderr.contains("stub"), "{failed:#?}");
    let found = place.run(&["search", "word7 alpha beta", "--json"]).ok().json();
    assert_eq!(found["results"][0]["memory"]["content"], "word7 alpha beta", "{found}");
}
