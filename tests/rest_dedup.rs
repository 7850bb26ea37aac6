//! Near-repeats: let in by default, refused when the settings say so.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::Place;
use crate::common::rest::{import, store, store_text, text};

const FIRST: &str = "The weekly team meeting is on Tuesday at ten in the morning";
const NEAR: &str = "The weekly team meeting is on Tuesday at ten in the morning!";
const FAR: &str = "Bananas are rich in potassium";

fn post(client: &Client, content: &str) -> Value {
    client.post("/api/memories", json!({"content": content})).expect(200).value()
}

#[test]
fn a_near_repeat_is_another_memory_by_default() {
    let server = Place::new().serve();
    let client = server.client();
    store_text(&client, FIRST);
    store_text(&client, NEAR);
}

#[test]
fn a_near_repeat_is_refused_when_asked_and_names_the_first() {
    let server = Place::new().with("MCP_SEMANTIC_DEDUP_ENABLED", "true").serve();
    let client = server.client();
    let hash = store_text(&client, FIRST);
    let keyed = client.with("Idempotency-Key", "k");
    let refused = post(&keyed, NEAR);
    assert_eq!(refused["success"], false);
    let message = text(&refused["message"]);
    assert!(message.starts_with("Duplicate content detected (semantically"), "{message}");
    assert!(message.contains(&hash), "{message}");
    assert_eq!((&refused["content_hash"], &refused["memory"]), (&Value::Null, &Value::Null));
    assert_eq!(post(&keyed, NEAR), refused);
    let other = keyed.post("/api/memories", json!({"content": FAR}));
    other.expect_problem(422, "idempotency_key_reused");

    let exact = post(&client, FIRST);
    assert_eq!(exact["message"], "Duplicate content detected (exact match)");
    store_text(&client, FAR);
    store(&client, json!({"content": NEAR, "namespace": "elsewhere"}));
    let total = client.get("/api/memories").expect(200).value()["total"].clone();
    assert_eq!(total, 2);
}

#[test]
fn only_recent_memories_are_repeated() {
    let server = Place::new().with("MCP_SEMANTIC_DEDUP_ENABLED", "true").serve();
    let client = server.client();
    import(&client, &[json!({"content": FIRST, "created_at": 1_000_000_000})]);
    store_text(&client, NEAR);
}

#[test]
fn the_threshold_decides_what_is_near() {
    let place = Place::new().with("MCP_SEMANTIC_DEDUP_ENABLED", "true");
    let server = place.with("MCP_SEMANTIC_DEDUP_THRESHOLD", "0").serve();
    let client = server.client();
    store_text(&client, FIRST);
    // Whatever is not opposite is near then.
    let nearby = post(&client, "The team met on Wednesday");
    assert_eq!(nearby["success"], false, "{nearby}");
}
