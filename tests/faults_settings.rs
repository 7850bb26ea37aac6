//! Nodes that are not like the others: another clock, another embedding model.

use crate::common::clock::{AHEAD, faketime};
use crate::common::cluster::Cluster;
use crate::common::embedder::Stub;
use crate::common::history::Clocks;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::trial::Trial;

fn the_clock_of_a_node_is_ahead(fault: &str, offset: &str) {
    let Some(library) = faketime() else { return };
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let skewed = Place::new().at_time(&library, offset);
    let cluster = Cluster::of(vec![server], vec![Place::new(), Place::new(), skewed]);
    let mut trial = Trial::on(fault, Version::Newer, cluster);
    for node in 0..2 {
        trial.expect_alarm(node, "clock_ahead");
    }
    trial.finish_with(Clocks::Apart);
}

#[test]
fn a_node_a_day_ahead_does_no_harm() {
    the_clock_of_a_node_is_ahead("clock of a node a day ahead", AHEAD[0]);
}

#[test]
fn a_node_a_year_ahead_does_no_harm() {
    the_clock_of_a_node_is_ahead("clock of a node a year ahead", AHEAD[1]);
}

#[test]
fn a_node_on_another_embedding_model_holds_and_finds_the_same() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let places = vec![Place::new(), Place::new(), stub.at(&Place::new())];
    let cluster = Cluster::of(vec![server], places);
    let trial = Trial::on("node on another embedding model", Version::Newer, cluster);
    let body = serde_json::json!({"content": "the ferry leaves at noon"});
    let stored = trial.cluster.nodes[0].client().post("/api/memories", body).expect(200).value();
    for node in &trial.cluster.nodes {
        node.wait_until_found("ferry leaves at noon", &stored["content_hash"]);
    }
    trial.finish();
}
