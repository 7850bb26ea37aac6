//! Walls, by what is not said aloud: whatever happens in another namespace, a key for one gets the
//! same answers, to the last number.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::rest::{store, text};
use crate::walls::{HIDDEN, Vault, vault_and_root};

/// What is of the moment or of the machine, and differs from call to call.
const OF_THE_MOMENT: [&str; 6] = [
    "timestamp",
    "uptime_seconds",
    "performance",
    "system",
    "processing_time_ms",
    "last_sync_time",
];

fn without_the_moment(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()));
            members.values_mut().for_each(without_the_moment);
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_moment),
        _ => {}
    }
}

/// Everything that a key for `own` can ask, with the answers.
fn answers(client: &Client, own: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut keep = |what: String, mut value: Value| {
        without_the_moment(&mut value);
        all.push((what, value));
    };
    for path in [
        "/api/memories",
        "/api/export",
        "/api/tags",
        "/api/types",
        "/api/map",
        "/api/conflicts",
        "/api/analytics/memory-growth",
        "/api/analytics/overview",
        "/api/health/detailed",
        "/api/sync/status",
        &format!("/api/memories/{own}"),
        &format!("/api/memories/{own}/history"),
        &format!("/api/search/similar/{own}"),
    ] {
        for namespace in ["own", "*"] {
            let path = format!("{path}?namespace={namespace}");
            let answer = client.get(&path);
            let value = if path.contains("export") {
                json!(answer.expect(200).lines())
            } else {
                json!([answer.status, answer.value()])
            };
            keep(path, value);
        }
    }
    for (path, body) in [
        ("/api/search", json!({"query": ""})),
        ("/api/search/by-tag", json!({"tags": ["shared"]})),
        ("/api/search/by-time", json!({"query": "today"})),
        ("/api/memories/delete", json!({"tags": ["shared"], "dry_run": true})),
    ] {
        for namespace in ["own", "*"] {
            let mut body = body.clone();
            body["namespace"] = json!(namespace);
            let answer = client.post(path, body.clone());
            keep(format!("{path} {body}"), json!([answer.status, answer.value()]));
        }
    }
    all
}

#[test]
fn what_happens_in_another_namespace_changes_no_number() {
    let (Vault { server: _server, client, own, .. }, root) = vault_and_root();
    let before = answers(&client, &own);
    for number in 0..20 {
        let hidden = json!({"content": format!("memory {number} of others"), "namespace": HIDDEN,
            "tags": ["shared", format!("tag-{number}")], "memory_type": format!("type-{number}")});
        let hash = text(&store(&root, hidden)["content_hash"]);
        let path = format!("/api/memories/{hash}?namespace={HIDDEN}");
        if number % 2 == 0 {
            root.put(&path, json!({"tags": ["changed"]})).expect(200);
        }
        if number % 3 == 0 {
            root.delete(&path).expect(200);
        }
    }
    let after = answers(&client, &own);
    for ((what, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(before, after, "{what}");
    }
}

#[test]
fn what_stands_in_another_namespace_changes_no_answer_of_a_search() {
    let (Vault { server: _server, client, .. }, root) = vault_and_root();
    for text in ["a marimba and a trumpet", "the trumpeter drinks tea", "tea for the organist"] {
        store(&client, json!({"content": text, "namespace": "own"}));
    }
    // The last two are slips: whether others wrote a word decides if one looks for another.
    let questions = ["trumpet", "marimba tea", "who keeps the alarm code?", "trumpit", "narimba"];
    let answers = |client: &Client| -> Vec<Value> {
        let mut all = Vec::new();
        for query in questions {
            for mode in ["keyword", "hybrid", "semantic"] {
                let body = json!({"query": query, "mode": mode, "namespace": "own"});
                all.push(client.post("/api/search", body).expect(200).value()["results"].take());
            }
        }
        all
    };
    let (before, before_of_root) = (answers(&client), answers(&root));
    for number in 0..30 {
        let words = "trumpet trumpit narimba code ".repeat(number % 7);
        let content = format!("memory {number} of others: tea, marimba, {words}");
        store(&root, json!({"content": content, "namespace": HIDDEN}));
    }
    assert_eq!(answers(&client), before);
    assert_ne!(answers(&root), before_of_root, "who may read all of them gets the worth in all");
}
