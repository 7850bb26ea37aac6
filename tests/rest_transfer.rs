//! `POST /api/import` and `GET /api/export`: everything out of one node and into another.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::raw;
use crate::common::rest::{contents, import, import_bytes, keys, path, store, store_text, text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

fn export(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("/api/export{query}")).expect(200).lines()
}

/// Sends lines; gives line and status, or code, of each result, and the summary.
#[track_caller]
fn send(client: &Client, query: &str, body: impl Into<Vec<u8>>) -> (Vec<(u64, String)>, Value) {
    let answer = import_bytes(client, &format!("/api/import{query}"), body.into()).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let mut lines = answer.lines();
    let summary = lines.pop().expect("a summary");
    let expected = ["code", "detail", "done", "dry_run", "duplicates", "failed", "lines", "stored"];
    assert_eq!(keys(&summary), expected);
    let result = |result: &Value| {
        assert_eq!(keys(result), ["code", "content_hash", "detail", "line", "position", "status"]);
        let what = if result["code"].is_null() { &result["status"] } else { &result["code"] };
        (result["line"].as_u64().expect("a line"), text(what))
    };
    (lines.iter().map(result).collect(), summary)
}

/// A memory without what belongs to the node that holds it.
fn portable(mut memory: Value) -> Value {
    for own in ["origin", "version"] {
        memory.as_object_mut().expect("an object").remove(own);
    }
    memory
}

/// Memories of every shape.
fn fill(client: &Client) {
    store(client, json!({"content": "plain"}));
    let full = json!({"content": "  Ünï\r\ncödé 🧠 \"quoted\" \\ \u{1} ", "tags": ["ä", "b-c"],
        "memory_type": "Note", "metadata": {"n": null, "deep": [{"x": [1.5, -0.0, u64::MAX]}],
        "root": 1.732_050_807_568_877_2, "text": "\u{2028}"}});
    let full = store(client, full);
    store(client, json!({"content": "plain", "namespace": "work"}));
    store(client, json!({"content": "from afar", "namespace": "team/home"}));
    client.put(&path(&text(&full["content_hash"])), json!({"metadata": {"later": 1}})).expect(200);
    let gone = store_text(client, "gone");
    client.delete(&path(&gone)).expect(200);
    // Times whose shortest decimal form is hard to read back exactly.
    let times: Vec<Value> = (0..200_i32)
        .map(|n| {
            let at = 1_795_361_184.179_767 - f64::from(n) * 86_399.123_456_7;
            json!({"content": format!("time {n}"), "created_at": at, "updated_at": at + 0.1})
        })
        .collect();
    import(client, &times);
}

#[test]
fn an_export_is_imported_as_it_was() {
    let (_first, from) = serve();
    fill(&from);
    let answer = from.get("/api/export?namespace=*").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let disposition = answer.header("content-disposition").expect("a file name");
    assert!(disposition.starts_with("attachment"), "{disposition}");
    let lines = answer.lines();
    assert_eq!(lines.len(), 204);

    let (_second, to) = serve();
    let (results, summary) = send(&to, "", answer.body.clone());
    assert!(results.iter().all(|(_, status)| status == "stored"), "{results:?}");
    assert_eq!(summary["stored"], 204);
    let mut expected: Vec<Value> = lines.into_iter().map(portable).collect();
    let mut found: Vec<Value> = export(&to, "?namespace=*").into_iter().map(portable).collect();
    let key = |memory: &Value| format!("{} {}", memory["namespace"], memory["content_hash"]);
    expected.sort_by_key(key);
    found.sort_by_key(key);
    assert_eq!(found, expected);

    let (results, summary) = send(&to, "", answer.body);
    assert!(results.iter().all(|(_, status)| status == "duplicate"), "{results:?}");
    assert_eq!((&summary["stored"], &summary["duplicates"]), (&json!(0), &json!(204)));
}

#[test]
fn an_export_can_be_narrowed() {
    let (_server, client) = serve();
    store(&client, json!({"content": "one", "tags": ["a", "b"], "memory_type": "t"}));
    store(&client, json!({"content": "two", "tags": ["a"]}));
    store(&client, json!({"content": "three", "namespace": "work"}));
    let check = |query: &str, expected: &[&str]| {
        let mut found: Vec<String> =
            export(&client, query).iter().map(|memory| text(&memory["content"])).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
    };
    check("", &["one", "two"]);
    check("?tag=a", &["one", "two"]);
    check("?tag=a,b&tag_match=all", &["one"]);
    check("?memory_type=t", &["one"]);
    check("?namespace=work", &["three"]);
    check("?store=all", &["one", "three", "two"]);
    check("?namespace=nobody", &[]);
    client.get("/api/export?tag_match=some").expect_problem(400, "invalid_query");
}

