//! Secrets: every kind of them is used, right and wrong, with the log at its finest; then they are
//! looked for in the log, in the answers and in the list of processes.

use std::fs;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::events::EventStream;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::{Place, signal};
use crate::common::rest::{store_text, text};

const FIXED: &str = "fixed-key-s3cret-4f1d9c";
const CLUSTER: &str = "cluster-s3cret-8b7a6d5c4e3f2a1b0c9d8e7f";
const ISSUER: &str = "issuer-s3cret-5e4d3c2b1a0f9e8d7c6b5a49";
const WEBHOOK: &str = "webhook-s3cret-1a2b3c4d5e6f";
const GUESS: &str = "guessed-s3cret-77aa88bb99cc";
const TEXT: &str = "the text of a memory, which no log holds";

fn token(audience: &str) -> String {
    let claims = json!({"iss": "i", "aud": audience, "sub": "ada", "scope": "read",
        "exp": memnode::clock::now_ms() / 1000 + 600});
    let key = EncodingKey::from_secret(ISSUER.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token")
}

/// Presents a credential in every carrier, to routes of every kind.
fn present(client: &Client, credential: &str) -> Vec<Answer> {
    let bearer = client.with("authorization", &format!("Bearer {credential}"));
    let header = client.with("x-api-key", credential);
    let mut answers = Vec::new();
    for path in ["/api/tags", "/api/memories?page=0", "/api/admin/keys", "/metrics", "/nowhere"] {
        answers.push(bearer.get(path));
        answers.push(header.get(path));
        let and = if path.contains('?') { '&' } else { '?' };
        answers.push(client.get(&format!("{path}{and}api_key={credential}")));
    }
    answers.push(client.get(&format!("/api/ws?ticket={credential}")));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "memory_search", "arguments": {"query": "x"}}});
    let headers =
        [("accept", "application/json, text/event-stream"), ("content-type", "application/json")];
    answers.push(bearer.send("POST", "/mcp", &headers, call.to_string().into_bytes()));
    answers
}

#[test]
fn no_secret_is_in_a_log_an_answer_or_the_list_of_processes() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let place = Place::new();
    let (file, issuer) = (place.path().join("cluster.secret"), place.path().join("issuer.secret"));
    fs::write(&file, CLUSTER).expect("a file");
    fs::write(&issuer, ISSUER).expect("a file");
    let issuers = json!([{"issuer": "i", "audience": "memnode", "algorithm": "HS256",
        "secret_file": issuer}]);
    let place = place
        .with("MCP_API_KEY", FIXED)
        .with("MEMNODE_CLUSTER_SECRET_FILE", file.to_str().expect("a path"))
        .with("MEMNODE_JWT_ISSUERS", issuers.to_string())
        .with("MEMNODE_WEBHOOKS", "http://127.0.0.1:9/hook")
        .with("MEMNODE_WEBHOOK_SECRET", WEBHOOK)
        .with("MEMNODE_NATS_URL", nats.url())
        .with("MEMNODE_LOG", "trace");
    let server = place.serve();
    let client = server.client();
    crate::common::eventually("it is ready", || {
        (client.get("/readyz").status == 200).then_some(())
    });
    let root = client.with("x-api-key", FIXED);
    let made = root.post("/api/admin/keys", json!({"name": "x", "scopes": ["admin"]}));
    let made: Value = made.expect(200).value();
    let (id, key) = (text(&made["key"]["id"]), text(&made["secret"]));
    let rotated = root.post(&format!("/api/admin/keys/{id}/rotate"), json!({"grace_seconds": 60}));
    let newer = text(&rotated.expect(200).value()["secret"]);
    let ticket = root.post("/api/events/ticket", json!({})).expect(200).value();
    let ticket = text(&ticket["ticket"]);
    let path = format!("/events?ticket={ticket}");
    let (mut stream, _) = EventStream::resume(&server.url, &path, None);
    store_text(&root, TEXT);
    stream.next_named("memory_stored");
    let (good, elsewhere) = (token("memnode"), token("another"));
    let mut answers = Vec::new();
    for credential in [FIXED, &key, &newer, &good, &elsewhere, &ticket, GUESS] {
        answers.extend(present(&client, credential));
    }
    root.delete(&format!("/api/admin/keys/{id}")).expect(200);
    answers.extend(present(&client, &newer));

    let secret_of = |key: &str| key.rsplit('_').next().expect("a secret").to_owned();
    let signature_of = |token: &str| token.rsplit('.').next().expect("a signature").to_owned();
    let secrets = [
        FIXED.to_owned(),
        CLUSTER.to_owned(),
        ISSUER.to_owned(),
        WEBHOOK.to_owned(),
        GUESS.to_owned(),
        ticket,
        secret_of(&key),
        secret_of(&newer),
        signature_of(&good),
        signature_of(&elsewhere),
    ];
    let find = |what: &str, told: &str| {
        for secret in &secrets {
            let at = told.find(secret.as_str());
            let line = at.map(|at| &told[at.saturating_sub(200)..(at + 20).min(told.len())]);
            assert_eq!(line, None, "{what} tells a secret");
        }
    };
    for answer in &answers {
        find("an answer", &format!("{:?} {}", answer.headers, answer.text()));
    }
    let process = |name: &str| {
        let bytes = fs::read(format!("/proc/{}/{name}", server.pid())).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    find("the list of processes", &process("cmdline"));
    let shown = place.run(&["config", "show"]).ok().stdout;
    find("memnode config show", &shown);
    signal(server.pid(), "TERM");
    let log = server.kill();
    assert!(log.contains("TRACE") && log.contains("answered GET"), "the log is at its finest");
    find("the log", &log);
    assert!(!log.contains(TEXT), "the log holds the text of a memory");
}

#[test]
fn a_secret_as_a_flag_is_refused_without_being_repeated() {
    for (flag, variable) in [
        ("--api-key", "MCP_API_KEY"),
        ("--cluster-secret", "MEMNODE_CLUSTER_SECRET"),
        ("--nats-password", "MEMNODE_NATS_PASSWORD"),
        ("--embedder-api-key", "MEMNODE_EMBEDDER_API_KEY"),
        ("--webhook-secret", "MEMNODE_WEBHOOK_SECRET"),
    ] {
        let refused = Place::new().run(&["serve", flag, GUESS]).expect_code(64);
        assert!(refused.stderr.contains(variable), "{}", refused.stderr);
        assert!(!refused.stderr.contains(GUESS), "{}", refused.stderr);
    }
}

#[test]
fn a_node_that_is_open_says_so_once_and_a_closed_one_does_not() {
    let told = |place: Place| {
        let server = place.serve();
        let (_, log) = server.stop();
        log.matches("without a key").count()
    };
    assert_eq!(told(Place::new()), 1);
    assert_eq!(told(Place::new().with("MCP_API_KEY", FIXED)), 0);
    let open = Place::new().with("MCP_ALLOW_ANONYMOUS_ACCESS", "true");
    assert_eq!(told(open.with("MCP_HTTP_HOST", "0.0.0.0")), 1);
}
