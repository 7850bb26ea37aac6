//! Alerts, each fired by what it warns of: a real node is brought into trouble, and Prometheus
//! judges what the node shows before and after. Between scrapes, time is made up; nothing else is.

use std::net::TcpListener;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::disk::Disk;
use crate::common::embedder::Stub;
use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::{Place, Server};
use crate::common::prometheus::{Course, DISK_LOW, scrape, scrape_with};
use crate::common::proxy::{Mode, Proxy};
use crate::common::rest::{import, search, store_text};

/// Which test fires which alert. What is not here takes longer than a test may, and is fired by
/// made-up series alone (tests/observability/alerts_test.yml): a write that is missed for a minute.
pub const CAUSES: [(&str, &str); 15] = [
    ("MemnodeAlarm", "a_digest_that_is_wrong_fires_for_the_file_and_for_the_peer"),
    ("MemnodeAuditLost", "a_full_disk_fires_for_all_that_it_keeps_from_being_written"),
    ("MemnodeBackupFailing", "a_full_disk_fires_for_all_that_it_keeps_from_being_written"),
    ("MemnodeBackupOld", "a_node_that_never_makes_a_backup_fires_after_days"),
    ("MemnodeDigestsUnequal", "a_digest_that_is_wrong_fires_for_the_file_and_for_the_peer"),
    ("MemnodeDiskLow", "a_full_disk_fires_for_all_that_it_keeps_from_being_written"),
    ("MemnodeDown", "a_node_that_is_gone_fires"),
    ("MemnodeErrors", "a_full_disk_fires_for_all_that_it_keeps_from_being_written"),
    ("MemnodeForgedKey", "a_key_that_was_forged_fires"),
    ("MemnodeNatsAway", "writes_that_cannot_be_sent_fire_while_they_grow"),
    ("MemnodeNotReady", "a_full_disk_fires_for_all_that_it_keeps_from_being_written"),
    ("MemnodeOutboxGrowing", "writes_that_cannot_be_sent_fire_while_they_grow"),
    ("MemnodeRateLimited", "callers_over_their_limit_fire"),
    ("MemnodeSlow", "searches_that_wait_for_their_model_fire"),
    ("MemnodeWebhooksDead", "a_webhook_that_nobody_answers_fires"),
];

/// A node whose model is quick and deterministic.
fn node(stub: &Stub, change: impl FnOnce(Place) -> Place) -> Server {
    change(stub.at(&Place::new())).serve().ready()
}

#[test]
fn nothing_fires_where_all_is_well() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let client = cluster.nodes[0].client();
    store_text(&client, "one");
    search(&client, json!({"query": "one"}));
    let shown = scrape_with(&client, &["memnode_nats_connected 1", "memnode_ready 1"]);
    Course::new().then(shown, 20).fires(&[]);
}

#[test]
fn a_node_that_is_gone_fires() {
    let stub = Stub::new();
    let server = node(&stub, |place| place);
    let client = server.client();
    let course = Course::new().then(scrape(&client), 3);
    server.kill();
    course.then_none_of(&client, 5).fires(&["MemnodeDown"]);
}

#[test]
fn a_full_disk_fires_for_all_that_it_keeps_from_being_written() {
    /// Scrapes, a minute each: rates are over five, and must last for five.
    const COUNT: usize = 12;
    let Some(disk) = Disk::new(16 * 1024) else { return };
    let stub = Stub::new();
    let server = stub.at(&disk.place()).serve().ready();
    let client = server.client();
    store_text(&client, "there is room");
    let mut course = Course::new().then(scrape(&client), 3);
    disk.fill_up(256);
    let refused = |number: usize| {
        // Blanks take room and cost nothing to embed.
        let content = format!("Memory {number}{}on a small disk", " ".repeat(30_000));
        client.post("/api/memories", json!({"content": content})).status == 507
    };
    assert!((0..100).any(refused), "the disk is full");
    client.post("/api/backup/now", json!({})).expect_problem(507, "backup_disk_full");
    scrape_with(&client, &["memnode_ready 0"]);
    for number in 0..COUNT {
        assert!(refused(1_000 + number));
        course = course.then(scrape(&client), 1);
    }
    let lost_count = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("memnode_audit_lost_total "));
        line.expect("it is shown").to_owned()
    };
    let before = lost_count(&scrape(&client));
    assert!(refused(2_000));
    // Entries of writes wait a moment for others.
    let lost = eventually("an entry of the audit log is lost", || {
        let text = scrape(&client);
        (lost_count(&text) != before).then_some(text)
    });
    course.then(lost, 1).fires(&[
        "MemnodeAuditLost",
        "MemnodeBackupFailing",
        DISK_LOW,
        "MemnodeErrors",
        "MemnodeNotReady",
    ]);
}

#[test]
fn callers_over_their_limit_fire() {
    /// More than one a second, for the minute that a scrape stands for.
    const A_MINUTE: usize = 70;
    let stub = Stub::new();
    let server = node(&stub, |place| place.with("MEMNODE_LIMIT_SEARCHES", "1/h burst 1"));
    let client = server.client();
    search(&client, json!({"query": "the only one"}));
    let mut course = Course::new().then(scrape(&client), 1);
    for _ in 0..15 {
        for _ in 0..A_MINUTE {
            client.post("/api/search", json!({"query": "x"})).expect(429);
        }
        course = course.then(scrape(&client), 1);
    }
    course.fires(&["MemnodeRateLimited"]);
}

