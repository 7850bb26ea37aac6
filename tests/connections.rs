//! Connections that cost a node without asking anything of it: too many, too slow, too long.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::client::Answer;
use crate::common::events::EventStream;
use crate::common::node::Place;
use crate::common::{eventually, raw};

/// How long a connection may take to ask for something, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(15);
const SLACK: Duration = Duration::from_secs(25);

/// Reads until the server closes.
fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut rest);
}

fn get(url: &str, headers: &str) -> Answer {
    let head = "GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    raw::exchange(url, format!("{head}{headers}\r\n").as_bytes())
}

#[test]
fn who_does_not_finish_a_head_is_let_go() {
    let server = Place::new().serve();
    let started = Instant::now();
    let mut silent = raw::connect(&server.url);
    let mut slow = raw::connect(&server.url);
    slow.write_all(b"GET /api/health HTTP/1.1\r\nHost: loc").expect("the server reads");
    // The first bytes of HTTP/2, which are also those of nothing else.
    let mut preface = raw::connect(&server.url);
    preface.write_all(b"PRI * HTT").expect("the server reads");
    for stream in [&mut silent, &mut slow, &mut preface] {
        wait_for_end(stream);
    }
    let elapsed = started.elapsed();
    assert!((PATIENCE..PATIENCE + SLACK).contains(&elapsed), "{elapsed:?}");
    server.client().get("/api/health").expect(200);
}

#[test]
fn who_does_not_finish_a_body_is_answered_and_let_go() {
    let server = Place::new().with("MEMNODE_REQUEST_TIMEOUT", "1s").serve();
    let started = Instant::now();
    for path in ["/api/memories", "/api/search", "/mcp"] {
        let mut slow = raw::connect(&server.url);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: 100\r\n\r\n{{\"con"
        );
        slow.write_all(head.as_bytes()).expect("the server reads");
        let answer = raw::read_answer(&mut slow);
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
    assert!(started.elapsed() < PATIENCE + SLACK, "{:?}", started.elapsed());
    server.client().get("/api/health").expect(200);
}

#[test]
fn connections_over_the_limit_are_turned_away_and_a_free_seat_is_taken_again() {
    let server = Place::new().with("MEMNODE_CONNECTIONS_MAX", "3").serve();
    let streams = [(); 2].map(|()| EventStream::listen(&server.url));
    let idle = raw::connect(&server.url);
    let refused = eventually("all seats are taken", || {
        let answer = get(&server.url, "");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.expect_problem(503, "too_many_connections");
    drop(idle);
    eventually("a seat is free", || (get(&server.url, "").status == 200).then_some(()));
    drop(streams);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("turned a connection away"), "{log}");
}

#[test]
fn one_address_has_its_share_of_connections_and_leaves_the_rest_to_others() {
    let place = Place::new()
        .with("MEMNODE_LIMIT_CONNECTIONS", "2")
        .with("MEMNODE_TRUSTED_PROXIES", "127.0.0.3");
    let server = place.serve().ready();
    let held = [(); 2].map(|()| raw::connect_from("127.0.0.2", &server.url));
    let health = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let ask = |from: &str| {
        let mut stream = raw::connect_from(from, &server.url);
        // Who is turned away may be told so before it has asked.
        let _ = stream.write_all(health);
        raw::read_answer(&mut stream)
    };
    // The system accepts in order: both are counted before the third.
    let refused = ask("127.0.0.2");
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.expect_problem(429, "too_many_connections_of_address");
    assert_eq!(ask("127.0.0.1").status, 200);
    let _of_proxy = [(); 3].map(|()| raw::connect_from("127.0.0.3", &server.url));
    assert_eq!(ask("127.0.0.3").status, 200);
    let metrics = server.client().get("/metrics").expect(200).text();
    assert!(metrics.contains("memnode_rate_limited_total{budget=\"connections\"} 1"), "{metrics}");
    drop(held);
    eventually("a seat of the address is free", || (ask("127.0.0.2").status == 200).then_some(()));
}

#[test]
fn a_head_is_bounded_in_bytes_and_in_fields() {
    let server = Place::new().serve();
    let field = |name: usize, length: usize| format!("x-{name}: {}\r\n", "v".repeat(length));
    assert_eq!(get(&server.url, &field(0, 32 * 1024)).status, 200);
    assert_eq!(get(&server.url, &field(0, 80 * 1024)).status, 431);
    let fields = |count| (0..count).map(|name| field(name, 1)).collect::<String>();
    assert_eq!(get(&server.url, &fields(90)).status, 200);
    assert_eq!(get(&server.url, &fields(110)).status, 431);
}

#[test]
fn requests_follow_each_other_in_one_connection() {
    let server = Place::new().serve();
    let mut stream = raw::connect(&server.url);
    let request = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(request).expect("the server reads");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"{\"status\":\"healthy\"}") {
            stream.read_exact(&mut byte).expect("the server answers");
            answer.push(byte[0]);
        }
    }
}

#[test]
fn a_node_that_stops_closes_idle_connections_and_finishes_what_is_under_way() {
    let server = Place::new().serve().ready();
    let mut idle = raw::connect(&server.url);
    idle.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    // An import whose body is not complete when the node is told to stop.
    let mut importing = raw::connect(&server.url);
    let lines = ["{\"content\": \"half way\"}\n", "{\"content\": \"and more\"}\n"];
    let head = format!(
        "POST /api/import HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        lines.concat().len()
    );
    importing.write_all(head.as_bytes()).expect("it reads");
    importing.write_all(lines[0].as_bytes()).expect("it reads");
    server.signal("TERM");
    wait_for_end(&mut idle);
    importing.write_all(lines[1].as_bytes()).expect("it still reads");
    let answer = raw::read_answer(&mut importing);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"done\":true"), "{}", answer.text());
}
