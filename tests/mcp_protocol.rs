//! MCP as a client sees it, over a byte stream and over HTTP, in all three revisions.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use memnode::auth::Principal;
use memnode::config::{AuditConfig, BackupConfig, BackupInterval, DedupConfig, EventsConfig};
use memnode::embed::lazy::LazyEmbedder;
use memnode::embed::{EmbedError, Embedder, ModelId};
use memnode::mcp::{
    Caller, IngestPaths, McpHttpOptions, McpOptions, McpServer, http_service, serve_stream,
};
use memnode::service::{KeyParts, Service, ServiceParts};
use memnode::store::{Store, StoreOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf};
use tokio::io::{WriteHalf, split};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const DIMENSION: usize = 32;

/// Counts letters: equal texts are equal, others are not.
struct Letters(ModelId);

impl Embedder for Letters {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| letters(text)).collect())
    }
}

fn letters(text: &str) -> Vec<f32> {
    let mut vector = [0.0f32; DIMENSION];
    text.to_lowercase().bytes().for_each(|byte| vector[usize::from(byte) % DIMENSION] += 1.0);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    vector.iter().map(|x| x / length).collect()
}

fn server() -> (TempDir, McpServer) {
    let directory = tempfile::tempdir().expect("directory");
    let model = ModelId { name: "letters".into(), dimension: DIMENSION };
    let store = Store::open(&StoreOptions {
        path: directory.path().join("memnode.db"),
        node: "node-1".parse().expect("a valid name"),
        model: model.name.to_string(),
        dimension: DIMENSION,
        any_model: false,
        reader_count: 2,
        write_queue_count_max: 100,
        keeps_ops: false,
    });
    let service = Service::new(ServiceParts {
        replica: None,
        webhooks: None,
        node: "test-node".to_owned(),
        cluster: "memnode".to_owned(),
        store: Arc::new(store.expect("a new file opens")),
        embedder: LazyEmbedder::loaded(Arc::new(Letters(model))),
        reranker: None,
        dedup: DedupConfig { enabled: false, threshold: 0.85, time_window_hours: 24 },
        events: EventsConfig { heartbeat: Duration::from_secs(30), log_rows_max: 10_000 },
        audit: AuditConfig { days: 90, reads: false },
        backup: BackupConfig {
            dir: directory.path().join("backups"),
            enabled: false,
            interval: BackupInterval::Daily,
            retention_days: 7,
            max_count: 10,
        },
        keys: KeyParts::open_to_all(),
        time_zone: None,
        deadline: Duration::from_secs(30),
        slow_query: Duration::ZERO,
        tasks: Default::default(),
        shutdown: CancellationToken::new(),
    });
    let options = McpOptions { default_namespace: Default::default(), ingest: IngestPaths::Any };
    (directory, McpServer::new(service, Caller::Fixed(Principal::local()), options))
}

struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    id: u64,
    /// What every request carries.
    meta: Value,
    _directory: TempDir,
}

impl Client {
    #[allow(clippy::disallowed_methods)]
    fn connect(meta: Value) -> Self {
        let (directory, server) = server();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve_stream(server, theirs, CancellationToken::new()));
        let (reader, writer) = split(ours);
        let lines = BufReader::new(reader).lines();
        Client { lines, writer, id: 0, meta, _directory: directory }
    }

    /// One that has agreed on a revision by handshake.
    async fn with_handshake(revision: &str) -> Self {
        let mut client = Client::connect(json!({}));
        let info = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": info});
        let answer = client.request("initialize", params).await;
        assert_eq!(answer["result"]["protocolVersion"], revision);
        assert_eq!(answer["result"]["serverInfo"]["name"], "memnode");
        assert!(answer["result"]["instructions"].is_string());
        client.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    /// One of the revision without a handshake.
    fn stateless() -> Self {
        Client::connect(stateless_meta())
    }

    async fn send(&mut self, message: Value) {
        let line = format!("{message}\n");
        self.writer.write_all(line.as_bytes()).await.expect("the server reads");
    }

    async fn request(&mut self, method: &str, mut params: Value) -> Value {
        self.id += 1;
        if let (Some(meta), Some(params)) = (self.meta.as_object(), params.as_object_mut()) {
            let given = params.entry("_meta").or_insert_with(|| json!({}));
            given.as_object_mut().expect("an object").extend(meta.clone());
        }
        let id = self.id;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(message).await;
        let line = self.lines.next_line().await.expect("readable").expect("an answer");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(answer["id"], id);
        answer
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.call_with(tool, arguments, json!({})).await
    }

    async fn call_with(&mut self, tool: &str, arguments: Value, meta: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        self.request("tools/call", params).await["result"].take()
    }
}

fn stateless_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().expect("a text")
}

#[tokio::test]
async fn every_revision_stores_and_finds() {
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let mut client = match revision {
            "2026-07-28" => Client::stateless(),
            _ => Client::with_handshake(revision).await,
        };
        let tools = client.request("tools/list", json!({})).await;
        assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(10), "{revision}");
        let stored = client.call("memory_store", json!({"content": "tea is green"})).await;
        assert!(text(&stored).starts_with("Memory stored successfully (hash: "), "{stored}");
        let found = client.call("memory_search", json!({"query": "tea is green"})).await;
        let start = "Found 1 memories (mode: hybrid) for query: 'tea is green'\n\n1. tea is green";
        assert!(text(&found).starts_with(start), "{found}");
        let memory = &found["structuredContent"]["results"][0]["memory"];
        assert_eq!(memory, &stored["structuredContent"]["memory"]);
    }
}

