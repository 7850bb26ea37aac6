//! `/api/search/by-tag`, `/by-time`, `/similar/{hash}`.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{UNKNOWN, contents, import, keys, path, store, store_text, text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

fn by_tag(client: &Client, body: Value) -> Value {
    client.post("/api/search/by-tag", body).expect(200).value()
}

fn by_time(client: &Client, body: Value) -> Value {
    client.post("/api/search/by-time", body).expect(200).value()
}

#[track_caller]
fn check_envelope(found: &Value, kind: &str) {
    let expected =
        ["next_cursor", "processing_time_ms", "query", "results", "search_type", "total_found"];
    assert_eq!(keys(found), expected);
    assert_eq!(found["search_type"], kind);
    let results = found["results"].as_array().expect("results");
    assert_eq!(found["total_found"], results.len());
    for result in results {
        assert_eq!(keys(result), ["memory", "relevance_reason", "score", "similarity_score"]);
    }
}

#[test]
fn tags_find_any_or_all_newest_first() {
    let (_server, client) = serve();
    let memory =
        |name: &str, tags: &str, at: u32| json!({"content": name, "tags": tags, "created_at": at});
    import(
        &client,
        &[
            memory("old", "work, home", 100),
            memory("new", "work", 300),
            memory("middle", "home", 200),
            memory("other", "garden", 400),
        ],
    );
    let check = |body: Value, expected: &[&str]| {
        let found = by_tag(&client, body.clone());
        check_envelope(&found, "tag");
        assert_eq!(contents(&found), expected, "{body}");
        for result in found["results"].as_array().expect("results") {
            assert_eq!(result["similarity_score"], Value::Null);
        }
    };
    check(json!({"tags": ["work"]}), &["new", "old"]);
    check(json!({"tags": "work"}), &["new", "old"]);
    check(json!({"tags": " HOME ,Work"}), &["new", "middle", "old"]);
    check(json!({"tags": ["work", "home"]}), &["new", "middle", "old"]);
    check(json!({"tags": ["work", "home"], "match_all": true}), &["old"]);
    check(json!({"tags": ["work", "work"], "match_all": true}), &["new", "old"]);
    check(json!({"tags": ["work", "none"], "match_all": true}), &[]);
    check(json!({"tags": ["wor"]}), &[]);
    check(json!({"tags": ["work%"]}), &[]);
    check(json!({"tags": ["work"], "time_filter": "today"}), &[]);
    check(json!({"tags": ["work"], "time_filter": "1970", "n_results": 1}), &["new"]);
    check(json!({"tags": ["work"], "namespace": "elsewhere"}), &[]);
    let found = by_tag(&client, json!({"tags": ["b", "A"], "match_all": true}));
    assert_eq!(found["query"], "Tags: a, b (ALL)");
}

#[test]
fn a_search_by_tag_needs_one() {
    let (_server, client) = serve();
    for tags in [json!([]), json!(""), json!(" , "), json!([" "]), json!(null)] {
        let answer = client.post("/api/search/by-tag", json!({"tags": tags}));
        let problem = answer.expect_problem(400, "invalid_query").value();
        assert_eq!(problem["detail"], "At least one tag must be specified", "{tags}");
    }
    let check = |body: Value, status: u16, code: &str| {
        client.post("/api/search/by-tag", body).expect_problem(status, code);
    };
    check(json!({}), 422, "invalid_body");
    check(json!({"tags": 5}), 422, "invalid_body");
    check(json!({"tags": [5]}), 422, "invalid_body");
    check(json!({"tags": ["a"], "match_all": "yes"}), 422, "invalid_body");
    check(json!({"tags": ["a"], "n_results": 0}), 422, "invalid_body");
    check(json!({"tags": ["a"], "n_results": 101}), 422, "invalid_body");
    check(json!({"tags": ["a"], "cursor": "nonsense"}), 422, "bad_cursor");
    check(json!({"tags": ["a"], "time_filter": "maybe"}), 400, "unreadable_time_phrase");
}

