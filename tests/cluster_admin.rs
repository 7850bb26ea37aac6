//! What an administrator sees of a cluster of real nodes, and decides about it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::cluster::{Cluster, HEAL_DEADLINE, Node};
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::proxy::Mode;
use crate::common::rest::{path, store_text};
use crate::common::writers::{Ack, Writers};

#[track_caller]
fn told(node: &Node) -> Value {
    node.client().get("/api/cluster").expect(200).value()
}

/// A member of the list of nodes.
fn seen<'a>(told: &'a Value, node: &str) -> Option<&'a Value> {
    told["nodes"].as_array()?.iter().find(|seen| seen["node"] == node)
}

/// Waits until every node hears every other.
fn met(cluster: &Cluster) {
    for node in &cluster.nodes {
        eventually("the nodes hear each other", || {
            let told = told(node);
            let live = told["nodes"].as_array()?.iter().filter(|seen| seen["live"] == true);
            (live.count() == cluster.nodes.len() && told["membership"] == "joined").then_some(())
        });
    }
}

#[test]
fn every_node_tells_of_all() {
    let Some(cluster) = Cluster::start(3, Version::Newer) else { return };
    met(&cluster);
    for node in &cluster.nodes {
        store_text(&node.client(), &format!("from {}", node.name));
    }
    cluster.digests_equal(HEAL_DEADLINE);
    let ids: Vec<Value> = cluster.nodes.iter().map(|node| told(node)["id"].clone()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    for node in &cluster.nodes {
        eventually("all is level", || {
            let told = told(node);
            let level = |seen: &Value| seen["lacks_ops"] == 0 && seen["root"] == told["root"];
            let nodes = told["nodes"].as_array()?;
            let lag = told["origins"].as_array()?.iter().map(|origin| &origin["lag_ops"]);
            let is_level = nodes.iter().all(level) && lag.into_iter().all(|lag| *lag == 0);
            (is_level && told["pruning"]["not_everywhere_ops"] == 0).then_some(())
        });
        let told = told(node);
        assert_eq!((&told["connected"], &told["joining"]), (&json!(true), &json!("done")));
        assert_eq!(told["alarms"], json!([]), "{told}");
        assert!(told["stream"]["last_seq"].as_u64() >= Some(1), "{told}");
        for seen in told["nodes"].as_array().expect("a list") {
            let offset = seen["clock_offset_ms"].as_i64().expect("one machine has one clock");
            assert!(offset.abs() < 10_000, "{seen}");
            assert_eq!(seen["version"], env!("CARGO_PKG_VERSION"));
        }
        let sync = node.client().get("/api/sync/status").expect(200).value();
        assert_eq!((&sync["status"], &sync["is_hybrid"]), (&json!("synchronized"), &json!(true)));
        let health = node.client().get("/api/health/detailed").expect(200).value();
        assert_eq!(health["cluster"]["live_peers"], 2, "{health}");
        let url = cluster.nodes[0].door().lock().expect("no panic").url.clone().expect("it runs");
        let same = node.place.run(&["cluster", "compare", &url]).ok().stdout;
        assert!(same.contains("equals this node: "), "{same}");
        let shown = node.place.run(&["cluster", "status"]).ok().stdout;
        assert!(shown.contains("connected, joined") && shown.contains("no alarms"), "{shown}");
    }
}

#[test]
fn an_erased_memory_is_confirmed_by_every_node() {
    let Some(cluster) = Cluster::start(3, Version::Newer) else { return };
    met(&cluster);
    let hash = store_text(&cluster.nodes[0].client(), "the secret of the three nodes");
    cluster.digests_equal(HEAL_DEADLINE);
    let purge = |node: &Node| {
        let path = format!("{}/purge", path(&hash));
        node.client().send("POST", &path, &[], Vec::new()).expect(200).value()
    };
    let first = purge(&cluster.nodes[1]);
    assert_eq!(first["nodes"].as_array().map(Vec::len), Some(3), "{first}");
    eventually("every node confirms", || (purge(&cluster.nodes[2])["done"] == true).then_some(()));
    for node in &cluster.nodes {
        node.client().get(&path(&hash)).expect_problem(404, "memory_not_found");
    }
    cluster.digests_equal(HEAL_DEADLINE);
}

#[test]
fn a_dead_node_is_forgotten_and_back_when_it_is_heard() {
    let Some(mut cluster) = Cluster::start(2, Version::Newer) else { return };
    met(&cluster);
    let forget = |cluster: &Cluster| {
        let body = json!({"node": "node-2"});
        cluster.nodes[0].client().post("/api/cluster/forget-node", body)
    };
    forget(&cluster).expect_problem(409, "node_lives");
    cluster.nodes[1].stop();
    store_text(&cluster.nodes[0].client(), "while it was away");
    eventually("it is waited for", || {
        let told = told(&cluster.nodes[0]);
        let is_away = seen(&told, "node-2")?["live"] == false;
        (is_away && told["pruning"]["held_back_by"] == json!(["node-2"])).then_some(())
    });
    forget(&cluster).expect(200);
    eventually("it is forgotten", || {
        let told = told(&cluster.nodes[0]);
        let is_forgotten = seen(&told, "node-2")?["state"] == "forgotten";
        (is_forgotten && told["pruning"]["held_back_by"] == json!([])).then_some(())
    });
    cluster.nodes[1].start();
    cluster.ready();
    met(&cluster);
    cluster.digests_equal(HEAL_DEADLINE);
}

#[test]
fn what_is_decided_on_one_node_holds_on_all_at_once() {
    let Some(mut cluster) = Cluster::start(3, Version::Newer) else { return };
    met(&cluster);
    cluster.nodes[2].stop();
    for node in &cluster.nodes[..2] {
        node.wait_until_gone("node-3");
    }
    let client = cluster.nodes[0].client();
    client.post("/api/cluster/forget-node", json!({"node": "node-3"})).expect(200);
    let gone = "node-9~00c0ffee00c0ffee:7";
    let void = json!({"action": "void", "position": gone});
    client.post("/api/cluster/quarantine", void).expect(200);
    for node in &cluster.nodes[..2] {
        eventually("the other node acts too", || {
            let is_forgotten = seen(&told(node), "node-3")?["state"] == "forgotten";
            let read = node.client().with("Memnode-After", gone).get("/api/memories");
            (is_forgotten && read.status == 410).then_some(())
        });
    }
}

#[test]
fn a_new_node_that_wrote_before_it_met_its_cluster_brings_all_of_it() {
    let Some(mut cluster) = Cluster::start(1, Version::Newer) else { return };
    cluster.add(Place::new());
    cluster.network(&[1], Mode::Drop);
    cluster.nodes[1].start();
    cluster.ready();
    let early: Vec<String> =
        (1..=3).map(|n| store_text(&cluster.nodes[1].client(), &format!("early {n}"))).collect();
    cluster.network(&[1], Mode::Pass);
    met(&cluster);
    let late: Vec<String> =
        (1..=6).map(|n| store_text(&cluster.nodes[1].client(), &format!("late {n}"))).collect();
    cluster.digests_equal(HEAL_DEADLINE);
    for hash in early.iter().chain(&late) {
        cluster.nodes[0].client().get(&path(hash)).expect(200);
    }
    assert_eq!(told(&cluster.nodes[1])["alarms"], json!([]));
    // What was never sent leaves nothing to clear, and what was sent can be found.
    for hash in [&early[0], &late[0]] {
        let purge = format!("{}/purge", path(hash));
        eventually("both nodes confirm", || {
            let answer = cluster.nodes[0].client().send("POST", &purge, &[], Vec::new());
            (answer.expect(200).value()["done"] == true).then_some(())
        });
    }
}

#[test]
fn an_erasure_is_confirmed_by_a_node_that_writes_all_the_time() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    met(&cluster);
    let hash = store_text(&cluster.nodes[0].client(), "the secret of a busy node");
    cluster.digests_equal(HEAL_DEADLINE);
    let writers = Writers::start(&cluster.nodes, Ack::Local, 1);
    let purge = format!("{}/purge", path(&hash));
    eventually("both nodes confirm", || {
        let answer = cluster.nodes[1].client().send("POST", &purge, &[], Vec::new());
        (answer.expect(200).value()["done"] == true).then_some(())
    });
    writers.stop();
}

#[test]
fn a_snapshot_is_made_on_demand() {
    let Some(cluster) = Cluster::start(1, Version::Newer) else { return };
    met(&cluster);
    let node = &cluster.nodes[0];
    store_text(&node.client(), "kept");
    let made = node.place.run(&["cluster", "snapshot", "--json"]).ok().json();
    assert!(made["records"].as_u64() >= Some(1), "{made}");
    assert!(made["bytes"].as_u64() > Some(0), "{made}");
    let client = node.client();
    std::thread::scope(|scope| {
        let make = || client.send("POST", "/api/cluster/snapshot", &[], Vec::new()).expect(200);
        let made: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        let made = made.into_iter().map(|made| made.join().expect("made").value());
        let names: BTreeSet<String> = made.map(|made| made["name"].to_string()).collect();
        assert_eq!(names.len(), 4, "those at one time do not get in each other's way");
    });
}
