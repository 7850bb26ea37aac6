//! Who may call: API keys in their carriers, hosts, origins, and where a node binds.

use serde_json::json;

use crate::common::client::{Answer, Client};
use crate::common::node::Place;
use crate::common::raw;
use crate::common::rest::{path, store_text};

const KEY: &str = "s3cret-key";

/// Every call that needs a credential, once.
fn closed_calls(client: &Client, query: &str) -> Vec<(String, Answer)> {
    let hash = crate::common::rest::UNKNOWN;
    let memory = path(hash);
    [
        ("GET", "/api/health/detailed".to_owned()),
        ("GET", "/api/memories".to_owned()),
        ("POST", "/api/memories".to_owned()),
        ("POST", "/api/memories/batch".to_owned()),
        ("POST", "/api/memories/delete".to_owned()),
        ("GET", memory.clone()),
        ("PUT", memory.clone()),
        ("PATCH", memory.clone()),
        ("DELETE", memory.clone()),
        ("POST", format!("{memory}/restore")),
        ("GET", format!("{memory}/history")),
        ("POST", "/api/search".to_owned()),
        ("POST", "/api/search/by-tag".to_owned()),
        ("POST", "/api/search/by-time".to_owned()),
        ("GET", format!("/api/search/similar/{hash}")),
        ("GET", "/api/tags".to_owned()),
        ("GET", "/api/types".to_owned()),
        ("POST", "/api/import".to_owned()),
        ("GET", "/api/export".to_owned()),
        ("POST", format!("{memory}/purge")),
        ("GET", "/api/cluster".to_owned()),
        ("GET", "/api/cluster/quarantine".to_owned()),
        ("POST", "/api/cluster/quarantine".to_owned()),
        ("POST", "/api/cluster/forget-node".to_owned()),
        ("POST", "/api/cluster/init".to_owned()),
        ("POST", "/api/cluster/join".to_owned()),
        ("POST", "/api/cluster/snapshot".to_owned()),
        ("GET", "/api/conflicts".to_owned()),
        ("GET", "/api/sync/status".to_owned()),
        ("GET", "/api/cluster/digest".to_owned()),
        ("GET", "/api/cluster/digest/0".to_owned()),
        ("GET", "/api/index".to_owned()),
        ("POST", "/api/index/check".to_owned()),
        ("POST", "/api/index/rebuild".to_owned()),
        ("GET", "/api/reembed".to_owned()),
        ("POST", "/api/reembed".to_owned()),
        ("POST", "/api/verify".to_owned()),
        ("GET", "/api/backup/status".to_owned()),
        ("GET", "/api/backup/list".to_owned()),
        ("POST", "/api/backup/now".to_owned()),
    ]
    .into_iter()
    .map(|(method, path)| {
        let answer = client.send(method, &format!("{path}{query}"), &[], Vec::new());
        (format!("{method} {path}"), answer)
    })
    .collect()
}

#[test]
fn without_the_key_nothing_but_health_is_answered() {
    let server = Place::new().with("MCP_API_KEY", KEY).serve();
    let client = server.client();
    for path in ["/api/health", "/healthz", "/livez"] {
        client.get(path).expect(200);
    }
    assert!([200, 503].contains(&client.get("/readyz").status));
    for (call, answer) in closed_calls(&client, "") {
        assert_eq!(answer.status, 401, "{call}");
        let answer = answer.expect_problem(401, "credential_missing");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        let base = &server.url;
        let expected =
            format!("Bearer resource_metadata=\"{base}/.well-known/oauth-protected-resource\"");
        assert_eq!(challenge, expected, "{call}");
        assert!(!answer.text().contains(KEY));
    }
    for (call, answer) in closed_calls(&client.with("X-API-Key", KEY), "") {
        assert_ne!(answer.status, 401, "{call}: {}", answer.text());
    }
}

