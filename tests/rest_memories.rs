//! `/api/memories` and `/api/memories/{hash}`: storing, reading, changing, deleting.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{HELLO_WORLD, UNKNOWN, contents, keys, path, store, store_text, text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

/// Every key of a memory on the wire.
const MEMORY_KEYS: [&str; 13] = [
    "content",
    "content_hash",
    "created_at",
    "created_at_iso",
    "memory_type",
    "metadata",
    "namespace",
    "origin",
    "store",
    "tags",
    "updated_at",
    "updated_at_iso",
    "version",
];

/// The same instant as a number and as a text.
#[track_caller]
fn check_times(memory: &Value) {
    for name in ["created_at", "updated_at"] {
        let text = text(&memory[format!("{name}_iso")]);
        assert!(text.len() == 27 && text.ends_with('Z'), "{text}");
        let time: jiff::Timestamp = text.parse().expect("RFC 3339");
        let seconds = time.as_microsecond() as f64 / 1e6;
        let number = memory[name].as_f64().expect("a number");
        assert!((number - seconds).abs() < 1e-6, "{name}: {number} is not {text}");
    }
}

#[test]
fn a_stored_memory_shows_every_key() {
    let (_server, client) = serve();
    let body = json!({"content": " Hello World\n", "tags": [" Work ", "a,b", "WORK", ""],
        "memory_type": "Note", "metadata": {"k": [1, {"deep": null}]}});
    let answer = client.post("/api/memories", body).expect(200);
    let etag = answer.header("etag").expect("an entity tag").to_owned();
    let answer = answer.value();
    assert_eq!(keys(&answer), ["content_hash", "memory", "message", "success"]);
    assert_eq!(answer["message"], "Memory stored successfully");
    assert_eq!(answer["content_hash"], HELLO_WORLD);
    let memory = &answer["memory"];
    assert_eq!(keys(memory), MEMORY_KEYS);
    assert_eq!(memory["content"], " Hello World\n");
    assert_eq!(memory["content_hash"], HELLO_WORLD);
    assert_eq!(memory["tags"], json!(["a-b", "work"]));
    assert_eq!(memory["memory_type"], "Note");
    assert_eq!(memory["metadata"], json!({"k": [1, {"deep": null}]}));
    assert_eq!((&memory["namespace"], &memory["store"]), (&json!("default"), &json!("default")));
    assert_eq!(memory["origin"], "test-node");
    assert_eq!(etag, format!("\"{}\"", text(&memory["version"])));
    assert_eq!(memory["created_at"], memory["updated_at"]);
    check_times(memory);
    let read = client.get(&path(HELLO_WORLD)).expect(200);
    assert_eq!(read.header("etag"), Some(&*etag));
    assert_eq!(&read.value(), memory);
}

#[test]
fn keys_without_a_value_are_there_too() {
    let (_server, client) = serve();
    let memory = store(&client, json!({"content": "x", "memory_type": null, "tags": null}));
    assert_eq!(keys(&memory), MEMORY_KEYS);
    assert_eq!(memory["memory_type"], Value::Null);
    assert_eq!((&memory["tags"], &memory["metadata"]), (&json!([]), &json!({})));
}

#[test]
fn texts_numbers_and_unknown_metadata_come_back_as_they_were() {
    let (_server, client) = serve();
    let texts = ["tab\tnew\r\nline \u{1}\u{7f}", "naïve 🧠 שלום \u{200d}e\u{301}", "\\u0041 \" {}"];
    for content in texts {
        let hash = store_text(&client, content);
        assert_eq!(client.get(&path(&hash)).expect(200).value()["content"], content);
    }
    let numbers = json!({"float": 1_795_361_184.179_767_f64, "small": 5e-324, "large": 1.7e308,
        "third": 0.1 + 0.2, "max": u64::MAX, "min": i64::MIN, "zero": -0.0, "half": 2.5e-5,
        "list": [2.225_073_858_507_201e-308, 123_456_789.012_345_67, 9_007_199_254_740_993_u64]});
    let memory = store(&client, json!({"content": "numbers", "metadata": numbers}));
    let read = client.get(&path(&text(&memory["content_hash"]))).expect(200).value();
    // As text, key by key: values alone take -0.0 for 0.0, and objects come in any order.
    let written = |metadata: &Value| -> BTreeMap<String, String> {
        let members = metadata.as_object().expect("an object").iter();
        members.map(|(key, value)| (key.clone(), value.to_string())).collect()
    };
    assert_eq!(written(&memory["metadata"]), written(&numbers));
    assert_eq!(written(&read["metadata"]), written(&numbers));
}

