//! `/api/search`: by meaning, by words, by both; its filters, its parts, and what it never does.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{contents, digest, import, keys, path, search, store, store_text, text};

const MODES: [&str; 3] = ["semantic", "keyword", "hybrid"];

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

#[test]
fn the_envelope_has_every_part_in_every_mode() {
    let (_server, client) = serve();
    let memory = store(&client, json!({"content": "The printer in room 2 wants A5 paper"}));
    store_text(&client, "Bread needs flour, water, salt and time");
    for mode in MODES {
        let body = json!({"query": "which paper for the printer", "mode": mode});
        let found = search(&client, body);
        let expected =
            ["next_cursor", "processing_time_ms", "query", "results", "search_type", "total_found"];
        assert_eq!(keys(&found), expected);
        assert_eq!(found["search_type"], mode);
        assert_eq!(found["query"], "which paper for the printer");
        assert!(found["processing_time_ms"].as_f64() > Some(0.0), "{found}");
        let results = found["results"].as_array().expect("results");
        assert_eq!(found["total_found"], results.len());
        let first = &results[0];
        assert_eq!(keys(first), ["memory", "relevance_reason", "score", "similarity_score"]);
        assert_eq!(first["memory"], memory, "{mode}");
        assert!(!text(&first["relevance_reason"]).is_empty());
        assert!(first["score"]["total"].is_f64(), "{first}");
        let is_compared = first["similarity_score"].is_f64();
        assert_eq!(is_compared, mode != "keyword", "{first}");
    }
    let plain = search(&client, json!({"query": "paper"}));
    assert_eq!(plain["search_type"], "hybrid");
}

