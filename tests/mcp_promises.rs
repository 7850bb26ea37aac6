//! MCP in a cluster: how sure a write is, where it stands, and reads that must see it.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::window::text;

/// Calls a tool over HTTP and gives its result.
fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments}});
    let client = client.with("accept", "application/json, text/event-stream");
    client.post("/mcp", body).expect(200).value()["result"].take()
}

#[track_caller]
fn refused(result: &Value, code: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert_eq!(result["_meta"]["memnode/error"]["code"], code, "{result}");
}

#[test]
fn a_node_alone_says_what_it_can_promise_and_refuses_the_rest() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let plain = window.call("memory_store", json!({"content": "plain"}));
    assert!(plain["structuredContent"].get("acknowledged").is_none(), "{plain}");
    let stored = window.call("memory_store", json!({"content": "sure", "ack": "local"}));
    let told = &stored["structuredContent"];
    let local = json!({"level": "local", "asked": "local", "reached": true});
    assert_eq!(told["acknowledged"], local, "{stored}");
    let position = told["position"].as_str().expect("a position");
    assert!(text(&stored).ends_with(&format!("Acknowledged: local\n   Position: {position}")));

    for (ack, code) in
        [("replicated:1", "no_peers"), ("logged", "no_peers"), ("sure", "invalid_ack")]
    {
        refused(&window.call("memory_store", json!({"content": "never", "ack": ack})), code);
    }
    let waits = json!({"content": "never", "ack": "local", "ack_timeout": 61});
    refused(&window.call("memory_store", waits), "invalid_arguments");
    let listed = window.call("memory_list", json!({"after_position": position}));
    assert_eq!(listed["structuredContent"]["total"], 2, "{listed}");
    let found = window.call("memory_search", json!({"query": "sure", "after_position": position}));
    assert_eq!(found["isError"], false, "{found}");
    let (origin, _) = position.rsplit_once(':').expect("a number");
    for (after, code) in
        [(format!("{origin}:99"), "position_not_reached"), ("x".to_owned(), "invalid_position")]
    {
        let arguments = json!({"query": "sure", "after_position": after});
        refused(&window.call("memory_search", arguments), code);
    }
}

#[test]
fn a_store_waits_for_peers_and_a_search_elsewhere_sees_it() {
    let Some(mut cluster) = Cluster::start(2, Version::Newer) else { return };
    let clients = [cluster.nodes[0].client(), cluster.nodes[1].client()];
    let arguments = json!({"content": "the spare key is behind the fridge", "ack": "replicated:1",
        "ack_timeout": 30});
    let stored = call(&clients[0], "memory_store", arguments);
    let told = &stored["structuredContent"];
    assert_eq!(told["acknowledged"]["level"], "replicated:1", "{stored}");
    assert_eq!(told["acknowledged"]["reached"], true, "{stored}");
    let hash = told["content_hash"].clone();

    let updates = json!({"content_hash": hash, "updates": {"tags": ["home"]}, "ack": "logged"});
    let updated = call(&clients[0], "memory_update", updates);
    assert_eq!(updated["structuredContent"]["acknowledged"]["reached"], true, "{updated}");
    let position = updated["structuredContent"]["position"].clone();
    let tagged = json!({"tags": ["home"], "after_position": position});
    let found = call(&clients[1], "memory_search", tagged);
    assert_eq!(found["structuredContent"]["total_found"], 1, "{found}");

    cluster.nodes[1].kill();
    let alone = json!({"turns": [{"role": "user", "content": "is anybody there"}],
        "ack": "replicated:1", "ack_timeout": 0});
    let stored = call(&clients[0], "memory_store_session", alone);
    let told = &stored["structuredContent"];
    assert_eq!((&told["success"], &told["acknowledged"]["reached"]), (&json!(true), &json!(false)));
    assert!(text(&stored).contains("(not yet replicated:1)"), "{stored}");
    assert!(told["position"].is_string(), "{stored}");
    let deleted = call(&clients[0], "memory_delete", json!({"content_hash": hash, "ack": "local"}));
    assert_eq!(deleted["structuredContent"]["acknowledged"]["level"], "local", "{deleted}");
}
