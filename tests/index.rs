//! The search index: it follows every write, survives damage, and finds what sqlite-vec finds.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::eventually;
use crate::common::node::{Place, Server};
use crate::common::rest::{contents, import, path, search, store, store_text};

/// More than are scored one by one, and enough for their codes to be kept.
const COUNT: usize = 700;

fn index(client: &Client) -> Value {
    client.get("/api/index").expect(200).value()
}

/// Waits until the index holds so many memories.
fn wait_for(client: &Client, rows: usize) {
    eventually("the index is ready", || {
        let index = index(client);
        (index["status"] == "ready" && index["rows"] == rows).then_some(())
    });
}

/// A node with many short memories of different tags and times.
fn filled() -> (Place, Server, Client) {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    let things = ["printer", "garden", "invoice", "train", "recipe", "guitar", "exam"];
    let verbs = ["moved", "broke", "arrived", "was sold", "got lost", "was found"];
    let memories: Vec<Value> = (0..COUNT)
        .map(|n| {
            let text = format!("{} {} in {}", things[n % 7], verbs[n / 7 % 6], 1300 + n);
            let tag = if n % 3 == 0 { "third" } else { "other" };
            json!({"content": text, "tags": [tag], "created_at": 1_700_000_000.0 + n as f64})
        })
        .collect();
    import(&client, &memories);
    (place, server, client)
}

/// The index and sqlite-vec give the same answer.
fn check_same(client: &Client, body: &Value) {
    let mut exact = body.clone();
    exact["exact"] = true.into();
    let found = search(client, body.clone());
    assert_eq!(found["results"].as_array().map(Vec::len), Some(10), "{body}");
    assert_eq!(contents(&found), contents(&search(client, exact)), "{body}");
}

#[test]
fn the_index_finds_what_sqlite_vec_finds_and_comes_back_from_damage() {
    let (place, server, client) = filled();
    wait_for(&client, COUNT);
    let queries = [
        json!({"query": "the guitar was sold"}),
        json!({"query": "a broken printer", "tags": ["third"]}),
        json!({"query": "who lost the train ticket?", "after": "2023-11-14T22:15:00Z"}),
        json!({"query": "cooking", "tags": ["third", "other"], "tag_match": "any"}),
        json!({"query": "papers for the office", "mode": "hybrid"}),
    ];
    queries.iter().for_each(|body| check_same(&client, body));
    let checked = client.post("/api/index/check", json!({"sample": 5})).expect(200).value();
    assert_eq!((&checked["rows"], &checked["vectors"]), (&json!(COUNT), &json!(COUNT)));
    assert_eq!((&checked["sample"], &checked["expected"]), (&json!(5), &json!(50)));
    assert!(checked["recall"].as_f64() >= Some(0.98), "{checked}");

    // Made anew, codes are kept; the next start reads them.
    client.post("/api/index/rebuild", json!({})).expect(202);
    wait_for(&client, COUNT);
    let kept = "SELECT count(*) FROM code_chunk";
    let number = |sql: &str| -> i64 {
        let file = Connection::open(place.database()).expect("the file");
        file.query_row(sql, [], |row| row.get(0)).expect("a number")
    };
    assert_eq!(number(kept), 1);
    drop(server);

    // A damaged chunk is not believed.
    let file = Connection::open(place.database()).expect("the file");
    let damage = "UPDATE code_chunk SET codes = zeroblob(length(codes))";
    assert_eq!(file.execute(damage, []).expect("a chunk"), 1);
    drop(file);
    let server = place.serve();
    let client = server.client();
    wait_for(&client, COUNT);
    queries.iter().for_each(|body| check_same(&client, body));
}

#[test]
fn every_write_is_found_at_once_and_every_delete_is_not() {
    let (_place, _server, client) = filled();
    let body = json!({"query": "zebras cross the river", "tags": ["wild"]});
    let hashes: Vec<String> = (0..5)
        .map(|n| {
            let hash = store_text(&client, &format!("zebra {n} crosses the river"));
            assert_eq!(contents(&search(&client, body.clone())).len(), n, "not tagged yet");
            client.put(&path(&hash), json!({"tags": ["wild"]})).expect(200);
            assert_eq!(contents(&search(&client, body.clone())).len(), n + 1);
            hash
        })
        .collect();
    wait_for(&client, COUNT + 5);
    for (n, hash) in hashes.iter().enumerate() {
        client.delete(&path(hash)).expect(200);
        assert_eq!(contents(&search(&client, body.clone())).len(), 4 - n);
    }
    wait_for(&client, COUNT);
    let health = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(
        (&health["index"]["status"], &health["index"]["rows"]),
        (&json!("ready"), &json!(COUNT))
    );
    assert!(health["index"]["bytes"].as_u64() > Some(10_000), "{health}");
}

#[test]
fn a_sample_out_of_range_is_refused() {
    let server = Place::new().serve();
    let client = server.client();
    for sample in [json!(0), json!(101)] {
        let answer = client.post("/api/index/check", json!({"sample": sample}));
        answer.expect(422);
    }
    store(&client, json!({"content": "the only one"}));
    wait_for(&client, 1);
    let checked = client.post("/api/index/check", json!({})).expect(200).value();
    assert_eq!(checked["recall"], 1.0);
}

#[test]
fn commands_show_check_and_rebuild_the_index() {
    let place = Place::new();
    let server = place.serve();
    store_text(&server.client(), "one memory");
    let check = |whose: &str| {
        let rebuilt = place.run(&["index", "rebuild"]).ok();
        assert!(rebuilt.stdout.contains("ready: 1 memory"), "{whose}: {rebuilt:?}");
        let checked = place.run(&["index", "check", "--sample", "3", "--json"]).ok();
        let found: Value = serde_json::from_str(&checked.stdout).expect("JSON");
        assert_eq!((&found["recall"], &found["expected"]), (&json!(1.0), &json!(3)));
        place.run(&["index", "status"]).ok();
    };
    check("through the node");
    server.stop();
    check("on the file");
}
