//! Where writes stand, and reads that ask to see them.

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::node::Place;
use crate::common::rest::{import, path, store_text};

/// The position that a write answers with.
#[track_caller]
fn position(answer: &Answer) -> String {
    answer.header("memnode-position").unwrap_or_else(|| panic!("no position: {answer:?}")).into()
}

/// A position's number, and what stands before it.
#[track_caller]
fn split(position: &str) -> (&str, u64) {
    let (origin, number) = position.rsplit_once(':').expect("a number");
    (origin, number.parse().unwrap_or_else(|_| panic!("not one write: {position}")))
}

fn after(client: &Client, position: &str) -> Client {
    client.with("Memnode-After", position)
}

#[test]
fn every_write_says_where_it_stands() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let stored = client.post("/api/memories", json!({"content": "first"})).expect(200);
    let first = position(&stored);
    let (origin, number) = split(&first);
    assert!(origin.starts_with("test-node~") && number == 1, "{first}");
    let hash = stored.value()["content_hash"].as_str().expect("a hash").to_owned();

    let next = |answer: Answer, number: u64| {
        assert_eq!(position(&answer.expect(200)), format!("{origin}:{number}"));
    };
    let update = json!({"tags": ["x"]});
    // Its memory was created by a write of its own, so a read must see both.
    let changed = client.put(&path(&hash), update).expect(200);
    assert_eq!(position(&changed), format!("{origin}:1-2"));
    next(client.delete(&path(&hash)), 3);
    next(client.send("POST", &format!("{}/restore", path(&hash)), &[], vec![]), 4);
    next(client.post("/api/memories/delete", json!({"tags": ["x"]})), 5);
    let nothing = client.post("/api/memories/delete", json!({"tags": ["none"]})).expect(200);
    assert_eq!(nothing.header("memnode-position"), None, "nothing stands behind nothing");
}

#[test]
fn a_write_that_changes_nothing_names_the_one_that_did() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let body = json!({"content": "the same"});
    let first = client.post("/api/memories", body.clone()).expect(200);
    let again = client.post("/api/memories", body).expect(200);
    assert_eq!(again.value()["success"], false);
    assert_eq!(position(&again), position(&first));
    let hash = first.value()["content_hash"].as_str().expect("a hash").to_owned();
    let restored = client.send("POST", &format!("{}/restore", path(&hash)), &[], vec![]);
    assert_eq!(position(&restored.expect(200)), position(&first), "it is live");
}

#[test]
fn a_repeated_request_gets_the_position_of_the_first() {
    let server = Place::new().serve().ready();
    let client = server.client().with("Idempotency-Key", "k");
    let body = json!({"content": "once"});
    let first = client.post("/api/memories", body.clone()).expect(200);
    store_text(&server.client(), "another");
    let again = client.post("/api/memories", body).expect(200);
    assert_eq!(again.value(), first.value());
    assert_eq!(position(&again), position(&first));
    // A deletion, whose answer holds nothing else that could tell the two apart.
    let delete = server.client().with("Idempotency-Key", "d");
    let hash = first.value()["content_hash"].as_str().expect("a hash").to_owned();
    let first = delete.delete(&path(&hash)).expect(200);
    store_text(&server.client(), "a third");
    assert_eq!(position(&delete.delete(&path(&hash)).expect(200)), position(&first));
}

#[test]
fn a_new_text_stands_with_all_its_writes() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let hash = store_text(&client, "old");
    let changed = client.put(&path(&hash), json!({"content": "new"})).expect(200);
    let (origin, _) = position(&changed).rsplit_once(':').map(own).expect("a number");
    assert_eq!(position(&changed), format!("{origin}:2-3"), "the new one, and the old one's end");
}

fn own((origin, number): (&str, &str)) -> (String, String) {
    (origin.to_owned(), number.to_owned())
}

#[test]
fn lines_of_a_batch_stand_each_for_itself() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let hash = store_text(&client, "a");
    let body = json!([{"content": "a"}, {"content": ""}, {"content": "b"}, {"content": "c"}]);
    let answer = client.post("/api/memories/batch", body).expect(200);
    let lines = answer.lines();
    let numbers: Vec<Value> = lines.iter().map(|line| line["position"].clone()).collect();
    let (origin, _) = position(&answer).rsplit_once(':').map(own).expect("a number");
    assert_eq!(position(&answer), format!("{origin}:2-3"), "what is new: {lines:?}");
    let at = |number: u64| json!(format!("{origin}:{number}"));
    assert_eq!(numbers, [at(1), Value::Null, at(2), at(3)]);
    assert_eq!(lines[0]["content_hash"], hash);

    let imported = import(&client, &[json!({"content": "d"})]);
    assert_eq!(imported[0]["position"], at(4));
}

