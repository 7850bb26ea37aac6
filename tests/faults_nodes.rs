//! Nodes that die, hang and come back while clients write to all of them.

use crate::common::cluster::Cluster;
use crate::common::disk::Disk;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::rest::store_text;
use crate::common::trial::{NODE_COUNT, Trial, WRITE_COUNT};
use crate::common::writers::{Ack, Writers};

fn nodes_are_killed(version: Version) {
    let Some(mut trial) = Trial::start("kill -9 of each node in mid-write", version) else {
        return;
    };
    for index in 0..NODE_COUNT {
        trial.cluster.nodes[index].kill();
        trial.go_on();
        trial.cluster.nodes[index].start();
        trial.go_on();
    }
    trial.finish();
}

#[test]
fn nodes_that_are_killed_in_mid_write_lose_nothing() {
    nodes_are_killed(Version::Newer);
}

#[test]
fn nodes_that_are_killed_in_mid_write_lose_nothing_older() {
    nodes_are_killed(Version::Older);
}

#[test]
fn a_node_that_is_killed_in_mid_apply_loses_nothing() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let cluster = Cluster::on(vec![server], NODE_COUNT);
    let writers = Writers::start(&cluster.nodes[..2], Ack::Local, 1);
    let fault = "kill -9 of a node in mid-apply";
    let mut trial = Trial::with(fault, Version::Newer, cluster, writers);
    for _ in 0..3 {
        trial.cluster.nodes[2].kill();
        trial.go_on();
        trial.cluster.nodes[2].start();
        // It has applied some of what came in the meantime, and more is coming.
        trial.cluster.nodes[2].wait_for_growth();
    }
    trial.finish();
}

#[test]
fn a_node_that_hangs_for_a_while_catches_up() {
    let Some(mut trial) = Trial::start("SIGSTOP of a node", Version::Newer) else { return };
    trial.cluster.nodes[1].signal("STOP");
    trial.expect_gone(0, "node-2");
    // Every client is caught by the silent node now and then.
    trial.writers.progress(WRITE_COUNT / 4);
    trial.cluster.nodes[1].signal("CONT");
    trial.finish();
}

#[test]
fn a_node_without_room_catches_up_when_there_is_some_again() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let Some(disk) = Disk::new(24 * 1024) else { return };
    let places = vec![Place::new(), Place::new(), disk.place()];
    let cluster = Cluster::of(vec![server], places);
    let mut trial = Trial::on("disk of a node full", Version::Newer, cluster);
    let ballast = disk.fill_up(0);
    trial.go_on();
    trial.expect_alarm(2, "apply_failing");
    std::fs::remove_file(ballast).expect("the ballast");
    trial.finish();
}

#[test]
fn a_node_whose_missing_events_are_gone_takes_over_the_state_of_a_peer() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    // So little is kept for peers that it cannot be asked for later.
    let place = || Place::new().with("MEMNODE_OP_BYTES_MAX", "1MiB");
    let cluster = Cluster::of(vec![server], vec![place(), place(), place()]);
    let mut trial = Trial::on("node back after its events expired", Version::Newer, cluster);
    trial.cluster.nodes[2].kill();
    let client = trial.cluster.nodes[0].client();
    for number in 0..50 {
        // Blanks take room and cost nothing to embed.
        store_text(&client, &format!("Text {number}{}is long", " ".repeat(30_000)));
    }
    trial.go_on();
    trial.expect_alarm(0, "pruned_early");
    trial.cluster.admin().purge(crate::common::cluster::STREAM);
    trial.cluster.nodes[2].start();
    trial.finish();
}

/// A cluster whose clients are content only with writes that two nodes have.
fn replicated(fault: &str) -> Option<Trial> {
    let server = NatsServer::start(Version::Newer)?;
    let cluster = Cluster::on(vec![server], NODE_COUNT);
    let writers = Writers::start(&cluster.nodes, Ack::Replicated, 2);
    Some(Trial::with(fault, Version::Newer, cluster, writers))
}

#[test]
fn a_node_with_an_old_backup_gets_back_all_that_others_have() {
    let Some(mut trial) = replicated("old backup restored on a node") else { return };
    let node = &mut trial.cluster.nodes[2];
    node.stop();
    let backup = node.back_up();
    node.start();
    trial.go_on();
    let node = &mut trial.cluster.nodes[2];
    node.kill();
    node.restore(&backup);
    node.start();
    trial.finish();
}

#[test]
fn a_copied_data_directory_becomes_a_node_of_its_own() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let mut cluster = Cluster::on(vec![server], NODE_COUNT);
    Writers::start(&cluster.nodes, Ack::Local, 3).progress(WRITE_COUNT);
    cluster.nodes[0].kill();
    let place = cluster.nodes[0].back_up().place();
    cluster.nodes[0].start();
    cluster.add(place).start();
    Trial::on("data directory copied to a node of another name", Version::Newer, cluster).finish();
}

#[test]
fn two_nodes_of_one_name_lose_nothing_and_are_told_of() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let mut cluster = Cluster::on(vec![server], NODE_COUNT);
    Writers::start(&cluster.nodes, Ack::Local, 4).progress(WRITE_COUNT);
    cluster.nodes[0].kill();
    let place = cluster.nodes[0].back_up().place();
    cluster.nodes[0].start();
    cluster.add_named("node-1", place).start();
    let fault = "data directory copied, both run under one name";
    let mut trial = Trial::on(fault, Version::Newer, cluster);
    trial.expect_alarm(1, "two_nodes_one_name");
    trial.finish();
}
