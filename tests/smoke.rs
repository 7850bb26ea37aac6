//! The main job, once through.

use serde_json::json;

use crate::common::node::Place;

#[test]
fn a_memory_is_stored_found_and_survives_a_restart() {
    let place = Place::new();
    let server = place.serve().ready();
    let client = server.client();
    let stored = client
        .post("/api/memories", json!({"content": "The spare key hangs behind the fridge"}))
        .expect(200)
        .value();
    assert_eq!(stored["success"], true, "{stored}");
    server.kill();

    let server = place.serve().ready();
    let found = server
        .client()
        .post("/api/search", json!({"query": "where is the extra key"}))
        .expect(200)
        .value();
    let first = &found["results"][0]["memory"]["content_hash"];
    assert_eq!(first, &stored["content_hash"], "{found}");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
}
