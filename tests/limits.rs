//! How much one caller may ask for: over HTTP, over MCP, with wrong keys. Rates are so low that no
//! bucket fills again during a test.

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::events::EventStream;
use crate::common::node::Place;
use crate::common::rest::store_text;

fn store(client: &Client, content: &str) -> Answer {
    client.post("/api/memories", json!({"content": content}))
}

fn total(client: &Client) -> Value {
    client.get("/api/memories").expect(200).value()["total"].take()
}

fn batch(client: &Client, prefix: &str, count: usize) -> Answer {
    let items: Vec<Value> =
        (0..count).map(|number| json!({"content": format!("{prefix} {number}")})).collect();
    client.post("/api/memories/batch", json!(items))
}

/// Calls a tool over HTTP and gives its result.
fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments}});
    let client = client.with("accept", "application/json, text/event-stream");
    client.post("/mcp", body).expect(200).value()["result"].take()
}

/// A refusal tells when to come back, and nothing came of the request.
#[track_caller]
fn expect_limited(answer: Answer, name: &str) {
    let seconds: u64 = answer.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=3_600).contains(&seconds), "{seconds}");
    let left = answer.header("ratelimit").expect("what is left").to_owned();
    assert!(left.starts_with(&format!("\"{name}\";r=0;t=")), "{left}");
    let problem = answer.expect_problem(429, "rate_limited").value();
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains(name)), "{problem}");
}

#[test]
fn writes_beyond_the_limit_are_refused_and_reads_go_on() {
    let server = Place::new().with("MEMNODE_LIMIT_WRITES", "1/h burst 3").serve().ready();
    let client = server.client();
    for left in [2, 1, 0] {
        let answer = store(&client, &format!("note {left}")).expect(200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"writes\";q=3;w=10800"));
        let header = answer.header("ratelimit").expect("what is left");
        assert!(header.starts_with(&format!("\"writes\";r={left};t=")), "{header}");
    }
    expect_limited(store(&client, "one too many"), "writes");
    assert_eq!(total(&client), 3);
    client.post("/api/search", json!({"query": "note"})).expect(200);
    expect_limited(client.delete("/api/memories/00"), "writes");
    let metrics = client.get("/metrics").expect(200).text();
    let counted = "memnode_rate_limited_total{budget=\"writes\"} 2";
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    // Probes never pay.
    for probe in ["/livez", "/readyz", "/api/health"] {
        assert_eq!(client.get(probe).expect(200).header("ratelimit"), None);
    }
}

#[test]
fn a_batch_costs_what_is_in_it_and_a_too_large_one_takes_a_full_bucket() {
    let server = Place::new().with("MEMNODE_LIMIT_WRITES", "1/h burst 5").serve().ready();
    let client = server.client();
    batch(&client, "first", 3).expect(200);
    expect_limited(batch(&client, "second", 3), "writes");
    batch(&client, "third", 2).expect(200);
    assert_eq!(total(&client), 5);
    let server = Place::new().with("MEMNODE_LIMIT_WRITES", "1/h burst 5").serve().ready();
    let client = server.client();
    batch(&client, "large", 20).expect(200);
    expect_limited(store(&client, "after it"), "writes");
    assert_eq!(total(&client), 20);
}

#[test]
fn an_import_is_slowed_down_and_not_refused() {
    let server = Place::new().with("MEMNODE_LIMIT_WRITES", "100/s burst 1").serve().ready();
    let client = server.client();
    let lines: String =
        (0..40).map(|number| format!("{{\"content\":\"line {number}\"}}\n")).collect();
    let headers = [("content-type", "application/x-ndjson")];
    client.send("POST", "/api/import", &headers, lines.into_bytes()).expect(200);
    assert_eq!(total(&client), 40);
}

#[test]
fn callers_with_a_key_are_told_apart_from_addresses() {
    let place = Place::new()
        .with("MCP_API_KEY", "s3cret-key")
        .with("MCP_ALLOW_ANONYMOUS_ACCESS", "true")
        .with("MEMNODE_LIMIT_READS", "1/h burst 2");
    let server = place.serve().ready();
    let (anonymous, named) = (server.client(), server.client().with("x-api-key", "s3cret-key"));
    for client in [&anonymous, &named] {
        client.get("/api/tags").expect(200);
        client.get("/api/types").expect(200);
        expect_limited(client.get("/api/tags"), "reads");
    }
}

#[test]
fn a_key_has_the_limits_that_it_was_made_with() {
    let place = Place::new();
    let create = |arguments: &[&str]| {
        let made = place.run(&[&["key", "create", "--json"], arguments].concat()).ok().json();
        made["secret"].as_str().expect("a secret").to_owned()
    };
    let (own, usual) = (create(&["slow", "--limit", "reads=2"]), create(&["usual"]));
    let server = place.serve().ready();
    let slow = server.client().with("x-api-key", &own);
    slow.get("/api/tags").expect(200);
    slow.get("/api/types").expect(200);
    expect_limited(slow.get("/api/tags"), "reads");
    store_text(&slow, "writes are another budget");
    let usual = server.client().with("x-api-key", &usual);
    for _ in 0..5 {
        usual.get("/api/tags").expect(200);
    }
}

#[test]
fn event_streams_have_a_budget_of_their_own() {
    let server = Place::new().with("MEMNODE_LIMIT_EVENTS", "1/h burst 1").serve().ready();
    let stream = EventStream::listen(&server.url);
    expect_limited(server.client().get("/events"), "events");
    expect_limited(server.client().get("/api/ws"), "events");
    drop(stream);
    expect_limited(server.client().get("/api/events"), "events");
    server.client().get("/api/tags").expect(200);
}