#[test]
fn similarities_are_shares_and_sorted() {
    let (_server, client) = serve();
    let texts = ["cats purr", "dogs bark", "stocks fell on Monday", "the cat sleeps", "rain"];
    texts.iter().for_each(|text| drop(store_text(&client, text)));
    let found = search(&client, json!({"query": "cats purr", "mode": "semantic"}));
    let scores: Vec<f64> = found["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| result["similarity_score"].as_f64().expect("a score"))
        .collect();
    assert_eq!(scores.len(), texts.len());
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
    assert!((scores[0] - 1.0).abs() < 1e-3, "the same text: {scores:?}");
    assert_eq!(contents(&found)[0], "cats purr");

    let between = (scores[1] + scores[2]) / 2.0;
    let with = |field: &str, value: Value| {
        search(&client, json!({"query": "cats purr", "mode": "semantic", field: value}))
    };
    assert_eq!(with("similarity_threshold", json!(between))["total_found"], 2);
    assert_eq!(with("similarity_threshold", json!(0))["total_found"], texts.len());
    let two = json!({"query": "cats purr", "mode": "semantic", "n_results": 2});
    assert_eq!(contents(&search(&client, two)), contents(&found)[..2]);
}

/// Many memories that answer the query, and one behind each filter that does not.
fn crowd(client: &Client) {
    let mut memories: Vec<Value> = (0..120)
        .map(|n| {
            json!({"content": format!("How to water the tomato plants, part {n}"),
                "tags": ["garden"], "memory_type": "tip", "created_at": 1_700_000_000 + n})
        })
        .collect();
    memories.push(json!({"content": "Invoice 17 of the plumber is unpaid", "memory_type": "bill",
        "tags": ["money", "home"], "metadata": {"amount": 120, "due": {"in": ["days", 3]},
        "open": true, "note": null, "ratio": 0.25, "name": "plumber"},
        "created_at": 1_600_000_000}));
    memories.push(json!({"content": "The bicycle chain broke", "namespace": "work"}));
    import(client, &memories);
}

#[test]
fn filters_are_applied_before_the_cut() {
    let (_server, client) = serve();
    crowd(&client);
    let bill = "Invoice 17 of the plumber is unpaid";
    let check = |filter: Value, expected: &str| {
        for mode in MODES {
            // By words the query has to hold one of the text.
            let query = "how to water the tomato plants of the plumber, or the chain";
            let mut body = json!({"query": query, "mode": mode, "n_results": 3});
            body.as_object_mut().expect("an object").extend(filter.as_object().cloned().unwrap());
            assert_eq!(contents(&search(&client, body.clone())), [expected], "{body}");
        }
    };
    check(json!({"tags": ["money"]}), bill);
    check(json!({"tags": " MONEY , home", "tag_match": "all"}), bill);
    check(json!({"memory_type": "bill"}), bill);
    check(json!({"time_filter": "2020"}), bill);
    check(json!({"time_filter": "between 2020-09-13 and 2020-09-13"}), bill);
    check(json!({"before": "2020-09-14"}), bill);
    check(json!({"after": "2020-01-01", "before": "2021-01-01"}), bill);
    check(json!({"metadata": {"amount": 120}}), bill);
    check(json!({"metadata": {"amount": 120.0, "open": true, "name": "plumber"}}), bill);
    check(json!({"metadata": {"due": {"in": ["days", 3]}}}), bill);
    check(json!({"metadata": {"note": null, "ratio": 0.25}}), bill);
    check(json!({"namespace": "work"}), "The bicycle chain broke");
    check(json!({"store": "work"}), "The bicycle chain broke");
    check(json!({"namespace": "default,work", "tags": ["home"]}), bill);
    check(json!({"namespace": "*", "after": "2020-09-13", "before": "2020-09-14"}), bill);
}

#[test]
fn filters_that_leave_nothing_find_nothing() {
    let (_server, client) = serve();
    crowd(&client);
    for filter in [
        json!({"tags": ["money", "garden"], "tag_match": "all"}),
        json!({"tags": ["unknown"]}),
        json!({"memory_type": "BILL"}),
        json!({"memory_type": "unknown"}),
        json!({"namespace": "nobody"}),
        json!({"time_filter": "1999"}),
        json!({"after": "2021-01-01", "before": "2021-02-01"}),
        json!({"after": "2024-01-01", "before": "2020-01-01"}),
        json!({"metadata": {"amount": "120"}}),
        json!({"metadata": {"amount": 121}}),
        json!({"metadata": {"open": 1}}),
        json!({"metadata": {"note": "null"}}),
        json!({"metadata": {"absent": null}}),
        json!({"metadata": {"amount": 120, "name": "baker"}}),
        json!({"metadata": {"due": {"in": ["days", 4]}}}),
        json!({"metadata": {"' OR 1=1 --": 1}}),
    ] {
        for mode in MODES {
            let mut body = json!({"query": "tomato plumber", "mode": mode});
            body.as_object_mut().expect("an object").extend(filter.as_object().cloned().unwrap());
            assert_eq!(search(&client, body.clone())["results"], json!([]), "{body}");
        }
    }
}

#[test]
fn a_date_means_its_start_at_both_ends() {
    let (_server, client) = serve();
    let day = |name: &str, iso: &str| json!({"content": name, "created_at_iso": iso});
    import(
        &client,
        &[
            day("last moment of 2023", "2023-12-31T23:59:59.999999Z"),
            day("first moment of 2024", "2024-01-01T00:00:00Z"),
            day("noon", "2024-01-01T12:00:00Z"),
        ],
    );
    let check = |filter: Value, expected: &[&str]| {
        let mut body = json!({"query": "moment"});
        body.as_object_mut().expect("an object").extend(filter.as_object().cloned().unwrap());
        let mut found = contents(&search(&client, body.clone()));
        found.sort_unstable();
        assert_eq!(found, expected, "{body}");
    };
    check(json!({"before": "2024-01-01"}), &["last moment of 2023"]);
    check(json!({"after": "2024-01-01"}), &["first moment of 2024", "noon"]);
    check(json!({"after": "2024-01-01", "before": "2024-01-01"}), &[]);
    check(json!({"before": "2024-01-01T12:00"}), &["first moment of 2024", "last moment of 2023"]);
    check(json!({"after": "2024-01-01T12:00:00+00:00"}), &["noon"]);
    check(json!({"after": "1704110400"}), &["noon"]);
    check(
        json!({"after": "2024-01-01", "tz": "Asia/Tokyo"}),
        &["first moment of 2024", "last moment of 2023", "noon"],
    );
    check(json!({"time_filter": "2024-01-01", "tz": "America/New_York"}), &["noon"]);
    check(
        json!({"time_filter": "2024-01-01", "before": "2024-01-01T01:00"}),
        &["first moment of 2024"],
    );
}

#[test]
fn unreadable_times_and_zones_are_refused() {
    let (_server, client) = serve();
    for field in ["time_filter", "after", "before"] {
        for phrase in ["maybe", "the day after never", "2024-13-45", "x".repeat(300).as_str()] {
            let answer = client.post("/api/search", json!({"query": "x", field: phrase}));
            let problem = answer.expect_problem(400, "unreadable_time_phrase").value();
            let detail = text(&problem["detail"]);
            assert!(detail.starts_with("Could not parse time query: '"), "{detail}");
        }
        let answer = client.post("/api/search", json!({"query": "x", field: 5}));
        answer.expect_problem(422, "invalid_body");
    }
    for zone in ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "UTC\u{0}", "é"] {
        let body = json!({"query": "x", "time_filter": "today", "tz": zone});
        client.post("/api/search", body).expect_problem(422, "unknown_time_zone");
    }
}

