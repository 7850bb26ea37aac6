//! Entity tags and idempotency keys: changes that happen at most once, and only to what was seen.

use std::sync::Barrier;

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::node::{Place, Server};
use crate::common::rest::{UNKNOWN, path, store, store_text, text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").expect("an entity tag").to_owned()
}

#[test]
fn a_known_version_is_not_sent_again() {
    let (_server, client) = serve();
    let path = path(&store_text(&client, "x"));
    let tag = etag(&client.get(&path));
    let get = |known: &str| client.with("If-None-Match", known).get(&path);
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = get(&known).expect(304);
        assert!(answer.body.is_empty(), "{known}");
        assert_eq!(etag(&answer), tag, "{known}");
    }
    for unknown in ["\"other\"", "", "nonsense", tag.trim_matches('"'), "\"open"] {
        assert_eq!(etag(&get(unknown).expect(200)), tag, "{unknown}");
    }
    client.put(&path, json!({"tags": ["new"]})).expect(200);
    assert_ne!(etag(&get(&tag).expect(200)), tag);
}

#[test]
fn a_change_is_made_only_to_the_version_that_was_seen() {
    let (_server, client) = serve();
    let path = path(&store_text(&client, "x"));
    let old = etag(&client.get(&path));
    let answer = client.with("If-Match", &old).put(&path, json!({"tags": ["1"]})).expect(200);
    let new = etag(&answer);
    assert_ne!(new, old);
    for stale in [&*old, "\"other\"", "\"a\", \"b\"", &format!("W/{new}"), "nonsense", "", "\"\""] {
        let client = client.with("If-Match", stale);
        let body = json!({"tags": ["2"]});
        for method in ["PUT", "PATCH", "DELETE"] {
            let answer = client.json(method, &path, body.clone());
            answer.expect_problem(412, "version_mismatch");
        }
        let body = json!({"content": "another text"});
        client.put(&path, body).expect_problem(412, "version_mismatch");
    }
    let answer = client.with("If-Match", "*").put(&path, json!({"tags": ["3"]})).expect(200);
    let list = format!("\"other\", {}, {old}", etag(&answer));
    client.with("If-Match", &list).put(&path, json!({"tags": ["4"]})).expect(200);
    let current = etag(&client.get(&path));
    client.with("If-Match", &current).delete(&path).expect(200);
}

#[test]
fn of_many_changes_to_one_version_one_is_made() {
    let (_server, client) = serve();
    let path = path(&store_text(&client, "x"));
    let client = client.with("If-Match", &etag(&client.get(&path)));
    let answers = at_once(12, |n| client.put(&path, json!({"tags": [format!("t{n}")]})).status);
    let made = answers.iter().filter(|status| **status == 200).count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 412].contains(status)), "{answers:?}");
}

/// Calls `work` on so many threads at the same time.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[test]
fn the_same_key_and_body_give_the_same_answer() {
    let place = Place::new();
    let server = place.serve();
    let keyed = server.client().with("Idempotency-Key", "k-1");
    let body = json!({"content": "once", "tags": ["a"]});
    let first = keyed.post("/api/memories", body.clone()).expect(200);
    assert_eq!(first.value()["success"], true);
    let hash = text(&first.value()["content_hash"]);
    server.client().put(&path(&hash), json!({"tags": ["changed"]})).expect(200);
    let again = keyed.post("/api/memories", body.clone()).expect(200);
    assert_eq!((again.value(), etag(&again)), (first.value(), etag(&first)));
    server.kill();

    let server = place.serve();
    let keyed = server.client().with("Idempotency-Key", "k-1");
    let again = keyed.post("/api/memories", body.clone()).expect(200);
    assert_eq!(again.value(), first.value());
    let without = server.client().post("/api/memories", body).expect(200).value();
    assert_eq!(without["success"], false);
    let now = server.client().get(&path(&hash)).expect(200).value();
    assert_eq!(now["tags"], json!(["changed"]));
}

#[test]
fn a_key_belongs_to_one_request() {
    let (_server, client) = serve();
    let keyed = client.with("Idempotency-Key", "k");
    let hash = store_text(&keyed, "first");
    let reused = |answer: Answer| {
        let problem = answer.expect_problem(422, "idempotency_key_reused").value();
        assert_eq!(problem["detail"][0]["loc"], json!(["header", "idempotency-key"]), "{problem}");
    };
    reused(keyed.post("/api/memories", json!({"content": "second"})));
    reused(keyed.post("/api/memories", json!({"content": "first", "tags": ["a"]})));
    reused(keyed.post("/api/memories?namespace=n", json!({"content": "first"})));
    reused(keyed.post("/api/memories/batch", json!([{"content": "first"}])));
    reused(keyed.put(&path(&hash), json!({"tags": ["a"]})));
    reused(keyed.delete(&path(&hash)));
    reused(keyed.send("POST", &format!("{}/restore", path(&hash)), &[], Vec::new()));
    assert_eq!(client.get("/api/memories?namespace=*").expect(200).value()["total"], 1);
}

