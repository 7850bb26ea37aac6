//! The three ways to run: standard input and output alone, HTTP alone, and both in one process;
//! and what a client gets while the model is not loaded yet.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};

use crate::common::client::{Answer, Client};
use crate::common::eventually;
use crate::common::node::Place;
use crate::common::window::{initialize_params, text};

/// Calls a tool over HTTP; gives its result.
fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut answer = post(client, body).expect(200).value();
    answer["result"].take()
}

fn post(client: &Client, body: Value) -> Answer {
    client.with("accept", "application/json, text/event-stream").post("/mcp", body)
}

/// Where the owner of a place's file says that it serves HTTP.
fn announced_url(place: &Place) -> Value {
    let mut name = place.database().into_os_string();
    name.push(".lock");
    eventually("an owner", || serde_json::from_slice::<Value>(&std::fs::read(&name).ok()?).ok())
        ["url"]
        .take()
}

#[test]
fn standard_input_and_output_alone() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    window.store("over a pipe");
    assert_eq!(announced_url(&place), Value::Null);
    let listening = std::fs::read_dir(format!("/proc/{}/fd", window.pid())).expect("a process");
    let sockets: Vec<String> = listening
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .filter_map(|target| {
            Some(target.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let tcp = ["tcp", "tcp6"].map(|name| {
        std::fs::read_to_string(format!("/proc/{}/net/{name}", window.pid())).unwrap_or_default()
    });
    let inode = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
    let open = tcp.iter().flat_map(|table| table.lines()).filter_map(inode);
    let open: Vec<String> = open.filter(|inode| sockets.contains(inode)).collect();
    assert!(open.is_empty(), "it uses TCP: {open:?}");
}

#[test]
fn http_alone() {
    let place = Place::new();
    let server = place.serve();
    let client = server.client();
    let initialized = post(
        &client,
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
               "params": initialize_params("2025-11-25")}),
    );
    assert_eq!(initialized.expect(200).value()["result"]["serverInfo"]["name"], "memnode");
    let stored = call(&client, "memory_store", json!({"content": "over HTTP"}));
    assert!(text(&stored).starts_with("Memory stored successfully"), "{stored}");
    assert_eq!(announced_url(&place), json!(server.url));
}

#[test]
fn both_in_one_process() {
    let place = Place::new().with("MCP_HTTP_ENABLED", "true").with("MCP_HTTP_PORT", "0");
    let mut window = place.mcp_ready();
    window.store("over a pipe");
    let url = announced_url(&place);
    let client = Client::new(url.as_str().expect("an address"));
    call(&client, "memory_store", json!({"content": "over HTTP"}));
    let listed = client.get("/api/memories").expect(200).value();
    assert_eq!(listed["total"], 2);
    let listed = window.call("memory_list", json!({}));
    assert_eq!(listed["structuredContent"]["total"], 2);
    assert_eq!(window.close().code, Some(0));
    client
        .try_send("GET", "/api/health", &[], Vec::new())
        .expect_err("HTTP ends with the client that it was started for");
}

#[test]
fn a_window_that_may_not_serve_http_to_others_does_not_start() {
    let place = Place::new().with("MCP_HTTP_ENABLED", "true").with("MCP_HTTP_HOST", "0.0.0.0");
    let refused = place.mcp().finish();
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("MCP_API_KEY"), "{refused:?}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let place = Place::new().with("MCP_HTTP_ENABLED", "true").with("MCP_HTTP_PORT", port.clone());
    let refused = place.mcp().finish();
    assert_eq!(refused.code, Some(73), "{refused:?}");
    assert!(refused.stderr.contains(&port), "{refused:?}");
    assert!(!place.database().exists());
}

#[test]
fn a_window_with_http_takes_the_file_over_from_one_without() {
    let place = Place::new();
    let mut silent = [place.mcp_ready(), place.mcp_ready()];
    silent[0].store("before there was HTTP");
    let place = place.with("MCP_HTTP_ENABLED", "true").with("MCP_HTTP_PORT", "0");
    let mut with_http = place.mcp_ready();
    let url = announced_url(&place);
    let client = Client::new(url.as_str().expect("an address"));
    call(&client, "memory_store", json!({"content": "over HTTP"}));
    with_http.store("by the window with HTTP");
    for window in &mut silent {
        let listed = window.call("memory_list", json!({}));
        assert_eq!(listed["structuredContent"]["total"], 3);
    }
    // A second one finds HTTP served already.
    place.mcp_ready().store("by another window with HTTP");
    assert_eq!(announced_url(&place), url);
    assert_eq!(with_http.close().code, Some(0));
    silent[1].store("after the window with HTTP");
}