#[test]
fn a_query_is_text_of_bounded_length() {
    let (_server, client) = serve();
    store_text(&client, "something");
    for mode in MODES {
        let check = |query: Value, status: u16, code: &str| {
            let answer = client.post("/api/search", json!({"query": query, "mode": mode}));
            answer.expect_problem(status, code);
        };
        check(json!("x".repeat(16 * 1024 + 1)), 422, "query_too_long");
        check(json!(null), 422, "invalid_body");
        check(json!(["x"]), 422, "invalid_body");
        search(&client, json!({"query": "long ".repeat(3_000), "mode": mode}));
    }
    client.post("/api/search", json!({"n_results": 5})).expect_problem(422, "invalid_body");
    for (field, value) in [
        ("mode", json!("exact")),
        ("mode", json!(1)),
        ("tag_match", json!("some")),
        ("tags", json!(5)),
        ("tags", json!(["x".repeat(101)])),
        ("memory_type", json!(["t"])),
        ("metadata", json!([])),
        ("metadata", json!("x")),
        ("quality_boost", json!("yes")),
        ("time_filter", json!(["today"])),
    ] {
        let answer = client.post("/api/search", json!({"query": "x", field: value}));
        answer.expect_problem(422, "invalid_body");
    }
    for name in ["Upper", "_keys", "a,,b", "", "*,a"] {
        let answer = client.post("/api/search", json!({"query": "x", "namespace": name}));
        answer.expect_problem(422, "invalid_namespace");
    }
    let many: Vec<String> = (0..101).map(|n| format!("n{n}")).collect();
    let answer = client.post("/api/search", json!({"query": "x", "namespace": many.join(",")}));
    assert_eq!(answer.status, 422, "{}", answer.text());
}

#[test]
fn a_large_metadata_filter_is_answered_or_refused_and_never_breaks_the_node() {
    let (_server, client) = serve();
    store(&client, json!({"content": "x", "metadata": {"k0": 0}}));
    for count in [1, 100, 200, 2_000, 20_000] {
        let filter: serde_json::Map<String, Value> =
            (0..count).map(|n| (format!("k{n}"), json!(n))).collect();
        let answer = client.post("/api/search", json!({"query": "x", "metadata": filter}));
        let expected: &[u16] = if count <= 200 { &[200] } else { &[422] };
        assert!(expected.contains(&answer.status), "{count}: {}", answer.text());
    }
    let deep = (0..100).fold(json!(1), |inner, _| json!({"a": inner}));
    let answer = client.post("/api/search", json!({"query": "x", "metadata": {"k": deep}}));
    assert!([200, 422].contains(&answer.status), "{}", answer.text());
}

