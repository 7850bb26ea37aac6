//! Health over REST, and the calls for whoever runs the node.

use serde_json::json;

use crate::common::node::Place;
use crate::common::rest::{keys, store, store_text, text};

#[test]
fn open_calls_say_one_word() {
    let server = Place::new().with("MCP_API_KEY", "k").serve().ready();
    let client = server.client();
    for (path, status) in [
        ("/api/health", "healthy"),
        ("/healthz", "healthy"),
        ("/livez", "alive"),
        ("/readyz", "ready"),
    ] {
        let answer = client.get(path).expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.value(), json!({"status": status}), "{path}");
    }
}

#[test]
fn detailed_health_has_every_part() {
    let server = Place::new().serve().ready();
    let client = server.client();
    store(&client, json!({"content": "a", "tags": ["x", "y"]}));
    store(&client, json!({"content": "b", "tags": ["x"], "namespace": "work"}));
    let health = client.get("/api/health/detailed").expect(200).value();
    let parts = [
        "cluster",
        "index",
        "performance",
        "statistics",
        "status",
        "storage",
        "system",
        "timestamp",
        "uptime_seconds",
        "version",
    ];
    assert_eq!(keys(&health), parts);
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let now: jiff::Timestamp = text(&health["timestamp"]).parse().expect("RFC 3339");
    let file = server.place.database().metadata().expect("the file").modified().expect("a time");
    let file = jiff::Timestamp::try_from(file).expect("a time");
    assert!((now.as_second() - file.as_second()).abs() < 600, "{now} {file}");
    let storage = &health["storage"];
    for key in [
        "backend",
        "status",
        "accessible",
        "embedding_model",
        "embedding_dimension",
        "total_memories",
        "unique_tags",
        "memories_this_week",
        "database_size_bytes",
        "database_size_mb",
    ] {
        assert!(!storage[key].is_null(), "no {key}: {storage}");
    }
    assert_eq!((&storage["backend"], &storage["accessible"]), (&json!("sqlite-vec"), &json!(true)));
    assert_eq!((&storage["total_memories"], &storage["unique_tags"]), (&json!(2), &json!(2)));
    assert_eq!(storage["memories_this_week"], 2);
    assert_eq!(storage["embedding_dimension"], 384);
    assert!(storage["database_size_bytes"].as_u64() > Some(0), "{storage}");
    for key in ["memory_percent", "disk_percent"] {
        let percent = &health["system"][key];
        assert!(percent.as_f64().is_some_and(|share| (0.0..=100.0).contains(&share)), "{health}");
    }
    assert!(health["performance"]["uptime_seconds"].is_f64());
    assert!(text(&health["performance"]["uptime_formatted"]).ends_with('s'));
    let statistics = &health["statistics"];
    for key in
        ["total_memories", "unique_tags", "memories_this_week", "database_size_mb", "backend"]
    {
        assert_eq!(statistics[key], storage[key], "{key}");
    }
    assert_eq!(health["cluster"]["enabled"], false);
}

#[test]
fn a_sound_file_is_verified() {
    let server = Place::new().serve();
    let client = server.client();
    store_text(&client, "x");
    let answer = client.send("POST", "/api/verify", &[], Vec::new()).expect(200).value();
    assert_eq!(answer, json!({"ok": true, "problems": []}));
}

#[test]
fn the_model_is_changed_only_from_this_machine() {
    let server = Place::new().serve();
    let client = server.client();
    let status = client.get("/api/reembed").expect(200).value();
    assert_eq!(status, json!({"reembed": null}));
    let body = json!({"kind": "onnx", "directory": "/etc"});
    client.post("/api/reembed", body).expect_problem(403, "local_only");
}
