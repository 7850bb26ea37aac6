//! Keys while they are in use: what they opened, on this node and on others, and what they may ask
//! for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::cluster::{Cluster, Node};
use crate::common::embedder::Stub;
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::rest::{store, text};
use crate::common::socket::{Sent, Socket};
use crate::common::within;

/// How soon everything that a key opened must end.
const SECONDS: Duration = Duration::from_secs(5);

/// Both kinds of listeners, opened with a key.
struct Listeners {
    stream: EventStream,
    socket: Socket,
}

impl Listeners {
    fn open(url: &str, key: &str) -> Self {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str())];
        let mut stream = EventStream::open(url, "/api/events", &headers);
        assert_eq!(stream.next().name, "connection_established");
        let mut socket = Socket::open(url, "", &headers).expect("it opens");
        assert_eq!(socket.json()["event"], "connection_established");
        Listeners { stream, socket }
    }

    /// Both hear of a memory.
    #[track_caller]
    fn hear(&mut self, hash: &str) {
        assert_eq!(self.stream.next_named("memory_stored").hash(), hash);
        while self.socket.json()["data"]["content_hash"] != hash {}
    }

    /// Both end soon, each in its own way.
    #[track_caller]
    fn end(mut self) {
        let ended =
            within(SECONDS, Duration::ZERO, || self.stream.try_next().is_none().then_some(()));
        assert!(ended.is_some(), "the stream goes on");
        while let Sent::Json(_) = self.socket.hear() {}
    }
}

fn with(client: &Client, key: &str) -> Client {
    client.with("authorization", &format!("Bearer {key}"))
}

fn create(place: &Place, arguments: &[&str]) -> (String, String) {
    let made = place.run(&[&["--json", "key", "create"], arguments].concat()).ok().json();
    (text(&made["key"]["id"]), text(&made["secret"]))
}

fn stored(client: &Client, content: &str) -> String {
    text(&store(client, json!({"content": content}))["content_hash"])
}

#[test]
fn what_a_key_opened_on_a_peer_ends_when_it_is_revoked_here() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let place = || {
        let secret = "a-secret-of-thirty-two-characters-and-more";
        stub.at(&Place::new()).with("MEMNODE_CLUSTER_SECRET", secret)
    };
    let cluster = Cluster::of(vec![nats], vec![place(), place()]);
    let [here, there]: &[Node; 2] = cluster.nodes.as_slice().try_into().expect("two");
    let (id, key) = create(&here.place, &["agent"]);
    let (_, other) = create(&here.place, &["another", "--limit", "searches=2"]);
    eventually("the peer knows the keys", || {
        [&key, &other]
            .iter()
            .all(|key| with(&there.client(), key).get("/api/tags").status == 200)
            .then_some(())
    });
    let mut ending = Listeners::open(there.url(), &key);
    let mut staying = Listeners::open(there.url(), &other);
    let hash = stored(&with(&here.client(), &key), "heard on the peer");
    ending.hear(&hash);
    staying.hear(&hash);
    here.place.run(&["key", "revoke", &id]).ok();
    ending.end();
    let hash = stored(&with(&here.client(), &other), "heard by who is left");
    staying.hear(&hash);
    // What a key may ask for travels with it; each node counts for itself.
    let client = with(&there.client(), &other);
    let search = || client.post("/api/search", json!({"query": "heard"}));
    search().expect(200);
    search().expect(200);
    search().expect_problem(429, "rate_limited");
}

#[test]
fn what_an_old_secret_opened_ends_after_its_grace_and_the_new_one_goes_on() {
    let stub = Stub::new();
    let server = stub.at(&Place::new()).serve().ready();
    let (id, old) = create(&server.place, &["agent"]);
    let (_, admin) = create(&server.place, &["root", "--scope", "admin"]);
    let mut listeners = Listeners::open(&server.url, &old);
    let rotate = |grace_seconds: u32| -> String {
        let path = format!("/api/admin/keys/{id}/rotate");
        let body = json!({"grace_seconds": grace_seconds});
        let made: Value = with(&server.client(), &admin).post(&path, body).expect(200).value();
        text(&made["secret"])
    };
    let new = rotate(600);
    // Both are good for a while, and what was opened goes on.
    let mut newer = Listeners::open(&server.url, &new);
    let hash = stored(&with(&server.client(), &old), "written with the old secret");
    listeners.hear(&hash);
    newer.hear(&hash);
    let newest = rotate(0);
    listeners.end();
    newer.end();
    for gone in [&old, &new] {
        assert_eq!(with(&server.client(), gone).get("/api/tags").status, 401);
        assert_eq!(
            Socket::open(&server.url, "", &[("authorization", &format!("Bearer {gone}"))]).err(),
            Some(401)
        );
    }
    let hash = stored(&with(&server.client(), &newest), "written with the newest");
    Listeners::open(&server.url, &newest);
    assert!(!hash.is_empty());
}
