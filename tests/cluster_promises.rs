//! What clients of a cluster are promised: how sure a write is, and that reads see what they name.

use serde_json::json;

use crate::common::client::Client;
use crate::common::cluster::{Cluster, HEAL_DEADLINE};
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::proxy::Mode;
use crate::common::rest::{path, text};

/// Stores a text with headers; gives status, hash, position and how sure it is.
#[track_caller]
fn store(client: &Client, content: &str) -> (u16, String, String, Option<String>) {
    let answer = client.post("/api/memories", json!({"content": content}));
    assert!(matches!(answer.status, 200 | 202), "{answer:?}: {}", answer.text());
    let header = |name| answer.header(name).map(str::to_owned);
    let position = header("memnode-position").expect("a position");
    (answer.status, text(&answer.value()["content_hash"]), position, header("memnode-ack"))
}

/// So many nodes that have met: a write on each has reached the others.
fn met(count: usize) -> Option<Cluster> {
    let cluster = Cluster::start(count, Version::Newer)?;
    let level = format!("replicated:{}", count - 1);
    for node in &cluster.nodes {
        eventually("the nodes meet", || {
            let asking = node.client().with("Memnode-Ack", &level);
            let body = json!({"content": format!("from {}", node.name)});
            (asking.post("/api/memories", body).status == 200).then_some(())
        });
    }
    Some(cluster)
}

#[test]
fn a_position_is_seen_on_every_node() {
    let Some(cluster) = met(3) else { return };
    for number in 0..10 {
        let writer = &cluster.nodes[number % 3];
        let (_, hash, mut position, _) = store(&writer.client(), &format!("seen {number}"));
        for node in &cluster.nodes {
            // One that had not seen the tag of the node before would add its own to it.
            let reader = node.client().with("Memnode-After", &position);
            reader.get(&path(&hash)).expect(200);
            // An update on another node answers with the creation too.
            let changed = reader.put(&path(&hash), json!({"tags": [node.name]})).expect(200);
            position = changed.header("memnode-position").expect("a position").to_owned();
            let elsewhere = &cluster.nodes[(number + 1) % 3];
            let seen = elsewhere.client().with("Memnode-After", &position).get(&path(&hash));
            let tags = seen.expect(200).value()["tags"].clone();
            assert_eq!(tags, json!([node.name]));
        }
    }
}

#[test]
fn a_write_is_as_sure_as_it_says() {
    let Some(cluster) = met(3) else { return };
    let client = cluster.nodes[0].client();
    for (level, status, reached) in [
        ("local", 200, "local"),
        ("logged", 200, "logged"),
        ("replicated:1", 200, "replicated:1"),
        ("replicated:2", 200, "replicated:2"),
        // There are two peers, so that is as sure as it gets.
        ("replicated:3", 202, "replicated:2"),
    ] {
        let asking = client.with("Memnode-Ack", level).with("Memnode-Ack-Timeout", "3");
        let (found, hash, _, ack) = store(&asking, level);
        assert_eq!((found, ack.as_deref()), (status, Some(reached)), "{level}");
        if reached == "replicated:2" {
            for node in &cluster.nodes {
                node.client().get(&path(&hash)).expect(200);
            }
        }
    }
}

#[test]
fn a_node_that_is_cut_off_answers_with_less() {
    let Some(cluster) = met(2) else { return };
    cluster.network(&[0], Mode::Drop);
    let client = cluster.nodes[0].client();
    for level in ["logged", "replicated:1"] {
        let asking = client.with("Memnode-Ack", level).with("Memnode-Ack-Timeout", "0.5");
        let (status, hash, position, ack) = store(&asking, level);
        assert_eq!((status, ack.as_deref()), (202, Some("local")), "{level}");
        client.get(&path(&hash)).expect(200);
        // The other node does not have it, and says so.
        let other = cluster.nodes[1].client().with("Memnode-After", &position);
        other.get(&path(&hash)).expect_problem(503, "position_not_reached");
    }
    cluster.network(&[0], Mode::Pass);
    cluster.digests_equal(HEAL_DEADLINE);
}