#[test]
fn each_carrier_is_good_and_the_first_that_is_present_decides() {
    let server = Place::new().with("MCP_API_KEY", KEY).serve();
    let client = server.client();
    let check = |headers: &[(&str, &str)], query: &str, code: Option<&str>| {
        let answer = client.send("GET", &format!("/api/tags{query}"), headers, Vec::new());
        match code {
            None => drop(answer.expect(200)),
            Some(code) => drop(answer.expect_problem(401, code)),
        }
    };
    let bearer = format!("Bearer {KEY}");
    let good = [("authorization", bearer.as_str())];
    check(&good, "", None);
    check(&[("authorization", &format!("bearer   {KEY}"))], "", None);
    check(&[("x-api-key", KEY)], "", None);
    check(&[], &format!("?api_key={KEY}"), None);
    check(&[], &format!("?a=b&api_key={}", KEY.replace('-', "%2D")), None);
    check(&good, "?api_key=wrong", None);
    check(&[("authorization", &bearer), ("x-api-key", "wrong")], "", None);

    let wrong = Some("invalid_credential");
    check(&[], "", Some("credential_missing"));
    check(&[("authorization", "Bearer wrong"), ("x-api-key", KEY)], "", wrong);
    check(&[("authorization", "Bearer wrong")], &format!("?api_key={KEY}"), wrong);
    check(&[("x-api-key", "wrong")], &format!("?api_key={KEY}"), wrong);
    check(&[("x-api-key", "")], &format!("?api_key={KEY}"), wrong);
    check(&[("authorization", "")], &format!("?api_key={KEY}"), wrong);
    check(&[("authorization", "Basic dXNlcjpwYXNz"), ("x-api-key", KEY)], "", wrong);
    check(&[("authorization", KEY)], "", wrong);
    check(&[("authorization", &format!("Bearer{KEY}"))], "", wrong);
    check(&[], "?api_key=", wrong);
    check(&[], &format!("?api_key={KEY}&api_key=wrong"), wrong);
    check(&[], &format!("?api_key={}", KEY.to_uppercase()), wrong);
    check(&[], &format!("?api_key={KEY}x"), wrong);
    check(&[], &format!("?api_key={}", &KEY[1..]), wrong);
    check(&[("x-api-key", "\u{e9}")], "", wrong);
}

#[test]
fn a_wrong_key_is_never_anonymous() {
    let open = Place::new().serve();
    open.client().get("/api/tags").expect(200);
    for (call, answer) in closed_calls(&open.client().with("X-API-Key", "guess"), "") {
        assert_eq!(answer.status, 401, "{call}");
    }
    let both = Place::new().with("MCP_API_KEY", KEY).with("MCP_ALLOW_ANONYMOUS_ACCESS", "true");
    let server = both.serve();
    server.client().get("/api/tags").expect(200);
    server.client().with("X-API-Key", KEY).get("/api/tags").expect(200);
    let wrong = server.client().get("/api/tags?api_key=guess");
    wrong.expect_problem(401, "invalid_credential");
}

#[test]
fn a_wrong_credential_is_told_before_anything_about_the_request() {
    let server = Place::new().with("MCP_API_KEY", KEY).serve();
    let client = server.client();
    let check = |method: &str, path: &str, kind: &str, body: &[u8]| {
        let answer = client.send(method, path, &[("content-type", kind)], body.to_vec());
        answer.expect_problem(401, "credential_missing");
    };
    check("POST", "/api/memories", "application/json", b"{");
    check("POST", "/api/memories", "text/plain", b"x");
    check("GET", "/api/memories?page=0", "text/plain", b"");
    check("GET", &path("nonsense"), "text/plain", b"");
    check("POST", "/api/import", "text/plain", b"");
    check("POST", "/api/memories", "application/json", &vec![b' '; 2 * 1024 * 1024]);
}

#[test]
fn a_node_that_others_reach_needs_a_key_or_a_word() {
    for host in ["0.0.0.0", "::"] {
        let place = Place::new();
        let refused = place.run(&["serve", "--http-port", "0", "--http-host", host]);
        let refused = refused.expect_code(64);
        for word in ["MCP_API_KEY", "MCP_ALLOW_ANONYMOUS_ACCESS"] {
            assert!(refused.stderr.contains(word), "{refused:?}");
        }
        assert!(!place.database().exists(), "nothing is created");
        let flag = ["--allow-anonymous", "false"];
        let arguments = ["serve", "--http-port", "0", "--http-host", host, flag[0], flag[1]];
        place.run(&arguments).expect_code(64);
    }
    let keyed = Place::new().with("MCP_API_KEY", KEY).serve_with(&["--http-host", "0.0.0.0"]);
    keyed.client().get("/api/tags").expect_problem(401, "credential_missing");
    keyed.client().with("X-API-Key", KEY).get("/api/tags").expect(200);
    let said = Place::new().with("MCP_ALLOW_ANONYMOUS_ACCESS", "true");
    let said = said.serve_with(&["--http-host", "0.0.0.0"]);
    said.client().get("/api/tags").expect(200);
}

/// A request with exactly these headers.
fn request(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {head}\r\n{body}"
    );
    raw::exchange(url, request.as_bytes())
}

