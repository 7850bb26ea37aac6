//! Scripted servers that die at every awkward moment.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, duplex};
use tokio::io::{WriteHalf, split};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::message::{INVALID_REQUEST, NOT_CARRIED, PARSE_ERROR};
use super::session::{IDEMPOTENCY_KEY, SEND_COUNT_MAX};
use super::*;

const BUFFER_BYTES: usize = 16 * 1024;

/// One end of a stream of JSON lines.
struct End {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
}

impl End {
    fn new(stream: DuplexStream) -> Self {
        let (reader, writer) = split(stream);
        End { lines: BufReader::new(reader).lines(), writer }
    }

    async fn send(&mut self, message: Value) {
        self.send_raw(format!("{message}\n").as_bytes()).await;
    }

    async fn send_raw(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.expect("the other end reads");
    }

    async fn next(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.expect("the other end writes")?;
        Some(serde_json::from_str(&line).expect("one JSON message a line"))
    }

    async fn expect(&mut self) -> Value {
        self.next().await.expect("a message before the end")
    }

    async fn answer(&mut self, request: &Value, result: Value) {
        self.send(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }
}

/// A bridge, its client, and the servers it has connected to.
struct Stage {
    client: End,
    servers: mpsc::Receiver<DuplexStream>,
    bridge: JoinHandle<Result<(), BridgeError>>,
}

impl Stage {
    fn new() -> Self {
        Stage::with_meta(Map::new())
    }

    // The node's own rule on spawning does not bind a test, which owns its runtime.
    #[allow(clippy::disallowed_methods)]
    fn with_meta(meta: Map<String, Value>) -> Self {
        let (ours, theirs) = duplex(BUFFER_BYTES);
        let (input, output) = split(theirs);
        let (offer, servers) = mpsc::channel(1);
        let connect = move || {
            let offer = offer.clone();
            async move {
                let (near, far) = duplex(BUFFER_BYTES);
                let gone = |_| crate::Error::new(crate::Code::Unavailable, "no server is left");
                offer.send(far).await.map_err(gone)?;
                Ok(near)
            }
        };
        let options = BridgeOptions {
            run_id: "run".to_owned(),
            meta,
            grace: Duration::ZERO,
            pause: Duration::ZERO,
        };
        let bridge = tokio::spawn(run(input, output, connect, options));
        Stage { client: End::new(ours), servers, bridge }
    }

    async fn server(&mut self) -> End {
        End::new(self.servers.recv().await.expect("the bridge connects"))
    }

    /// The client's side of a handshake, answered by the given server.
    async fn shake_hands(&mut self, server: &mut End) {
        self.client.send(initialize()).await;
        let request = server.expect().await;
        assert_eq!(request["method"], "initialize");
        server.answer(&request, revision("2025-11-25")).await;
        assert_eq!(self.client.expect().await["result"], revision("2025-11-25"));
        self.client.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        assert_eq!(server.expect().await["method"], "notifications/initialized");
    }

    /// The bridge's replay of that handshake, answered by the next server.
    async fn next_server(&mut self) -> End {
        let mut server = self.server().await;
        let request = server.expect().await;
        assert_eq!(request["method"], "initialize");
        assert_eq!(request["params"], initialize()["params"]);
        server.answer(&request, revision("2025-11-25")).await;
        assert_eq!(server.expect().await["method"], "notifications/initialized");
        server
    }
}

fn initialize() -> Value {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

fn revision(name: &str) -> Value {
    json!({"protocolVersion": name, "capabilities": {}})
}

fn call(id: impl Into<Value>) -> Value {
    let params = json!({"name": "memory_store", "arguments": {"content": "x"}});
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params})
}

fn key_of(request: &Value) -> String {
    request["params"]["_meta"][IDEMPOTENCY_KEY].as_str().expect("every call has a key").to_owned()
}

#[tokio::test]
async fn requests_and_answers_pass() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.shake_hands(&mut server).await;
    stage.client.send(call("a")).await;
    let request = server.expect().await;
    assert_eq!(request["params"]["arguments"], json!({"content": "x"}));
    server.answer(&request, json!({"done": 1})).await;
    let expected = json!({"jsonrpc": "2.0", "id": "a", "result": {"done": 1}});
    assert_eq!(stage.client.expect().await, expected);
}