#[test]
fn senders_leave_their_marks() {
    let (_server, client) = serve();
    let sender = client.with("X-Agent-ID", " Claude-7 ").with("X-Client-Hostname", "laptop");
    let memory = store(&sender, json!({"content": "one", "tags": "b, A,,b"}));
    assert_eq!(memory["tags"], json!(["a", "agent:claude-7", "b", "source:laptop"]));
    assert_eq!(memory["metadata"], json!({"hostname": "laptop"}));
    let body = json!({"content": "two", "client_hostname": "desk", "conversation_id": "c-1"});
    let memory = store(&sender, body);
    assert_eq!(memory["tags"], json!(["agent:claude-7", "source:desk"]));
    assert_eq!(memory["metadata"], json!({"hostname": "desk", "conversation_id": "c-1"}));
    let long = "x".repeat(100);
    let answer = client.with("X-Agent-ID", &long).post("/api/memories", json!({"content": "3"}));
    answer.expect_problem(422, "invalid_tag");
}

#[test]
fn the_same_text_is_stored_once_whatever_its_case_and_outer_space() {
    let (_server, client) = serve();
    let first = store(&client, json!({"content": "Straße ΣΑΣ", "tags": ["kept"]}));
    let expected = json!({"success": false, "content_hash": null, "memory": null,
        "message": "Duplicate content detected (exact match)"});
    for content in ["Straße ΣΑΣ", "  straße σας\n", "\u{3000}STRAßE Σας\u{1c}"] {
        let answer = client.post("/api/memories", json!({"content": content})).expect(200);
        assert_eq!(answer.header("etag"), None, "{content}");
        assert_eq!(answer.value(), expected, "{content}");
    }
    let read = client.get(&path(&text(&first["content_hash"]))).expect(200).value();
    assert_eq!(read, first);
    store(&client, json!({"content": "Straße ΣΑΣ", "namespace": "other"}));
    // Inner space and a sigma that is not final make another text.
    store(&client, json!({"content": "Straße  ΣΑΣ"}));
    store(&client, json!({"content": "Straße σασ"}));
}

#[test]
fn a_deleted_text_stays_deleted_until_someone_means_it() {
    let (_server, client) = serve();
    let hash = store_text(&client, "the old plan");
    let answer = client.delete(&path(&hash)).expect(200).value();
    let message = format!("Successfully deleted memory {hash}");
    assert_eq!(answer, json!({"success": true, "message": message, "content_hash": hash}));
    for content in ["the old plan", " The Old Plan "] {
        let answer = client.post("/api/memories", json!({"content": content}));
        let problem = answer.expect_problem(409, "deleted_before").value();
        let detail = text(&problem["detail"]);
        assert!(detail.contains(&hash) && detail.contains("restore_deleted"), "{detail}");
    }
    store(&client, json!({"content": "the old plan", "namespace": "elsewhere"}));
    let body = json!({"content": "The old plan", "tags": ["new"], "restore_deleted": true});
    let memory = store(&client, body);
    assert_eq!((&memory["content"], &memory["tags"]), (&json!("The old plan"), &json!(["new"])));
    assert_eq!(client.get(&path(&hash)).expect(200).value(), memory);
}

#[test]
fn what_is_not_there_is_not_found() {
    let (_server, client) = serve();
    let hash = store_text(&client, "here");
    for path in [
        path(UNKNOWN),
        path("not-a-hash"),
        path(&hash[..63]),
        path(&format!("{hash}0")),
        path(&"é".repeat(32)).replace('é', "%C3%A9"),
        path("%00"),
        path("..%2f..%2fetc%2fpasswd"),
        format!("{}?namespace=other", path(&hash)),
    ] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let answer = client.json(method, &path, json!({"tags": []}));
            let problem = answer.expect_problem(404, "memory_not_found").value();
            assert_eq!(problem["detail"], "Memory not found", "{method} {path}");
        }
    }
    client.get(&path(&hash.to_uppercase())).expect(200);
    client.delete(&path(&hash)).expect(200);
    client.delete(&path(&hash)).expect_problem(404, "memory_not_found");
    client.get(&path(&hash)).expect_problem(404, "memory_not_found");
}

