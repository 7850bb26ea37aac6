//! The audit log: who did what, where and when, and never what it was about.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::rest::{keys, path, search, store, store_text};

const KEY: &str = "open-sesame";
/// Of a memory, a query, a tag and a wrong key: nothing of it may be in the log.
const TEXT: &str = "the blue door";

/// The entries, oldest first, once there are so many.
#[track_caller]
fn entries(client: &Client, count: usize) -> Vec<Value> {
    eventually(&format!("{count} entries"), || {
        let lines = client.get("/api/admin/audit/export").expect(200).lines();
        (lines.len() >= count).then_some(lines)
    })
}

/// What an entry says, in short.
fn told(entry: &Value) -> (&str, &str, &str, String) {
    let text = |name: &str| entry[name].as_str().unwrap_or("-");
    let namespaces = entry["namespaces"].as_array().expect("a list").iter();
    let namespaces: Vec<&str> = namespaces.filter_map(Value::as_str).collect();
    (text("principal"), text("operation"), text("outcome"), namespaces.join(","))
}

#[test]
fn writes_administration_and_refusals_are_noted_and_no_text() {
    let server = Place::new().with("MCP_API_KEY", KEY).serve().ready();
    let stranger = server.client();
    let client = stranger.with("x-api-key", KEY);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let memory = json!({"content": TEXT, "tags": ["door"], "namespace": "team"});
    let hash = store(&client.with("traceparent", trace), memory)["content_hash"].clone();
    let hash = hash.as_str().expect("a hash");
    client.put(&format!("{}?namespace=team", path(hash)), json!({"tags": ["blue"]})).expect(200);
    search(&client, json!({"query": TEXT, "namespace": "team"}));
    client.get(&format!("{}?namespace=team", path(hash))).expect(200);
    client.get("/api/cluster").expect(200);
    stranger.with("x-api-key", TEXT).get("/api/memories").expect(401);
    stranger.delete(&path(hash)).expect(401);
    client.post("/api/index/rebuild", json!({})).expect(202);
    let line = json!({"content": format!("{TEXT} 2")}).to_string();
    let lines = [("content-type", "application/x-ndjson")];
    client.send("POST", "/api/import?namespace=team", &lines, line.into()).expect(200);
    client.delete(&format!("{}?namespace=team", path(hash))).expect(200);
    client.delete(&format!("{}?namespace=team", path(hash))).expect(404);
    let accept = client.with("accept", "application/json, text/event-stream");
    for (tool, arguments) in
        [("memory_store", json!({"content": format!("{TEXT} 3")})), ("memory_stats", json!({}))]
    {
        let params = json!({"name": tool, "arguments": arguments});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        accept.post("/mcp", call).expect(200);
    }
    let found = entries(&client, 9);
    let told: Vec<_> = found.iter().map(told).collect();
    let team = || "team".to_owned();
    let expected = [
        ("api-key", "POST /api/memories", "ok", team()),
        ("api-key", "PUT /api/memories/{hash}", "ok", team()),
        ("-", "GET /api/memories", "invalid_credential", String::new()),
        ("-", "DELETE /api/memories/{hash}", "credential_missing", String::new()),
        ("api-key", "POST /api/index/rebuild", "ok", "*".to_owned()),
        ("api-key", "POST /api/import", "ok", team()),
        ("api-key", "DELETE /api/memories/{hash}", "ok", team()),
        ("api-key", "DELETE /api/memories/{hash}", "memory_not_found", team()),
        ("api-key", "mcp memory_store", "ok", "default".to_owned()),
    ];
    assert_eq!(told, expected);
    assert_eq!(found[0]["trace_id"], &trace[3..35]);
    assert_eq!((&found[0]["address"], &found[0]["status"]), (&json!("127.0.0.1"), &json!(200)));
    assert_eq!((&found[2]["refused"], &found[2]["status"]), (&json!(true), &json!(401)));
    let text = serde_json::to_string(&found).expect("JSON");
    for secret in ["blue", "door", KEY, hash] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn entries_are_found_by_filter_and_page_and_only_by_an_administrator() {
    let server = Place::new().serve().ready();
    let client = server.client();
    for number in 0..5 {
        store(&client, json!({"content": format!("m {number}"), "namespace": "team"}));
    }
    store_text(&client, "elsewhere");
    entries(&client, 6);
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let page = client.get(&format!("/api/admin/audit?limit=4{cursor}")).expect(200).value();
        assert_eq!(keys(&page), ["entries", "next_cursor"]);
        seen.extend(page["entries"].as_array().expect("a list").clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(seen.is_sorted_by(|a, b| a["at"].as_f64() >= b["at"].as_f64()), "{seen:?}");
    let count = |query: &str| {
        let page = client.get(&format!("/api/admin/audit?{query}")).expect(200).value();
        page["entries"].as_array().expect("a list").len()
    };
    assert_eq!(count("namespace=team"), 5);
    assert_eq!(count("namespace=tea"), 0);
    assert_eq!(count("operation=POST%20%2Fapi%2Fmemories"), 6);
    assert_eq!(count("principal=anonymous&after=yesterday"), 6);
    assert_eq!(
        (count("principal=ada"), count("before=yesterday"), count("refused=true")),
        (0, 0, 0)
    );
    for (query, code) in [
        ("limit=0", "invalid_query"),
        ("limit=1001", "invalid_query"),
        ("cursor=x", "bad_cursor"),
        ("after=whenever", "unreadable_time_phrase"),
    ] {
        let refused = client.get(&format!("/api/admin/audit?{query}"));
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
        assert_eq!(refused.value()["code"], code, "{query}");
    }
}

#[test]
fn reads_are_noted_where_that_is_asked_for() {
    let server = Place::new().with("MEMNODE_AUDIT_READS", "true").serve().ready();
    let client = server.client();
    search(&client, json!({"query": TEXT}));
    client.get("/healthz").expect(200);
    let found = entries(&client, 1);
    assert_eq!(told(&found[0]), ("anonymous", "POST /api/search", "ok", "default".to_owned()));
    assert!(found.iter().all(|entry| entry["operation"] != "GET /healthz"), "{found:?}");
}

#[test]
fn commands_are_noted_and_the_command_line_shows_the_log() {
    let place = Place::new();
    place.run(&["add", TEXT]).ok();
    place.run(&["add", &format!("{TEXT} again"), "--namespace", "team"]).ok();
    let shown = place.run(&["audit", "--since", "yesterday"]).ok();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{shown:#?}");
    for (line, namespace) in lines.iter().zip(["default", "team"]) {
        for part in ["local", "POST /api/memories", namespace, "ok"] {
            assert!(line.contains(part), "no {part}: {line}");
        }
    }
    let page = place.run(&["audit", "--limit", "1", "--json"]).ok().json();
    assert_eq!(page["entries"][0]["namespaces"], json!(["team"]));
    assert!(!shown.stdout.contains("blue"), "{shown:#?}");
    place.run(&["audit", "--limit", "0"]).expect_code(64);
}

#[test]
fn each_node_has_its_own_log_and_a_new_one_gets_none() {
    let Some(mut cluster) = Cluster::start(1, Version::Newer) else { return };
    store_text(&cluster.nodes[0].client(), TEXT);
    assert!(entries(&cluster.nodes[0].client(), 2).len() >= 2);
    cluster.nodes[0].client().post("/api/cluster/snapshot", json!({})).expect(200);
    cluster.add(Place::new()).start();
    cluster.ready();
    cluster.digests_equal(crate::common::DEADLINE);
    let there = cluster.nodes[1].client().get("/api/admin/audit").expect(200).value();
    let others = there["entries"].as_array().expect("a list").iter();
    let others: Vec<&Value> = others.filter(|it| it["operation"] != "POST /api/verify").collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_key_is_named_by_what_people_call_it_and_by_its_id() {
    let server = Place::new().with("MCP_API_KEY", KEY).serve().ready();
    let client = server.client().with("x-api-key", KEY);
    let new = json!({"name": "laptop of Ada", "scopes": ["write:team"]});
    let made = client.post("/api/admin/keys", new).expect(200).value();
    let (id, secret) = (made["key"]["id"].clone(), made["secret"].clone());
    let ada = server.client().with("x-api-key", secret.as_str().expect("a secret"));
    store(&ada, json!({"content": TEXT, "namespace": "team"}));
    ada.post("/api/memories", json!({"content": TEXT, "namespace": "other"})).expect(403);
    let found = entries(&client, 3);
    let told: Vec<_> = found.iter().map(told).collect();
    let expected = [
        ("api-key", "POST /api/admin/keys", "ok", "*".to_owned()),
        ("laptop of Ada", "POST /api/memories", "ok", "team".to_owned()),
        ("laptop of Ada", "POST /api/memories", "scope_missing", "other".to_owned()),
    ];
    assert_eq!(told, expected);
    assert_eq!((&found[1]["key_id"], &found[2]["refused"]), (&id, &json!(true)));
    let text = serde_json::to_string(&found).expect("JSON");
    assert!(!text.contains(secret.as_str().expect("a secret")), "{text}");
}