#[test]
fn tools_pay_from_the_same_buckets_and_may_have_limits_of_their_own() {
    let place = Place::new()
        .with("MEMNODE_LIMIT_WRITES", "1/h burst 2")
        .with("MEMNODE_LIMIT_TOOLS", "memory_search=1/h burst 1");
    let server = place.serve().ready();
    let client = server.client();
    store_text(&client, "by REST");
    assert_eq!(call(&client, "memory_store", json!({"content": "by MCP"}))["isError"], false);
    let refused = call(&client, "memory_store", json!({"content": "too much"}));
    assert_eq!(refused["isError"], true);
    assert_eq!(refused["_meta"]["memnode/error"]["code"], "rate_limited");
    expect_limited(store(&client, "too much by REST"), "writes");
    // Its older name is the same tool.
    assert_eq!(call(&client, "memory_search", json!({"query": "by"}))["isError"], false);
    let refused = call(&client, "retrieve_memory", json!({"query": "by"}));
    assert_eq!(refused["_meta"]["memnode/error"]["code"], "rate_limited");
    client.post("/api/search", json!({"query": "by"})).expect(200);
    assert_eq!(total(&client), 2);
}

#[test]
fn an_ingest_costs_the_parts_that_it_stores() {
    let place = Place::new();
    let file = place.path().join("notes.jsonl");
    let lines = (0..3).map(|number| format!("{{\"content\":\"part {number}\"}}\n"));
    std::fs::write(&file, lines.collect::<String>()).expect("a file");
    let roots = place.path().to_str().expect("a path").to_owned();
    let place =
        place.with("MEMNODE_INGEST_ROOTS", roots).with("MEMNODE_LIMIT_WRITES", "1/h burst 5");
    let server = place.serve().ready();
    let client = server.client();
    let ingest = || call(&client, "memory_ingest", json!({"file_path": file}));
    let missing = call(&client, "memory_ingest", json!({"file_path": place.path().join("none")}));
    assert_eq!(missing["isError"], true, "{missing}");
    assert_eq!(ingest()["structuredContent"]["chunks_stored"], 3);
    assert_eq!(ingest()["_meta"]["memnode/error"]["code"], "rate_limited");
    store(&client, "by REST").expect(200);
    store(&client, "the last").expect(200);
    expect_limited(store(&client, "one too many"), "writes");
    assert_eq!(total(&client), 5);
}

#[test]
fn wrong_keys_close_the_door_and_then_the_right_one_is_not_looked_at() {
    let place = Place::new()
        .with("MCP_API_KEY", "s3cret-key")
        .with("MEMNODE_LIMIT_FAILURES", "1/h burst 2");
    let server = place.serve().ready();
    let with_key = |key: &str| server.client().with("x-api-key", key).get("/api/tags");
    for _ in 0..3 {
        with_key("s3cret-key").expect(200);
        server.client().get("/api/tags").expect_problem(401, "credential_missing");
    }
    with_key("wrong-1").expect_problem(401, "invalid_credential");
    with_key("wrong-2").expect_problem(401, "invalid_credential");
    expect_limited(with_key("wrong-3"), "failures");
    expect_limited(with_key("s3cret-key"), "failures");
}

#[test]
fn the_command_line_and_the_probes_of_the_machine_pay_nothing() {
    let place = Place::new().with("MEMNODE_LIMIT_WRITES", "1/h burst 1");
    let server = place.serve().ready();
    store_text(&server.client(), "by REST");
    expect_limited(store(&server.client(), "too much"), "writes");
    for number in 0..3 {
        place.run(&["add", &format!("by hand {number}")]).ok();
    }
    assert_eq!(total(&server.client()), 4);
}

#[test]
fn an_admin_sees_the_limits() {
    let place = Place::new()
        .with("MEMNODE_LIMIT_SEARCHES", "600/m")
        .with("MEMNODE_LIMIT_TOOLS", "memory_ingest=10/h")
        .with("MEMNODE_LIMIT_CALLERS_MAX", "500")
        .with("MEMNODE_LIMIT_CONNECTIONS", "30")
        .with("MEMNODE_CONNECTIONS_MAX", "70");
    let server = place.serve().ready();
    let found = server.client().get("/api/admin/limits").expect(200).value();
    let budget = |name: &str| {
        let all = found["budgets"].as_array().expect("a list");
        all.iter().find(|budget| budget["name"] == name).expect("known").clone()
    };
    assert_eq!(budget("searches"), json!({"name": "searches", "rate": "600/m", "burst": 100}));
    assert_eq!(budget("reads"), json!({"name": "reads", "rate": null, "burst": null}));
    assert_eq!(found["tools"], json!([{"tool": "memory_ingest", "rate": "10/h", "burst": 1}]));
    assert_eq!(found["caller_count_max"], 500);
    assert_eq!(found["connections"], json!({"count_max": 70, "address_count_max": 30}));
    let overload = &found["overload"];
    assert!(overload["at_once_max"].as_u64() > Some(0), "{overload}");
    assert_eq!(
        (&overload["waiting_count_max"], &overload["waiting_count"]),
        (&json!(4096), &json!(0))
    );
    assert_eq!(overload["burst_wait_seconds"], 15.0);
    assert_eq!(
        (&overload["overload_wait_seconds"], &overload["is_overloaded"]),
        (&json!(0.05), &json!(false))
    );
    let free = Place::new().serve().ready().client().get("/api/admin/limits").expect(200).value();
    assert_eq!(free["connections"]["address_count_max"], json!(null), "nobody is limited here");
}
