//! Webhooks: signed, at least once, given up in the end, and never sent elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::common::eventually;
use crate::common::node::Place;
use crate::common::rest::{path, store, store_text, text};

const SECRET: &str = "a-secret-of-some-length";

/// What a webhook was sent.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Received {
    fn value(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn hash(&self) -> String {
        text(&self.value()["data"]["content_hash"])
    }
}

/// A program that takes what a node sends, and answers with a status that can be changed.
struct Receiver {
    url: String,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let status = Arc::new(AtomicU16::new(200));
        let received = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::clone(&status), Arc::clone(&received));
        let own = url.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&connection) else { continue };
                log.lock().expect("no panic").push(request);
                let status = answer.load(Ordering::Relaxed);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nlocation: {own}/elsewhere\r\ncontent-length: 0\r\n\
                     connection: close\r\n\r\n"
                );
                // A node that went away needs no answer.
                let _ = (&connection).write_all(answer.as_bytes());
            }
        });
        Receiver { url, status, received }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    fn wait_for(&self, hash: &str) -> Received {
        eventually("the webhook is told", || {
            self.received().into_iter().find(|received| received.hash() == hash)
        })
    }
}

fn read(connection: &std::net::TcpStream) -> Option<Received> {
    let mut lines = BufReader::new(connection);
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    lines.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body: String::from_utf8(body).ok()? })
}

fn place(receiver: &Receiver, filter: &str) -> Place {
    Place::new()
        .with("MEMNODE_WEBHOOKS", format!("{}/hook{filter}", receiver.url))
        .with("MEMNODE_WEBHOOK_SECRET", SECRET)
        .with("MEMNODE_WEBHOOK_TRIES", "2")
}

#[test]
fn what_is_asked_for_is_told_and_signed() {
    let receiver = Receiver::start();
    let server = place(&receiver, "#tag=red&event=memory_stored").serve().ready();
    let client = server.client();
    store_text(&client, "no tag");
    let red = store(&client, json!({"content": "red", "tags": ["red"]}));
    let red = text(&red["content_hash"]);
    client.delete(&path(&red)).expect(200);
    let told = receiver.wait_for(&red);
    assert_eq!((told.path.as_str(), &told.value()["type"]), ("/hook", &json!("memory_stored")));
    let (id, time) = (&told.headers["webhook-id"], &told.headers["webhook-timestamp"]);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(format!("{id}.{time}.{}", told.body).as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(told.headers["webhook-signature"], signature);
    let last = store(&client, json!({"content": "red again", "tags": ["red"]}));
    receiver.wait_for(&text(&last["content_hash"]));
    assert_eq!(receiver.received().len(), 2, "{:?}", receiver.received());
}

#[test]
fn what_a_webhook_missed_is_told_after_a_kill() {
    let receiver = Receiver::start();
    let place = place(&receiver, "");
    let server = place.serve().ready();
    receiver.wait_for(&store_text(&server.client(), "before"));
    server.kill();
    let added = place.run(&["add", "while nothing is told", "--json"]).ok().json();
    let _server = place.serve().ready();
    receiver.wait_for(&text(&added["content_hash"]));
}

#[test]
fn what_is_not_taken_is_given_up_and_can_be_told_again() {
    let receiver = Receiver::start();
    let server = place(&receiver, "").serve().ready();
    let client = server.client();
    let admin = "/api/admin/webhooks";
    // A redirect is no acceptance, and is not followed.
    receiver.status.store(302, Ordering::Relaxed);
    let lost = store_text(&client, "not taken");
    let letter = eventually("it is given up", || {
        let view = client.get(admin).expect(200).value();
        (view["dead_count"] == 1).then(|| view["dead"][0].clone())
    });
    assert_eq!(letter["reason"], "it answered 302");
    assert!(receiver.received().iter().all(|received| received.path == "/hook"));
    let decide = |action: &str, id: &Value| client.post(admin, json!({"action": action, "id": id}));
    assert_eq!(decide("retry", &letter["id"]).expect(200).value()["done_count"], 0);
    receiver.status.store(204, Ordering::Relaxed);
    let count = receiver.received().len();
    assert_eq!(decide("retry", &letter["id"]).expect(200).value()["done_count"], 1);
    assert_eq!(receiver.received()[count].hash(), lost);
    decide("drop", &letter["id"]).expect_problem(404, "dead_letter_not_found");
    // The next change is told although the one before was not.
    receiver.wait_for(&store_text(&client, "taken"));
    let view = client.get(admin).expect(200).value();
    assert_eq!((&view["dead_count"], &view["webhooks"][0]["failed_count"]), (&json!(0), &json!(0)));
}

#[test]
fn an_erased_text_is_not_told_later() {
    let receiver = Receiver::start();
    receiver.status.store(500, Ordering::Relaxed);
    let server = place(&receiver, "").serve().ready();
    let client = server.client();
    let hash = store_text(&client, "quetzal-91");
    let view = || client.get("/api/admin/webhooks").expect(200).value();
    eventually("it is given up", || (view()["dead_count"] == 1).then_some(()));
    let purge = format!("{}/purge", path(&hash));
    client.send("POST", &purge, &[], Vec::new()).expect(200);
    let before = receiver.received().len();
    receiver.status.store(200, Ordering::Relaxed);
    client.post("/api/admin/webhooks", json!({"action": "retry"})).expect(200);
    for received in &receiver.received()[before..] {
        assert!(!received.body.contains("quetzal-91"), "{received:?}");
    }
}

#[test]
fn wrong_webhooks_are_named() {
    for (hooks, secret) in [
        ("http://127.0.0.1:1/#colour=red", SECRET),
        ("ftp://127.0.0.1/", SECRET),
        ("http://127.0.0.1:1/", ""),
        ("http://127.0.0.1:1/", "short"),
    ] {
        let place =
            Place::new().with("MEMNODE_WEBHOOKS", hooks).with("MEMNODE_WEBHOOK_SECRET", secret);
        let finished = place.run(&["serve", "--http-port", "0"]).expect_code(64);
        assert!(finished.stderr.to_lowercase().contains("webhook"), "{finished:?}");
    }
    let server = Place::new().serve().ready();
    let client = server.client();
    assert_eq!(client.get("/api/admin/webhooks").expect(200).value()["webhooks"], json!([]));
    let refused = client.post("/api/admin/webhooks", json!({"action": "drop"}));
    refused.expect_problem(409, "no_webhooks");
}
