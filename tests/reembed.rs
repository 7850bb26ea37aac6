//! Moving a file to another model: searches go on, an interruption loses nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::node::Place;

/// Numbers in a vector of the stub.
const DIMENSION: usize = 16;

/// A service that speaks the embeddings call of OpenAI: each word adds to one number.
fn stub() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/v1/embeddings", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    url
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
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
fn with_stub(place: &Place, url: &str) -> Place {
    place
        .clone()
        .with("MEMNODE_EMBEDDER", "openai")
        .with("MEMNODE_EMBEDDER_URL", url)
        .with("MEMNODE_EMBEDDER_MODEL", "stub")
        .with("MEMNODE_EMBEDDER_DIMENSION", DIMENSION.to_string())
}

fn fill(place: &Place, count: usize) {
    let lines: String = (0..count)
        .map(|number| format!("{}\n", json!({"content": format!("word{number} alpha beta")})))
        .collect();
    let file = place.path().join("fill.jsonl");
    std::fs::write(&file, lines).expect("a file");
    place.run(&["import", &file.display().to_string()]).ok();
}

#[test]
fn a_file_moves_to_another_model_under_a_running_server() {
    let place = Place::new();
    fill(&place, 300);
    let server = place.serve().ready();
    let moved = with_stub(&place, &stub());
    let mut moving = moved.command(&["reembed"]).spawn().expect("the binary runs");
    // While it moves, and after, the same server answers.
    let search = || {
        let body = json!({"query": "word7 alpha beta", "n_results": 3});
        server.client().post("/api/search", body).expect(200).value()
    };
    while moving.try_wait().expect("ours").is_none() {
        assert_eq!(search()["results"].as_array().map(Vec::len), Some(3));
    }
    assert!(moving.wait().expect("ours").success());
    assert_eq!(search()["results"].as_array().map(Vec::len), Some(3));
    let health = server.client().get("/api/health/detailed").expect(200).value();
    assert_eq!(health["storage"]["embedding_model"], "stub", "{health}");
    assert_eq!(health["storage"]["embedding_dimension"], DIMENSION, "{health}");
    server.stop();

    assert!(moved.run(&["verify"]).ok().stdout.contains("sound"));
    let found = moved.run(&["search", "word7 alpha beta", "--json"]).ok().json();
    assert!(found["results"].as_array().is_some_and(|list| !list.is_empty()), "{found}");
    let refused = place.run(&["add", "more"]);
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert!(refused.stderr.contains("memnode reembed"), "{refused:#?}");
}

#[test]
fn a_move_that_is_killed_is_taken_up_again() {
    let place = Place::new();
    fill(&place, 400);
    let moved = with_stub(&place, &stub());
    let mut moving = moved.command(&["reembed"]).spawn().expect("the binary runs");
    eventually("some texts are moved or all are", || {
        let over = moving.try_wait().expect("ours").is_some();
        (over || place.database().with_extension("db-wal").exists()).then_some(())
    });
    // Killed early or late: either way the next run ends with a whole file.
    let _ = moving.kill();
    moving.wait().expect("ours");
    let again = moved.run(&["reembed"]);
    let already = again.stderr.contains("already");
    assert!(again.code == Some(0) || already, "{again:#?}");
    assert!(moved.run(&["verify"]).ok().stdout.contains("sound"));
    assert!(moved.run(&["stats"]).ok().stdout.contains("stub"));
}
