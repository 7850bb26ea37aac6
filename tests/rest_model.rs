//! A model that does not answer: what needs it fails in time and says when to try again, the rest
//! goes on.

use std::net::TcpListener;

use serde_json::json;

use crate::common::client::Answer;
use crate::common::node::Place;
use crate::common::rest::UNKNOWN;

/// A service that takes connections and never says anything.
fn silent_service() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}/v1/embeddings"))
}

fn with_service(url: &str) -> Place {
    Place::new()
        .with("MEMNODE_EMBEDDER", "openai")
        .with("MEMNODE_EMBEDDER_URL", url)
        .with("MEMNODE_EMBEDDER_MODEL", "silent")
        .with("MEMNODE_EMBEDDER_DIMENSION", "8")
        .with("MEMNODE_REQUEST_TIMEOUT", "1s")
}

#[track_caller]
fn check_later(answer: Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let seconds = answer.header("retry-after").expect("when to try again");
    assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{seconds}");
}

#[test]
fn a_model_that_never_answers_holds_nobody_up() {
    let (_listener, url) = silent_service();
    let server = with_service(&url).serve();
    let client = server.client();
    check_later(client.post("/api/memories", json!({"content": "x"})));
    check_later(client.post("/api/search", json!({"query": "x"})));
    client.post("/api/memories", json!({"content": ""})).expect_problem(422, "empty_content");
    client.get("/api/health").expect(200);
    client.get("/livez").expect(200);
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 0);
    let words = json!({"query": "x", "mode": "keyword"});
    assert_eq!(client.post("/api/search", words).expect(200).value()["results"], json!([]));
    let similar = client.get(&format!("/api/search/similar/{UNKNOWN}"));
    similar.expect_problem(404, "memory_not_found");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_model_that_is_not_there_is_told_as_such() {
    let (listener, url) = silent_service();
    drop(listener);
    let server = with_service(&url).serve();
    let client = server.client();
    check_later(client.post("/api/memories", json!({"content": "x"})));
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 0);
}
