//! `POST /api/memories/delete`: deleting by conditions, never more than they say.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{contents, digest, import_bytes, keys, path, text};

const PATH: &str = "/api/memories/delete";

/// Four memories in one namespace and one in another, one a line.
fn lines() -> String {
    let memories = [
        json!({"content": "one", "tags": ["a", "b"], "memory_type": "note", "created_at": 86_400}),
        json!({"content": "two", "tags": ["a"], "created_at": 172_800}),
        json!({"content": "three", "tags": ["b"], "memory_type": "note", "created_at": 259_200}),
        json!({"content": "four", "created_at": 345_600}),
        json!({"content": "five", "tags": ["a"], "namespace": "work", "created_at": 1}),
    ];
    memories.map(|memory| format!("{memory}\n")).concat()
}

/// A node with these memories.
fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    refill(&client);
    (server, client)
}

/// Brings back what is missing.
fn refill(client: &Client) {
    let path = "/api/import?restore_deleted=true";
    import_bytes(client, path, lines().into_bytes()).expect(200);
    assert_eq!(left(client), ["four", "three", "two", "one", "five"]);
}

fn left(client: &Client) -> Vec<String> {
    contents(&client.get("/api/memories?namespace=*").expect(200).value())
}

#[test]
fn each_condition_deletes_what_it_names() {
    let (_server, client) = serve();
    let check = |body: Value, expected_left: &[&str]| {
        let mut rehearsal = body.clone();
        rehearsal["dry_run"] = json!(true);
        let would = client.post(PATH, rehearsal).expect(200).value();
        let count = 5 - expected_left.len();
        assert_eq!((&would["dry_run"], &would["count"]), (&json!(true), &json!(count)), "{body}");
        assert_eq!(left(&client).len(), 5, "{body}");

        let deleted = client.post(PATH, body.clone()).expect(200).value();
        let expected = ["content_hashes", "count", "dry_run", "message", "success"];
        assert_eq!(keys(&deleted), expected);
        assert_eq!(deleted["content_hashes"], would["content_hashes"], "{body}");
        assert_eq!((&deleted["dry_run"], &deleted["success"]), (&json!(false), &json!(true)));
        assert_eq!(left(&client), expected_left, "{body}");
        let again = client.post(PATH, body).expect(200).value();
        assert_eq!((&again["count"], &again["content_hashes"]), (&json!(0), &json!([])));
        refill(&client);
    };
    check(json!({"tags": ["a"]}), &["four", "three", "five"]);
    check(json!({"tags": "A"}), &["four", "three", "five"]);
    check(json!({"tags": ["a", "b"]}), &["four", "five"]);
    check(json!({"tags": ["a", "b"], "tag_match": "all"}), &["four", "three", "two", "five"]);
    check(json!({"memory_type": "note"}), &["four", "two", "five"]);
    check(json!({"memory_type": "note", "tags": ["a"]}), &["four", "three", "two", "five"]);
    check(json!({"before": "1970-01-03"}), &["four", "three", "two", "five"]);
    check(json!({"after": "1970-01-04"}), &["two", "one", "five"]);
    check(json!({"time_filter": "1970-01-03"}), &["four", "three", "one", "five"]);
    check(json!({"after": "1970-01-03", "before": "1970-01-05"}), &["four", "one", "five"]);
    check(json!({"tags": ["a"], "namespace": "work"}), &["four", "three", "two", "one"]);
    check(json!({"tags": ["a"], "namespace": "*"}), &["four", "three"]);
    check(json!({"tags": ["none"]}), &["four", "three", "two", "one", "five"]);
}

#[test]
fn what_names_nothing_or_is_misspelt_deletes_nothing() {
    let (_server, client) = serve();
    let before = digest(&client);
    let check = |body: Value, status: u16, code: &str| {
        client.post(PATH, body).expect_problem(status, code);
    };
    check(json!({}), 422, "nothing_named");
    check(json!({"namespace": "work"}), 422, "nothing_named");
    check(json!({"dry_run": false}), 422, "nothing_named");
    check(json!({"tag_match": "all"}), 422, "nothing_named");
    check(json!({"tags": []}), 422, "nothing_named");
    check(json!({"tags": ""}), 422, "nothing_named");
    check(json!({"tags": [], "before": "2030-01-01"}), 422, "nothing_named");
    check(json!({"tag": ["a"]}), 422, "invalid_body");
    check(json!({"tags": ["a"], "befor": "1970-01-02"}), 422, "invalid_body");
    check(json!({"tags": ["a"], "dry_run": "true"}), 422, "invalid_body");
    check(json!({"tags": 5}), 422, "invalid_body");
    check(json!({"tags": ["a"], "tag_match": "some"}), 422, "invalid_body");
    check(json!({"before": ""}), 400, "unreadable_time_phrase");
    check(json!({"tags": ["a"], "time_filter": " "}), 400, "unreadable_time_phrase");
    check(json!({"after": "maybe"}), 400, "unreadable_time_phrase");
    check(json!({"tags": ["a"], "tz": "Mars"}), 422, "unknown_time_zone");
    check(json!({"tags": ["a"], "namespace": "_x"}), 422, "invalid_namespace");
    check(json!({"tags": ["a"], "namespace": ""}), 422, "invalid_namespace");
    client.send("POST", PATH, &[], Vec::new()).expect_problem(422, "invalid_json");
    let plain = [("content-type", "text/plain")];
    let answer = client.send("POST", PATH, &plain, b"{\"tags\": [\"a\"]}".to_vec());
    answer.expect_problem(415, "unsupported_media_type");
    assert_eq!(digest(&client), before);
    client.get(PATH).expect_problem(405, "method_not_allowed");
}

#[test]
fn the_same_key_deletes_once_and_what_went_can_come_back() {
    let (_server, client) = serve();
    let keyed = client.with("Idempotency-Key", "k");
    let body = json!({"tags": ["a"]});
    let first = keyed.post(PATH, body.clone()).expect(200).value();
    assert_eq!(first["count"], 2);
    for hash in first["content_hashes"].as_array().expect("hashes") {
        let hash = text(hash);
        client.get(&path(&hash)).expect_problem(404, "memory_not_found");
        client.post(&format!("{}/restore", path(&hash)), json!({})).expect(200);
    }
    assert_eq!(keyed.post(PATH, body).expect(200).value(), first);
    assert_eq!(left(&client).len(), 5, "the second request is the first");
    let other = keyed.post(PATH, json!({"tags": ["b"]}));
    other.expect_problem(422, "idempotency_key_reused");
}
