//! `/api/ws` and `memnode watch`: the same events over a WebSocket.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::common::https::Identity;
use crate::common::node::{Place, Server, signal};
use crate::common::rest::{store, store_text, text};
use crate::common::socket::{Sent, Socket};

fn server() -> Server {
    Place::new().serve().ready()
}

#[test]
fn events_come_as_messages_and_filters_change_on_the_way() {
    let server = server();
    let client = server.client();
    let mut socket = Socket::open(&server.url, "?tag=red", &[]).expect("it opens");
    let first = socket.json();
    assert_eq!(first["event"], "connection_established");
    store(&client, json!({"content": "blue", "tags": ["blue"]}));
    let red = store(&client, json!({"content": "red", "tags": ["red"]}));
    let told = socket.json();
    assert_eq!(
        (&told["event"], &told["data"]["content_hash"]),
        (&json!("memory_stored"), &red["content_hash"])
    );
    assert!(text(&told["data"]["timestamp"]).ends_with('Z'));
    let id = text(&told["id"]);

    socket.say(&json!({"type": "ping"}));
    assert_eq!(socket.json(), json!({"type": "pong"}));
    socket.say(&json!({"type": "subscribe", "tags": ["Green"], "events": ["memory_stored"]}));
    let said = json!({"type": "subscribed", "tags": ["green"], "events": ["memory_stored"]});
    assert_eq!(socket.json(), said);
    let green = store(&client, json!({"content": "green", "tags": ["green"]}));
    assert_eq!(socket.json()["data"]["content_hash"], green["content_hash"]);

    socket.say(&json!({"type": "unsubscribe"}));
    assert_eq!(socket.json(), json!({"type": "unsubscribed"}));
    store(&client, json!({"content": "nobody listens", "tags": ["green"]}));
    socket.say(&json!({"type": "subscribe", "last_event_id": id}));
    assert_eq!(socket.json()["type"], "subscribed");
    assert_eq!(socket.json()["data"]["replay"]["status"], "resumed");
    for content in ["green", "nobody listens"] {
        assert_eq!(socket.json()["data"]["content_preview"], content);
    }
}

#[test]
fn what_is_not_understood_is_named_and_ends_the_connection() {
    let server = server();
    for (message, code, close) in [
        (Message::text("{"), "invalid_message", 1007),
        (Message::text(r#"{"type": "dance"}"#), "invalid_message", 1007),
        (Message::text(r#"{"type": "ping", "more": 1}"#), "invalid_message", 1007),
        (Message::binary(vec![1, 2]), "invalid_message", 1003),
        (Message::text(r#"{"type": "subscribe", "events": ["x"]}"#), "invalid_query", 1008),
        (
            Message::text(r#"{"type": "subscribe", "namespace": "_keys"}"#),
            "invalid_namespace",
            1008,
        ),
        (Message::text(r#"{"type": "subscribe", "last_event_id": "x"}"#), "invalid_event_id", 1008),
        (Message::text("x".repeat(20_000)), "message_too_large", 1009),
        (Message::text("x".repeat(500_000)), "message_too_large", 1009),
    ] {
        let mut socket = Socket::open(&server.url, "", &[]).expect("it opens");
        socket.json();
        let shown: String = message.to_string().chars().take(60).collect();
        socket.send(message);
        let said = socket.json();
        assert_eq!((&said["type"], &said["code"]), (&json!("error"), &json!(code)), "{shown}");
        assert!(said["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{said}");
        match socket.hear() {
            Sent::Closed(found) => assert_eq!(found, close, "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[test]
fn who_may_not_listen_is_refused_before_the_upgrade() {
    let server = server();
    let client = server.client();
    client.get("/api/ws").expect_problem(426, "websocket_required");
    client.with("upgrade", "websocket").get("/api/ws").expect_problem(426, "websocket_required");
    assert_eq!(Socket::open(&server.url, "?last_event_id=x", &[]).err(), Some(400));
    // A page of another site must not listen through a browser of this machine.
    let foreign = [("origin", "http://evil.example")];
    assert_eq!(Socket::open(&server.url, "", &foreign).err(), Some(403));
    let own = [("origin", server.url.as_str())];
    assert!(Socket::open(&server.url, "", &own).is_ok());

    let guarded = Place::new().with("MCP_API_KEY", "open-sesame").serve().ready();
    assert_eq!(Socket::open(&guarded.url, "", &[]).err(), Some(401));
    let holder = guarded.client().with("x-api-key", "open-sesame");
    let ticket = text(&holder.post("/api/events/ticket", json!({})).expect(200).value()["ticket"]);
    let query = format!("?ticket={ticket}");
    assert!(Socket::open(&guarded.url, &query, &[]).is_ok());
    assert_eq!(Socket::open(&guarded.url, &query, &[]).err(), Some(401));
}

#[test]
fn a_stopping_node_says_when_to_come_back() {
    let server = server();
    let mut socket = Socket::open(&server.url, "", &[]).expect("it opens");
    socket.json();
    signal(server.pid(), "TERM");
    assert!(matches!(socket.hear(), Sent::Closed(1013)));
}

/// A running `memnode watch` and its lines.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = ["watch"].iter().chain(arguments).copied().collect();
        let mut child = place.command(&arguments).spawn().expect("the binary runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| {
                // The test may have seen enough.
                let _ = sender.send(line);
            });
        });
        Watch { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("a line")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Ended already, or ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn watch_prints_what_happens_and_comes_back_after_a_restart() {
    let place = Place::new();
    let server = place.serve().ready();
    let local = Watch::start(&place, &[]);
    let far = Watch::start(&place, &["--url", &server.url, "--json", "--tag", "red"]);
    assert!(local.line().contains("Connected"));
    let first: Value = serde_json::from_str(&far.line()).expect("JSON");
    assert_eq!(first["event"], "connection_established");
    store(&server.client(), json!({"content": "red\nbrick", "tags": ["red"]}));
    let line = local.line();
    for part in ["stored", "test-node", "#red", "red brick"] {
        assert!(line.contains(part), "{line}");
    }
    let told: Value = serde_json::from_str(&far.line()).expect("JSON");
    assert_eq!(told["data"]["content_preview"], "red\nbrick");
    drop(far);
    server.stop();
    let server = place.serve().ready();
    store_text(&server.client(), "told after the restart");
    assert!(local.line().contains("told after the restart"));
}

#[test]
fn watch_calls_a_node_of_https() {
    let identity = Identity::make();
    let place = identity.place();
    let server = place.serve();
    let authority = identity.authority();
    let far = Watch::start(&place, &["--url", &server.url, "--ca", &authority]);
    assert!(far.line().contains("Connected"));
    place.run(&["add", "told over TLS"]).ok();
    assert!(far.line().contains("told over TLS"));
    let refused = place.run(&["watch", "--url", &server.url]).expect_code(75);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
}

#[test]
fn watch_says_what_it_lacks() {
    let place = Place::new();
    let finished = place.run(&["watch"]).expect_code(69);
    assert!(finished.stderr.contains("memnode serve"), "{finished:?}");
    place.run(&["watch", "--url", "ftp://x"]).expect_code(64);
    let server = place.serve().ready();
    place.run(&["watch", "--url", &server.url, "--event", "x"]).expect_code(64);
    let guarded = Place::new().with("MCP_API_KEY", "open-sesame").serve().ready();
    place.run(&["watch", "--url", &guarded.url]).expect_code(77);
}
