//! Server-sent events: what is told, to whom, and from where a stream goes on.

use serde_json::json;

use crate::common::events::EventStream;
use crate::common::node::{Place, Server};
use crate::common::rest::{path, store, store_text, text};

fn server() -> Server {
    Place::new().serve().ready()
}

#[test]
fn every_change_is_told_once_in_the_words_of_the_contract() {
    let server = server();
    let client = server.client();
    let mut stream = EventStream::open(&server.url, "/events", &[]);
    let head = stream.head.to_lowercase();
    for line in
        ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"]
    {
        assert!(head.contains(line), "{head}");
    }
    let first = stream.next();
    assert_eq!(first.name, "connection_established");
    assert_eq!(first.data["replay"]["status"], "fresh");
    assert_eq!(first.data["heartbeat_interval"], 30);
    assert!(stream.retry_ms.is_some());

    let long = "A long text. ".repeat(20);
    let body = json!({"content": long, "tags": ["x"], "memory_type": "note"});
    let memory = store(&client, body);
    let hash = text(&memory["content_hash"]);
    let stored = stream.next();
    assert_eq!(stored.name, "memory_stored");
    assert_eq!(stored.hash(), hash);
    let preview: String = long.chars().take(100).collect();
    assert_eq!(stored.data["content_preview"], format!("{preview}..."));
    assert_eq!(stored.data["tags"], json!(["x"]));
    assert_eq!(stored.data["memory_type"], "note");
    assert_eq!(stored.data["namespace"], "default");
    assert_eq!(stored.data["origin"], "test-node");
    assert!(text(&stored.data["position"]).starts_with("test-node~"));
    assert!(stored.id.is_some());

    client.put(&path(&hash), json!({"tags": ["y"]})).expect(200);
    let updated = stream.next();
    assert_eq!(updated.name, "memory_updated");
    assert!(updated.data["changed"].to_string().contains("tag"), "{updated:?}");
    assert_eq!(updated.data["tags"], json!(["y"]));

    client.delete(&path(&hash)).expect(200);
    let deleted = stream.next();
    assert_eq!(deleted.name, "memory_deleted");
    assert_eq!((deleted.hash(), &deleted.data["success"]), (hash, &json!(true)));
    assert!(deleted.data.get("content_preview").is_none());
}

#[test]
fn a_stream_goes_on_where_it_ended_also_after_a_restart() {
    let place = Place::new();
    let server = place.serve().ready();
    let client = server.client();
    let mut stream = EventStream::listen(&server.url);
    let first = store_text(&client, "before the pause");
    assert_eq!(stream.next().hash(), first);
    let id = stream.last_id.clone().expect("an id");
    drop(stream);
    let missed = store_text(&client, "in the pause");
    let (mut stream, status) = EventStream::resume(&server.url, "/api/events", Some(&id));
    assert_eq!(status, "resumed");
    assert_eq!(stream.next().hash(), missed);
    drop(stream);
    server.stop();

    let server = place.serve().ready();
    let later = store_text(&server.client(), "after the restart");
    let (mut stream, status) = EventStream::resume(&server.url, "/api/events", Some(&id));
    assert_eq!(status, "resumed");
    assert_eq!(stream.next().hash(), missed);
    assert_eq!(stream.next().hash(), later);
}