#[test]
fn an_import_names_the_lines_that_are_wrong_and_goes_on() {
    let (_server, client) = serve();
    let long = format!("{{\"content\": \"x\", \"pad\": \"{}\"}}", "x".repeat(1024 * 1024));
    let lines: Vec<&[u8]> = vec![
        b"{\"content\": \"windows line\"}\r",
        b"\r",
        b"",
        b"{\"content\": \"windows line\"}\r",
        b"{\"content\": \"cut",
        b"{\"content\": \"\xff\"}",
        b"no json at all",
        b"[]",
        b"null",
        br#"{"content": " "}"#,
        br#"{"no content": 1}"#,
        long.as_bytes(),
        br#"{"content": "x", "created_at": "yesterday"}"#,
        br#"{"content": "x", "created_at": 1e999}"#,
        br#"{"content": "x", "created_at": 1e18}"#,
        br#"{"content": "x", "created_at_iso": "soon"}"#,
        br#"{"content": "x", "tags": {"a": 1}}"#,
        br#"{"content": "x", "namespace": "No"}"#,
        br#"{"content": "good", "created_at": 5, "created_at_iso": "2020-01-01T00:00:00Z"}"#,
        b"{\"content\": \"the last line is cut off",
    ];
    let (results, summary) = send(&client, "", lines.join(&b"\n"[..]));
    let expected = [
        (1, "stored"),
        (4, "duplicate"),
        (5, "invalid_json"),
        (6, "invalid_json"),
        (7, "invalid_json"),
        (8, "invalid_body"),
        (9, "invalid_body"),
        (10, "empty_content"),
        (11, "invalid_body"),
        (12, "line_too_long"),
        (13, "invalid_body"),
        (14, "invalid_json"),
        (15, "invalid_time"),
        (16, "invalid_body"),
        (17, "invalid_body"),
        (18, "invalid_namespace"),
        (19, "stored"),
        (20, "invalid_json"),
    ];
    let expected: Vec<_> = expected.iter().map(|&(line, what)| (line, what.to_owned())).collect();
    assert_eq!(results, expected);
    let counts = json!({"done": true, "dry_run": false, "lines": 18, "stored": 2,
        "duplicates": 1, "failed": 15, "code": null, "detail": null});
    assert_eq!(summary, counts);
    let list = client.get("/api/memories").expect(200).value();
    assert_eq!(contents(&list), ["windows line", "good"]);
    assert_eq!(list["memories"][1]["created_at"], 5.0, "the number counts");

    let (results, summary) = send(&client, "?results=failed", lines.join(&b"\n"[..]));
    assert_eq!(results.len(), 15);
    assert_eq!(summary["duplicates"], 3);
}

#[test]
fn nothing_is_a_whole_import() {
    let (_server, client) = serve();
    for body in ["", "\n", "\r\n\r\n"] {
        let (results, summary) = send(&client, "", body);
        assert_eq!(results, []);
        assert_eq!((&summary["done"], &summary["lines"]), (&json!(true), &json!(0)));
    }
}

#[test]
fn a_rehearsal_stores_nothing() {
    let (_server, client) = serve();
    store_text(&client, "here");
    let body = "{\"content\": \"new\"}\n{\"content\": \"HERE\"}\n{\"content\": \"\"}";
    let (results, summary) = send(&client, "?dry_run=true", body);
    let expected =
        [(1, "would_store".into()), (2, "duplicate".into()), (3, "empty_content".into())];
    assert_eq!(results, expected);
    assert_eq!((&summary["dry_run"], &summary["stored"]), (&json!(true), &json!(1)));
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 1);
}

#[test]
fn deleted_texts_come_back_only_when_asked() {
    let (_server, client) = serve();
    let hash = store_text(&client, "gone");
    client.delete(&path(&hash)).expect(200);
    let body = "{\"content\": \"gone\", \"created_at\": 7}";
    assert_eq!(send(&client, "", body).0, [(1, "deleted_before".into())]);
    client.get(&path(&hash)).expect_problem(404, "memory_not_found");
    assert_eq!(send(&client, "?restore_deleted=true", body).0, [(1, "stored".into())]);
    assert_eq!(client.get(&path(&hash)).expect(200).value()["created_at"], 7.0);
}

#[test]
fn the_namespace_of_the_query_is_for_lines_that_name_none() {
    let (_server, client) = serve();
    let body = "{\"content\": \"a\"}\n{\"content\": \"b\", \"namespace\": \"home\"}\n\
                {\"content\": \"c\", \"store\": \"home\"}";
    send(&client, "?namespace=work", body);
    let count = |name: &str| {
        let list = client.get(&format!("/api/memories?namespace={name}")).expect(200).value();
        list["total"].as_u64()
    };
    assert_eq!((count("work"), count("home"), count("default")), (Some(1), Some(2), Some(0)));
    for query in ["?namespace=_x", "?namespace=*", "?dry_run=perhaps", "?results=none"] {
        let answer = import_bytes(&client, &format!("/api/import{query}"), Vec::new());
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
}

#[test]
fn a_result_comes_while_the_rest_is_still_typed() {
    let (server, client) = serve();
    let mut stream = raw::connect(&server.url);
    let head = "POST /api/import HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = "{\"content\": \"typed by hand\"}\n";
    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
    stream.write_all(format!("{head}{chunk}").as_bytes()).expect("the server reads");
    let mut seen = String::new();
    let mut part = [0; 4096];
    while !seen.contains("\"stored\"") {
        let count = stream.read(&mut part).expect("the server answers");
        assert!(count > 0, "closed early: {seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    // What was acknowledged is there, though the import never ends.
    drop(stream);
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 1);
}

#[test]
fn an_import_may_be_larger_than_any_other_body() {
    let (_server, client) = serve();
    let pad = " ".repeat(512 * 1024);
    let body: String = (0..80).map(|n| format!("{{\"content\": \"large {n}\"}}{pad}\n")).collect();
    assert!(body.len() > 32 * 1024 * 1024);
    let (results, summary) = send(&client, "", body);
    assert_eq!((results.len(), &summary["stored"]), (80, &json!(80)));
}