#[test]
fn a_port_that_is_taken_when_a_window_takes_over_costs_no_request() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let first = Place::new().with("MCP_HTTP_ENABLED", "true").with("MCP_HTTP_PORT", "0");
    let second = first.clone().with("MCP_HTTP_PORT", port);
    let owner = first.mcp_ready();
    let mut window = second.mcp_ready();
    owner.kill();
    window.store("without HTTP");
    assert_eq!(announced_url(&second), Value::Null);
    let ended = window.close();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("HTTP is not served any more"), "{}", ended.stderr);
}

/// A service of embeddings that takes requests and answers when the test lets it.
struct Stub {
    url: String,
    asked: Receiver<TcpStream>,
}

impl Stub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Stub { url, asked }
    }

    fn place(&self) -> Place {
        // Without a dimension the service is asked for a vector before the model counts as loaded.
        Place::new()
            .with("MEMNODE_EMBEDDER", "openai")
            .with("MEMNODE_EMBEDDER_URL", &self.url)
            .with("MEMNODE_EMBEDDER_MODEL", "stub")
            .with("MEMNODE_EMBEDDER_DIMENSION", "3")
    }

    /// Waits for a request and leaves it unanswered.
    fn hold(&self) -> TcpStream {
        self.asked.recv_timeout(crate::common::DEADLINE).expect("the service is asked")
    }
}

/// Answers one request for embeddings.
fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    let body = loop {
        let count = stream.read(&mut part).expect("a request");
        request.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str::<Value>(body)
        {
            break body;
        }
    };
    let count = body["input"].as_array().map_or(0, Vec::len);
    let item = |index| json!({"index": index, "embedding": [1.0, index, 0.5]});
    let data: Vec<Value> = (0..count).map(item).collect();
    let body = json!({"data": data}).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let response = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(response.as_bytes()).expect("the node reads");
}

#[test]
fn the_handshake_does_not_wait_for_the_model_and_what_needs_it_does() {
    let stub = Stub::start();
    let place = stub.place();
    let started = Instant::now();
    let mut window = place.mcp();
    window.initialize("2025-11-25");
    println!("initialize was answered {:?} after the start", started.elapsed());
    let stored = window.begin_call("memory_store", &json!({"content": "waits for its vector"}));
    let asked = stub.hold();
    // What needs no vector is answered meanwhile, although it came later.
    let tools = window.request("tools/list", json!({}));
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(10));
    let listed = window.call("memory_list", json!({}));
    assert_eq!(listed["structuredContent"]["total"], 0);
    assert!(window.answers_to(&json!(stored)).is_empty());
    answer(asked);
    let answered = window.answer(stored);
    assert!(text(&answered["result"]).starts_with("Memory stored successfully"), "{answered}");
}

#[test]
fn a_model_that_cannot_answer_is_told_in_words() {
    let stub = Stub::start();
    let place = stub.place().with("MEMNODE_EMBEDDER_TIMEOUT", "100ms");
    let mut window = place.mcp_ready();
    let refused = window.call("memory_store", json!({"content": "never embedded"}));
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(text(&refused).starts_with("Error storing memory: "), "{refused}");
    let health = window.call("memory_health", json!({}));
    assert!(health["structuredContent"]["status"].is_string(), "{health}");
    assert_eq!(window.close().code, Some(0));
}

#[test]
fn the_first_answer_comes_soon_with_the_real_model_too() {
    let place = Place::new();
    // A file that is there already, as on every start but the first.
    place.mcp_ready().close();
    let started = Instant::now();
    let mut window = place.mcp();
    window.initialize("2025-11-25");
    println!("initialize was answered {:?} after the start of an owner", started.elapsed());
    let started = Instant::now();
    place.mcp_ready();
    println!("initialize was answered {:?} after the start of a bridge", started.elapsed());
    window.store("and then the model is there");
}