#[test]
fn an_update_changes_what_it_names_and_nothing_else() {
    let (_server, client) = serve();
    let before = store(
        &client,
        json!({"content": "x", "tags": ["a"], "memory_type": "t",
        "metadata": {"keep": 1, "drop": 2, "nested": {"a": 1, "b": 2}}}),
    );
    let path = path(&text(&before["content_hash"]));
    let body = json!({"tags": "C, b", "metadata": {"drop": null, "nested": {"c": 3}, "new": "v"},
        "unknown": {"ignored": true}});
    let answer = client.put(&path, body).expect(200);
    let etag = answer.header("etag").expect("an entity tag").to_owned();
    let answer = answer.value();
    assert_eq!(keys(&answer), ["content_hash", "memory", "message", "success"]);
    assert_eq!(answer["message"], "Updated fields: tags, metadata");
    let after = &answer["memory"];
    assert_eq!(after["tags"], json!(["b", "c"]));
    assert_eq!(after["metadata"], json!({"keep": 1, "nested": {"c": 3}, "new": "v"}));
    for same in ["content", "content_hash", "memory_type", "created_at", "origin", "namespace"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert!(after["updated_at"].as_f64() > before["updated_at"].as_f64());
    assert_ne!(after["version"], before["version"]);
    assert_eq!(etag, format!("\"{}\"", text(&after["version"])));
    check_times(after);
    assert_eq!(&client.get(&path).expect(200).value(), after);
}

#[test]
fn the_message_of_an_update_names_the_fields_in_a_fixed_order() {
    let (_server, client) = serve();
    let path = path(&store_text(&client, "x"));
    let check = |body: Value, message: &str| {
        assert_eq!(client.put(&path, body).expect(200).value()["message"], message);
    };
    check(json!({"memory_type": "t", "tags": []}), "Updated fields: tags, memory_type");
    check(
        json!({"metadata": {}, "memory_type": "t", "tags": []}),
        "Updated fields: tags, memory_type, metadata",
    );
    check(json!({"tags": ["only"]}), "Updated fields: tags");
    for body in [json!({}), json!({"unknown": 1}), json!({"tags": null, "metadata": null})] {
        client.put(&path, body).expect_problem(422, "nothing_to_update");
    }
}

#[test]
fn null_removes_the_type_in_a_patch_and_leaves_it_alone_in_a_put() {
    let (_server, client) = serve();
    let memory = store(&client, json!({"content": "x", "memory_type": "t"}));
    let path = path(&text(&memory["content_hash"]));
    let put = client.put(&path, json!({"memory_type": null, "tags": ["a"]})).expect(200).value();
    assert_eq!(put["memory"]["memory_type"], "t");
    let patch = client.json("PATCH", &path, json!({"memory_type": null})).expect(200).value();
    assert_eq!(patch["memory"]["memory_type"], Value::Null);
    assert_eq!(patch["memory"]["tags"], json!(["a"]));
}

#[test]
fn a_new_text_takes_the_place_of_the_old_one() {
    let (_server, client) = serve();
    let old = store(
        &client,
        json!({"content": "version one", "tags": ["a"], "memory_type": "t",
        "metadata": {"k": 1, "drop": 2}}),
    );
    let old_hash = text(&old["content_hash"]);
    let body = json!({"content": "version two", "metadata": {"drop": null}});
    let answer = client.put(&path(&old_hash), body).expect(200).value();
    assert_eq!(answer["message"], "Updated fields: content, metadata");
    let new_hash = text(&answer["content_hash"]);
    assert_ne!(new_hash, old_hash);
    let new = &answer["memory"];
    assert_eq!((&new["content"], &new["tags"]), (&json!("version two"), &json!(["a"])));
    assert_eq!(new["memory_type"], "t");
    assert_eq!(new["metadata"], json!({"k": 1, "supersedes": old_hash}));
    assert_eq!(&client.get(&path(&new_hash)).expect(200).value(), new);
    client.get(&path(&old_hash)).expect_problem(404, "memory_not_found");
    let history = client.get(&format!("{}/history", path(&old_hash))).expect(200).value();
    assert_eq!(history["live"], false);
    let listed = client.get("/api/memories").expect(200).value();
    assert_eq!((&listed["total"], contents(&listed)), (&json!(1), vec!["version two".into()]));
    let found = client.post("/api/search", json!({"query": "version one"})).expect(200).value();
    assert_eq!(contents(&found), ["version two"]);
}

#[test]
fn a_new_text_that_is_taken_changes_nothing() {
    let (_server, client) = serve();
    let hash = store_text(&client, "mine");
    store_text(&client, "taken");
    let gone = store_text(&client, "gone");
    client.delete(&path(&gone)).expect(200);
    let before = client.get(&path(&hash)).expect(200).value();
    let change = |content: &str| json!({"content": content, "tags": ["changed"]});
    let put = |content: &str| client.put(&path(&hash), change(content));
    put(" TAKEN ").expect_problem(409, "duplicate_content");
    put("Gone").expect_problem(409, "deleted_before");
    put("  ").expect_problem(422, "empty_content");
    put("nul \0").expect_problem(422, "nul_in_content");
    put(&"x".repeat(96 * 1024 + 1)).expect_problem(413, "content_too_large");
    assert_eq!(client.get(&path(&hash)).expect(200).value(), before);
}

#[test]
fn a_text_of_another_case_keeps_its_identity() {
    let (_server, client) = serve();
    let old = store(
        &client,
        json!({"content": "hello world", "tags": ["a", "b"],
        "metadata": {"keep": 1, "drop": 2}}),
    );
    let body =
        json!({"content": "Hello World", "tags": ["b"], "metadata": {"drop": null, "new": 3}});
    let new = client.put(&path(HELLO_WORLD), body).expect(200).value()["memory"].clone();
    assert_eq!(new["content"], "Hello World");
    assert_eq!(new["content_hash"], HELLO_WORLD);
    assert_eq!(new["tags"], json!(["b"]));
    assert_eq!(new["metadata"], json!({"keep": 1, "new": 3}));
    assert_eq!(new["created_at"], old["created_at"]);
    assert_eq!(client.get(&path(HELLO_WORLD)).expect(200).value(), new);
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 1);
}