#[tokio::test]
async fn a_repeated_text_is_no_failure_but_a_wrong_argument_is() {
    let mut client = Client::stateless();
    client.call("memory_store", json!({"content": "once"})).await;
    let again = client.call("memory_store", json!({"content": "Once "})).await;
    assert!(text(&again).starts_with("Duplicate content detected (exact match)"));
    assert_eq!(
        (&again["isError"], &again["structuredContent"]["success"]),
        (&json!(false), &json!(false))
    );
    for arguments in [json!({}), json!({"content": 7}), json!({"content": " "})] {
        let refused = client.call("memory_store", arguments).await;
        assert_eq!(refused["isError"], true);
        assert!(text(&refused).starts_with("Error storing memory: "), "{refused}");
        assert!(refused["_meta"]["memnode/error"]["code"].is_string());
        assert!(refused.get("structuredContent").is_none());
    }
}

#[tokio::test]
async fn requests_that_lead_nowhere_are_protocol_errors() {
    let mut client = Client::with_handshake("2025-11-25").await;
    for (method, params, code) in [
        ("tools/call", json!({"name": "memory_fly"}), -32602),
        ("tools/call", json!({"name": 5}), -32602),
        ("tools/call", json!({"name": "memory_store", "arguments": [1]}), -32602),
        ("prompts/get", json!({"name": "memory_review"}), -32602),
        ("prompts/get", json!({"name": "none"}), -32602),
        ("resources/read", json!({"uri": "memory://none"}), -32002),
        ("memories/fly", json!({}), -32601),
    ] {
        let answer = client.request(method, params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
    }
}

#[tokio::test]
async fn a_call_sent_again_gets_its_original_answer() {
    let mut client = Client::stateless();
    let key = json!({"memnode/idempotency_key": "run-1"});
    let arguments = json!({"content": "kept"});
    let first = client.call_with("memory_store", arguments.clone(), key.clone()).await;
    let again = client.call_with("memory_store", arguments, key.clone()).await;
    assert_eq!(first, again);
    assert_eq!(again["structuredContent"]["success"], true);
    let other = client.call_with("memory_store", json!({"content": "other"}), key).await;
    assert_eq!(other["isError"], true);
}

#[tokio::test]
async fn the_bridge_names_the_default_namespace() {
    let mut client = Client::stateless();
    let team = json!({"memnode/namespace": "team"});
    let stored = client.call_with("store_memory", json!({"content": "x"}), team.clone()).await;
    assert_eq!(stored["structuredContent"]["memory"]["namespace"], "team");
    let listed = client.call("list_memories", json!({})).await;
    assert_eq!(listed["structuredContent"]["total"], 0);
    let listed = client.call_with("list_memories", json!({}), team).await;
    assert_eq!(listed["structuredContent"]["total"], 1);
    let wrong = json!({"memnode/namespace": "No Name"});
    let refused = client.call_with("memory_list", json!({}), wrong).await;
    assert_eq!(refused["isError"], true);
}

#[tokio::test]
async fn resources_and_prompts_show_what_is_stored() {
    let mut client = Client::stateless();
    let arguments = json!({"content": "tea is green", "metadata": {"tags": ["drink", "a b"]}});
    client.call("memory_store", arguments).await;
    for uri in ["memory://recent/5", "memory://tag/a%20b", "memory://search/green%20tea"] {
        let answer = client.request("resources/read", json!({"uri": uri})).await;
        let text = answer["result"]["contents"][0]["text"].as_str().expect(uri);
        let content: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(content["count"], 1, "{uri}");
    }
    for (name, arguments) in [
        ("memory_review", json!({"time_period": "today"})),
        ("memory_analysis", json!({"tags": "drink"})),
        ("knowledge_export", json!({"format": "markdown"})),
        ("memory_cleanup", json!({"older_than": "6 months"})),
        ("learning_session", json!({"topic": "tea", "key_points": "green, hot"})),
    ] {
        let params = json!({"name": name, "arguments": arguments});
        let answer = client.request("prompts/get", params).await;
        assert!(answer["result"]["messages"][0]["content"]["text"].is_string(), "{answer}");
    }
    let reference = json!({"type": "ref/resource", "uri": "memory://tag/{tag}"});
    let params = json!({"ref": reference, "argument": {"name": "tag", "value": "dr"}});
    let answer = client.request("completion/complete", params).await;
    assert_eq!(answer["result"]["completion"]["values"], json!(["drink"]));
}

async fn post(principal: Option<Principal>, tool: &str, arguments: Value) -> Value {
    let (_directory, server) = server();
    let options = McpHttpOptions {
        allowed_hosts: vec!["memory.example".to_owned()],
        body_bytes_max: 10_000,
        ingest_roots: Vec::new(),
    };
    let service = http_service(server, options, CancellationToken::new());
    let params = json!({"name": tool, "arguments": arguments});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut request = http::Request::post("http://memory.example/mcp")
        .header("host", "memory.example")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request");
    request.extensions_mut().extend(
        principal
            .map(|principal| {
                let mut extensions = http::Extensions::new();
                extensions.insert(principal);
                extensions
            })
            .unwrap_or_default(),
    );
    let response = service.oneshot(request).await.expect("infallible");
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn over_http_the_caller_is_the_one_that_was_authenticated() {
    let stored = json!({"content": "x"});
    let answer = post(Some(Principal::full("key")), "memory_store", stored.clone()).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    let answer = post(None, "memory_store", stored).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let code = &answer["result"]["_meta"]["memnode/error"]["code"];
    assert_eq!(code, "credential_missing");
}

#[tokio::test]
async fn over_http_files_are_read_only_below_the_roots() {
    let file = json!({"file_path": "/etc/hostname"});
    let answer = post(Some(Principal::full("key")), "memory_ingest", file).await;
    let text = text(&answer["result"]);
    assert!(text.contains("MEMNODE_INGEST_ROOTS"), "{text}");
}
