//! `POST /api/memories/batch`: many memories in one call, as lines or as an array.

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::node::{Place, Server};
use crate::common::rest::{keys, path, store, store_text, text};

const PATH: &str = "/api/memories/batch";

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

fn send_lines(client: &Client, body: impl Into<Vec<u8>>) -> Answer {
    client.send("POST", PATH, &[("content-type", "application/x-ndjson")], body.into())
}

/// Line and status of each result, checked for their form.
#[track_caller]
fn results(answer: Answer) -> Vec<(u64, String)> {
    let answer = answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let result = |result: Value| {
        assert_eq!(keys(&result), ["code", "content_hash", "detail", "line", "position", "status"]);
        let has_failed = result["status"] == "failed";
        assert_eq!(result["code"].is_null(), !has_failed, "{result}");
        assert_eq!(result["content_hash"].is_null(), has_failed, "{result}");
        let what = if has_failed { &result["code"] } else { &result["status"] };
        (result["line"].as_u64().expect("a line"), text(what))
    };
    answer.lines().into_iter().map(result).collect()
}

#[track_caller]
fn check(answer: Answer, expected: &[(u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|&(line, what)| (line, what.to_owned())).collect();
    assert_eq!(results(answer), expected);
}

#[test]
fn lines_and_arrays_come_to_the_same() {
    let items = [
        json!({"content": "one", "tags": "a, b", "memory_type": "t", "metadata": {"k": 1}}),
        json!({"content": "two"}),
        json!({"content": "One "}),
    ];
    let expected = [(1, "stored"), (2, "stored"), (3, "duplicate")];
    let memories = |answer: &dyn Fn(&Client) -> Answer| {
        let (_server, client) = serve();
        check(answer(&client), &expected);
        let list = client.get("/api/memories").expect(200).value();
        let mut memories = list["memories"].as_array().cloned().expect("a list");
        for memory in &mut memories {
            for name in ["created_at", "created_at_iso", "updated_at", "updated_at_iso", "version"]
            {
                memory.as_object_mut().expect("an object").remove(name);
            }
        }
        memories.sort_by_key(|memory| text(&memory["content"]));
        memories
    };
    let lines = items.iter().map(|item| format!("{item}\r\n")).collect::<String>();
    let of_lines = memories(&|client| send_lines(client, lines.clone()));
    let of_array = memories(&|client| client.post(PATH, json!(items)));
    assert_eq!(of_lines, of_array);
    assert_eq!(of_lines.len(), 2);
    assert_eq!(of_lines[0]["tags"], json!(["a", "b"]));
}

#[test]
fn a_bad_item_stops_no_other() {
    let (_server, client) = serve();
    let gone = store_text(&client, "gone");
    client.delete(&path(&gone)).expect(200);
    store_text(&client, "here");
    let long = format!("{{\"content\": \"{}\"}}", "x".repeat(96 * 1024 + 1));
    let lines: Vec<&[u8]> = vec![
        br#"{"content": "first"}"#,
        b"{\"content\": \"cut off",
        b"",
        b"  \r",
        br#"{"content": ""}"#,
        br#"{"content": "bad \u0000 nul"}"#,
        b"{\"content\": \"bad \xff utf-8\"}",
        br#"{"tags": ["no content"]}"#,
        br#"["content"]"#,
        br#"{"content": "x", "tags": 7}"#,
        br#"{"content": "x", "namespace": "_reserved"}"#,
        br#"{"content": "gone"}"#,
        br#"{"content": "gone", "restore_deleted": true}"#,
        br#"{"content": " HERE "}"#,
        br#"{"content": "here", "namespace": "other"}"#,
        long.as_bytes(),
        br#"{"content": "x", "metadata": {"k": NaN}}"#,
        br#"{"content": "last", "unknown": 1}"#,
    ];
    let expected = [
        (1, "stored"),
        (2, "invalid_json"),
        (5, "empty_content"),
        (6, "nul_in_content"),
        (7, "invalid_json"),
        (8, "invalid_body"),
        (9, "invalid_body"),
        (10, "invalid_body"),
        (11, "invalid_namespace"),
        (12, "deleted_before"),
        (13, "stored"),
        (14, "duplicate"),
        (15, "stored"),
        (16, "content_too_large"),
        (17, "invalid_json"),
        (18, "stored"),
    ];
    check(send_lines(&client, lines.join(&b"\n"[..])), &expected);
    client.get(&path(&gone)).expect(200);
}

#[test]
fn a_repeat_in_a_batch_has_the_fate_of_the_first() {
    let (_server, client) = serve();
    let gone = store_text(&client, "gone");
    client.delete(&path(&gone)).expect(200);
    let refused = json!([{"content": "gone"}, {"content": "Gone"}]);
    check(client.post(PATH, refused.clone()), &[(1, "deleted_before"), (2, "deleted_before")]);
    let keyed = client.with("Idempotency-Key", "k");
    let first = keyed.post(PATH, refused.clone()).expect(200).text();
    let back = json!([{"content": "gone", "restore_deleted": true}, {"content": "gone"}]);
    check(client.post(PATH, back), &[(1, "stored"), (2, "duplicate")]);
    assert_eq!(keyed.post(PATH, refused).expect(200).text(), first);
}

#[test]
fn an_array_is_refused_whole_only_when_it_is_none() {
    let (_server, client) = serve();
    check(client.post(PATH, json!([])), &[]);
    check(send_lines(&client, ""), &[]);
    check(send_lines(&client, "\n\n\r\n"), &[]);
    let mixed = json!([{"content": "a"}, 7, null, {"content": 1}, [{"content": "b"}], {}]);
    let faulty = "invalid_body";
    check(
        client.post(PATH, mixed),
        &[(1, "stored"), (2, faulty), (3, faulty), (4, faulty), (5, faulty), (6, faulty)],
    );
    for body in ["[{\"content\": \"x\"}", "[{\"content\": \"x\"},]", "[] []", "[NaN]"] {
        let answer = client.send("POST", PATH, &[], body.into());
        answer.expect_problem(422, "invalid_json");
    }
    let deep = format!("[{}]", "[".repeat(100_000));
    client.send("POST", PATH, &[], deep.into_bytes()).expect_problem(422, "invalid_json");
    let memory_object = client.send("POST", PATH, &[], b"{\"content\": \"alone\"}".to_vec());
    check(memory_object, &[(1, "stored")]);
}

#[test]
fn senders_and_the_namespace_of_the_query_hold_for_every_item() {
    let (_server, client) = serve();
    let sender = client.with("X-Agent-ID", "bot");
    let body = json!([{"content": "a"}, {"content": "b", "namespace": "n"},
        {"content": "c", "namespace": "other"}]);
    let answer = sender.post(&format!("{PATH}?namespace=n"), body);
    check(answer, &[(1, "stored"), (2, "stored"), (3, "namespaces_differ")]);
    let list = client.get("/api/memories?namespace=n&tag=agent:bot").expect(200).value();
    assert_eq!(list["total"], 2);
    let bad = client.post(&format!("{PATH}?namespace=_x"), json!([]));
    bad.expect_problem(400, "invalid_namespace");
}

#[test]
fn a_batch_is_bounded_by_count_and_size() {
    let (_server, client) = serve();
    let many = "{\"content\": \"x\"}\n".repeat(10_001);
    send_lines(&client, many).expect_problem(413, "body_too_large");
    let large = vec![b' '; 32 * 1024 * 1024 + 1];
    send_lines(&client, large).expect_problem(413, "body_too_large");
    let line = format!("{{\"content\": \"x\", \"pad\": \"{}\"}}", "x".repeat(1024 * 1024));
    let body = format!("{line}\n{{\"content\": \"fits\"}}");
    check(send_lines(&client, body), &[(1, "line_too_long"), (2, "stored")]);
    // A body over the limit of other calls is fine here.
    let padded = format!("{}{{\"content\": \"padded\"}}", "\n".repeat(2 * 1024 * 1024));
    check(send_lines(&client, padded), &[(2 * 1024 * 1024 + 1, "stored")]);
}

#[test]
fn many_items_are_stored_in_order() {
    let (_server, client) = serve();
    store(&client, json!({"content": "memory 7 of many"}));
    let lines: String =
        (0..300).map(|n| format!("{{\"content\": \"memory {n} of many\"}}\n")).collect();
    let found = results(send_lines(&client, lines.clone()));
    assert_eq!(found.len(), 300);
    for (place, (line, what)) in (0..).zip(&found) {
        assert_eq!(*line, place + 1);
        assert_eq!(what, if place == 7 { "duplicate" } else { "stored" }, "{line}");
    }
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 300);
    let again = results(send_lines(&client, lines));
    assert!(again.iter().all(|(_, what)| what == "duplicate"), "{again:?}");
}
