//! What a node on its own says of its cluster, and what can be decided there.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::Place;
use crate::common::rest::{UNKNOWN, keys, path, search, store, store_text, text};

const NOBODY: &str = "nobody~00000000000000aa:1";

#[track_caller]
fn cluster(client: &Client) -> Value {
    client.get("/api/cluster").expect(200).value()
}

#[test]
fn a_node_on_its_own_tells_of_itself() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let empty = cluster(&client);
    assert_eq!((&empty["enabled"], &empty["connected"]), (&json!(false), &json!(false)));
    assert_eq!((&empty["name"], &empty["node"]), (&json!("memnode"), &json!("test-node")));
    assert_eq!((&empty["membership"], &empty["joining"]), (&json!("pending"), &json!("done")));
    let id = text(&empty["id"]);
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    store_text(&client, "a");
    store_text(&client, "b");
    let told = cluster(&client);
    let digest = client.get("/api/cluster/digest").expect(200).value();
    assert_eq!((&told["root"], &told["applied"]), (&digest["root"], &digest["vector"]));
    assert_eq!(told["membership"], "standalone", "it holds memories of its own");
    let origins = told["origins"].as_array().expect("a list");
    assert_eq!(origins.len(), 1, "{told}");
    assert_eq!(origins[0]["applied"], 2);
    assert_eq!((&origins[0]["lag_ops"], &origins[0]["lag_ms"]), (&json!(0), &json!(0)));
    let nodes = told["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), 1, "{told}");
    let node = &nodes[0];
    assert_eq!((&node["node"], &node["this"]), (&json!("test-node"), &json!(true)));
    assert_eq!((&node["live"], &node["state"]), (&json!(true), &json!("joined")));
    assert_eq!((&node["records"], &node["clock_offset_ms"]), (&json!(2), &json!(0)));
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&node["root"], &node["applied"]), (&digest["root"], &digest["vector"]));
    let nothing = json!([]);
    assert_eq!((&told["alarms"], &told["pruning"]["held_back_by"]), (&nothing, &nothing));
    for absent in ["stream", "transfer"] {
        assert!(told[absent].is_null(), "{told}");
    }
    assert_eq!(told["pruning"]["kept_ops"], 0, "a node without peers keeps no payloads");
}