#[test]
fn every_kind_of_write_is_answered_again() {
    let (_server, client) = serve();
    let old = store(&client, json!({"content": "old", "tags": ["a"]}));
    let old_path = path(&text(&old["content_hash"]));
    let tag = etag(&client.get(&old_path));
    let twice = |key: &str, condition: &str, method: &str, path: &str, body: Value| {
        let client = client.with("Idempotency-Key", key).with("If-Match", condition);
        let first = client.json(method, path, body.clone()).expect(200).text();
        let again = client.json(method, path, body).expect(200).text();
        assert_eq!(again, first, "{method} {path}");
        first
    };
    twice("put", &tag, "PUT", &old_path, json!({"tags": ["b"]}));
    let tag = etag(&client.get(&old_path));
    let tags = format!("\"other\", {tag}");
    let new = twice("content", &tags, "PUT", &old_path, json!({"content": "new"}));
    let new: Value = serde_json::from_str(&new).expect("JSON");
    let new_path = path(&text(&new["content_hash"]));
    let tags = format!("\"other\", {}", etag(&client.get(&new_path)));
    twice("delete", &tags, "DELETE", &new_path, json!(null));
    client.delete(&new_path).expect_problem(404, "memory_not_found");
    twice("restore", "*", "POST", &format!("{new_path}/restore"), json!(null));
    let batch =
        json!([{"content": "one"}, {"content": ""}, {"content": "new"}, {"content": "one"}]);
    twice("batch", "*", "POST", "/api/memories/batch", batch);
    let total = client.get("/api/memories").expect(200).value()["total"].clone();
    assert_eq!(total, 2, "new and one");
}

#[test]
fn a_refusal_does_not_use_a_key_up() {
    let (_server, client) = serve();
    let keyed = client.with("Idempotency-Key", "k");
    keyed.post("/api/memories", json!({"content": ""})).expect_problem(422, "empty_content");
    keyed.delete(&path(UNKNOWN)).expect_problem(404, "memory_not_found");
    let hash = store_text(&client, "gone");
    client.delete(&path(&hash)).expect(200);
    let body = json!({"content": "gone"});
    keyed.post("/api/memories", body.clone()).expect_problem(409, "deleted_before");
    let body = json!({"content": "gone", "restore_deleted": true});
    store(&keyed, body);
}

#[test]
fn keys_have_a_form() {
    let (_server, client) = serve();
    let body = json!({"content": "x"});
    for key in ["k".repeat(256), "é".to_owned()] {
        let answer = client.with("Idempotency-Key", &key).post("/api/memories", body.clone());
        answer.expect_problem(400, "invalid_idempotency_key");
    }
    let long = client.with("Idempotency-Key", &"k".repeat(255));
    store(&long, body);
    let empty = client.with("Idempotency-Key", " ");
    store(&empty, json!({"content": "one"}));
    store(&empty, json!({"content": "two"}));
}

#[test]
fn each_caller_has_keys_of_its_own() {
    let place = Place::new().with("MCP_API_KEY", "s3cret");
    let server = place.with("MCP_ALLOW_ANONYMOUS_ACCESS", "true").serve();
    let anonymous = server.client().with("Idempotency-Key", "same");
    let named = anonymous.with("X-API-Key", "s3cret");
    store(&anonymous, json!({"content": "theirs"}));
    store(&named, json!({"content": "mine"}));
    // Another carrier of the same credential is the same caller.
    let body = json!({"content": "mine"});
    let again = anonymous.post("/api/memories?api_key=s3cret", body).expect(200).value();
    assert_eq!(again["success"], true);
}

#[test]
fn one_of_twenty_concurrent_requests_with_one_key_writes() {
    let (_server, client) = serve();
    let keyed = client.with("Idempotency-Key", "race");
    let body = json!({"content": "stored by exactly one", "tags": ["race"]});
    let answers = at_once(20, |_| keyed.post("/api/memories", body.clone()).expect(200).text());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(answers[0].contains("\"success\":true"), "{}", answers[0]);
    let hash: Value = serde_json::from_str(&answers[0]).expect("JSON");
    let path = format!("{}/history", path(&text(&hash["content_hash"])));
    let history = client.get(&path).expect(200).value();
    assert_eq!(history["entries"].as_array().map(Vec::len), Some(1), "{history}");
}

#[test]
fn one_of_twenty_concurrent_requests_without_a_key_stores() {
    let (_server, client) = serve();
    let body = json!({"content": "one of us"});
    let answers = at_once(20, |_| client.post("/api/memories", body.clone()).expect(200).value());
    let stored = answers.iter().filter(|answer| answer["success"] == true).count();
    assert_eq!(stored, 1, "{answers:#?}");
    let batch = json!([{"content": "a"}, {"content": "b"}]);
    let keyed = client.with("Idempotency-Key", "batch");
    let send = |_| keyed.post("/api/memories/batch", batch.clone()).expect(200).text();
    let answers = at_once(20, send);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(!answers[0].contains("duplicate"), "{}", answers[0]);
}
