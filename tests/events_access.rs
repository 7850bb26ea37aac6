//! Who may listen to what: filters, tickets, and what is refused.

use serde_json::json;

use crate::common::events::EventStream;
use crate::common::node::Place;
use crate::common::rest::{path, search, store, store_text, text};

const KEY: &str = "open-sesame";

#[test]
fn filters_leave_what_was_asked_for() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let open = |query: &str| EventStream::resume(&server.url, &format!("/events?{query}"), None).0;
    let mut of_tag = open("tag=Red,green");
    let mut of_namespace = open("namespace=work");
    let mut of_kind = open("event=memory_deleted,search_completed");
    let red = store(&client, json!({"content": "red", "tags": ["red"]}));
    store(&client, json!({"content": "blue", "tags": ["blue"]}));
    let work = store(&client, json!({"content": "work", "namespace": "work"}));
    let red = text(&red["content_hash"]);
    client.delete(&path(&red)).expect(200);
    assert_eq!(of_tag.next().hash(), red);
    let deleted = of_tag.next();
    assert_eq!((deleted.name.as_str(), deleted.hash()), ("memory_deleted", red.clone()));
    assert_eq!(of_namespace.next().hash(), text(&work["content_hash"]));
    assert_eq!(of_kind.next().hash(), red);
    search(&client, json!({"query": "colours"}));
    let searched = of_kind.next();
    assert_eq!(searched.name, "search_completed");
    assert_eq!(searched.data["query"], "colours");
    assert_eq!((&searched.data["search_type"], searched.id), (&json!("hybrid"), None));
    // A search of the namespace `default` is none of that listener's business.
    store(&client, json!({"content": "more work", "namespace": "work"}));
    assert_eq!(of_namespace.next().data["content_preview"], "more work");
}

#[test]
fn what_cannot_be_listened_to_is_refused_with_what_to_do() {
    let server = Place::new().serve().ready();
    let client = server.client();
    for path in ["/api/events?event=memory_eaten", "/events?namespace=_keys", "/events?tag=%00"] {
        let answer = client.get(path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    for id in ["42", "AQ", "not base64!", &"A".repeat(7_000)] {
        let refused = client.with("last-event-id", id).get("/api/events");
        refused.expect_problem(400, "invalid_event_id");
    }
    client.get("/events?last_event_id=42").expect_problem(400, "invalid_event_id");
    // An empty id is what a browser sends that has seen none.
    let (_, status) = EventStream::resume(&server.url, "/api/events?last_event_id=", None);
    assert_eq!(status, "fresh");
}

#[test]
fn a_ticket_opens_one_stream() {
    let server = Place::new().with("MCP_API_KEY", KEY).serve().ready();
    let client = server.client();
    client.get("/api/events").expect_problem(401, "credential_missing");
    client.post("/api/events/ticket", json!({})).expect_problem(401, "credential_missing");
    let issued = client.with("x-api-key", KEY).post("/api/events/ticket", json!({})).expect(200);
    let issued = issued.value();
    assert_eq!(
        (&issued["expires_in_seconds"], &issued["param_name"]),
        (&json!(30), &json!("ticket"))
    );
    let path = format!("/api/events?ticket={}", text(&issued["ticket"]));
    let (mut stream, status) = EventStream::resume(&server.url, &path, None);
    assert_eq!(status, "fresh");
    client.get(&path).expect_problem(401, "invalid_ticket");
    client.get("/api/events?ticket=x").expect_problem(401, "invalid_ticket");
    // It is good for streams alone.
    client.get("/api/memories?ticket=x").expect_problem(401, "credential_missing");
    let hash = store_text(&client.with("x-api-key", KEY), "for the holder of the ticket");
    assert_eq!(stream.next().hash(), hash);
}
