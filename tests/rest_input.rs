//! Bad input over REST: every refusal names its reason, stores nothing and leaves the server well.

use std::io::Write;
use std::net::Shutdown;

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::Place;
use crate::common::raw;
use crate::common::rest::{digest, path, store_text, text};

/// A client of a server that must hold exactly the same when the test is over.
fn unchanged(test: impl FnOnce(&Client, &str)) {
    let server = Place::new().serve();
    let client = server.client();
    let hash = store_text(&client, "what is here stays as it is");
    let before = (digest(&client), client.get(&path(&hash)).expect(200).value());
    test(&client, &hash);
    assert_eq!((digest(&client), client.get(&path(&hash)).expect(200).value()), before);
}

fn post(client: &Client, body: impl Into<Vec<u8>>) -> crate::common::client::Answer {
    client.send("POST", "/api/memories", &[("content-type", "application/json")], body.into())
}

#[test]
fn content_must_be_a_text_with_something_in_it() {
    unchanged(|client, _| {
        let check = |body: &[u8], code: &str| {
            let problem = post(client, body).expect_problem(422, code).value();
            let fault = &problem["detail"][0];
            for member in ["type", "loc", "msg", "input"] {
                assert!(fault.get(member).is_some(), "no {member}: {problem}");
            }
            assert_eq!(fault["loc"][0], "body", "{problem}");
        };
        check(br#"{"content": ""}"#, "empty_content");
        check(br#"{"content": " \n\t\u00a0\u3000"}"#, "empty_content");
        check(br#"{"content": "a\u0000b"}"#, "nul_in_content");
        check(b"{\"content\": \"a\0b\"}", "invalid_json");
        check(b"{\"content\": \"a\xff\xfeb\"}", "invalid_json");
        check(b"{\"content\": \"\xc0\x80\"}", "invalid_json");
        check(b"{\"content\": \"\xed\xa0\x80\"}", "invalid_json");
        check(br#"{"content": "\ud800"}"#, "invalid_json");
        check(br#"{"content": "\x41"}"#, "invalid_json");
        check(b"\xff\xfe{\0}\0", "invalid_json");
        check(br#"{"content": null}"#, "invalid_body");
        check(br#"{"content": ["x"]}"#, "invalid_body");
        check(br#"{"content": 5}"#, "invalid_body");
        check(br#"{}"#, "invalid_body");
        check(br#"{"contents": "x"}"#, "invalid_body");
        check(br#"{"content": "x", "content": "y"}"#, "invalid_body");
    });
}

#[test]
fn what_is_missing_or_of_another_type_is_pointed_at() {
    unchanged(|client, _| {
        let fault = |body: &[u8]| {
            let problem = post(client, body).expect_problem(422, "invalid_body").value();
            let mut fault = problem["detail"][0].clone();
            let msg = fault.as_object_mut().and_then(|fault| fault.remove("msg"));
            assert!(msg.is_some_and(|msg| msg.is_string()), "{problem}");
            fault
        };
        assert_eq!(
            fault(br#"{"tags": []}"#),
            json!({"type": "missing", "loc": ["body", "content"], "input": {"tags": []}})
        );
        assert_eq!(
            fault(br#"{"content": "x", "tags": ["a", 7]}"#),
            json!({"type": "string_type", "loc": ["body", "tags", 1], "input": 7})
        );
        assert_eq!(
            fault(br#"{"content": "x", "metadata": [1]}"#),
            json!({"type": "dict_type", "loc": ["body", "metadata"], "input": [1]})
        );
    });
}

#[test]
fn tags_types_and_metadata_have_a_shape_and_bounds() {
    unchanged(|client, _| {
        let check = |extra: Value, status: u16, code: &str| {
            let mut body = json!({"content": "never stored"});
            body.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap());
            client.post("/api/memories", body).expect_problem(status, code);
        };
        for tags in [json!(7), json!({"a": 1}), json!(true), json!([1]), json!([null])] {
            check(json!({"tags": tags}), 422, "invalid_body");
        }
        let many: Vec<String> = (0..101).map(|n| format!("t{n}")).collect();
        for tags in [json!(["x".repeat(101)]), json!("a\u{0}"), json!(many)] {
            check(json!({"tags": tags}), 422, "invalid_body");
        }
        check(json!({"memory_type": 5}), 422, "invalid_body");
        check(json!({"memory_type": "x".repeat(101)}), 422, "invalid_memory_type");
        check(json!({"memory_type": "a\nb"}), 422, "invalid_memory_type");
        for metadata in [json!([]), json!("x"), json!(5)] {
            check(json!({"metadata": metadata}), 422, "invalid_body");
        }
        check(json!({"metadata": {"": 1}}), 422, "invalid_metadata");
        let keys: serde_json::Map<String, Value> =
            (0..201).map(|n| (format!("k{n}"), json!(n))).collect();
        check(json!({"metadata": keys}), 422, "invalid_metadata");
        check(json!({"metadata": {"k": "x".repeat(16 * 1024)}}), 413, "metadata_too_large");
        check(json!({"metadata": {"k": nested(33)}}), 422, "invalid_metadata");
        for name in ["Upper", "_keys", "", "a b", "a/b/c", "*", "a,b", "é", "../x"] {
            check(json!({"namespace": name}), 422, "invalid_namespace");
            check(json!({"store": name}), 422, "invalid_namespace");
        }
        check(json!({"namespace": "a", "store": "b"}), 422, "namespaces_differ");
        check(json!({"restore_deleted": "yes"}), 422, "invalid_body");
        check(json!({"client_hostname": "h".repeat(200)}), 422, "invalid_tag");
        check(json!({"conversation_id": "c".repeat(17 * 1024)}), 413, "metadata_too_large");
    });
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn the_bounds_themselves_are_allowed() {
    let server = Place::new().serve();
    let client = server.client();
    let tags: Vec<String> = (0..100).map(|n| format!("{n:0>100}")).collect();
    let metadata: serde_json::Map<String, Value> =
        (0..199).map(|n| (format!("k{n}"), json!(n))).chain([("d".into(), nested(31))]).collect();
    let content = "long words ".repeat(96 * 1024 / 11 + 1)[..96 * 1024].to_owned();
    let body = json!({"content": content, "tags": tags, "memory_type": "é".repeat(100),
        "metadata": metadata});
    let stored = client.post("/api/memories", body).expect(200).value();
    assert_eq!(stored["memory"]["content"], content);
    assert_eq!(stored["memory"]["tags"].as_array().map(Vec::len), Some(100));
    let read = client.get(&path(&text(&stored["content_hash"]))).expect(200).value();
    assert_eq!(read, stored["memory"]);
}

#[test]
fn bodies_over_their_limit_are_refused_by_size() {
    unchanged(|client, hash| {
        let content = "x".repeat(96 * 1024 + 1);
        let problem = client.post("/api/memories", json!({"content": content}));
        let problem = problem.expect_problem(413, "content_too_large").value();
        assert!(text(&problem["detail"]).contains("memnode import"), "{problem}");
        for size in [1024 * 1024 + 1, 10 * 1024 * 1024] {
            let body = json!({"content": "x".repeat(size)}).to_string().into_bytes();
            post(client, body.clone()).expect_problem(413, "body_too_large");
            for path in ["/api/search", "/api/search/by-tag", "/api/search/by-time"] {
                client.send("POST", path, &[], body.clone()).expect_problem(413, "body_too_large");
            }
            let put = client.send("PUT", &path(hash), &[], body.clone());
            put.expect_problem(413, "body_too_large");
        }
    });
}

#[test]
fn a_body_of_unknown_length_has_the_same_limit() {
    let server = Place::new().serve();
    let mut stream = raw::connect(&server.url);
    let head = "POST /api/memories HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the server reads");
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    // The server may stop reading once it has seen enough.
    let sent = (0..17).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent >= 16, "{sent} chunks");
    raw::read_answer(&mut stream).expect_problem(413, "body_too_large");
    server.client().get("/api/health").expect(200);
}

#[test]
fn deep_json_is_refused_and_not_recursed_into() {
    unchanged(|client, _| {
        for levels in [200, 100_000] {
            let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            for body in [
                format!("{{\"content\": \"x\", \"metadata\": {{\"k\": {deep}}}}}"),
                format!("{{\"content\": {deep}}}"),
                deep.clone(),
                "{\"a\":".repeat(levels),
            ] {
                post(client, body).expect_problem(422, "invalid_json");
            }
        }
        let body = json!({"content": "x", "metadata": {"k": nested(100)}});
        client.post("/api/memories", body).expect_problem(422, "invalid_metadata");
    });
    let server = Place::new().serve();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!("{{\"content\": \"x\", \"unknown\": {deep}}}");
    let answer = post(&server.client(), body);
    assert!([200, 422].contains(&answer.status), "an unknown key is skipped: {}", answer.text());
}

#[test]
fn what_is_no_json_object_is_refused() {
    unchanged(|client, hash| {
        for (body, code) in [
            ("", "invalid_json"),
            ("   ", "invalid_json"),
            ("{", "invalid_json"),
            ("{\"content\": \"x\"", "invalid_json"),
            ("{\"content\": \"x\"} {}", "invalid_json"),
            ("{'content': 'x'}", "invalid_json"),
            ("content=x", "invalid_json"),
            ("NaN", "invalid_json"),
            ("[]", "invalid_body"),
            ("[\"x\"]", "invalid_body"),
            ("\"x\"", "invalid_body"),
            ("null", "invalid_body"),
            ("5", "invalid_body"),
        ] {
            post(client, body).expect_problem(422, code);
            for path in ["/api/search", "/api/search/by-tag", "/api/search/by-time"] {
                client.send("POST", path, &[], body.into()).expect_problem(422, code);
            }
            client.send("PUT", &path(hash), &[], body.into()).expect_problem(422, code);
        }
    });
}

#[test]
fn numbers_that_are_none_are_refused() {
    unchanged(|client, _| {
        for number in ["NaN", "-NaN", "Infinity", "1e999", "-1e999", "0x1", "01", ".5", "1.", "+1"]
        {
            let search = |field: &str| {
                let body = format!("{{\"query\": \"x\", \"{field}\": {number}}}");
                client.send("POST", "/api/search", &[], body.into_bytes())
            };
            search("similarity_threshold").expect_problem(422, "invalid_json");
            search("quality_weight").expect_problem(422, "invalid_json");
            search("n_results").expect_problem(422, "invalid_json");
            let body = format!("{{\"content\": \"x\", \"metadata\": {{\"k\": {number}}}}}");
            post(client, body).expect_problem(422, "invalid_json");
        }
        for (field, value) in [
            ("similarity_threshold", json!("NaN")),
            ("similarity_threshold", json!("0.5")),
            ("similarity_threshold", json!(1.0001)),
            ("similarity_threshold", json!(-0.0001)),
            ("similarity_threshold", json!([0.5])),
            ("quality_weight", json!("NaN")),
            ("quality_weight", json!(2)),
            ("quality_weight", json!(null)),
            ("n_results", json!(0)),
            ("n_results", json!(101)),
            ("n_results", json!(-1)),
            ("n_results", json!(2.5)),
            ("n_results", json!("10")),
        ] {
            let answer = client.post("/api/search", json!({"query": "x", field: value}));
            let problem = answer.expect_problem(422, "invalid_body").value();
            assert_eq!(problem["detail"][0]["loc"], json!(["body", field]), "{problem}");
        }
    });
}

#[test]
fn a_body_must_be_what_its_content_type_says() {
    unchanged(|client, hash| {
        let body = || br#"{"content": "x", "query": "x", "tags": ["x"]}"#.to_vec();
        let send = |method: &str, path: &str, kind: &str| {
            client.send(method, path, &[("content-type", kind)], body())
        };
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "text/json",
            "application/jsonp",
            "json",
            "*/*",
        ] {
            let refused = |method: &str, path: &str| {
                send(method, path, kind).expect_problem(415, "unsupported_media_type");
            };
            refused("POST", "/api/memories");
            refused("POST", "/api/memories/batch");
            refused("POST", "/api/import");
            refused("POST", "/api/search");
            refused("POST", "/api/search/by-tag");
            refused("POST", "/api/search/by-time");
            refused("PUT", &path(hash));
            refused("PATCH", &path(hash));
        }
    });
    let server = Place::new().serve();
    let kinds = ["application/json", "Application/JSON; charset=utf-8", "application/ld+json"];
    for (n, kind) in kinds.iter().enumerate() {
        let body = json!({"content": format!("text {n}")}).to_string().into_bytes();
        server.client().send("POST", "/api/memories", &[("content-type", kind)], body).expect(200);
    }
    server
        .client()
        .send("POST", "/api/memories", &[], br#"{"content": "bare"}"#.to_vec())
        .expect(200);
}

#[test]
fn a_coded_body_is_refused_as_such() {
    unchanged(|client, _| {
        for coding in ["gzip", "br", "deflate", "zstd", "GZIP", "identity, gzip"] {
            let json = "application/json";
            for (path, kind) in [
                ("/api/memories", json),
                ("/api/memories/batch", json),
                ("/api/search", json),
                ("/api/import", "application/x-ndjson"),
            ] {
                let headers = [("content-type", kind), ("content-encoding", coding)];
                let answer = client.send("POST", path, &headers, b"\x1f\x8b\x08\0".to_vec());
                answer.expect_problem(415, "unsupported_content_coding");
            }
        }
    });
}

#[test]
fn query_strings_are_held_to_their_bounds() {
    unchanged(|client, hash| {
        let check = |query: &str, code: &str| {
            client.get(&format!("/api/memories?{query}")).expect_problem(400, code);
        };
        for query in [
            "page=0",
            "page=-1",
            "page=x",
            "page=1.5",
            "page=",
            "page=1000001",
            "page=99999999999999999999",
            "page=1&page=2",
            "page_size=0",
            "page_size=101",
            "page_size=ten",
            "tag_match=some",
            "namespace=a&store=b",
        ] {
            check(query, "invalid_query");
        }
        for name in ["Upper", "_keys", "a,,b", "a%20b", "", "%2a,a", "a%00"] {
            check(&format!("namespace={name}"), "invalid_namespace");
            for path in ["/api/tags", "/api/types", "/api/export"] {
                let answer = client.get(&format!("{path}?namespace={name}"));
                answer.expect_problem(400, "invalid_namespace");
            }
            for suffix in ["", "/history"] {
                let answer = client.get(&format!("{}{suffix}?namespace={name}", path(hash)));
                answer.expect_problem(400, "invalid_namespace");
            }
        }
        let long = "f".repeat(10_000);
        let infinite = format!("7ff0000000000000{}", "0".repeat(16));
        for cursor in ["zz", "%00", &"f".repeat(32), &infinite, &"0".repeat(31), &long] {
            check(&format!("cursor={cursor}"), "bad_cursor");
        }
        check(&format!("tag={}", "x".repeat(101)), "invalid_tag");
        check("tag=a%00b", "invalid_tag");
        client.get("/api/memories?page=1000000&page_size=100").expect(200);
        client.get("/api/memories?unknown=1&page=&page=").expect_problem(400, "invalid_query");
        client.get("/api/memories?unknown=1").expect(200);
    });
}

#[test]
fn a_request_that_breaks_off_stores_nothing_and_holds_nobody_up() {
    let server = Place::new().serve();
    let mut half = raw::connect(&server.url);
    let head = "POST /api/memories HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"content\": \"half";
    half.write_all(head.as_bytes()).expect("the server reads");
    half.shutdown(Shutdown::Write).expect("the connection is open");
    let mut silent = raw::connect(&server.url);
    silent.write_all(b"GET /api/hea").expect("the server reads");
    let client = server.client();
    store_text(&client, "someone else");
    let listed = client.get("/api/memories").expect(200).value();
    assert_eq!(listed["total"], 1, "{listed}");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    drop((half, silent));
}