#[test]
fn pages_of_a_tag_part_it_while_others_store() {
    let (_server, client) = serve();
    let memories: Vec<Value> =
        // Ten share each moment, so that a page ends in the middle of one.
        (0..95).map(|n| json!({"content": format!("m{n}"), "tags": ["t"], "created_at": n / 10}))
            .collect();
    import(&client, &memories);
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let body = json!({"tags": ["t"], "n_results": 7, "cursor": cursor});
        let found = by_tag(&client, body);
        seen.extend(contents(&found));
        cursor = found["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
        store(&client, json!({"content": format!("newer {}", seen.len()), "tags": ["t"]}));
    }
    seen.sort_unstable();
    let mut expected: Vec<String> = (0..95).map(|n| format!("m{n}")).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn times_find_what_was_made_then_newest_first() {
    let (_server, client) = serve();
    let memory = |name: &str, at: &str| json!({"content": name, "created_at_iso": at});
    import(
        &client,
        &[
            memory("new year", "2024-01-01T00:30:00Z"),
            memory("morning of may", "2024-05-01T08:00:00Z"),
            memory("evening of may", "2024-05-01T20:00:00Z"),
            memory("may ends", "2024-05-31T23:59:59Z"),
            memory("june", "2024-06-01T00:00:00Z"),
        ],
    );
    store_text(&client, "just now");
    let check = |phrase: &str, expected: &[&str]| {
        let found = by_time(&client, json!({"query": phrase}));
        check_envelope(&found, "time");
        assert_eq!(found["query"], phrase);
        assert_eq!(contents(&found), expected, "{phrase}");
    };
    check("2024-05-01", &["evening of may", "morning of may"]);
    check("may 2024", &["may ends", "evening of may", "morning of may"]);
    check("between 2024-05-31 and 2024-06-01", &["june", "may ends"]);
    check("Q2 of 2024", &["june", "may ends", "evening of may", "morning of may"]);
    check("second quarter of 2024", &["june", "may ends", "evening of may", "morning of may"]);
    check("5/1/2024", &["evening of may", "morning of may"]);
    check(
        "first half of 2024",
        &["june", "may ends", "evening of may", "morning of may", "new year"],
    );
    check("1999", &[]);
    for phrase in ["today", "TODAY", "last 5 minutes", "this month", "recently", "this year"] {
        check(phrase, &["just now"]);
    }
    check("yesterday", &[]);
    let one = by_time(&client, json!({"query": "2024", "n_results": 1}));
    assert_eq!(contents(&one), ["june"]);
    let tokyo = by_time(&client, json!({"query": "2023-12-31", "tz": "America/New_York"}));
    assert_eq!(contents(&tokyo), ["new year"]);
}

#[test]
fn a_meaning_ranks_what_the_time_leaves() {
    let (_server, client) = serve();
    let memories: Vec<Value> = (0..60)
        .map(|n| {
            let content = format!("feeding the cat, day {n}");
            json!({"content": content, "created_at": 1_500_000_000 + n})
        })
        .chain([
            json!({"content": "taxes are due", "created_at": 1_400_000_000}),
            json!({"content": "the cat was ill", "created_at": 1_400_000_001}),
        ])
        .collect();
    import(&client, &memories);
    let body = json!({"query": "2014", "semantic_query": "cat", "n_results": 5});
    let found = by_time(&client, body);
    check_envelope(&found, "time");
    assert_eq!(contents(&found), ["the cat was ill", "taxes are due"]);
    assert!(found["results"][0]["similarity_score"].is_f64());
    let blank = by_time(&client, json!({"query": "2014", "semantic_query": " "}));
    assert_eq!(blank["results"][0]["similarity_score"], Value::Null);
}

#[test]
fn pages_of_a_time_part_it() {
    let (_server, client) = serve();
    let memory = |n| json!({"content": format!("m{n}"), "created_at_iso": "2014-05-06T07:08:09Z"});
    import(&client, &(0..25).map(memory).collect::<Vec<_>>());
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    while seen.is_empty() || !cursor.is_null() {
        let found = by_time(&client, json!({"query": "2014", "n_results": 10, "cursor": cursor}));
        seen.extend(contents(&found));
        cursor = found["next_cursor"].clone();
    }
    seen.sort_unstable();
    let mut expected: Vec<String> = (0..25).map(|n| format!("m{n}")).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let ranked = json!({"query": "2014", "semantic_query": "cats", "cursor": "x"});
    client.post("/api/search/by-time", ranked).expect_problem(400, "invalid_query");
    let unread = json!({"query": "2014", "cursor": "x"});
    assert_eq!(client.post("/api/search/by-time", unread).status, 422);
}

#[test]
fn a_phrase_that_is_no_time_is_quoted_in_the_refusal() {
    let (_server, client) = serve();
    for phrase in ["maybe", "", " ", "the other day perhaps", "2024-02-30", "in 5 parsecs"] {
        let answer = client.post("/api/search/by-time", json!({"query": phrase}));
        let problem = answer.expect_problem(400, "unreadable_time_phrase").value();
        assert_eq!(problem["detail"], format!("Could not parse time query: '{phrase}'"));
    }
    let long = "last week ".repeat(1_000);
    let answer = client.post("/api/search/by-time", json!({"query": long}));
    let problem = answer.expect_problem(400, "unreadable_time_phrase").value();
    assert!(text(&problem["detail"]).len() < 300, "{problem}");
    let check = |body: Value, status: u16, code: &str| {
        client.post("/api/search/by-time", body).expect_problem(status, code);
    };
    check(json!({}), 422, "invalid_body");
    check(json!({"query": null}), 422, "invalid_body");
    check(json!({"query": "today", "n_results": 0}), 422, "invalid_body");
    check(json!({"query": "today", "semantic_query": 5}), 422, "invalid_body");
    check(json!({"query": "today", "semantic_query": "x".repeat(17_000)}), 422, "query_too_long");
}

#[test]
fn similar_memories_leave_the_one_asked_for_out() {
    let (_server, client) = serve();
    let hash = store_text(&client, "The cat sleeps on the sofa");
    store_text(&client, "A kitten naps on the couch");
    store_text(&client, "Interest rates were raised again");
    store(&client, json!({"content": "The cat sleeps on a sofa", "namespace": "other"}));
    let similar = |query: &str| client.get(&format!("/api/search/similar/{query}"));
    let found = similar(&hash).expect(200).value();
    check_envelope(&found, "similar");
    let expected = ["A kitten naps on the couch", "Interest rates were raised again"];
    assert_eq!(contents(&found), expected);
    assert!(found["results"][0]["similarity_score"].as_f64() > Some(0.5), "{found}");
    let one = similar(&format!("{hash}?n_results=1")).expect(200).value();
    assert_eq!(contents(&one), expected[..1]);
    for n in ["0", "101", "x", "-1", "1.5"] {
        similar(&format!("{hash}?n_results={n}")).expect_problem(400, "invalid_query");
    }
    similar(UNKNOWN).expect_problem(404, "memory_not_found");
    similar("nonsense").expect_problem(404, "memory_not_found");
    similar(&format!("{hash}?namespace=other")).expect_problem(404, "memory_not_found");
    client.delete(&path(&hash)).expect(200);
    similar(&hash).expect_problem(404, "memory_not_found");
}
