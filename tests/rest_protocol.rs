//! What holds for every path: methods, failures, headers, compression; the document and its page.

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::raw;
use crate::common::rest::{UNKNOWN, path, store, store_text, text};

fn serve() -> (Server, Client) {
    let server = Place::new().serve();
    let client = server.client();
    (server, client)
}

#[test]
fn what_is_not_built_yet_is_an_unknown_path() {
    let (_server, client) = serve();
    for (method, path) in [
        ("GET", "/api/admin"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/api"),
        ("GET", "/api/memories/"),
        ("GET", "//api/memories"),
        ("GET", "/API/memories"),
        ("GET", "/api/memories/x/y/z"),
        ("GET", "/api/../etc/passwd"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd"),
        ("DELETE", "/nothing"),
        ("BREW", "/nothing"),
    ] {
        let problem = client.send(method, path, &[], Vec::new());
        let problem = problem.expect_problem(404, "unknown_path").value();
        assert_eq!(problem["title"], "Not Found", "{method} {path}");
        assert_eq!(problem["instance"], path.split('?').next().expect("a path"), "{problem}");
    }
}

#[test]
fn a_method_that_a_path_does_not_have_names_those_it_has() {
    let (_server, client) = serve();
    let hash = store_text(&client, "x");
    let memory = path(&hash);
    let restore = format!("{memory}/restore");
    for (path, allowed) in [
        ("/api/health", vec!["GET", "HEAD"]),
        ("/api/memories", vec!["GET", "HEAD", "POST"]),
        (&*memory, vec!["DELETE", "GET", "HEAD", "PATCH", "PUT"]),
        (&*restore, vec!["POST"]),
        ("/api/search", vec!["POST"]),
        ("/api/search/by-tag", vec!["POST"]),
        ("/api/tags", vec!["GET", "HEAD"]),
        ("/api/import", vec!["POST"]),
        ("/api/export", vec!["GET", "HEAD"]),
        ("/api/cluster/digest", vec!["GET", "HEAD"]),
    ] {
        let check = |allow: Option<&str>| {
            let mut found: Vec<&str> = allow.expect("Allow").split(',').map(str::trim).collect();
            found.sort_unstable();
            assert_eq!(found, allowed, "{path}");
        };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW"] {
            if !allowed.contains(&method) {
                let answer = client.send(method, path, &[], Vec::new());
                let answer = answer.expect_problem(405, "method_not_allowed");
                check(answer.header("allow"));
            }
        }
        let options = client.send("OPTIONS", path, &[], Vec::new()).expect(204);
        assert!(options.body.is_empty());
        check(options.header("allow"));
    }
}

#[test]
fn head_is_get_without_a_body() {
    let (_server, client) = serve();
    let hash = store_text(&client, "x");
    for path in ["/api/health", "/api/memories", &path(&hash), "/api/tags", "/livez"] {
        let get = client.get(path).expect(200);
        let head = client.send("HEAD", path, &[], Vec::new()).expect(200);
        assert!(head.body.is_empty(), "{path}");
        for name in ["content-type", "etag", "content-length", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    let missing = client.send("HEAD", &path(UNKNOWN), &[], Vec::new()).expect(404);
    assert!(missing.body.is_empty());
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
}

#[test]
fn every_answer_can_be_told_apart_and_is_not_kept() {
    let (_server, client) = serve();
    let mut seen = Vec::new();
    for path in ["/api/health", "/api/memories", "/nothing", &path(UNKNOWN)] {
        let answer = client.get(path);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        seen.push(answer.header("x-request-id").expect("an id").to_owned());
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4);
    let named = client.with("X-Request-ID", "my-id-7").get("/nothing");
    assert_eq!(named.header("x-request-id"), Some("my-id-7"));
}

#[test]
fn large_answers_are_compressed_for_those_who_ask() {
    let (_server, client) = serve();
    store(&client, json!({"content": "very repetitive ".repeat(1_000)}));
    let plain = client.with("Accept-Encoding", "identity").get("/api/memories").expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    for (accepted, coding, magic) in [
        ("gzip", "gzip", &b"\x1f\x8b"[..]),
        ("br", "br", b""),
        ("br;q=0, gzip", "gzip", b"\x1f\x8b"),
    ] {
        let answer = client.with("Accept-Encoding", accepted).get("/api/memories").expect(200);
        assert_eq!(answer.header("content-encoding"), Some(coding), "{accepted}");
        assert!(answer.body.starts_with(magic), "{accepted}");
        assert!(answer.body.len() * 4 < plain.body.len(), "{} bytes", answer.body.len());
        let vary = answer.header("vary").unwrap_or_default().to_ascii_lowercase();
        assert!(vary.contains("accept-encoding"), "{vary}");
    }
    let unknown = client.with("Accept-Encoding", "zstd-but-odd").get("/api/memories").expect(200);
    assert_eq!(unknown.body, plain.body);
}

#[test]
fn what_is_no_http_harms_nobody() {
    let (server, client) = serve();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"POST /api/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\
          Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ] {
        use std::io::{Read, Write};
        let mut stream = raw::connect(&server.url);
        stream.write_all(bytes).expect("the server listens");
        stream.shutdown(std::net::Shutdown::Write).expect("the connection is open");
        let mut answer = Vec::new();
        // It may just close; that it does is what counts.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.contains(" 500 "), "{answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(1_000_000));
    let mut stream = raw::connect(&server.url);
    // The server may stop reading before the end.
    let _ = std::io::Write::write_all(&mut stream, long.as_bytes());
    drop(stream);
    client.get("/api/health").expect(200);
}

#[test]
fn a_bare_request_of_the_first_protocol_is_answered() {
    let (server, _client) = serve();
    let answer = raw::exchange(&server.url, b"GET /api/health HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(answer.expect(200).value(), json!({"status": "healthy"}));
}

#[test]
fn the_document_is_openapi_and_every_path_in_it_is_served() {
    let (_server, client) = serve();
    let answer = client.get("/api/openapi.json").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.value();
    let version = text(&document["openapi"]);
    assert!(version.starts_with("3.1."), "{version}");
    assert_eq!(document["info"]["title"], "memnode");
    let mut count = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let mut concrete = path.replace("{hash}", UNKNOWN).replace("{bucket}", "0");
        concrete = concrete.replace("{id}", "0123456789abcdef");
        if path.ends_with("/events") {
            // A stream that begins does not end; one that is refused does.
            concrete.push_str("?last_event_id=x");
        }
        assert!(!concrete.contains('{'), "{path}");
        for method in item.as_object().expect("an item").keys() {
            let answer = client.send(&method.to_uppercase(), &concrete, &[], Vec::new());
            assert_ne!(answer.status, 405, "{method} {path}");
            if answer.status >= 400 {
                assert_ne!(answer.value()["code"], "unknown_path", "{method} {path}");
            }
            count += 1;
        }
    }
    assert!(count >= 25, "{count} operations");
}

/// The addresses in a page or style sheet.
fn links(page: &str) -> Vec<String> {
    let quoted = ["src=\"", "href=\"", "url("].iter().flat_map(|start| {
        page.split(start).skip(1).map(|rest| rest.split(['"', ')']).next().unwrap_or_default())
    });
    quoted.map(str::to_owned).collect()
}

#[test]
fn the_docs_page_needs_no_other_site() {
    let (_server, client) = serve();
    let mut answer = client.get("/api/docs");
    while let Some(location) = answer.header("location") {
        assert!(location.starts_with("/api/docs"), "{location}");
        answer = client.get(location);
    }
    let page = answer.expect(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'self'"), "{policy}");
    let links = links(&page.text());
    assert!(links.iter().any(|link| link.ends_with(".js")), "{links:?}");
    for link in links {
        assert!(!link.contains("//"), "{link} is elsewhere");
        let file = link.trim_start_matches("./");
        let path = if link.starts_with('/') { link.clone() } else { format!("/api/docs/{file}") };
        let asset = client.get(&path).expect(200);
        let kind = asset.header("content-type").unwrap_or_default().to_owned();
        assert!(!asset.body.is_empty(), "{path}");
        assert!(!kind.starts_with("text/html"), "{path} is {kind}");
    }
    let set_up = client.get("/api/docs/swagger-initializer.js").expect(200).text();
    assert!(set_up.contains("/api/openapi.json"), "{set_up}");
    assert!(!set_up.contains("petstore"), "{set_up}");
}

#[test]
fn the_digest_follows_every_write() {
    let (_server, client) = serve();
    let digest = || client.get("/api/cluster/digest").expect(200).value();
    let empty = digest();
    assert_eq!(crate::common::rest::keys(&empty), ["buckets", "count", "root", "vector"]);
    assert_eq!((&empty["count"], &empty["buckets"]), (&json!(0), &json!([])));
    let mut roots = vec![empty["root"].clone()];
    let hash = store_text(&client, "x");
    roots.push(digest()["root"].clone());
    client.put(&path(&hash), json!({"tags": ["a"]})).expect(200);
    roots.push(digest()["root"].clone());
    client.delete(&path(&hash)).expect(200);
    let last = digest();
    roots.push(last["root"].clone());
    let mut distinct: Vec<String> = roots.iter().map(Value::to_string).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "{roots:?}");
    assert_eq!(last["count"], 1, "a deleted record counts");
    let bucket = &last["buckets"][0];
    let number = bucket["bucket"].as_u64().expect("a number");
    let one = client.get(&format!("/api/cluster/digest/{number}")).expect(200).value();
    assert_eq!(&one, bucket);
    let other = client.get(&format!("/api/cluster/digest/{}", (number + 1) % 4096));
    assert_eq!(other.expect(200).value()["count"], 0);
    for wrong in ["4096", "-1", "x", "65536", "1.5", "%00"] {
        let answer = client.get(&format!("/api/cluster/digest/{wrong}"));
        answer.expect_problem(404, "bucket_not_found");
    }
}