#[test]
fn the_status_of_old_clients_has_every_key() {
    let server = Place::new().serve().ready();
    let client = server.client();
    store_text(&client, "a");
    let told = client.get("/api/sync/status").expect(200).value();
    let expected = [
        "consecutive_failures",
        "is_hybrid",
        "is_paused",
        "is_running",
        "last_sync_time",
        "next_sync_eta_seconds",
        "operations_failed",
        "operations_pending",
        "operations_processed",
        "status",
        "sync_interval_seconds",
        "time_since_last_sync_seconds",
    ];
    assert_eq!(keys(&told), expected);
    assert_eq!((&told["status"], &told["is_hybrid"]), (&json!("not_configured"), &json!(false)));
    assert_eq!(
        (&told["operations_processed"], &told["operations_pending"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn without_peers_there_are_no_conflicts_and_no_quarantine() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let none = client.get("/api/conflicts").expect(200).value();
    assert_eq!(none, json!({"conflicts": [], "count": 0, "next_before": null}));
    for bad in ["limit=0", "limit=1001", "limit=x", "before=x"] {
        client.get(&format!("/api/conflicts?{bad}")).expect_problem(400, "invalid_query");
    }
    let empty = client.get("/api/cluster/quarantine").expect(200).value();
    assert_eq!(empty, json!({"quarantine": [], "count": 0}));
    let post = |body| client.post("/api/cluster/quarantine", body);
    let tried = post(json!({"action": "retry"})).expect(200).value();
    assert_eq!((&tried["applied"], &tried["held"]), (&json!(0), &json!(0)));
    post(json!({"action": "retry", "position": NOBODY})).expect_problem(404, "not_quarantined");
    post(json!({"action": "retry", "position": "x"})).expect_problem(422, "invalid_position");
    post(json!({"action": "void"})).expect_problem(422, "nothing_named");
    post(json!({"action": "drop"})).expect_problem(422, "invalid_body");
}

#[test]
fn a_write_is_given_up_only_where_it_is_missing() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let stored = client.post("/api/memories", json!({"content": "here"})).expect(200);
    let position = stored.header("memnode-position").expect("a position").to_owned();
    let void = |position: &str| {
        client.post("/api/cluster/quarantine", json!({"action": "void", "position": position}))
    };
    void(&position).expect_problem(409, "already_applied");
    let voided = void(NOBODY).expect(200);
    assert!(voided.header("memnode-position").is_some(), "it is a write too");
    // What is decided is no memory: no list, search or count shows it.
    let listed = client.get("/api/memories?namespace=*").expect(200).value();
    assert_eq!(listed["total"], 1, "{listed}");
    let found = search(&client, json!({"query": "void nobody", "namespace": "*"}));
    assert_eq!(found["results"].as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn only_a_known_node_that_is_away_is_forgotten() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let forget = |node: &str| client.post("/api/cluster/forget-node", json!({"node": node}));
    forget("nobody").expect_problem(404, "node_not_found");
    forget("test-node").expect_problem(409, "own_node");
    forget("").expect_problem(422, "invalid_node");
    forget(" x").expect_problem(422, "invalid_node");
    client.post("/api/cluster/forget-node", json!({})).expect_problem(422, "invalid_body");
    // The same file under another name: the first one is a node that wrote here once.
    store_text(&client, "from before");
    let place = server.place.clone();
    server.stop();
    let server = place.with("MEMNODE_NODE_ID", "renamed").serve().ready();
    let body = json!({"node": "test-node"});
    let forgotten = server.client().post("/api/cluster/forget-node", body).expect(200).value();
    assert_eq!(forgotten["success"], true);
}

#[test]
fn an_erased_memory_is_gone_from_the_file() {
    const SECRET: &str = "the vault opens with tangerine";
    let server = Place::new().serve().ready();
    let client = server.client();
    let body = json!({"content": SECRET, "tags": ["quince"], "metadata": {"k": "medlar"}});
    let hash = text(&store(&client.with("Idempotency-Key", "k"), body)["content_hash"]);
    let keep = store_text(&client, "another");
    let purge = |hash: &str| client.send("POST", &format!("{}/purge", path(hash)), &[], vec![]);
    let erased = purge(&hash).expect(200);
    let position = erased.header("memnode-position").expect("a position").to_owned();
    let told = erased.value();
    assert_eq!((&told["success"], &told["done"]), (&json!(true), &json!(true)));
    assert_eq!(told["nodes"][0]["node"], "test-node");
    assert_eq!(told["nodes"][0]["status"], "confirmed");
    assert!(!told["unreachable"].as_array().expect("a list").is_empty(), "{told}");
    client.with("Memnode-After", &position).get(&path(&hash)).expect(404);
    client.get(&path(&keep)).expect(200);
    // Asking again only asks: nothing more is written.
    let digest = client.get("/api/cluster/digest").expect(200).value();
    assert_eq!(purge(&hash).expect(200).value()["done"], true);
    assert_eq!(client.get("/api/cluster/digest").expect(200).value(), digest);
    purge(UNKNOWN).expect_problem(404, "memory_not_found");
    purge("nonsense").expect_problem(404, "memory_not_found");

    let place = server.place.clone();
    server.stop();
    let files = std::fs::read_dir(place.path()).expect("a directory");
    for file in files.flatten().filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).expect("a file");
        for word in ["tangerine", "quince", "medlar"] {
            let found = bytes.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!found, "{word} is in {:?}", file.path());
        }
    }
}

#[test]
fn an_erased_text_can_be_written_anew() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let hash = store_text(&client, "again");
    let purge = || {
        let path = format!("{}/purge", path(&hash));
        client.send("POST", &path, &[], vec![]).expect(200).value()
    };
    purge();
    let body = json!({"content": "again"});
    client.post("/api/memories", body).expect_problem(409, "deleted_before");
    store(&client, json!({"content": "again", "restore_deleted": true}));
    assert_eq!(purge()["done"], true);
    client.get(&path(&hash)).expect_problem(404, "memory_not_found");
}

#[test]
fn a_snapshot_is_for_peers() {
    let server = Place::new().serve().ready();
    let answer = server.client().send("POST", "/api/cluster/snapshot", &[], Vec::new());
    answer.expect_problem(409, "no_peers");
}

#[test]
fn where_a_file_belongs_is_decided_on_its_machine() {
    let server = Place::new().serve().ready();
    let client = server.client();
    for call in ["init", "join"] {
        let body = json!({"id": "00".repeat(16)});
        client.post(&format!("/api/cluster/{call}"), body).expect_problem(403, "local_only");
    }
}
