//! Short ways of saying what REST tests do all the time.

use serde_json::{Value, json};

use super::client::{Answer, Client};

/// SHA-256 of `hello world`, as any tool prints it: a hash that is well known.
pub const HELLO_WORLD: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

/// A hash that belongs to no memory.
pub const UNKNOWN: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

/// Stores a memory and gives it as the answer shows it.
///
/// # Panics
/// When it is not stored.
#[track_caller]
pub fn store(client: &Client, body: Value) -> Value {
    let answer = client.post("/api/memories", body).expect(200).value();
    assert_eq!(answer["success"], true, "{answer}");
    answer["memory"].clone()
}

/// Stores a text and gives its hash.
#[track_caller]
pub fn store_text(client: &Client, content: &str) -> String {
    text(&store(client, json!({"content": content}))["content_hash"])
}

/// The path of a memory.
pub fn path(hash: &str) -> String {
    format!("/api/memories/{hash}")
}

/// A JSON text as a text.
///
/// # Panics
/// When it is something else.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The contents in a list of memories or of search results, in order.
#[track_caller]
pub fn contents(answer: &Value) -> Vec<String> {
    let list = answer["memories"].as_array().or_else(|| answer["results"].as_array());
    let list = list.unwrap_or_else(|| panic!("no list: {answer}"));
    list.iter()
        .map(|item| text(item.get("memory").unwrap_or(item).get("content").unwrap_or(item)))
        .collect()
}

/// The names of an object's members, sorted.
#[track_caller]
pub fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Searches, and gives the answer.
#[track_caller]
pub fn search(client: &Client, body: Value) -> Value {
    client.post("/api/search", body).expect(200).value()
}

/// Imports memories with what an import may set, such as their times.
///
/// # Panics
/// When one is not stored.
#[track_caller]
pub fn import(client: &Client, memories: &[Value]) -> Vec<Value> {
    let lines: Vec<String> = memories.iter().map(Value::to_string).collect();
    let answer = import_bytes(client, "/api/import", lines.join("\n").into_bytes()).expect(200);
    let mut lines = answer.lines();
    let summary = lines.pop().expect("a summary");
    assert_eq!((&summary["done"], &summary["failed"]), (&json!(true), &json!(0)), "{lines:?}");
    assert_eq!(summary["stored"], memories.len(), "{lines:?}");
    lines
}

/// Sends the body of an import as it is.
pub fn import_bytes(client: &Client, path: &str, body: Vec<u8>) -> Answer {
    client.send("POST", path, &[("content-type", "application/x-ndjson")], body)
}

/// The digest of everything that the node holds, times of changes included.
#[track_caller]
pub fn digest(client: &Client) -> Value {
    client.get("/api/cluster/digest").expect(200).value()
}