#[tokio::test]
async fn a_request_is_sent_again_under_its_key_when_the_server_dies() {
    // Whether the server had read the request when it died must make no difference.
    for seen in [true, false] {
        let mut stage = Stage::new();
        let mut server = stage.server().await;
        stage.shake_hands(&mut server).await;
        let first = if seen {
            stage.client.send(call(1)).await;
            let request = server.expect().await;
            drop(server);
            Some(key_of(&request))
        } else {
            drop(server);
            stage.client.send(call(1)).await;
            None
        };
        let mut server = stage.next_server().await;
        let request = server.expect().await;
        assert_eq!(request["id"], 1);
        assert!(first.is_none_or(|key| key == key_of(&request)));
        server.answer(&request, json!({})).await;
        assert_eq!(stage.client.expect().await["id"], 1);
    }
}

#[tokio::test]
async fn half_an_answer_is_thrown_away() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.shake_hands(&mut server).await;
    stage.client.send(call(1)).await;
    let key = key_of(&server.expect().await);
    server.send_raw(br#"{"jsonrpc":"2.0","id":1,"resu"#).await;
    drop(server);
    let mut server = stage.next_server().await;
    let request = server.expect().await;
    assert_eq!(key_of(&request), key);
    server.answer(&request, json!({"whole": true})).await;
    assert_eq!(stage.client.expect().await["result"], json!({"whole": true}));
}

#[tokio::test]
async fn a_server_may_die_during_the_handshake_and_during_its_replay() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.client.send(initialize()).await;
    server.expect().await;
    drop(server);
    let mut server = stage.server().await;
    let request = server.expect().await;
    assert_eq!(request, initialize());
    server.answer(&request, revision("2025-11-25")).await;
    assert_eq!(stage.client.expect().await["id"], 0);
    stage.client.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    stage.client.send(call(1)).await;
    server.expect().await;
    let key = key_of(&server.expect().await);
    drop(server);

    let mut dies_in_replay = stage.server().await;
    assert_eq!(dies_in_replay.expect().await["method"], "initialize");
    drop(dies_in_replay);

    let mut server = stage.next_server().await;
    let request = server.expect().await;
    assert_eq!(key_of(&request), key);
    server.answer(&request, json!({})).await;
    // The answers to both replays were swallowed: the next message is the call's own.
    assert_eq!(stage.client.expect().await["id"], 1);
}

#[tokio::test]
async fn fifty_requests_in_flight_are_each_answered_once() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.shake_hands(&mut server).await;
    let mut keys = BTreeMap::new();
    for id in 0..50 {
        stage.client.send(call(id)).await;
        let request = server.expect().await;
        keys.insert(request["id"].as_i64(), key_of(&request));
    }
    // A third is answered before the break.
    for id in (0..50).step_by(3) {
        server.answer(&json!({"id": id}), json!({"by": 1})).await;
        assert_eq!(stage.client.expect().await["id"], id);
    }
    drop(server);
    let mut server = stage.next_server().await;
    for id in (0..50).filter(|id| id % 3 != 0) {
        let request = server.expect().await;
        assert_eq!(request["id"], id, "the order is kept");
        assert_eq!(keys[&request["id"].as_i64()], key_of(&request));
        server.answer(&request, json!({"by": 2})).await;
        assert_eq!(stage.client.expect().await["id"], id);
    }
    let distinct: std::collections::BTreeSet<&String> = keys.values().collect();
    assert_eq!(distinct.len(), 50);
    // Nothing is left: the next message is the answer to the next request.
    stage.client.send(call("last")).await;
    let request = server.expect().await;
    server.answer(&request, json!({})).await;
    assert_eq!(stage.client.expect().await["id"], "last");
}

#[tokio::test]
async fn a_client_without_a_handshake_has_nothing_replayed() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.client.send(call(1)).await;
    let key = key_of(&server.expect().await);
    drop(server);
    let mut server = stage.server().await;
    let request = server.expect().await;
    assert_eq!((request["method"].as_str(), key_of(&request)), (Some("tools/call"), key));
    server.answer(&request, json!({})).await;
    assert_eq!(stage.client.expect().await["id"], 1);
}

