//! API keys: made, used, replaced, revoked; and what they are worth on other nodes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::events::EventStream;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::proxy::Mode;
use crate::common::rest::{path, store, store_text, text};
use crate::common::{eventually, within};

/// What a test's cluster shares and its NATS server does not know.
const SECRET: &str = "a secret that only the nodes know, or not";
/// How soon every node must know of a revocation.
const SECONDS: Duration = Duration::from_secs(5);

/// A key that the command line made: its id and its text.
fn create(place: &Place, arguments: &[&str]) -> (String, String) {
    let made = place.run(&[&["--json", "key", "create"], arguments].concat()).ok().json();
    (text(&made["key"]["id"]), text(&made["secret"]))
}

fn with(client: &Client, key: &str) -> Client {
    client.with("authorization", &format!("Bearer {key}"))
}

fn secret() -> String {
    SECRET.replace(' ', "-")
}

#[test]
fn a_key_is_made_listed_replaced_and_revoked_on_the_command_line() {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    client.get("/api/memories").expect(200);
    let arguments = ["laptop", "--scope", "read:notes", "--expires", "90d", "--limit", "reads=9"];
    let (id, key) = create(&place, &arguments);
    assert!(key.starts_with(&format!("mnk_{id}_")), "{key}");
    // From the first key on nobody comes in without one.
    client.get("/api/memories").expect_problem(401, "credential_missing");
    with(&client, &key).get("/api/memories?namespace=notes").expect(200);
    with(&client, &key).get("/api/memories").expect_problem(403, "scope_missing");
    client.get(&format!("/api/memories?namespace=notes&api_key={key}")).expect(200);
    client.with("x-api-key", &key).get("/api/memories?namespace=notes").expect(200);

    let listed = place.run(&["--json", "key", "list"]).ok().json();
    let listed = &listed["keys"][0];
    assert_eq!((&listed["id"], &listed["name"]), (&json!(id), &json!("laptop")));
    assert_eq!((&listed["status"], &listed["scopes"]), (&json!("active"), &json!(["read:notes"])));
    assert_eq!(listed["limits"]["reads"], 9);
    assert!(listed["last_used_at_iso"].is_string() && listed["expires_at_iso"].is_string());
    let shown = place.run(&["key", "list"]).ok().stdout;
    assert!(shown.contains("laptop") && !shown.contains(&key[30..]), "{shown}");

    let rotated = place.run(&["--json", "key", "rotate", &id, "--grace", "1h"]).ok().json();
    let new = text(&rotated["secret"]);
    for key in [&key, &new] {
        with(&client, key).get("/api/memories?namespace=notes").expect(200);
    }
    let rotated = place.run(&["--json", "key", "rotate", &id]).ok().json();
    let newest = text(&rotated["secret"]);
    for old in [&key, &new] {
        with(&client, old).get("/api/tags").expect_problem(401, "invalid_credential");
    }
    with(&client, &newest).get("/api/memories?namespace=notes").expect(200);

    place.run(&["key", "revoke", &id]).ok();
    with(&client, &newest).get("/api/tags").expect_problem(401, "credential_revoked");
    place.run(&["key", "rotate", &id]).expect_code(1);
    place.run(&["key", "revoke", &id]).ok();
    place.run(&["key", "revoke", "0000000000000000"]).expect_code(1);
    // Revoking the last one does not open the door.
    client.get("/api/memories").expect_problem(401, "credential_missing");
    drop(server);
    let again = place.serve();
    with(&again.client(), &newest).get("/api/tags").expect_problem(401, "credential_revoked");
    again.client().get("/api/tags").expect_problem(401, "credential_missing");
}

