//! What a client that was written for mcp-memory-service sends, and what it reads of the answers:
//! everything must work when only its URL is changed. Bodies hold only what those clients send.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::text;

const KEY: &str = "old-key";

fn serve() -> (Server, Client) {
    let server = Place::new().with("MCP_API_KEY", KEY).serve();
    // Old clients say what they are and take anything.
    let client = server
        .client()
        .with("Authorization", &format!("Bearer {KEY}"))
        .with("User-Agent", "python-requests/2.32.3")
        .with("Accept", "*/*")
        .with("Connection", "keep-alive");
    (server, client)
}

fn store(client: &Client, content: &str, tags: &[&str]) -> String {
    let body = json!({"content": content, "tags": tags, "memory_type": "note", "metadata": {}});
    let answer = client.post("/api/memories", body).expect(200).value();
    assert_eq!(answer["success"], true);
    text(&answer["content_hash"])
}

/// A client reads these of a memory.
#[track_caller]
fn check_memory(memory: &Value) {
    assert!(memory["content"].is_string() && memory["content_hash"].is_string(), "{memory}");
    assert!(memory["tags"].is_array() && memory["metadata"].is_object(), "{memory}");
    assert!(memory["memory_type"].is_string() || memory["memory_type"].is_null(), "{memory}");
    for name in ["created_at", "updated_at"] {
        assert!(memory[name].is_f64() && memory[format!("{name}_iso")].is_string(), "{memory}");
    }
}

/// A client reads these of every search.
#[track_caller]
fn check_search(found: &Value, kind: &str) -> Vec<String> {
    assert_eq!(found["search_type"], kind);
    assert!(found["query"].is_string() && found["processing_time_ms"].is_f64(), "{found}");
    let results = found["results"].as_array().expect("results");
    assert_eq!(found["total_found"], results.len());
    let content = |result: &Value| {
        check_memory(&result["memory"]);
        assert!(result["relevance_reason"].is_string(), "{result}");
        let score = &result["similarity_score"];
        assert!(score.is_null() || score.as_f64().is_some_and(|s| (0.0..=1.0).contains(&s)));
        text(&result["memory"]["content"])
    };
    results.iter().map(content).collect()
}

#[test]
fn a_whole_session_of_an_old_client_works() {
    let (_server, client) = serve();
    let health = client.get("/api/health").expect(200).value();
    assert_eq!(health, json!({"status": "healthy"}));
    let hash = store(&client, "Deploys run on Fridays at noon", &["ops", "deploy"]);
    store(&client, "The staging database is called juniper", &["ops"]);

    let page = client.get("/api/memories?page=1&page_size=10").expect(200).value();
    assert_eq!((&page["total"], &page["has_more"]), (&json!(2), &json!(false)));
    assert_eq!((&page["page"], &page["page_size"]), (&json!(1), &json!(10)));
    page["memories"].as_array().expect("a list").iter().for_each(check_memory);
    let tagged = client.get("/api/memories?page=1&page_size=10&tag=deploy").expect(200).value();
    assert_eq!(tagged["total"], 1);
    let typed = client.get("/api/memories?memory_type=note").expect(200).value();
    assert_eq!(typed["total"], 2);

    let memory = client.get(&format!("/api/memories/{hash}")).expect(200).value();
    check_memory(&memory);
    assert_eq!(memory["tags"], json!(["deploy", "ops"]));

    let body = json!({"query": "when do we deploy", "n_results": 5});
    let found = client.post("/api/search", body).expect(200).value();
    assert_eq!(check_search(&found, "hybrid")[0], "Deploys run on Fridays at noon");
    let body = json!({"tags": ["ops"], "match_all": false});
    let found = client.post("/api/search/by-tag", body).expect(200).value();
    assert_eq!(check_search(&found, "tag").len(), 2);
    let body = json!({"tags": ["ops", "deploy"], "match_all": true, "time_filter": "today"});
    let found = client.post("/api/search/by-tag", body).expect(200).value();
    assert_eq!(check_search(&found, "tag").len(), 1);
    let body = json!({"query": "today", "n_results": 10});
    let found = client.post("/api/search/by-time", body).expect(200).value();
    assert_eq!(check_search(&found, "time").len(), 2);
    let body = json!({"query": "last week", "n_results": 10, "semantic_query": "database"});
    let found = client.post("/api/search/by-time", body).expect(200).value();
    assert_eq!(check_search(&found, "time"), [""; 0]);
    let found = client.get(&format!("/api/search/similar/{hash}?n_results=5")).expect(200).value();
    assert_eq!(check_search(&found, "similar"), ["The staging database is called juniper"]);
    let tags = client.get("/api/tags").expect(200).value();
    assert_eq!(tags["tags"][0], json!({"tag": "ops", "count": 2}));

    let body = json!({"tags": ["ops"], "memory_type": "rule", "metadata": {"owner": "kim"}});
    let updated = client.put(&format!("/api/memories/{hash}"), body).expect(200).value();
    assert_eq!(updated["success"], true);
    assert_eq!(updated["message"], "Updated fields: tags, memory_type, metadata");
    assert_eq!(updated["content_hash"], hash);
    check_memory(&updated["memory"]);
    let deleted = client.delete(&format!("/api/memories/{hash}")).expect(200).value();
    let message = format!("Successfully deleted memory {hash}");
    let expected = json!({"success": true, "message": message, "content_hash": hash});
    assert_eq!(deleted, expected);
    let missing = client.get(&format!("/api/memories/{hash}")).expect(404).value();
    assert_eq!(missing["detail"], "Memory not found");
}