#[tokio::test]
async fn a_request_that_no_server_survives_is_given_up() {
    let mut stage = Stage::new();
    stage.client.send(call(1)).await;
    for _ in 0..SEND_COUNT_MAX {
        let mut server = stage.server().await;
        server.expect().await;
    }
    let answer = stage.client.expect().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(NOT_CARRIED)));
}

#[tokio::test]
async fn a_cancelled_request_is_not_sent_again_and_its_late_answer_is_dropped() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.shake_hands(&mut server).await;
    for id in [1, 2] {
        stage.client.send(call(id)).await;
        server.expect().await;
    }
    let params = json!({"requestId": 1});
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    stage.client.send(cancelled.clone()).await;
    assert_eq!(server.expect().await, cancelled);
    server.answer(&json!({"id": 1}), json!({})).await;
    drop(server);
    let mut server = stage.next_server().await;
    let request = server.expect().await;
    assert_eq!(request["id"], 2);
    server.answer(&request, json!({})).await;
    assert_eq!(stage.client.expect().await["id"], 2);
}

#[tokio::test]
async fn questions_of_two_servers_do_not_collide() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.shake_hands(&mut server).await;
    let question = json!({"jsonrpc": "2.0", "id": 0, "method": "roots/list"});
    server.send(question.clone()).await;
    let first = stage.client.expect().await;
    assert_eq!(first["method"], "roots/list");
    drop(server);
    let mut server = stage.next_server().await;
    let void = stage.client.expect().await;
    assert_eq!(void["method"], "notifications/cancelled");
    assert_eq!(void["params"]["requestId"], first["id"]);

    server.send(question).await;
    let second = stage.client.expect().await;
    assert_ne!(first["id"], second["id"]);
    stage.client.answer(&first, json!({"roots": ["old"]})).await;
    stage.client.answer(&second, json!({"roots": ["new"]})).await;
    let expected = json!({"jsonrpc": "2.0", "id": 0, "result": {"roots": ["new"]}});
    assert_eq!(server.expect().await, expected);
}

#[tokio::test]
async fn a_server_may_take_its_question_back_and_report_progress() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.shake_hands(&mut server).await;
    server.send(json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create"})).await;
    let question = stage.client.expect().await;
    let params = json!({"requestId": "q"});
    server
        .send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
        .await;
    assert_eq!(stage.client.expect().await["params"]["requestId"], question["id"]);
    let params = json!({"progressToken": 5, "progress": 1});
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
    server.send(progress.clone()).await;
    assert_eq!(stage.client.expect().await, progress);
}

#[tokio::test]
async fn meta_of_the_bridge_is_added_and_the_clients_own_wins() {
    let meta = Map::from_iter([("memnode/cwd".to_owned(), json!("/home/me"))]);
    let mut stage = Stage::with_meta(meta);
    let mut server = stage.server().await;
    let request = |method: &str, meta: Value| {
        let params = json!({"uri": "memory://tags", "_meta": meta});
        json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    };
    stage.client.send(request("resources/read", json!({"a": 1}))).await;
    let expected = json!({"a": 1, "memnode/cwd": "/home/me"});
    assert_eq!(server.expect().await["params"]["_meta"], expected);
    stage
        .client
        .send(request("tools/call", json!({"memnode/cwd": "/", IDEMPOTENCY_KEY: "k"})))
        .await;
    let expected = json!({"memnode/cwd": "/", IDEMPOTENCY_KEY: "k"});
    assert_eq!(server.expect().await["params"]["_meta"], expected);
    let plain = request("tools/list", json!({}));
    stage.client.send(plain.clone()).await;
    assert_eq!(server.expect().await, plain);
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_does_not_reach_the_server() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.client.send_raw(b"{not json}\n").await;
    let answer = stage.client.expect().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(PARSE_ERROR)));
    stage.client.send_raw(&[&[b' '; 100], "é\n".as_bytes()].concat()).await;
    assert_eq!(stage.client.expect().await["error"]["code"], PARSE_ERROR);
    stage.client.send(call(7)).await;
    assert_eq!(server.expect().await["id"], 7);
}

