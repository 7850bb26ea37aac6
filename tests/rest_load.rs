//! Many callers at once: nothing is lost, nothing is stored twice.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::Place;
use crate::common::rest::{contents, path, search, store, store_text, text};

/// Runs `work` for each of `0..count` on so many threads.
fn spread(threads: usize, count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    work(n);
                }
            });
        }
    });
}

/// Every content in a namespace, page by page.
fn all_contents(client: &Client) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let query = format!("/api/memories?page_size=100&namespace=*&cursor={cursor}");
        let page = client.get(&query).expect(200).value();
        found.extend(contents(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn of_a_thousand_concurrent_stores_none_is_lost() {
    let place = Place::new();
    let server = place.serve().ready();
    let client = server.client();
    spread(32, 1_000, |n| {
        let memory = store(&client, json!({"content": format!("memory {n}"), "tags": ["load"]}));
        assert_eq!(memory["content"], format!("memory {n}"));
    });
    let mut expected: Vec<String> = (0..1_000).map(|n| format!("memory {n}")).collect();
    expected.sort_unstable();
    assert_eq!(all_contents(&client), expected);
    let tags = client.get("/api/tags").expect(200).value();
    assert_eq!(tags, json!({"tags": [{"tag": "load", "count": 1_000}]}));
    // What was answered is in the file, and the file is sound.
    server.kill();
    let server = place.serve().ready();
    let client = server.client();
    assert_eq!(all_contents(&client), expected);
    let verified = client.send("POST", "/api/verify", &[], Vec::new()).expect(200).value();
    assert_eq!(verified, json!({"ok": true, "problems": []}));
}

#[test]
fn stores_updates_deletes_and_searches_do_not_disturb_each_other() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let hashes: Vec<String> =
        (0..40).map(|n| store_text(&client, &format!("subject {n} of the changes"))).collect();
    spread(8, 240, |n| {
        let subject = path(&hashes[n % 40]);
        match n % 6 {
            0 => drop(store(&client, json!({"content": format!("new {n}")}))),
            1 => {
                let body = json!({"metadata": {format!("k{n}"): n}});
                drop(client.put(&subject, body).expect(200));
            }
            2 => drop(search(&client, json!({"query": "changes", "tags": ["none"]}))),
            3 => {
                let found = search(&client, json!({"query": "subject", "mode": "hybrid"}));
                assert_eq!(found["total_found"], 10);
            }
            4 => drop(client.get("/api/memories?page_size=100").expect(200)),
            _ => {
                let own = path(&store_text(&client, &format!("short-lived {n}")));
                client.delete(&own).expect(200);
                client.get(&own).expect_problem(404, "memory_not_found");
            }
        }
    });
    for (n, hash) in hashes.iter().enumerate() {
        let memory = client.get(&path(hash)).expect(200).value();
        let metadata = memory["metadata"].as_object().expect("an object");
        let expected = (n..240).step_by(40).filter(|n| n % 6 == 1).count();
        assert_eq!(metadata.len(), expected, "no change is lost: {memory}");
    }
    let all = all_contents(&client);
    assert_eq!(all.len(), 40 + 40);
    let verified = client.send("POST", "/api/verify", &[], Vec::new()).expect(200).value();
    assert_eq!(verified["problems"], json!([]));
}

#[test]
fn of_concurrent_texts_for_one_memory_each_takes_the_place_of_the_one_before() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let hash = store_text(&client, "draft");
    let made = AtomicUsize::new(0);
    spread(8, 16, |n| {
        let answer = client.put(&path(&hash), json!({"content": format!("edit {n}")}));
        match answer.status {
            200 => drop(made.fetch_add(1, Ordering::Relaxed)),
            404 => drop(answer.expect_problem(404, "memory_not_found")),
            status => panic!("{status}: {}", answer.text()),
        }
    });
    assert_eq!(made.into_inner(), 1);
    let left = client.get("/api/memories").expect(200).value();
    assert_eq!(left["total"], 1, "{left}");
    assert_eq!(left["memories"][0]["metadata"]["supersedes"], hash);
}

#[test]
fn a_delete_and_its_opposite_settle() {
    let server = Place::new().serve().ready();
    let client = server.client();
    let hash = store_text(&client, "there and back");
    spread(8, 48, |n| {
        let answer = match n % 3 {
            0 => client.delete(&path(&hash)),
            1 => client.post(&format!("{}/restore", path(&hash)), json!({})),
            _ => client.post("/api/memories", json!({"content": "there and back"})),
        };
        assert!([200, 404, 409].contains(&answer.status), "{}", answer.text());
    });
    let live = client.get(&path(&hash)).status == 200;
    let history = client.get(&format!("{}/history", path(&hash))).expect(200).value();
    assert_eq!(history["live"], live);
    let listed: Value = client.get("/api/memories").expect(200).value();
    assert_eq!(listed["total"], u64::from(live));
    if live {
        assert_eq!(text(&listed["memories"][0]["content_hash"]), hash);
    }
    let verified = client.send("POST", "/api/verify", &[], Vec::new()).expect(200).value();
    assert_eq!(verified["problems"], json!([]));
}
