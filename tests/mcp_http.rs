//! `/mcp`: who may call, what is refused before a tool sees it, and the revisions over HTTP.

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::node::Place;
use crate::common::window::{initialize_params, stateless_meta, text};

const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");
const KEY: &str = "open-sesame";

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn store(content: &str) -> Value {
    let arguments = json!({"content": content});
    request("tools/call", json!({"name": "memory_store", "arguments": arguments}))
}

fn post(client: &Client, body: &Value) -> Answer {
    client.with(ACCEPT.0, ACCEPT.1).post("/mcp", body.clone())
}

/// Calls a tool; gives its result.
#[track_caller]
fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    post(client, &request("tools/call", params)).expect(200).value()["result"].take()
}

fn total(client: &Client) -> Value {
    client.get("/api/memories").expect(200).value()["total"].take()
}

#[test]
fn a_key_is_asked_for_and_each_of_its_carriers_is_taken() {
    let place = Place::new().with("MCP_API_KEY", KEY);
    let server = place.serve().ready();
    let anonymous = server.client();
    let bearer = anonymous.with("authorization", &format!("Bearer {KEY}"));
    for method in ["initialize", "tools/list", "tools/call", "ping", "server/discover"] {
        let refused = post(&anonymous, &request(method, json!({})));
        let challenge = refused.header("www-authenticate").unwrap_or_default().to_owned();
        assert!(challenge.starts_with("Bearer resource_metadata="), "{challenge}");
        refused.expect_problem(401, "credential_missing");
    }
    anonymous.get("/mcp").expect(401);
    anonymous.delete("/mcp").expect(401);
    for (name, value) in [
        ("authorization", "Bearer wrong"),
        ("x-api-key", "wrong"),
        ("authorization", "Basic b3Blbi1zZXNhbWU="),
    ] {
        let refused = post(&anonymous.with(name, value), &store("by a stranger"));
        refused.expect(401);
    }
    assert_eq!(total(&bearer), 0);
    post(&bearer, &store("by bearer")).expect(200);
    post(&anonymous.with("x-api-key", KEY), &store("by header")).expect(200);
    let headers = [("content-type", "application/json"), ACCEPT];
    let body = store("by query").to_string().into_bytes();
    let path = format!("/mcp?api_key={KEY}");
    anonymous.send("POST", &path, &headers, body).expect(200);
    assert_eq!(total(&bearer), 3);
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    let server = Place::new().serve().ready();
    let client = server.client();
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost.evil.example"),
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example"),
    ] {
        let refused = post(&client.with(name, value), &store("by a page"));
        assert_eq!(refused.status, 403, "{name}: {value}: {}", refused.text());
    }
    assert_eq!(total(&client), 0);
    post(&client.with("origin", &server.url), &store("by its own page")).expect(200);
    let local = server.url.replace("127.0.0.1", "localhost");
    post(&Client::new(&local), &store("by another name of this machine")).expect(200);
    assert_eq!(total(&client), 2);
}

#[test]
fn what_is_no_message_is_refused_before_a_tool_sees_it() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let send = |kind: &str, accept: &str, body: &[u8]| {
        client.send("POST", "/mcp", &[("content-type", kind), ("accept", accept)], body.to_vec())
    };
    let both = ACCEPT.1;
    let good = store("x").to_string();
    assert_eq!(send("text/plain", both, good.as_bytes()).status, 415);
    assert_eq!(send("application/json", "text/html", good.as_bytes()).status, 406);
    for body in [&b""[..], b"{", b"\xff\xfe", b"[]", b"7", b"{\"jsonrpc\":\"2.0\"}"] {
        let refused = send("application/json", both, body);
        assert!((400..=422).contains(&refused.status), "{body:?}: {}", refused.text());
    }
    let long = store(&"x".repeat(2_000_000)).to_string();
    assert_eq!(send("application/json", both, long.as_bytes()).status, 413);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!((400..=422).contains(&send("application/json", both, deep.as_bytes()).status));
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let refused = client.send(method, "/mcp", &[ACCEPT], Vec::new());
        assert_eq!(refused.status, 405, "{method}: {}", refused.text());
        assert!(refused.header("allow").is_some(), "{method}");
    }
    assert_eq!(total(&client), 0);
    post(&client, &store("still there")).expect(200);
}