#[tokio::test]
async fn a_message_over_the_bound_is_refused_under_its_id_in_both_directions() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    let long = "x".repeat(line::LINE_BYTES_MAX);
    stage
        .client
        .send(json!({"jsonrpc": "2.0", "id": 3, "method": "m", "params": {"a": long}}))
        .await;
    let answer = stage.client.expect().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(3), &json!(INVALID_REQUEST)));

    stage.client.send(call(4)).await;
    let request = server.expect().await;
    server.answer(&request, json!(long)).await;
    let answer = stage.client.expect().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(4), &json!(NOT_CARRIED)));
}

#[tokio::test]
async fn an_id_is_used_once_at_a_time() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.client.send(call(5)).await;
    let request = server.expect().await;
    stage.client.send(call(5)).await;
    assert_eq!(stage.client.expect().await["error"]["code"], INVALID_REQUEST);
    server.answer(&request, json!({})).await;
    assert_eq!(stage.client.expect().await["result"], json!({}));
    stage.client.send(call(5)).await;
    assert_eq!(server.expect().await["id"], 5);
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_bridge() {
    let mut stage = Stage::new();
    let server = stage.server().await;
    drop(stage.client);
    stage.bridge.await.expect("no panic").expect("a clean end");
    drop(server);
}

#[tokio::test]
async fn a_last_line_without_its_end_counts() {
    let mut stage = Stage::new();
    let mut server = stage.server().await;
    stage.client.send_raw(call(1).to_string().as_bytes()).await;
    stage.client.writer.shutdown().await.expect("shut down");
    let request = server.expect().await;
    assert_eq!(request["id"], 1);
}

#[tokio::test]
async fn answers_still_come_after_the_client_closed_its_end() {
    // With a long grace the bridge must end by itself, as soon as the last answer is out.
    let (ours, theirs) = duplex(BUFFER_BYTES);
    let (near, far) = duplex(BUFFER_BYTES);
    let (input, output) = split(theirs);
    let mut near = Some(near);
    let connect = move || {
        let stream = near.take().ok_or_else(|| crate::Error::invalid("one connection only"));
        async { stream }
    };
    let mut client = End::new(ours);
    let mut server = End::new(far);
    let script = async {
        client.send(call(1)).await;
        client.writer.shutdown().await.expect("shut down");
        let request = server.expect().await;
        server.answer(&request, json!({})).await;
        assert_eq!(client.expect().await["id"], 1);
    };
    let bridge = run(input, output, connect, BridgeOptions::new(Map::new()));
    let (ended, ()) = tokio::join!(bridge, script);
    ended.expect("a clean end");
}

#[tokio::test]
async fn servers_that_never_speak_and_handshakes_that_change_end_the_bridge() {
    let mut stage = Stage::new();
    for _ in 0..MUTE_LINKS_MAX {
        drop(stage.server().await);
    }
    let ended = stage.bridge.await.expect("no panic");
    assert!(matches!(ended, Err(BridgeError::Mute)), "{ended:?}");

    let refused = json!({"error": {"code": -32600, "message": "no"}});
    for answer in [json!({"result": revision("2024-11-05")}), refused] {
        let mut stage = Stage::new();
        let mut server = stage.server().await;
        stage.shake_hands(&mut server).await;
        drop(server);
        let mut server = stage.server().await;
        let request = server.expect().await;
        let mut message = json!({"jsonrpc": "2.0", "id": request["id"]});
        message
            .as_object_mut()
            .expect("object")
            .extend(answer.as_object().expect("object").clone());
        server.send(message).await;
        let ended = stage.bridge.await.expect("no panic");
        assert!(matches!(ended, Err(BridgeError::Replay(_))), "{ended:?}");
    }
}

#[tokio::test]
async fn no_server_at_all_is_final() {
    let (_client, theirs) = duplex(BUFFER_BYTES);
    let (input, output) = split(theirs);
    let connect =
        || async { Err::<DuplexStream, _>(crate::Error::new(crate::Code::Unavailable, "none")) };
    let ended = run(input, output, connect, BridgeOptions::new(Map::new())).await;
    assert!(matches!(ended, Err(BridgeError::Connect(_))), "{ended:?}");
}