#[test]
fn refusals_have_the_detail_that_old_clients_read() {
    let (server, client) = serve();
    let hash = "0".repeat(64);
    for (method, path) in [
        ("GET", format!("/api/memories/{hash}")),
        ("DELETE", format!("/api/memories/{hash}")),
        ("GET", format!("/api/search/similar/{hash}")),
    ] {
        let answer = client.send(method, &path, &[], Vec::new()).expect(404).value();
        assert_eq!(answer["detail"], "Memory not found", "{method} {path}");
    }
    let answer = client.post("/api/memories", json!({"tags": ["no content"]})).expect(422).value();
    let fault = &answer["detail"][0];
    assert_eq!((&fault["type"], &fault["loc"]), (&json!("missing"), &json!(["body", "content"])));
    assert_eq!(fault["msg"], "Field required");
    let answer = client.post("/api/search/by-time", json!({"query": "qwertz"})).expect(400).value();
    assert_eq!(answer["detail"], "Could not parse time query: 'qwertz'");
    client.post("/api/search/by-tag", json!({"tags": []})).expect(400);
    for (header, value) in [("X-API-Key", "wrong"), ("Authorization", "Bearer wrong")] {
        let answer = server.client().with(header, value).get("/api/memories").expect(401).value();
        assert!(answer["detail"].is_string(), "{answer}");
    }
    let answer = server.client().get("/api/memories").expect(401);
    assert!(answer.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")));
}

#[test]
fn a_repeat_is_told_in_the_words_old_clients_look_for() {
    let (_server, client) = serve();
    store(&client, "Twice told", &[]);
    let answer = client.post("/api/memories", json!({"content": "Twice told"})).expect(200).value();
    assert_eq!(answer["success"], false);
    assert_eq!(answer["message"], "Duplicate content detected (exact match)");
    assert_eq!((&answer["content_hash"], &answer["memory"]), (&Value::Null, &Value::Null));
}

#[test]
fn hooks_and_agents_leave_their_tags() {
    let (_server, client) = serve();
    let hook = client.with("X-Client-Hostname", "workstation").with("X-Agent-ID", "reviewer");
    let body = json!({"content": "Session notes", "tags": "Claude-Code, Session",
        "memory_type": "session", "client_hostname": "laptop", "conversation_id": "c-42",
        "metadata": {"project": "juniper"}});
    let memory = hook.post("/api/memories", body).expect(200).value()["memory"].clone();
    let tags = json!(["agent:reviewer", "claude-code", "session", "source:laptop"]);
    assert_eq!(memory["tags"], tags);
    assert_eq!(memory["metadata"]["project"], "juniper");
    assert_eq!(memory["metadata"]["hostname"], "laptop");
}

#[test]
fn clients_of_version_12_may_say_store() {
    let (_server, client) = serve();
    let body = json!({"content": "In a store", "tags": [], "store": "team"});
    let memory = client.post("/api/memories", body).expect(200).value()["memory"].clone();
    assert_eq!(memory["store"], "team");
    let total = |query: &str| client.get(&format!("/api/memories{query}")).expect(200).value();
    assert_eq!(total("?store=team")["total"], 1);
    assert_eq!(total("")["total"], 0);
    assert_eq!(total("?store=all")["total"], 1);
    for path in ["/api/search", "/api/search/by-time"] {
        let body = json!({"query": "today", "store": "team"});
        let found = client.post(path, body).expect(200).value();
        assert_eq!(found["results"][0]["memory"]["store"], "team", "{path}");
    }
    let hash = text(&memory["content_hash"]);
    client.get(&format!("/api/memories/{hash}?store=team")).expect(200);
    client.get(&format!("/api/memories/{hash}")).expect(404);
    client.delete(&format!("/api/memories/{hash}?store=team")).expect(200);
}

#[test]
fn quality_boost_is_asked_for_in_the_body() {
    let (_server, client) = serve();
    let body = json!({"content": "Rated", "metadata": {"quality_score": 1.0}});
    client.post("/api/memories", body).expect(200);
    let body = json!({"query": "rated", "n_results": 10, "similarity_threshold": null,
        "quality_boost": true, "quality_weight": 0.3});
    let found = client.post("/api/search", body).expect(200).value();
    assert_eq!(check_search(&found, "hybrid"), ["Rated"]);
}

#[test]
fn numbers_that_a_script_sends_as_floats_are_counts() {
    let (_server, client) = serve();
    store(&client, "x", &["a"]);
    let found = client.post("/api/search", json!({"query": "x", "n_results": 5.0}));
    assert_eq!(check_search(&found.expect(200).value(), "hybrid"), ["x"]);
}

#[test]
fn detailed_health_has_what_dashboards_of_old_read() {
    let (_server, client) = serve();
    store(&client, "x", &["a"]);
    let health = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(health["storage"]["backend"], "sqlite-vec");
    for part in ["storage", "statistics"] {
        assert_eq!(health[part]["total_memories"], 1, "{health}");
        assert_eq!(health[part]["unique_tags"], 1, "{health}");
        assert!(health[part]["database_size_mb"].is_number(), "{health}");
    }
    assert!(health["uptime_seconds"].is_number() && health["version"].is_string(), "{health}");
}
