//! `GET /api/memories`, `/api/tags` and `/api/types`; namespaces as walls.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{contents, import, keys, path, store, store_text, text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

fn list(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/memories?{query}")).expect(200).value()
}

/// `m0` to `m<count - 1>`, the last the newest; ten share each moment.
fn sequence(client: &Client, count: usize) {
    let memories: Vec<Value> = (0..count)
        .map(|n| json!({"content": format!("m{n}"), "created_at": 1_700_000_000 + n / 10}))
        .collect();
    import(client, &memories);
}

#[test]
fn an_empty_node_lists_nothing() {
    let (_server, client) = serve();
    let expected = json!({"memories": [], "total": 0, "page": 1, "page_size": 10,
        "has_more": false, "next_cursor": null});
    assert_eq!(client.get("/api/memories").expect(200).value(), expected);
    assert_eq!(client.get("/api/tags").expect(200).value(), json!({"tags": []}));
    assert_eq!(client.get("/api/types").expect(200).value(), json!({"types": []}));
}

#[test]
fn pages_part_the_list_newest_first() {
    let (_server, client) = serve();
    sequence(&client, 25);
    let first = list(&client, "");
    let expected = ["has_more", "memories", "next_cursor", "page", "page_size", "total"];
    assert_eq!(keys(&first), expected);
    assert_eq!((&first["total"], &first["page"]), (&json!(25), &json!(1)));
    assert_eq!((&first["page_size"], &first["has_more"]), (&json!(10), &json!(true)));
    let mut seen = contents(&first);
    for page in [2, 3] {
        let found = list(&client, &format!("page={page}"));
        assert_eq!((&found["page"], &found["total"]), (&json!(page), &json!(25)));
        assert_eq!(found["has_more"], page == 2);
        assert_eq!(found["next_cursor"].is_null(), page == 3);
        seen.extend(contents(&found));
    }
    let times: Vec<f64> = list(&client, "page_size=100")["memories"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|memory| memory["created_at"].as_f64().expect("a time"))
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert_eq!(seen, contents(&list(&client, "page_size=100")));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 25);
    let behind = list(&client, "page=4");
    assert_eq!((&behind["memories"], &behind["has_more"]), (&json!([]), &json!(false)));
    assert_eq!(list(&client, "page=1000000&page_size=100")["memories"], json!([]));
    let exact = list(&client, "page_size=25");
    assert_eq!((&exact["has_more"], &exact["next_cursor"]), (&json!(false), &Value::Null));
}