#[test]
fn a_read_sees_the_writes_that_it_names() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let stored = client.post("/api/memories", json!({"content": "seen"})).expect(200);
    let position = position(&stored);
    let hash = stored.value()["content_hash"].as_str().expect("a hash").to_owned();
    for given in [position.clone(), format!("{position}, {position}"), String::new()] {
        after(&client, &given).get(&path(&hash)).expect(200);
        after(&client, &given).post("/api/search", json!({"query": "seen"})).expect(200);
    }
    // Positions of another run, as after a restart, are as good.
    let place = server.place.clone();
    server.stop();
    let server = place.serve().ready();
    after(&server.client(), &position).get(&path(&hash)).expect(200);
}

#[test]
fn a_read_that_cannot_see_a_write_says_so() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let stored = client.post("/api/memories", json!({"content": "here"})).expect(200);
    let here = position(&stored);
    let (origin, number) = split(&here);
    for missing in [
        format!("{origin}:{}", number + 1),
        format!("{here}, {origin}:{}", number + 1),
        format!("{origin}:1-{}", number + 1),
        "elsewhere~00000000000000aa:1".to_owned(),
    ] {
        let answer = after(&client, &missing).get("/api/memories");
        let answer = answer.expect_problem(503, "position_not_reached");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    // Writes wait too: they would not find what they are to change.
    let missing = after(&client, "elsewhere~00000000000000aa:1");
    let refused = missing.post("/api/memories", json!({"content": "not made"}));
    refused.expect_problem(503, "position_not_reached");
    let total = client.get("/api/memories").expect(200).value()["total"].clone();
    assert_eq!(total, 1, "nothing was written");
}

#[test]
fn positions_are_bounded_and_read_strictly() {
    let server = Place::new().with("MCP_API_KEY", "k").serve().ready();
    let client = server.client().with("X-API-Key", "k");
    let many: Vec<String> = (1..=101).map(|n| format!("a~00000000000000aa:{}", 2 * n)).collect();
    for bad in ["x", "a:1", "a~00000000000000aa:0", "a~00000000000000aa:2-1", &many.join(",")] {
        after(&client, bad).get("/api/memories").expect_problem(400, "invalid_position");
    }
    // A stranger does not wait, and does not learn what is applied.
    let stranger = after(&server.client(), "a~00000000000000aa:1");
    stranger.get("/api/memories").expect_problem(401, "credential_missing");
}

#[test]
fn a_node_on_its_own_promises_no_more_than_it_can_hold() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let ask = |level: &str| client.with("Memnode-Ack", level);
    let local = ask("local").post("/api/memories", json!({"content": "sure"})).expect(200);
    assert_eq!(local.header("memnode-ack"), Some("local"));
    let hash = local.value()["content_hash"].as_str().expect("a hash").to_owned();
    let plain = client.get(&path(&hash)).expect(200);
    assert_eq!(plain.header("memnode-ack"), None);
    for level in ["logged", "replicated:1", "replicated:16"] {
        let asking = ask(level);
        let refused = asking.post("/api/memories", json!({"content": "not made"}));
        let refused = refused.expect_problem(409, "no_peers").text();
        assert!(refused.contains("MEMNODE_NATS_URL"), "{refused}");
        asking.put(&path(&hash), json!({"tags": ["x"]})).expect_problem(409, "no_peers");
        asking.delete(&path(&hash)).expect_problem(409, "no_peers");
        let batch = asking.post("/api/memories/batch", json!([{"content": "not made"}]));
        batch.expect_problem(409, "no_peers");
    }
    for level in ["most", "replicated:0", "replicated:17", "replicated:x"] {
        let refused = ask(level).post("/api/memories", json!({"content": "not made"}));
        refused.expect_problem(400, "invalid_ack");
    }
    let slow = ask("local").with("Memnode-Ack-Timeout", "soon");
    slow.post("/api/memories", json!({"content": "not made"})).expect_problem(400, "invalid_ack");
    let listed = client.get("/api/memories").expect(200).value();
    assert_eq!((&listed["total"], &listed["memories"][0]["tags"]), (&json!(1), &json!([])));
}
