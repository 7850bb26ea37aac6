//! Searches while the index is made anew or damaged, and searches that nobody waits for.

use std::io::Write;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::embedder::Stub;
use crate::common::eventually;
use crate::common::node::Place;
use crate::common::raw;
use crate::common::rest::{contents, import, search, store_text};

/// Enough for their codes to be kept.
const COUNT: usize = 700;
/// How often the index is made anew.
const REBUILD_COUNT: usize = 5;
/// Searches whose callers leave.
const ABANDONED_COUNT: usize = 200;

fn is_ready(client: &Client) -> bool {
    let index = client.get("/api/index").expect(200).value();
    index["status"] == "ready" && index["rows"] == COUNT
}

fn wait_ready(client: &Client) {
    eventually("the index is ready", || is_ready(client).then_some(()));
}

/// Questions, and what sqlite-vec itself answers.
fn answered(client: &Client) -> Vec<(Value, Vec<String>)> {
    let bodies = [
        json!({"query": "the guitar was sold", "mode": "semantic"}),
        json!({"query": "a broken printer", "mode": "semantic", "tags": ["third"]}),
        json!({"query": "papers for the office", "mode": "hybrid"}),
    ];
    let exact = |body: Value| {
        let mut asked = body.clone();
        asked["exact"] = true.into();
        let found = contents(&search(client, asked));
        assert_eq!(found.len(), 10, "{body}");
        (body, found)
    };
    bodies.into_iter().map(exact).collect()
}

fn check(client: &Client, answered: &[(Value, Vec<String>)]) {
    for (body, expected) in answered {
        assert_eq!(contents(&search(client, body.clone())), *expected, "{body}");
    }
}

#[test]
fn answers_stay_right_while_the_index_is_made_anew_and_while_it_is_damaged() {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    let things = ["printer", "garden", "invoice", "train", "recipe", "guitar", "exam"];
    let verbs = ["moved", "broke", "arrived", "was sold", "got lost", "was found"];
    let memory = |n: usize| {
        let text = format!("{} {} in {}", things[n % 7], verbs[n / 7 % 6], 1300 + n);
        json!({"content": text, "tags": [if n.is_multiple_of(3) { "third" } else { "other" }]})
    };
    import(&client, &(0..COUNT).map(memory).collect::<Vec<_>>());
    wait_ready(&client);
    let expected = answered(&client);

    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let searching = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                check(&client, &expected);
            }
        });
        for _ in 0..REBUILD_COUNT {
            client.post("/api/index/rebuild", json!({})).expect(202);
            wait_ready(&client);
        }
        is_over.store(true, Ordering::Relaxed);
        searching.join().expect("every answer is right");
    });
    server.stop();

    let file = Connection::open(place.database()).expect("the file");
    let damage = "UPDATE code_chunk SET codes = substr(codes, 1, length(codes) / 2)";
    assert_eq!(file.execute(damage, []).expect("a chunk"), 1);
    drop(file);
    let server = place.serve();
    let client = server.client();
    check(&client, &expected);
    eventually("the index is made of the vectors", || {
        check(&client, &expected);
        is_ready(&client).then_some(())
    });
    check(&client, &expected);
    let checked = client.post("/api/index/check", json!({"sample": 3})).expect(200).value();
    assert_eq!(checked["vectors"], COUNT, "{checked}");
}

/// A search whose caller can leave.
fn begin_search(url: &str, number: usize) -> TcpStream {
    let mut stream = raw::connect(url);
    let body = json!({"query": format!("question {number}"), "mode": "semantic"}).to_string();
    let head = format!(
        "POST /api/search HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        url.trim_start_matches("http://"),
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("the server reads");
    stream
}

/// Requests that wait for their answer, the one that asks included.
fn in_flight(client: &Client) -> Option<usize> {
    let text = client.get("/metrics").expect(200).text();
    let line = text.lines().find(|line| line.starts_with("memnode_http_requests_in_flight"))?;
    line.split_whitespace().last()?.parse().ok()
}

#[test]
fn searches_that_nobody_waits_for_are_not_worked_on() {
    let stub = Stub::new();
    let server = stub.at(&Place::new()).serve().ready();
    let client = server.client();
    store_text(&client, "the one memory");
    let before = stub.answered();
    stub.gate.open(before);

    let callers: Vec<TcpStream> =
        (0..ABANDONED_COUNT).map(|number| begin_search(&server.url, number)).collect();
    eventually("all searches wait", || (in_flight(&client)? > ABANDONED_COUNT).then_some(()));
    drop(callers);
    eventually("none of them waits any more", || (in_flight(&client)? <= 1).then_some(()));

    stub.gate.open(usize::MAX);
    assert_eq!(contents(&search(&client, json!({"query": "memory"}))), ["the one memory"]);
    // What had left for the model cannot be called back: a few texts for each core.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let worked_on = stub.answered() - before;
    assert!(worked_on <= 3 * cores + 1, "{worked_on} of {ABANDONED_COUNT} were worked on");
}
