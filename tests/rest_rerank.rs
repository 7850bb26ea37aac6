//! The external re-ranker: its order, and what a search does without it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::common::node::Place;
use crate::common::rest::{contents, keys, search, store_text};

/// A service that gives one answer to everything, and the requests that it got.
fn stub(status: u16, body: &str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/v1/rerank", listener.local_addr().expect("an address"));
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if sender.send(serve(stream, &answer)).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

fn serve(stream: TcpStream, answer: &str) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).expect("a request") > 0 {}
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    reader.get_mut().write_all(answer.as_bytes()).expect("it listens");
    format!("{head}{}", String::from_utf8(body).expect("UTF-8"))
}

const TEXTS: [&str; 3] = ["the red door", "the red window", "the red roof"];

/// What is found of the texts with a re-ranker, or something else, at this address.
fn ask(url: &str, timeout: &str) -> Value {
    let place = Place::new()
        .with("MEMNODE_RERANK_URL", url)
        .with("MEMNODE_RERANK_API_KEY", "s3cret")
        .with("MEMNODE_RERANK_TIMEOUT", timeout);
    let server = place.serve();
    let client = server.client();
    TEXTS.iter().for_each(|text| drop(store_text(&client, text)));
    let keyword = search(&client, json!({"query": "red door", "mode": "keyword"}));
    assert!(keyword.get("note").is_none(), "only hybrid searches are re-ranked");
    search(&client, json!({"query": "red door", "n_results": 2}))
}

#[test]
fn results_come_in_the_order_of_the_reranker() {
    let (url, requests) = stub(
        200,
        r#"{"results": [{"index": 2, "relevance_score": 0.9},
            {"index": 1, "relevance_score": 0.2}, {"index": 0, "relevance_score": 0.1}]}"#,
    );
    let found = ask(&url, "20s");
    let request = requests.recv().expect("it was asked");
    let (head, body) = request.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("POST /v1/rerank HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer s3cret"), "{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(keys(&body), ["documents", "query", "top_n"]);
    assert_eq!((&body["query"], &body["top_n"]), (&json!("red door"), &json!(3)));
    let sent = body["documents"].as_array().expect("documents");
    assert_eq!(sent[0], "the red door", "the best comes first");

    assert_eq!(contents(&found), [sent[2].as_str(), sent[1].as_str()].map(Option::unwrap));
    assert_eq!(found["results"][0]["score"]["rerank"], 0.9);
    let score = |at: usize| found["results"][at]["similarity_score"].as_f64();
    assert!(score(0) >= score(1), "{found}");
    assert!(found.get("note").is_none(), "{found}");
}

#[test]
fn without_an_answer_the_order_stays_and_a_note_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = format!("http://{}/", closed.local_addr().expect("an address"));
    let (refusing, _requests) = stub(500, "no");
    let (babbling, _requests) = stub(200, r#"{"results": [{"index": 9, "relevance_score": 1}]}"#);
    for (url, timeout, why) in [
        (&silent, "100ms", "cannot be reached"),
        (&refusing, "20s", "status 500"),
        (&babbling, "20s", "no text that was sent"),
    ] {
        let found = ask(url, timeout);
        assert_eq!(contents(&found)[0], "the red door", "{found}");
        assert!(found["note"].as_str().is_some_and(|note| note.contains(why)), "{found}");
    }
}
