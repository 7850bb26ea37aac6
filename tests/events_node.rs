//! What a node tells of itself: its health, and how far it is with what it takes over.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::cluster::{Cluster, STREAM};
use crate::common::disk::Disk;
use crate::common::embedder::Stub;
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::proxy::Mode;
use crate::common::rest::{import, text};
use crate::common::socket::Socket;

/// So much later everything comes over a slow network.
const DELAY: Duration = Duration::from_millis(250);
const MEMORY_COUNT: usize = 400;

/// Both kinds of listeners to the same events of one node.
struct Pair {
    stream: EventStream,
    socket: Socket,
}

impl Pair {
    fn of(url: &str, events: &str) -> Self {
        let query = format!("?event={events}");
        let path = format!("/api/events{query}");
        let stream = EventStream::resume(url, &path, None).0;
        let mut socket = Socket::open(url, &query, &[]).expect("it opens");
        assert_eq!(socket.json()["event"], "connection_established");
        Pair { stream, socket }
    }

    /// The next event of those that were asked for, which both are told alike; its name and data.
    #[track_caller]
    fn next(&mut self) -> (String, Value) {
        // Whoever listens is told, too, to read anew, and how far it is.
        let is_about_listening =
            |name: &str| ["connection_established", "position"].contains(&name);
        let told = loop {
            let told = self.stream.next();
            if !is_about_listening(&told.name) {
                break told;
            }
        };
        let message = loop {
            let message = self.socket.json();
            if !is_about_listening(&text(&message["event"])) {
                break message;
            }
        };
        assert_eq!(message["event"], told.name.as_str());
        assert_eq!(message["data"], told.data);
        // It belongs to the moment: nobody goes on from it.
        assert_eq!((told.id, message.get("id")), (None, None));
        assert!(told.data["timestamp"].is_string() && told.data["message"].is_string());
        (told.name, told.data)
    }

    /// The first `health_update` from now on that is as wanted.
    #[track_caller]
    fn health(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (name, told) = self.next();
            assert_eq!(name, "health_update");
            if wanted(&told) {
                return told;
            }
        }
    }
}

#[test]
fn a_full_disk_is_told_of_and_its_end_is_too() {
    let Some(disk) = Disk::new(16 * 1024) else { return };
    let server = disk.place().serve().ready();
    let client = server.client();
    let mut pair = Pair::of(&server.url, "health_update");
    let ballast = disk.fill_up(512);
    let is_full = (0..100).any(|number| {
        // Blanks take room and cost nothing to embed.
        let content = format!("Memory {number}{}on a small disk", " ".repeat(30_000));
        client.post("/api/memories", json!({"content": content})).status == 507
    });
    assert!(is_full);
    let told = pair.health(|told| told["status"] == "unhealthy");
    assert_eq!(told["details"]["store"], "full");
    assert!(text(&told["message"]).contains("disk is full"), "{told}");
    fs::remove_file(ballast).expect("the ballast");
    let told = pair.health(|told| told["status"] == "healthy");
    assert_eq!(told["details"]["store"], "ok");
}

#[test]
fn the_loss_of_the_servers_between_nodes_is_told_of_and_their_return_is_too() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let mut cluster = Cluster::of(vec![nats], vec![Stub::new().at(&Place::new())]);
    let client = cluster.nodes[0].client();
    eventually("it is connected", || {
        (client.get("/api/cluster").value()["connected"] == true).then_some(())
    });
    let mut pair = Pair::of(cluster.nodes[0].url(), "health_update");
    cluster.nats[0].kill();
    let told = pair.health(|told| told["details"]["nats"] == "disconnected");
    assert_eq!((&told["status"], &told["details"]["store"]), (&json!("degraded"), &json!("ok")));
    assert!(text(&told["message"]).contains("NATS: disconnected"), "{told}");
    cluster.nats[0].restart();
    pair.health(|told| told["details"]["nats"] == "connected" && told["status"] == "healthy");
}

#[test]
fn a_new_node_tells_how_far_it_is_with_the_state_of_another() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let mut cluster = Cluster::of(vec![nats], vec![stub.at(&Place::new())]);
    let line = |n| json!({"content": format!("memory {n}")});
    let client = cluster.nodes[0].client();
    import(&client, &(0..MEMORY_COUNT).map(line).collect::<Vec<_>>());
    eventually("all is sent", || {
        let told = client.get("/api/cluster").value();
        (told["outbox"] == 0 && !told["stream"].is_null()).then_some(())
    });
    // Change by change it cannot be had any more.
    cluster.admin().purge(STREAM);

    let node = cluster.add(stub.at(&Place::new()));
    node.links[0].set(Mode::Delay(DELAY));
    node.start();
    let url = node.url().to_owned();
    let mut pair = Pair::of(&url, "sync_progress,sync_completed");
    let mut health = Pair::of(&url, "health_update");
    let mut changes = EventStream::listen(&url);
    let (mut progress_count, mut synced) = (0, 0);
    let done = loop {
        let (name, told) = pair.next();
        assert_eq!(told["sync_type"], "joining", "{told}");
        let count = |member: &str| told[member].as_u64().expect("a number");
        if name == "sync_completed" {
            break told;
        }
        assert_eq!(name, "sync_progress");
        assert!(count("synced_count") >= synced, "it only grows: {told}");
        assert!(count("total_count") >= MEMORY_COUNT as u64, "{told}");
        assert_eq!(count("total_count"), count("synced_count") + count("remaining_count"));
        (progress_count, synced) = (progress_count + 1, count("synced_count"));
    };
    assert!(progress_count > 0);
    assert!(done["synced_count"].as_u64() >= Some(MEMORY_COUNT as u64), "{done}");
    assert_eq!(done["total_count"], done["synced_count"]);
    assert!(done["time_taken_seconds"].as_f64() > Some(0.0), "{done}");
    health.health(|told| told["details"]["joined"] == true && told["status"] == "healthy");
    // Record by record it was stored here, and so each was told of.
    for _ in 0..MEMORY_COUNT {
        changes.next_named("memory_stored");
    }
}
