//! Whatever made a change, every listener of every node is told of it, and never of what is none.

use serde_json::json;

use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::rest::{import, path, store, store_text};

fn mcp_store(client: &Client, content: &str) {
    let client = client.with("accept", "application/json, text/event-stream");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "memory_store", "arguments": {"content": content}}});
    client.post("/mcp", body).expect(200);
}

#[test]
fn every_source_is_told_of() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let mut stream = EventStream::listen(&server.url);
    let mut expect = |content: &str| {
        let event = stream.next();
        assert_eq!(
            (event.name.as_str(), &event.data["content_preview"]),
            ("memory_stored", &json!(content))
        );
    };
    store_text(&client, "by REST");
    expect("by REST");
    mcp_store(&client, "by MCP");
    expect("by MCP");
    let lines: Vec<_> = (0..600).map(|n| json!({"content": format!("by import {n}")})).collect();
    import(&client, &lines);
    (0..600).for_each(|n| expect(&format!("by import {n}")));
    server.place.run(&["add", "by another process"]).ok();
    expect("by another process");
}

#[test]
fn what_belongs_to_the_cluster_itself_is_never_told() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let mut streams: Vec<_> =
        cluster.nodes.iter().map(|node| EventStream::listen(&node.client().url())).collect();
    let [one, other] = &cluster.nodes[..] else { panic!("two nodes") };
    let at_other = store_text(&other.client(), "from the other node");
    let purged = store_text(&one.client(), "erased soon");
    for stream in &mut streams {
        let mut seen = [(); 2].map(|()| stream.next_named("memory_stored"));
        seen.sort_by_key(|event| event.hash() != at_other);
        assert_eq!([seen[0].hash(), seen[1].hash()], [at_other.clone(), purged.clone()]);
        assert_eq!(seen[0].data["origin"], other.name.as_str());
    }
    one.client().send("POST", &format!("{}/purge", path(&purged)), &[], Vec::new()).expect(200);
    for stream in &mut streams {
        assert_eq!(stream.next_of(&purged).name, "memory_deleted");
    }
    // The confirmations of the nodes are records too, in a namespace that nobody sees.
    let last = store_text(&one.client(), "the last");
    for stream in &mut streams {
        let next = stream.next();
        assert_eq!((next.hash(), &next.data["namespace"]), (last.clone(), &json!("default")));
    }
}

#[test]
fn a_stream_goes_on_at_another_node() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let [one, other] = &cluster.nodes[..] else { panic!("two nodes") };
    let mut stream = EventStream::listen(&one.client().url());
    let first = store_text(&one.client(), "seen at the first");
    stream.next_of(&first);
    let id = stream.last_id.clone();
    drop(stream);
    let missed: Vec<String> = (0..20)
        .map(|n| store_text(&cluster.nodes[n % 2].client(), &format!("missed {n}")))
        .collect();
    cluster.digests_equal(crate::common::DEADLINE);
    let url = other.client().url();
    let (mut stream, status) = EventStream::resume(&url, "/api/events", id.as_deref());
    assert_eq!(status, "resumed");
    let mut lacking: Vec<&String> = missed.iter().collect();
    while !lacking.is_empty() {
        let event = stream.next();
        assert_ne!(event.hash(), first, "what was seen is listed in the id");
        lacking.retain(|hash| **hash != event.hash());
    }
}

#[test]
fn the_text_of_an_erased_memory_is_not_told_again() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let stream = EventStream::listen(&server.url);
    let id = stream.last_id.clone();
    let memory = store(&client, json!({"content": "quetzal-77", "tags": ["saxophone-77"]}));
    let hash = memory["content_hash"].as_str().expect("a hash").to_owned();
    let purge = format!("{}/purge", path(&hash));
    eventually("it is erased", || {
        let answer = client.send("POST", &purge, &[], Vec::new()).expect(200);
        (answer.value()["done"] == true).then_some(())
    });
    let end = store_text(&client, "the end");
    let (mut again, status) = EventStream::resume(&server.url, "/api/events", id.as_deref());
    assert_eq!(status, "resumed");
    let mut told = Vec::new();
    loop {
        let event = again.next();
        if event.hash() == end {
            break;
        }
        told.push(event);
    }
    assert_eq!(told.len(), 2, "stored and deleted: {told:?}");
    for event in told {
        let text = event.data.to_string();
        assert!(!text.contains("quetzal-77") && !text.contains("saxophone-77"), "{text}");
    }
}