#[test]
fn every_revision_is_served_and_no_session_is_kept() {
    let server = Place::new().serve().ready();
    for revision in ["2025-06-18", "2025-11-25"] {
        let client = server.client().with("mcp-protocol-version", revision);
        let answer = post(&client, &request("initialize", initialize_params(revision))).expect(200);
        assert!(answer.header("mcp-session-id").is_none(), "{revision}");
        let result = &answer.value()["result"];
        assert_eq!(result["protocolVersion"], revision);
        assert_eq!(result["serverInfo"]["name"], "memnode");
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(post(&client, &initialized).status, 202);
        let stored = call(&client, "memory_store", json!({"content": revision}));
        assert!(text(&stored).starts_with("Memory stored successfully"), "{stored}");
        let tools = post(&client, &request("tools/list", json!({}))).expect(200).value();
        assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(10));
    }
    let revision = "2026-07-28";
    let client = server.client().with("mcp-protocol-version", revision);
    let send = |method: &str, name: Option<&str>, mut params: Value| {
        params["_meta"] = stateless_meta();
        let client = client.with("mcp-method", method);
        let client = name.map_or(client.clone(), |name| client.with("mcp-name", name));
        post(&client, &request(method, params))
    };
    let discovered = send("server/discover", None, json!({})).expect(200).value();
    let versions = discovered["result"]["supportedVersions"].as_array().expect("a list");
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        assert!(versions.contains(&json!(revision)), "{discovered}");
    }
    let params = json!({"name": "memory_store", "arguments": {"content": revision}});
    let stored = send("tools/call", Some("memory_store"), params.clone()).expect(200).value();
    assert!(text(&stored["result"]).starts_with("Memory stored successfully"), "{stored}");
    // What a proxy reads in the headers is what the node does.
    let lied = send("tools/call", Some("memory_list"), params);
    assert_eq!(lied.status, 400, "{}", lied.text());
    assert_eq!(total(&client), 3);
    let unknown = server.client().with("mcp-protocol-version", "1999-01-01");
    assert_eq!(post(&unknown, &store("from the past")).status, 400);
}

#[test]
fn files_are_read_only_below_the_roots_and_links_do_not_lead_out() {
    let place = Place::new();
    let roots = place.path().join("open");
    let closed = place.path().join("closed");
    std::fs::create_dir_all(roots.join("deep")).expect("a directory");
    std::fs::create_dir_all(&closed).expect("a directory");
    std::fs::write(roots.join("deep/note.md"), "Open to everyone who may call").expect("a file");
    std::fs::write(closed.join("secret.md"), "Not for remote callers").expect("a file");
    std::os::unix::fs::symlink(closed.join("secret.md"), roots.join("link.md")).expect("a link");
    std::os::unix::fs::symlink(&closed, roots.join("directory")).expect("a link");

    let without = place.clone().serve().ready();
    let path = |path: &std::path::Path| path.display().to_string();
    let file = |path: String| json!({"file_path": path});
    let refused = call(&without.client(), "memory_ingest", file(path(&roots.join("deep/note.md"))));
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).contains("MEMNODE_INGEST_ROOTS"), "{}", text(&refused));
    without.stop();

    let server = place.clone().with("MEMNODE_INGEST_ROOTS", path(&roots)).serve().ready();
    let client = server.client();
    for way in [
        path(&closed.join("secret.md")),
        path(&roots.join("../closed/secret.md")),
        path(&roots.join("link.md")),
        path(&roots.join("directory/secret.md")),
        "/etc/hostname".to_owned(),
        "deep/note.md".to_owned(),
        format!("file://{}", path(&closed.join("secret.md"))),
        format!("{}\u{0}", path(&roots.join("deep/note.md"))),
    ] {
        let refused = call(&client, "memory_ingest", file(way.clone()));
        assert_eq!(refused["isError"], true, "{way}: {}", text(&refused));
    }
    let whole = json!({"directory_path": path(&roots)});
    let read = call(&client, "memory_ingest", whole);
    let stored = call(&client, "memory_search", json!({"query": "callers", "limit": 100}));
    assert!(!text(&stored).contains("Not for remote"), "{}", text(&read));
    // What a bridge says of its client's directory is not believed of anybody else.
    let meta = json!({"memnode/cwd": path(&closed)});
    let params =
        json!({"name": "memory_ingest", "arguments": file("secret.md".into()), "_meta": meta});
    let answer = post(&client, &request("tools/call", params)).expect(200).value();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    // A bridge on this machine reads what its user may.
    let mut window = server.place.mcp_ready();
    let read = window.call("memory_ingest", file(path(&closed.join("secret.md"))));
    assert_eq!(read["structuredContent"]["chunks_stored"], 1, "{read}");
}

#[test]
fn a_namespace_and_a_key_of_a_remote_caller_are_its_own() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let meta = json!({"memnode/idempotency_key": "once", "memnode/namespace": "team"});
    let params = |content: &str| {
        let arguments = json!({"content": content});
        json!({"name": "memory_store", "arguments": arguments, "_meta": meta})
    };
    let first = post(&client, &request("tools/call", params("a"))).expect(200).value();
    let again = post(&client, &request("tools/call", params("a"))).expect(200).value();
    assert_eq!(first, again);
    assert_eq!(first["result"]["structuredContent"]["memory"]["namespace"], "team");
    let other = post(&client, &request("tools/call", params("b"))).expect(200).value();
    assert_eq!(other["result"]["isError"], true, "{other}");
}

#[test]
fn many_callers_at_once_are_each_answered() {
    const CALLERS: usize = 16;
    const CALLS: usize = 25;
    let server = Place::new().serve().ready();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let client = server.client();
            scope.spawn(move || {
                for number in 0..CALLS {
                    let content = format!("caller {caller} says {number}");
                    let stored = call(&client, "memory_store", json!({"content": content}));
                    assert_eq!(stored["structuredContent"]["memory"]["content"], content);
                }
            });
        }
    });
    assert_eq!(total(&server.client()), CALLERS * CALLS);
}