#[test]
fn keys_are_made_without_a_server_and_open_a_node_to_other_machines() {
    let place = Place::new();
    let open = ["serve", "--http-port", "0", "--http-host", "0.0.0.0"];
    let refused = place.run(&open).expect_code(64);
    for way in ["memnode key create", "MCP_API_KEY", "MCP_ALLOW_ANONYMOUS_ACCESS=true"] {
        assert!(refused.stderr.contains(way), "{}", refused.stderr);
    }
    let (_, key) = create(&place, &["agent"]);
    let secret = place.path().join("memnode.db.secret");
    let mode = std::fs::metadata(secret).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = place.serve_with(&["--http-host", "0.0.0.0"]);
    let client = server.client();
    client.get("/api/memories").expect_problem(401, "credential_missing");
    with(&client, &key).get("/api/memories").expect(200);
    // Read and write, and no more.
    let refused = with(&client, &key).get("/api/admin/keys");
    let refused = refused.expect_problem(403, "scope_missing");
    assert!(refused.text().contains("`admin`"), "{}", refused.text());
}

#[test]
fn what_no_key_can_be_is_refused() {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    for (body, status) in [
        (json!({}), 422),
        (json!({"name": ""}), 422),
        (json!({"name": "x", "scopes": ["read:_keys"]}), 422),
        (json!({"name": "x", "scopes": ["root"]}), 422),
        (json!({"name": "x", "limits": {"reads": 0}}), 422),
        (json!({"name": "x", "limits": {"walks": 1}}), 422),
        (json!({"name": "x", "expires_in_seconds": 0}), 422),
        (json!({"name": "x", "secret": "mine"}), 422),
    ] {
        assert_eq!(client.post("/api/admin/keys", body.clone()).status, status, "{body}");
    }
    assert_eq!(client.get("/api/admin/keys").expect(200).value(), json!({"keys": [], "count": 0}));
    client.delete("/api/admin/keys/none").expect_problem(404, "key_not_found");
    place.run(&["key", "create", "x", "--scope", "root"]).expect_code(65);
    place.run(&["key", "create", "x", "--expires", "soon"]).expect_code(64);
    place.run(&["key", "revoke", "../../memories"]).expect_code(64);
}

#[test]
fn nothing_that_anyone_reads_shows_a_key() {
    let place = Place::new();
    let server = place.serve().ready();
    let (id, key) = create(&place, &["marker-of-a-key"]);
    let admin = create(&place, &["root", "--scope", "admin"]).1;
    let client = with(&server.client(), &admin);
    store_text(&client, "a memory");
    for path in [
        "/api/memories?namespace=*",
        "/api/export?namespace=*",
        "/api/tags?namespace=*",
        "/api/types?namespace=*",
        "/api/conflicts",
        "/api/cluster",
        "/api/cluster/quarantine",
        "/api/cluster/digest",
        "/api/backup/list",
        "/api/analytics/overview",
        "/api/map?namespace=*",
        "/api/health/detailed",
    ] {
        let answer = client.get(path).expect(200);
        for secret in [id.as_str(), &key, "marker-of-a-key", "_keys"] {
            assert!(!answer.text().contains(secret), "{path}: {}", answer.text());
        }
    }
    let stats = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(stats["statistics"]["total_memories"], 1);
    for path in ["/api/memories?namespace=_keys", "/api/export?namespace=_keys"] {
        assert_eq!(client.get(path).status, 400, "{path}");
    }
    let query = json!({"query": "marker", "namespace": "*", "mode": "keyword"});
    assert_eq!(client.post("/api/search", query).expect(200).value()["total_found"], 0);
}

#[test]
fn streams_and_tickets_end_with_their_key() {
    let place = Place::new();
    let server = place.serve().ready();
    let (id, key) = create(&place, &["agent"]);
    let client = with(&server.client(), &key);
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str())];
    let mut stream = EventStream::open(&server.url, "/api/events", &headers);
    let issued = client.post("/api/events/ticket", json!({})).expect(200).value();
    let hash = store_text(&client, "heard");
    assert_eq!(stream.next_named("memory_stored").hash(), hash);
    place.run(&["key", "revoke", &id]).ok();
    assert!(
        within(SECONDS, Duration::ZERO, || stream.try_next().is_none().then_some(())).is_some()
    );
    let path = format!("/api/events?ticket={}", text(&issued["ticket"]));
    server.client().get(&path).expect_problem(401, "invalid_ticket");

    let (_, key) = create(&place, &["short", "--expires", "3s"]);
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str())];
    let mut stream = EventStream::open(&server.url, "/events", &headers);
    assert_eq!(stream.next().name, "connection_established");
    while stream.try_next().is_some() {}
    with(&server.client(), &key).get("/api/tags").expect_problem(401, "credential_expired");
}

