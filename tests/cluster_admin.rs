//! What an administrator sees of a cluster of real nodes, and decides about it.

use serde_json::{Value, json};

use crate::common::cluster::{Cluster, HEAL_DEADLINE, Node};
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::rest::{path, store_text};

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
fn a_snapshot_is_made_on_demand() {
    let Some(cluster) = Cluster::start(1, Version::Newer) else { return };
    met(&cluster);
    let node = &cluster.nodes[0];
    store_text(&node.client(), "kept");
    let made = node.place.run(&["cluster", "snapshot", "--json"]).ok().json();
    assert!(made["records"].as_u64() >= Some(1), "{made}");
    assert!(made["bytes"].as_u64() > Some(0), "{made}");
}
