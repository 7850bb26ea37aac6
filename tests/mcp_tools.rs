//! Tools whose rules are easy to break: cleaning up, and finding a phrase as it is written.

use serde_json::{Value, json};

use crate::common::node::Place;
use crate::common::window::{Window, text};

fn store_in(window: &mut Window, namespace: &str, content: &str) -> String {
    let arguments = json!({"content": content, "namespace": namespace});
    let result = window.call("memory_store", arguments);
    let hash = result["structuredContent"]["memory"]["content_hash"].as_str();
    hash.unwrap_or_else(|| panic!("{content}: {result}")).to_owned()
}

/// Stores a text and its twin: another text, but not to the model.
fn store_twins(window: &mut Window, namespace: &str, [first, second]: [&str; 2]) -> [String; 2] {
    let twin = format!("{first}  {second}");
    [store_in(window, namespace, &format!("{first} {second}")), store_in(window, namespace, &twin)]
}

/// Calls a tool under a key of the caller's own.
fn call_once(window: &mut Window, tool: &str, arguments: &Value, key: &str) -> Value {
    let meta = json!({"memnode/idempotency_key": key});
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    window.request("tools/call", params)["result"].take()
}

fn total(window: &mut Window, namespace: &str) -> Value {
    let listed = window.call("memory_list", json!({"namespace": namespace}));
    listed["structuredContent"]["total"].clone()
}

#[test]
fn a_clean_up_that_is_sent_again_gets_its_original_answer() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let [older, newer] = store_twins(&mut window, "default", ["the keys hang", "by the door"]);
    let arguments = json!({"dry_run": false});
    let first = call_once(&mut window, "memory_cleanup", &arguments, "k");
    let group = &first["structuredContent"]["groups"][0];
    assert_eq!((&group["keep"], &group["delete"]), (&json!(newer), &json!([older])), "{first}");
    assert!(text(&first).starts_with("Deleted 1 memory of 1 groups"), "{first}");
    // Meanwhile there is more to clean up: the answer is still the one to the first request.
    store_twins(&mut window, "default", ["the bins go out", "on Monday"]);
    let again = call_once(&mut window, "memory_cleanup", &arguments, "k");
    assert_eq!(again, first);
    assert_eq!(total(&mut window, "*"), 3);
    let other = call_once(&mut window, "memory_cleanup", &json!({"dry_run": true}), "k");
    assert_eq!(other["structuredContent"]["deleted_count"], 1, "{other}");
}

#[test]
fn a_dry_run_of_a_clean_up_deletes_nothing_and_is_the_default() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    store_twins(&mut window, "default", ["the keys hang", "by the door"]);
    for arguments in [json!({}), json!({"dry_run": true}), json!({"similarity_threshold": 0})] {
        let report = window.call("memory_cleanup", arguments);
        assert_eq!(report["structuredContent"]["dry_run"], true, "{report}");
    }
    assert_eq!(total(&mut window, "*"), 2);
    for wrong in [json!({"dry_run": "no"}), json!({"similarity_threshold": 2}), json!({"dry": 1})] {
        assert_eq!(window.call("memory_cleanup", wrong.clone())["isError"], true, "{wrong}");
    }
}

#[test]
fn the_same_text_in_two_namespaces_is_no_duplicate() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    store_in(&mut window, "home", "the keys hang by the door");
    store_in(&mut window, "work", "the keys hang by the door");
    let [older, _] = store_twins(&mut window, "work", ["lunch is", "at noon"]);
    let arguments = json!({"dry_run": false, "namespace": "home,work"});
    let report = window.call("memory_cleanup", arguments);
    assert_eq!(report["structuredContent"]["groups"][0]["delete"], json!([older]), "{report}");
    assert_eq!(total(&mut window, "home"), 1);
    assert_eq!(total(&mut window, "work"), 2);
}

#[test]
fn an_exact_search_finds_the_phrase_as_it_is_written() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    for content in [
        "The arrow -> points right",
        "100% of the cats_and_dogs agree",
        "Übermut tut selten gut",
        "cat",
        "concatenate the cats",
    ] {
        window.store(content);
    }
    let mut check = |query: &str, expected: &[&str]| {
        let arguments = json!({"query": query, "mode": "exact", "limit": 100});
        let found = window.call("memory_search", arguments);
        let results = found["structuredContent"]["results"].as_array().expect("a list").clone();
        let contents: Vec<&str> =
            results.iter().filter_map(|hit| hit["memory"]["content"].as_str()).collect();
        assert_eq!(contents, expected, "{query}");
    };
    // Signs alone, parts of words, and what would be a pattern elsewhere.
    check("->", &["The arrow -> points right"]);
    check("arrow points", &[]);
    check("0%", &["100% of the cats_and_dogs agree"]);
    check("ts_and", &["100% of the cats_and_dogs agree"]);
    check("c%t", &[]);
    check("bermut", &["Übermut tut selten gut"]);
    // The memory that is this very text comes first, however old.
    check("CAT", &["cat", "concatenate the cats", "100% of the cats_and_dogs agree"]);
    check("dog's", &[]);
}
