//! `/api/memories/{hash}/restore` and `/api/memories/{hash}/history`.

use serde_json::{Value, json};

use crate::common::node::Place;
use crate::common::rest::{UNKNOWN, keys, path, search, store, text};

#[test]
fn a_restored_memory_is_the_one_that_was_deleted() {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    let before = store(
        &client,
        json!({"content": "where the spare key is", "tags": ["home"], "memory_type": "note",
        "metadata": {"room": {"floor": 2}}}),
    );
    let hash = text(&before["content_hash"]);
    client.delete(&path(&hash)).expect(200);
    server.kill();

    let server = place.serve();
    let client = server.client();
    let answer = client.send("POST", &format!("{}/restore", path(&hash)), &[], Vec::new());
    let answer = answer.expect(200);
    let etag = answer.header("etag").expect("an entity tag").to_owned();
    let after = answer.value();
    assert_eq!(etag, format!("\"{}\"", text(&after["version"])));
    for same in ["content", "content_hash", "tags", "memory_type", "metadata", "created_at"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(client.get(&path(&hash)).expect(200).value(), after);
    let found = search(&client, json!({"query": "spare key"}));
    assert_eq!(found["results"][0]["memory"], after);
}

#[test]
fn restoring_what_is_live_or_never_was_changes_nothing() {
    let server = Place::new().serve();
    let client = server.client();
    let memory = store(&client, json!({"content": "live"}));
    let restore = |hash: &str| client.post(&format!("{}/restore", path(hash)), json!({}));
    assert_eq!(restore(&text(&memory["content_hash"])).expect(200).value(), memory);
    restore(UNKNOWN).expect_problem(404, "memory_not_found");
    restore("nonsense").expect_problem(404, "memory_not_found");
}

#[test]
fn history_tells_every_write_in_order() {
    let server = Place::new().serve();
    let client = server.client();
    let memory = store(&client, json!({"content": "x", "tags": ["a"]}));
    let hash = text(&memory["content_hash"]);
    client.put(&path(&hash), json!({"tags": ["b"], "metadata": {"k": 1}})).expect(200);
    client.delete(&path(&hash)).expect(200);
    client.post(&format!("{}/restore", path(&hash)), json!({})).expect(200);

    let history = client.get(&format!("{}/history", path(&hash))).expect(200).value();
    let expected = ["content_hash", "entries", "fields", "live", "losing", "namespace"];
    assert_eq!(keys(&history), expected);
    assert_eq!((&history["content_hash"], &history["live"]), (&json!(hash), &json!(true)));
    assert_eq!((&history["namespace"], &history["losing"]), (&json!("default"), &json!([])));
    let entries = history["entries"].as_array().expect("entries");
    let times: Vec<f64> = entries.iter().filter_map(|entry| entry["at"].as_f64()).collect();
    assert_eq!(times.len(), 4, "{history}");
    assert!(times.is_sorted(), "{history}");
    for entry in entries {
        assert_eq!(keys(entry), ["at", "at_iso", "changed", "kind", "origin", "oseq"]);
    }
    for field in history["fields"].as_array().expect("fields") {
        assert_eq!(keys(field), ["clock_ms", "field", "origin", "oseq", "value"]);
    }
    client.get(&format!("{}/history", path(UNKNOWN))).expect_problem(404, "memory_not_found");
    let elsewhere = format!("{}/history?namespace=other", path(&hash));
    client.get(&elsewhere).expect_problem(404, "memory_not_found");
}

#[test]
fn a_deleted_memory_has_a_history_and_is_nowhere_else() {
    let server = Place::new().serve();
    let client = server.client();
    let memory = store(&client, json!({"content": "forget me", "tags": ["t"], "memory_type": "y"}));
    let hash = text(&memory["content_hash"]);
    client.delete(&path(&hash)).expect(200);
    let history = client.get(&format!("{}/history", path(&hash))).expect(200).value();
    assert_eq!(history["live"], false);
    let empty = |answer: Value, list: &str| assert_eq!(answer[list], json!([]), "{answer}");
    empty(client.get("/api/memories").expect(200).value(), "memories");
    empty(client.get("/api/tags").expect(200).value(), "tags");
    empty(client.get("/api/types").expect(200).value(), "types");
    for mode in ["semantic", "keyword", "hybrid"] {
        empty(search(&client, json!({"query": "forget me", "mode": mode})), "results");
    }
    empty(client.post("/api/search/by-tag", json!({"tags": ["t"]})).expect(200).value(), "results");
    let today = json!({"query": "today"});
    empty(client.post("/api/search/by-time", today).expect(200).value(), "results");
    assert_eq!(client.get("/api/export").expect(200).text(), "");
    let similar = client.get(&format!("/api/search/similar/{hash}"));
    similar.expect_problem(404, "memory_not_found");
}