#[test]
fn searches_that_wait_for_their_model_fire() {
    let stub = Stub::new();
    let address = stub.url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let proxy = Proxy::to(address.expect("an address").parse().expect("an address"));
    let url = format!("http://{}/v1/embeddings", proxy.address());
    let server = node(&stub, |place| place.with("MEMNODE_EMBEDDER_URL", url));
    let client = server.client();
    store_text(&client, "one");
    let mut course = Course::new().then(scrape(&client), 1);
    proxy.set(Mode::Delay(Duration::from_millis(700)));
    for number in 0..4 {
        search(&client, json!({"query": format!("question {number}"), "mode": "semantic"}));
        course = course.then(scrape(&client), 4);
    }
    course.fires(&["MemnodeSlow"]);
}

#[test]
fn a_webhook_that_nobody_answers_fires() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    drop(listener);
    let stub = Stub::new();
    let server = node(&stub, |place| {
        place
            .with("MEMNODE_WEBHOOKS", url)
            .with("MEMNODE_WEBHOOK_SECRET", "a-secret-of-some-length")
            .with("MEMNODE_WEBHOOK_TRIES", "1")
    });
    let client = server.client();
    let course = Course::new().then(scrape(&client), 1);
    store_text(&client, "nobody is told");
    let shown = scrape_with(&client, &["memnode_webhooks_dead_letters 1"]);
    course.then(shown, 12).fires(&["MemnodeWebhooksDead"]);
}

#[test]
fn a_node_that_never_makes_a_backup_fires_after_days() {
    /// Nine days, in samples five minutes apart.
    const COUNT: usize = 9 * 24 * 12;
    let stub = Stub::new();
    let server = node(&stub, |place| place.with("MCP_BACKUP_ENABLED", "true"));
    let shown = scrape_with(
        &server.client(),
        &["memnode_backup_scheduled 1", "memnode_backup_last_timestamp_seconds 0"],
    );
    Course::of_days().then(shown, COUNT).fires(&["MemnodeBackupOld"]);
}

#[test]
fn a_digest_that_is_wrong_fires_for_the_file_and_for_the_peer() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let place = || stub.at(&Place::new());
    let first = place().with("MEMNODE_RECOUNT_INTERVAL", "1s");
    let cluster = Cluster::of(vec![nats], vec![first, place()]);
    let client = cluster.nodes[0].client();
    let equal = "memnode_replication_digest_equal{node=\"node-2\"}";
    let course = Course::new().then(scrape_with(&client, &[&format!("{equal} 1")]), 2);
    // What a bad disk does, behind the back of the node.
    let file = Connection::open(cluster.nodes[0].place.database()).expect("a database");
    let spoil = "UPDATE bucket SET hash = zeroblob(16) WHERE b = (SELECT min(b) FROM bucket)";
    file.execute_batch(spoil).expect("it is changed");
    let damaged = "memnode_alarms{kind=\"file_damaged\"} 1";
    let shown = scrape_with(&client, &[&format!("{equal} 0"), damaged]);
    course.then(shown, 5).fires(&["MemnodeAlarm", "MemnodeDigestsUnequal"]);
}

#[test]
fn a_key_that_was_forged_fires() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let knows = |secret: &str| stub.at(&Place::new()).with("MEMNODE_CLUSTER_SECRET", secret);
    let first = knows("a-secret-of-thirty-two-characters-and-more");
    let second = knows("another-secret-of-thirty-two-characters");
    let cluster = Cluster::of(vec![nats], vec![first, second]);
    let client = cluster.nodes[0].client();
    let course = Course::new().then(scrape(&client), 3);
    cluster.nodes[1].place.run(&["key", "create", "forged", "--scope", "admin"]).ok();
    let shown = scrape_with(&client, &["memnode_alarms{kind=\"forged_key\"} 1"]);
    course.then(shown, 1).fires(&["MemnodeForgedKey"]);
}

#[test]
fn writes_that_cannot_be_sent_fire_while_they_grow() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let mut cluster = Cluster::of(vec![nats], vec![stub.at(&Place::new())]);
    let client = cluster.nodes[0].client();
    // A node that is new waits a while for others before it is ready.
    let well = ["memnode_ready 1", "memnode_nats_connected 1", "memnode_replication_outbox 0"];
    let shown = scrape_with(&client, &well);
    let mut course = Course::new().then(shown, 7);
    cluster.nats[0].kill();
    cluster.nodes[0].wait_until_disconnected();
    for (round, outbox) in [150, 200, 250, 300].into_iter().enumerate() {
        let count = if round == 0 { 150 } else { 50 };
        store_many(&client, round, count);
        let waiting = format!("memnode_replication_outbox {outbox}");
        let shown =
            scrape_with(&client, &["memnode_ready 1", "memnode_nats_connected 0", &waiting]);
        course = course.then(shown, 7);
    }
    course.fires(&["MemnodeNatsAway", "MemnodeOutboxGrowing"]);
}

fn store_many(client: &Client, round: usize, count: usize) {
    let line = |number| json!({"content": format!("memory {number} of round {round}")});
    import(client, &(0..count).map(line).collect::<Vec<_>>());
}