#[test]
fn a_cursor_parts_the_list_while_others_store_and_delete() {
    let (_server, client) = serve();
    sequence(&client, 60);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(&client, &format!("page_size=7&cursor={cursor}"));
        seen.extend(contents(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
        store_text(&client, &format!("newer than page {}", seen.len()));
        // What was seen may go, the one that the page ended with too.
        let gone = text(&page["memories"][6]["content_hash"]);
        client.delete(&path(&gone)).expect(200);
    }
    seen.sort_unstable();
    let mut expected: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn a_list_can_be_narrowed_by_tag_and_type() {
    let (_server, client) = serve();
    for (content, tags, memory_type) in [
        ("one", "a, b", json!("note")),
        ("two", "a", json!("Note")),
        ("three", "b", json!(null)),
        ("four", "a-b", json!("note")),
    ] {
        store(&client, json!({"content": content, "tags": tags, "memory_type": memory_type}));
    }
    let check = |query: &str, expected: &[&str]| {
        let found = list(&client, query);
        assert_eq!(contents(&found), expected, "{query}");
        assert_eq!(found["total"], expected.len(), "{query}");
    };
    check("tag=a", &["two", "one"]);
    check("tag=%20A%20", &["two", "one"]);
    check("tag=a,b", &["three", "two", "one"]);
    check("tag=a,b&tag_match=any", &["three", "two", "one"]);
    check("tag=a,b&tag_match=all", &["one"]);
    check("tag=a,a&tag_match=all", &["two", "one"]);
    check("tag=a,none&tag_match=all", &[]);
    check("tag=none", &[]);
    check("tag=", &["four", "three", "two", "one"]);
    check("tag=a-b", &["four"]);
    check("memory_type=note", &["four", "one"]);
    check("memory_type=Note", &["two"]);
    check("memory_type=note&tag=a", &["one"]);
    check("memory_type=%27%20OR%201%3D1", &[]);
    check("tag=%27%20OR%201%3D1", &[]);
    assert_eq!(contents(&list(&client, "tag=a&page_size=1&page=2")), ["one"]);
}

#[test]
fn tags_and_types_are_counted() {
    let (_server, client) = serve();
    for (content, tags, memory_type) in
        [("one", "a, b", json!("note")), ("two", "a", json!("note")), ("three", "a", json!(null))]
    {
        store(&client, json!({"content": content, "tags": tags, "memory_type": memory_type}));
    }
    store(&client, json!({"content": "one", "tags": ["c"], "namespace": "other"}));
    let tags = |query: &str| client.get(&format!("/api/tags{query}")).expect(200).value();
    let expected = json!({"tags": [{"tag": "a", "count": 3}, {"tag": "b", "count": 1}]});
    assert_eq!(tags(""), expected);
    assert_eq!(tags("?namespace=other"), json!({"tags": [{"tag": "c", "count": 1}]}));
    assert_eq!(tags("?store=other"), json!({"tags": [{"tag": "c", "count": 1}]}));
    assert_eq!(tags("?namespace=*")["tags"].as_array().map(Vec::len), Some(3));
    let types = client.get("/api/types").expect(200).value();
    let expected = json!({"types": [{"memory_type": "note", "count": 2},
        {"memory_type": null, "count": 1}]});
    assert_eq!(types, expected);

    let listed = list(&client, "tag=b");
    let hash = text(&listed["memories"][0]["content_hash"]);
    client.put(&path(&hash), json!({"tags": ["c"], "memory_type": "x"})).expect(200);
    let expected = json!({"tags": [{"tag": "a", "count": 2}, {"tag": "c", "count": 1}]});
    assert_eq!(tags(""), expected);
    client.delete(&path(&hash)).expect(200);
    assert_eq!(tags(""), json!({"tags": [{"tag": "a", "count": 2}]}));
}

/// Two namespaces with the same text, and an imported one.
fn walls(client: &Client) -> String {
    let shared = store(client, json!({"content": "shared", "tags": ["d"]}));
    store(client, json!({"content": "shared", "tags": ["w"], "namespace": "work"}));
    let posted = client.post("/api/memories?namespace=team/home", json!({"content": "imported"}));
    assert_eq!(posted.expect(200).value()["memory"]["namespace"], "team/home");
    text(&shared["content_hash"])
}

#[test]
fn the_same_text_is_another_memory_behind_a_wall() {
    let (_server, client) = serve();
    let hash = walls(&client);
    let read = |query: &str| client.get(&format!("{}{query}", path(&hash))).expect(200).value();
    assert_eq!(read("")["tags"], json!(["d"]));
    assert_eq!(read("?namespace=default")["tags"], json!(["d"]));
    let work = read("?namespace=work");
    assert_eq!(work["tags"], json!(["w"]));
    assert_eq!((&work["namespace"], &work["store"]), (&json!("work"), &json!("work")));
    assert_eq!(read("?store=work"), work);
    let put = |query: &str, body: Value| {
        client.put(&format!("{}{query}", path(&hash)), body).expect(200).value()
    };
    assert_eq!(put("?store=work", json!({"tags": ["x"]}))["memory"]["namespace"], "work");
    assert_eq!(put("", json!({"tags": ["y"], "store": "work"}))["memory"]["namespace"], "work");
    assert_eq!(read("")["tags"], json!(["d"]));
    client.delete(&format!("{}?namespace=work", path(&hash))).expect(200);
    client.get(&format!("{}?namespace=work", path(&hash))).expect_problem(404, "memory_not_found");
    assert_eq!(read("")["tags"], json!(["d"]));
    let back = client.post(&format!("{}/restore?namespace=work", path(&hash)), json!({}));
    assert_eq!(back.expect(200).value()["namespace"], "work");
}

#[test]
fn lists_stay_behind_the_walls_that_are_named() {
    let (_server, client) = serve();
    walls(&client);
    let check = |query: &str, expected: &[&str]| {
        let found = list(&client, query);
        let names: Vec<String> = found["memories"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|memory| text(&memory["namespace"]))
            .collect();
        assert_eq!(names, expected, "{query}");
        assert_eq!(found["total"], expected.len(), "{query}");
    };
    check("", &["default"]);
    check("namespace=work", &["work"]);
    check("store=work", &["work"]);
    check("namespace=default,work", &["work", "default"]);
    check("namespace=work,%20work", &["work"]);
    check("namespace=*", &["team/home", "work", "default"]);
    check("store=all", &["team/home", "work", "default"]);
    check("namespace=team/home", &["team/home"]);
    check("namespace=team%2Fhome", &["team/home"]);
    check("namespace=all", &[]);
    check("namespace=nobody,default", &["default"]);
    check("namespace=*&tag=w", &["work"]);
    let disagree = client.get("/api/memories?namespace=a&store=b");
    disagree.expect_problem(400, "invalid_query");
}
