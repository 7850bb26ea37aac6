//! What nodes do not agree on: concurrent edits, writes that cannot be read, other clusters.

use memnode_cluster::wire::{self, Batch};
use memnode_cluster::{Dot, NodeName, Op, Origin};
use serde_json::{Value, json};

use crate::common::cluster::{Cluster, HEAL_DEADLINE, NAME, Node, STREAM};
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::proxy::Mode;
use crate::common::rest::{path, store_text, text};
use crate::common::stream::Admin;

/// The type of a memory as a node shows it.
fn kind(node: &Node, hash: &str) -> String {
    text(&node.client().get(&path(hash)).expect(200).value()["memory_type"])
}

/// Entries of a list about one field and value.
fn about<'a>(list: &'a Value, field: &str, value: &str) -> Vec<&'a Value> {
    let list = list.as_array().expect("a list").iter();
    list.filter(|entry| entry["field"] == field && entry["value"] == value).collect()
}

#[test]
fn the_loser_of_concurrent_edits_can_be_read_on_every_node() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let hash = store_text(&cluster.nodes[0].client(), "the colour of the boat");
    cluster.digests_equal(HEAL_DEADLINE);
    cluster.network(&[1], Mode::Drop);
    cluster.nodes[1].wait_until_disconnected();
    let kinds = ["by-node-1", "by-node-2"];
    for (node, kind) in cluster.nodes.iter().zip(kinds) {
        node.client().put(&path(&hash), json!({"memory_type": kind})).expect(200);
    }
    cluster.network(&[1], Mode::Pass);
    cluster.digests_equal(HEAL_DEADLINE);

    let winner = kind(&cluster.nodes[0], &hash);
    let lost = if winner == kinds[0] { 1 } else { 0 };
    let (loser, winning) = (&cluster.nodes[lost].name, &cluster.nodes[1 - lost].name);
    for node in &cluster.nodes {
        assert_eq!(kind(node, &hash), winner, "on {}", node.name);
        let told = node.client().get("/api/conflicts").expect(200).value();
        let found = about(&told["conflicts"], "type", kinds[lost]);
        assert_eq!(found.len(), 1, "on {}: {told}", node.name);
        assert!(text(&found[0]["loser"]).starts_with(&format!("{loser}~")), "{told}");
        assert!(text(&found[0]["winner"]).starts_with(&format!("{winning}~")), "{told}");
        assert!(found[0]["clock_ms"].as_u64() > Some(0), "{told}");
        assert_eq!(found[0]["content_hash"], hash);
        let history = format!("{}/history", path(&hash));
        let history = node.client().get(&history).expect(200).value();
        let found = about(&history["losing"], "type", kinds[lost]);
        assert_eq!(found.len(), 1, "on {}: {history}", node.name);
        assert!(text(&found[0]["origin"]).starts_with(loser), "{history}");
        assert!(found[0]["clock_ms"].as_u64() > Some(0), "{history}");
    }
}

/// Ops of a node that nobody hears, made after one that is in the stream.
struct Stranger {
    admin: Admin,
    batch: Batch,
    op: Op,
}

impl Stranger {
    fn after(cluster: &Cluster) -> Stranger {
        let admin = cluster.admin();
        let last = admin.wait_for(STREAM).state.last_sequence;
        let (batch, op) = (1..=last)
            .rev()
            .find_map(|seq| {
                let bytes = zstd::stream::decode_all(&admin.message(STREAM, seq)?.1[..]).ok()?;
                let batch: Batch = wire::from_bytes(&bytes).ok()?;
                let op = Op::decode(batch.ops.last()?).ok()?;
                (op.namespace == "default").then_some((batch, op))
            })
            .expect("a memory was stored");
        Stranger { admin, batch, op }
    }

    fn dot(oseq: u64) -> Dot {
        let node = NodeName::new("stranger").expect("a name");
        Dot { origin: Origin { node, epoch: 1 }, oseq }
    }

    /// The same text in a namespace of its own.
    fn payload(&self, oseq: u64) -> Vec<u8> {
        let op = Op { namespace: "elsewhere".to_owned(), dot: Self::dot(oseq), ..self.op.clone() };
        op.encode().expect("it encodes")
    }

