//! NATS servers that die, forget and lie while clients write to all nodes.

use memnode_cluster::wire::{self, Batch};
use memnode_cluster::{NodeName, Origin};

use crate::common::cluster::{Cluster, NAME, STREAM};
use crate::common::damage::flip_bits;
use crate::common::nats::{NatsServer, Version};
use crate::common::trial::{NODE_COUNT, Trial};

fn the_server_is_killed(version: Version) {
    let Some(mut trial) = Trial::start("kill -9 of NATS, twice", version) else { return };
    for _ in 0..2 {
        trial.cluster.nats[0].kill();
        trial.expect_disconnected(0);
        trial.go_on();
        trial.cluster.nats[0].restart();
        trial.go_on();
    }
    trial.finish();
}

#[test]
fn nodes_go_on_without_the_server_and_catch_up() {
    the_server_is_killed(Version::Newer);
}

#[test]
fn nodes_go_on_without_the_server_and_catch_up_older() {
    the_server_is_killed(Version::Older);
}

fn the_storage_is_wiped(version: Version) {
    let Some(mut trial) = Trial::start("NATS storage wiped", version) else { return };
    trial.cluster.nats[0].kill();
    trial.go_on();
    trial.cluster.nats[0].wipe();
    trial.cluster.nats[0].restart();
    trial.expect_alarm(0, "stream_replaced");
    trial.finish();
}

#[test]
fn nodes_survive_the_loss_of_all_the_server_had() {
    the_storage_is_wiped(Version::Newer);
}

#[test]
fn nodes_survive_the_loss_of_all_the_server_had_older() {
    the_storage_is_wiped(Version::Older);
}

fn the_stream_is_deleted(version: Version) {
    let fault = "stream deleted, and deleted and recreated";
    let Some(mut trial) = Trial::start(fault, version) else { return };
    let admin = trial.cluster.admin();
    admin.recreate(STREAM);
    trial.expect_alarm(0, "stream_replaced");
    trial.go_on();
    admin.delete(STREAM);
    trial.go_on();
    admin.wait_for(STREAM);
    trial.finish();
}

#[test]
fn nodes_make_a_deleted_stream_anew_and_notice_a_recreated_one() {
    the_stream_is_deleted(Version::Newer);
}

#[test]
fn nodes_make_a_deleted_stream_anew_and_notice_a_recreated_one_older() {
    the_stream_is_deleted(Version::Older);
}

#[test]
fn events_that_vanish_before_a_node_read_them_are_asked_of_peers() {
    let Some(mut trial) = Trial::start("stream limited, old events vanish", Version::Newer) else {
        return;
    };
    trial.cluster.nodes[2].kill();
    trial.go_on();
    trial.cluster.admin().limit_messages(STREAM, 3);
    trial.go_on();
    trial.cluster.nodes[2].start();
    trial.expect_alarm(2, "stream_truncated");
    trial.finish();
}

#[test]
fn a_damaged_block_file_costs_nothing() {
    let Some(mut trial) = Trial::start("block file bit-flipped", Version::Newer) else { return };
    trial.cluster.nodes[2].kill();
    trial.go_on();
    trial.cluster.nats[0].kill();
    let blocks = trial.cluster.nats[0].blocks();
    assert!(!blocks.is_empty(), "there is a block file");
    flip_bits(&blocks[0]);
    trial.cluster.nats[0].restart();
    trial.cluster.nodes[2].start();
    trial.finish();
}

#[test]
fn three_servers_may_lose_one_and_then_two() {
    let Some(servers) = NatsServer::start_three(Version::Newer) else { return };
    let cluster = Cluster::on(servers.into(), NODE_COUNT);
    let mut trial = Trial::on("R3: one of three servers down, then two", Version::Newer, cluster);
    trial.cluster.nats[0].kill();
    trial.go_on();
    trial.cluster.nats[1].kill();
    trial.go_on();
    for index in 0..2 {
        trial.cluster.nats[index].restart();
    }
    trial.finish();
}

#[test]
fn a_poison_message_is_told_of_and_passed_by() {
    let Some(mut trial) = Trial::start("poison message published by hand", Version::Newer) else {
        return;
    };
    let admin = trial.cluster.admin();
    let (subject, good) = admin.last_message(STREAM);
    admin.publish(&subject, b"not a batch at all");
    admin.publish(&subject, &[]);
    admin.publish(&subject, &good[..good.len() / 2]);
    let mut damaged = good;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    admin.publish(&subject, &damaged);
    for node in 0..NODE_COUNT {
        trial.expect_alarm(node, "undecodable");
    }
    trial.finish();
}

/// A batch of a node that nobody knows, whose first op is none.
fn poisoned(good: &[u8]) -> (String, Vec<u8>) {
    let bytes = zstd::stream::decode_all(good).expect("a message of a node");
    let mut batch: Batch = wire::from_bytes(&bytes).expect("a batch");
    let node = NodeName::new("poisoner").expect("a name");
    batch.origin = Origin { node, epoch: 1 };
    batch.lo = 1;
    batch.ops.truncate(1);
    batch.ops[0] = vec![0xff; 40].into();
    let bytes = zstd::bulk::compress(&wire::to_bytes(&batch), 1).expect("it packs");
    (format!("mem.{NAME}.ev.poisoner.{:016x}", 1), bytes)
}

#[test]
fn a_poisoned_write_is_put_aside_and_told_of() {
    let Some(mut trial) = Trial::start("poisoned write published by hand", Version::Newer) else {
        return;
    };
    let admin = trial.cluster.admin();
    let (subject, message) = poisoned(&admin.last_message(STREAM).1);
    admin.publish(&subject, &message);
    for node in 0..NODE_COUNT {
        trial.expect_alarm(node, "quarantine");
    }
    trial.finish();
}