#[test]
fn a_key_revoked_on_one_node_is_refused_on_all_within_seconds() {
    let Some(nats) = crate::common::nats::NatsServer::start(Version::Newer) else { return };
    let place = || Place::new().with("MEMNODE_CLUSTER_SECRET", secret());
    let mut cluster = Cluster::of(vec![nats], vec![place(), place()]);
    let (id, key) = create(&cluster.nodes[0].place, &["agent", "--scope", "admin"]);
    let clients = |cluster: &Cluster| {
        [0, 1].map(|node: usize| with(&Client::new(cluster.nodes[node].url()), &key))
    };
    eventually("both nodes know the key", || {
        clients(&cluster).iter().all(|c| c.get("/api/tags").status == 200).then_some(())
    });
    // The second node is away while the key is revoked on the first.
    cluster.network(&[1], Mode::Drop);
    clients(&cluster)[0].delete(&format!("/api/admin/keys/{id}")).expect(200);
    clients(&cluster)[0].get("/api/tags").expect_problem(401, "credential_revoked");
    clients(&cluster)[1].get("/api/tags").expect(200);
    cluster.network(&[1], Mode::Pass);
    eventually("the node that was away knows it", || {
        (clients(&cluster)[1].get("/api/tags").status == 401).then_some(())
    });
    // The other way round, with both there.
    let (id, key) = create(&cluster.nodes[1].place, &["agent"]);
    let first = with(&Client::new(cluster.nodes[0].url()), &key);
    eventually("the first knows it", || (first.get("/api/tags").status == 200).then_some(()));
    cluster.nodes[1].place.run(&["key", "revoke", &id]).ok();
    let refused = || (first.get("/api/tags").status == 401).then_some(());
    assert!(within(SECONDS, Duration::from_millis(20), refused).is_some(), "not within seconds");
    // A node that comes back with what it had knows it too.
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.nodes[0].ready();
    let first = with(&Client::new(cluster.nodes[0].url()), &key);
    first.get("/api/tags").expect_problem(401, "credential_revoked");
}