#[test]
fn no_character_of_a_query_is_an_operator() {
    let (_server, client) = serve();
    let hash =
        store_text(&client, "The NEAR miss: 100% of \"users\" AND admins OR nobody (NOT all)");
    for query in [
        "\"",
        "\"\"",
        "*",
        "a*",
        "^near",
        "NEAR(",
        "NEAR(a b, 5)",
        "AND",
        "OR",
        "NOT",
        "a AND",
        "content:users",
        "{content}: users",
        "(users",
        "users)",
        "-users",
        "+users",
        "'; DROP",
        "%",
        "_",
        "\\",
        "\u{0}",
        "\u{202e}users",
        "🧠",
        "a\u{301}",
        "users -- x",
        "?1",
        ":a",
        "@b",
        "users\0admins",
    ] {
        for mode in MODES {
            let found = search(&client, json!({"query": query, "mode": mode}));
            assert!(found["total_found"].as_u64() <= Some(1), "{query}: {found}");
        }
    }
    let found = search(&client, json!({"query": "NEAR miss (NOT all)", "mode": "keyword"}));
    assert_eq!(found["results"][0]["memory"]["content_hash"], hash);
}

#[test]
fn quality_takes_its_share_of_the_order() {
    let (_server, client) = serve();
    let text = |name: &str| format!("How to bake bread: the {name} way");
    for (name, quality) in [("good", json!(1.0)), ("bad", json!(0.0)), ("odd", json!("high"))] {
        store(&client, json!({"content": text(name), "metadata": {"quality_score": quality}}));
    }
    store_text(&client, &text("plain"));
    let check = |weight: f64| {
        let body = json!({"query": "How to bake bread", "quality_boost": true, "mode": "semantic",
            "quality_weight": weight});
        let found = search(&client, body);
        let mut totals = Vec::new();
        for result in found["results"].as_array().expect("results") {
            let part = |name: &str| result["score"][name].as_f64().expect("a part");
            let rated = &result["memory"]["metadata"]["quality_score"];
            let expected = rated.as_f64().unwrap_or(0.5);
            assert_eq!(part("quality"), expected, "{result}");
            let total = (1.0 - weight) * part("semantic") + weight * expected;
            assert!((part("total") - total).abs() < 1e-9, "{result}");
            assert_eq!(result["similarity_score"], result["score"]["semantic"]);
            totals.push(part("total"));
        }
        assert_eq!(totals.len(), 4);
        assert!(totals.is_sorted_by(|a, b| a >= b), "{totals:?}");
        contents(&found)
    };
    let by_quality = check(1.0);
    assert_eq!((&by_quality[0], &by_quality[3]), (&text("good"), &text("bad")));
    check(0.3);
    let body = json!({"query": "How to bake bread", "mode": "semantic"});
    assert_eq!(check(0.0), contents(&search(&client, body)));
}

#[test]
fn a_search_never_writes() {
    let (_server, client) = serve();
    crowd(&client);
    let hash = store_text(&client, "the one to compare");
    let versions = || -> Vec<String> {
        let list = client.get("/api/memories?page_size=100&namespace=*").expect(200).value();
        list["memories"].as_array().expect("a list").iter().map(|m| m.to_string()).collect()
    };
    let before = (digest(&client), versions());
    for mode in MODES {
        let body = json!({"query": "tomato", "mode": mode, "quality_boost": true});
        search(&client, body);
    }
    client.post("/api/search/by-tag", json!({"tags": ["garden"]})).expect(200);
    let body = json!({"query": "2023", "semantic_query": "tomato"});
    client.post("/api/search/by-time", body).expect(200);
    client.get(&format!("/api/search/similar/{hash}")).expect(200);
    client.get(&path(&hash)).expect(200);
    client.get("/api/export?namespace=*").expect(200);
    assert_eq!((digest(&client), versions()), before);
}