    fn publish(&self, oseq: u64, payload: Vec<u8>) {
        let dot = Self::dot(oseq);
        let batch =
            Batch { origin: dot.origin, lo: oseq, ops: vec![payload.into()], ..self.batch.clone() };
        let bytes = zstd::bulk::compress(&wire::to_bytes(&batch), 1).expect("it packs");
        self.admin.publish(&format!("mem.{NAME}.ev.stranger.{:016x}", 1), &bytes);
    }
}

fn quarantine(node: &Node) -> Value {
    node.client().get("/api/cluster/quarantine").expect(200).value()
}

fn wait_for_quarantine(node: &Node, count: u64) -> Value {
    eventually("the quarantine changes", || {
        let told = quarantine(node);
        (told["count"] == count).then_some(told)
    })
}

#[test]
fn a_write_in_quarantine_is_tried_again_mended_or_given_up() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let hash = store_text(&cluster.nodes[0].client(), "what the stranger saw");
    cluster.digests_equal(HEAL_DEADLINE);
    let stranger = Stranger::after(&cluster);
    let good = stranger.payload(1);
    stranger.publish(1, good[..good.len() / 2].to_vec());
    let decide = |node: &Node, action: &str, oseq: u64| {
        let body = json!({"action": action, "position": Stranger::dot(oseq).to_string()});
        node.client().post("/api/cluster/quarantine", body)
    };
    for node in &cluster.nodes {
        let told = wait_for_quarantine(node, 1);
        let held = &told["quarantine"][0];
        assert_eq!(held["position"], Stranger::dot(1).to_string());
        assert_eq!(held["bytes"], good.len() as u64 / 2, "its content is kept");
        assert!(!text(&held["reason"]).is_empty(), "{told}");
        node.wait_for_alarm("quarantine");
        let tried = decide(node, "retry", 1).expect(200).value();
        assert_eq!((&tried["applied"], &tried["held"]), (&json!(0), &json!(1)), "still broken");
    }

    stranger.publish(1, good);
    for node in &cluster.nodes {
        wait_for_quarantine(node, 0);
        let there = format!("{}?namespace=elsewhere", path(&hash));
        node.client().get(&there).expect(200);
        decide(node, "retry", 1).expect_problem(404, "not_quarantined");
    }
    cluster.digests_equal(HEAL_DEADLINE);

    stranger.publish(2, vec![0xff; 40]);
    cluster.nodes.iter().for_each(|node| drop(wait_for_quarantine(node, 1)));
    decide(&cluster.nodes[0], "void", 2).expect(200);
    let dot = Stranger::dot(2).to_string();
    for node in &cluster.nodes {
        eventually("nobody waits for what was given up", || {
            let read = node.client().with("Memnode-After", &dot).get("/api/memories");
            (read.status == 410).then_some(())
        });
    }
    cluster.digests_equal(HEAL_DEADLINE);
}

#[test]
fn a_file_with_memories_of_its_own_meets_a_cluster_only_when_told_to() {
    let Some(mut cluster) = Cluster::start(1, Version::Newer) else { return };
    let id = text(&cluster.nodes[0].client().get("/api/cluster").expect(200).value()["id"]);
    let theirs = store_text(&cluster.nodes[0].client(), "known in the cluster");
    let place = Place::new();
    place.run(&["add", "known at home"]).ok();
    let list = place.run(&["list", "--json"]).ok().json();
    let mine = text(&list["memories"][0]["content_hash"]);

    cluster.add(place).start();
    cluster.nodes[1].wait_for_alarm("other_cluster");
    let look = |node: &Node, hash: &str| node.client().get(&path(hash)).status;
    assert_eq!((look(&cluster.nodes[0], &mine), look(&cluster.nodes[1], &theirs)), (404, 404));

    cluster.nodes[1].stop();
    let refused = cluster.nodes[1].place.run(&["cluster", "join", &id]).expect_code(1);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    cluster.nodes[1].place.run(&["cluster", "join", &id, "--yes"]).ok();
    cluster.nodes[1].start();
    cluster.ready();
    cluster.digests_equal(HEAL_DEADLINE);
    for node in &cluster.nodes {
        assert_eq!((look(node, &mine), look(node, &theirs)), (200, 200), "on {}", node.name);
    }
}