#[test]
fn a_name_of_another_machine_is_refused_on_loopback() {
    let server = Place::new().serve();
    let port = server.url.rsplit(':').next().expect("a port").to_owned();
    let get = |host: &str| request(&server.url, "GET", "/api/memories", &[("Host", host)], "");
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "localhost.evil.example".to_owned(),
        "127.0.0.1.nip.io".to_owned(),
        "127.0.0.1@evil.example".to_owned(),
        "evil.example#localhost".to_owned(),
        "169.254.169.254".to_owned(),
        "[::ffff:10.0.0.1]".to_owned(),
        "0.0.0.0".to_owned(),
        String::new(),
        "localhost, evil.example".to_owned(),
    ] {
        let answer = get(&host);
        assert_eq!(answer.status, 403, "{host}: {}", answer.text());
        answer.expect_problem(403, "host_not_allowed");
    }
    for host in [
        format!("localhost:{port}"),
        "LocalHost".to_owned(),
        format!("127.0.0.1:{port}"),
        "127.8.8.8".to_owned(),
        format!("[::1]:{port}"),
        "[::ffff:127.0.0.1]".to_owned(),
    ] {
        assert_eq!(get(&host).status, 200, "{host}");
    }
    let headers = [("Host", "evil.example"), ("Content-Type", "application/json")];
    let body = "{\"content\": \"from a page\"}";
    request(&server.url, "POST", "/api/memories", &headers, body)
        .expect_problem(403, "host_not_allowed");
    for path in ["/", "/api/docs", "/api/openapi.json", "/api/health", "/mcp"] {
        let answer = request(&server.url, "GET", path, &[("Host", "evil.example")], "");
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(request(&server.url, "GET", "/api/memories", &[], "").status, 403, "no host");
    assert_eq!(server.client().get("/api/memories").expect(200).value()["total"], 0);
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let server = Place::new().serve();
    let hash = store_text(&server.client(), "mine");
    for origin in ["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1", "x"] {
        let client = server.client().with("Origin", origin);
        let refused = |answer: Answer| drop(answer.expect_problem(403, "origin_not_allowed"));
        refused(client.post("/api/memories", json!({"content": "theirs"})));
        refused(client.put(&path(&hash), json!({"tags": ["theirs"]})));
        refused(client.delete(&path(&hash)));
        // A form can send these without asking first.
        let plain = [("content-type", "text/plain")];
        refused(client.send("POST", "/api/import", &plain, b"{\"content\": \"x\"}".to_vec()));
        refused(client.send("POST", "/api/import", &[], b"{\"content\": \"x\"}".to_vec()));
        refused(client.send("POST", "/api/verify", &[], Vec::new()));
        refused(client.send("POST", &format!("{}/restore", path(&hash)), &[], Vec::new()));
        let read = client.get("/api/memories").expect(200);
        assert_eq!(read.header("access-control-allow-origin"), None, "the page cannot read it");
    }
    let own = server.client().with("Origin", &server.url);
    own.post("/api/memories", json!({"content": "from the docs page"})).expect(200);
    assert_eq!(server.client().get("/api/memories").expect(200).value()["total"], 2);
}

fn preflight(client: &Client, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type,x-api-key,if-match"),
    ];
    client.send("OPTIONS", "/api/memories", &headers, Vec::new())
}

#[test]
fn listed_origins_may_call_with_credentials() {
    let place = Place::new().with("MCP_API_KEY", KEY);
    let server =
        place.with("MCP_CORS_ORIGINS", "https://app.example,http://localhost:3000").serve();
    let client = server.client();
    for origin in ["https://app.example", "http://localhost:3000"] {
        let answer = preflight(&client, origin);
        assert!([200, 204].contains(&answer.status), "{}", answer.status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        let methods = answer.header("access-control-allow-methods").expect("methods");
        assert!(methods.contains("PUT") && methods.contains("DELETE"), "{methods}");
        let allowed = answer.header("access-control-allow-headers").expect("headers");
        assert!(allowed.contains("x-api-key") && allowed.contains("if-match"), "{allowed}");
        let page = client.with("Origin", origin).with("X-API-Key", KEY);
        let answer = page.post("/api/memories", json!({"content": origin})).expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let exposed = answer.header("access-control-expose-headers").expect("exposed");
        assert!(exposed.contains("etag"), "{exposed}");
        // A page must be able to read refusals as well.
        let refused = client.with("Origin", origin).get("/api/memories");
        let refused = refused.expect_problem(401, "credential_missing");
        assert_eq!(refused.header("access-control-allow-origin"), Some(origin));
    }
    for origin in ["https://evil.example", "https://app.example.evil", "http://app.example"] {
        let answer = preflight(&client, origin);
        assert_ne!(answer.header("access-control-allow-origin"), Some(origin));
        assert_ne!(answer.header("access-control-allow-origin"), Some("*"));
        let page = client.with("Origin", origin).with("X-API-Key", KEY);
        page.post("/api/memories", json!({"content": "x"}))
            .expect_problem(403, "origin_not_allowed");
    }
}

#[test]
fn every_origin_may_call_without_credentials_when_all_are_named() {
    let server = Place::new().with("MCP_CORS_ORIGINS", "*").serve();
    let answer = preflight(&server.client(), "https://any.example");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let page = server.client().with("Origin", "https://any.example");
    page.post("/api/memories", json!({"content": "x"})).expect(200);
}

#[test]
fn no_other_origin_is_let_in_by_default() {
    let server = Place::new().serve();
    let answer = preflight(&server.client(), "https://app.example");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(answer.header("access-control-allow-methods"), None);
}