#[test]
fn a_node_without_the_secret_makes_no_keys_and_one_with_another_is_not_believed() {
    let Some(nats) = crate::common::nats::NatsServer::start(Version::Newer) else { return };
    let places = vec![
        Place::new().with("MEMNODE_CLUSTER_SECRET", secret()),
        Place::new(),
        Place::new().with("MEMNODE_CLUSTER_SECRET", "another-secret-of-thirty-two-characters"),
    ];
    let cluster = Cluster::of(vec![nats], places);
    let refused = cluster.nodes[1].client().post("/api/admin/keys", json!({"name": "x"}));
    let refused = refused.expect_problem(409, "cluster_secret_missing");
    assert!(refused.text().contains("MEMNODE_CLUSTER_SECRET"));
    let first = cluster.nodes[0].client();
    let url = cluster.nodes[0].url();
    let mut health = EventStream::resume(url, "/api/events?event=health_update", None).0;
    let forged = create(&cluster.nodes[2].place, &["forged", "--scope", "admin"]).1;
    let held: Value = eventually("the forged key lies in quarantine", || {
        let held = first.get("/api/cluster/quarantine").value();
        (held["count"].as_u64() > Some(0)).then_some(held)
    });
    assert!(held.to_string().contains("without proof"), "{held}");
    for node in 0..2 {
        let client = with(&cluster.nodes[node].client(), &forged);
        client.get("/api/memories").expect_problem(401, "invalid_credential");
    }
    let alarms = || first.get("/api/cluster").expect(200).value()["alarms"].to_string();
    assert!(alarms().contains("forged_key"), "{}", alarms());
    let names_it = |told: &Value| told["details"]["alarms"].to_string().contains("forged_key");
    assert_eq!(health.next_as("health_update", names_it)["status"], "degraded");
    let shown = |value: &str| {
        let line = format!("memnode_alarms{{kind=\"forged_key\"}} {value}");
        let text = first.get("/metrics").expect(200).text();
        text.lines().any(|shown| shown == line).then_some(())
    };
    eventually("the metric shows it", || shown("1"));
    // Who has no secret cannot tell, and its door is closed in any case.
    let second = cluster.nodes[1].place.run(&["--json", "cluster", "status"]).ok().stdout;
    assert!(second.contains("alarms") && !second.contains("forged_key"), "{second}");
    for held in held["quarantine"].as_array().expect("a list") {
        let body = json!({"action": "void", "position": held["position"]});
        first.post("/api/cluster/quarantine", body).expect(200);
    }
    eventually("what was given up is over", || shown("0"));
    assert!(!alarms().contains("forged_key"), "{}", alarms());
    health.next_as("health_update", |told| !names_it(told));
}

#[test]
fn keys_that_a_node_made_alone_are_shared_once_there_is_a_secret() {
    let Some(nats) = crate::common::nats::NatsServer::start(Version::Newer) else { return };
    let alone = Place::new();
    let (_, key) = create(&alone, &["older", "--scope", "admin"]);
    let name = "MEMNODE_CLUSTER_SECRET";
    let cluster = Cluster::of(vec![nats], vec![Place::new().with(name, secret())]);
    let url = format!("nats://{}", cluster.nodes[0].links[0].address());
    let joined = alone.with(name, secret()).with("MEMNODE_NODE_ID", "late");
    let joined = joined.with("MEMNODE_CLUSTER", crate::common::cluster::NAME);
    let status = cluster.nodes[0].client().get("/api/cluster").expect(200).value();
    let id = text(&status["id"]);
    joined.run(&["cluster", "join", &id, "--yes"]).ok();
    let server = joined.with("MEMNODE_NATS_URL", url).serve().ready();
    with(&server.client(), &key).get("/api/tags").expect(200);
    let other = with(&cluster.nodes[0].client(), &key);
    eventually("the other node knows it", || (other.get("/api/tags").status == 200).then_some(()));
}

#[test]
fn keys_hold_over_mcp_too() {
    let place = Place::new();
    let server = place.serve().ready();
    let (id, key) = create(&place, &["agent", "--scope", "read:a", "--scope", "write:a"]);
    let client = with(&server.client(), &key);
    store(&client, json!({"content": "of a", "namespace": "a"}));
    let call = |name: &str, arguments: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": arguments}});
        let accept = [("accept", "application/json, text/event-stream")];
        let headers = [accept[0], ("content-type", "application/json")];
        client.send("POST", "/mcp", &headers, body.to_string().into_bytes())
    };
    let found = call("memory_search", json!({"query": "of a", "namespace": "a"})).expect(200);
    assert!(found.text().contains("Found 1 memories"), "{}", found.text());
    let refused = call("memory_search", json!({"query": "x", "namespace": "b"})).expect(200);
    assert!(refused.text().contains("read:b"), "{}", refused.text());
    let refused = call("memory_store", json!({"content": "x", "namespace": "b"})).expect(200);
    assert!(refused.text().contains("write:b"), "{}", refused.text());
    place.run(&["key", "revoke", &id]).ok();
    call("memory_health", json!({})).expect_problem(401, "credential_revoked");
    client.get(&path(crate::common::rest::UNKNOWN)).expect_problem(401, "credential_revoked");
}
