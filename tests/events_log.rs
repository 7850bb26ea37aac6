//! A change log with a bound: what is dropped, and what a listener is told who comes too late.

use rusqlite::Connection;
use serde_json::json;

use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::embedder::Stub;
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::rest::{import, store_text};
use crate::common::socket::Socket;

/// The smallest bound that there is.
const ROW_COUNT: u64 = 10_000;
/// Changes beyond it.
const BEYOND_COUNT: u64 = 1_500;
/// Changes that a listener misses who comes back in time.
const MISSED_COUNT: usize = 100;

/// A node with the smallest log, on which vectors cost nothing.
fn place(stub: &Stub) -> Place {
    stub.at(&Place::new()).with("MEMNODE_EVENT_LOG_ROWS_MAX", ROW_COUNT.to_string())
}

/// More changes than a log keeps.
fn fill(client: &Client) {
    let line = |n| json!({"content": format!("change {n}")});
    let lines: Vec<_> = (0..ROW_COUNT + BEYOND_COUNT).map(line).collect();
    lines.chunks(2_000).for_each(|chunk| drop(import(client, chunk)));
}

/// The rows of a file's log: how many, the oldest and the newest.
fn rows(place: &Place) -> (u64, u64, u64) {
    let file = Connection::open(place.database()).expect("a database");
    let sql = "SELECT count(*), ifnull(min(n), 0), ifnull(max(n), 0) FROM change_log";
    file.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("a row")
}

/// Waits until the log of a running node holds the newest changes and no others.
fn is_cut(place: &Place) -> u64 {
    eventually("the log is cut", || {
        let (count, oldest, newest) = rows(place);
        (count == ROW_COUNT && newest - oldest + 1 == count).then_some(newest)
    })
}

/// Who comes with an id that is older than the log is told so over both roads, and hears what
/// happens from then on.
fn is_reset(client: &Client, url: &str, id: &str, name: &str) {
    let (mut stream, status) = EventStream::resume(url, "/api/events", Some(id));
    assert_eq!(status, "reset");
    let query = format!("?last_event_id={id}");
    let mut socket = Socket::open(url, &query, &[]).expect("it opens");
    assert_eq!(socket.json()["data"]["replay"]["status"], "reset");
    let mut asking = Socket::open(url, "", &[]).expect("it opens");
    assert_eq!(asking.json()["data"]["replay"]["status"], "fresh");
    asking.say(&json!({"type": "subscribe", "last_event_id": id}));
    assert_eq!(asking.json()["type"], "subscribed");
    assert_eq!(asking.json()["data"]["replay"]["status"], "reset");

    let now = store_text(client, &format!("stored after the reset of {name}"));
    assert_eq!(stream.next_named("memory_stored").hash(), now);
    for socket in [&mut socket, &mut asking] {
        assert_eq!(socket.json()["data"]["content_hash"], now);
    }
    // The stream is one to go on from.
    let id = stream.last_id.take();
    drop(stream);
    let later = store_text(client, &format!("stored after the pause of {name}"));
    let (mut stream, status) = EventStream::resume(url, "/api/events", id.as_deref());
    assert_eq!((status.as_str(), stream.next().hash()), ("resumed", later));
}

/// Stores some while nobody listens.
fn miss(client: &Client, name: &str) -> Vec<String> {
    let line = |n| json!({"content": format!("missed by {name}: {n}")});
    let told = import(client, &(0..MISSED_COUNT).map(line).collect::<Vec<_>>());
    told.iter().map(|line| line["content_hash"].as_str().expect("a hash").to_owned()).collect()
}

#[test]
fn a_log_is_cut_to_its_bound_while_nobody_listens() {
    let stub = Stub::new();
    let server = place(&stub).serve().ready();
    fill(&server.client());
    let newest = is_cut(&server.place);
    assert_eq!(newest, ROW_COUNT + BEYOND_COUNT, "the newest remain");
}

#[test]
fn who_comes_too_late_is_told_so_and_who_comes_in_time_misses_nothing() {
    let stub = Stub::new();
    let server = place(&stub).serve().ready();
    let client = server.client();
    let mut stream = EventStream::listen(&server.url);
    store_text(&client, "the last that one listener saw");
    stream.next();
    let old = stream.last_id.take().expect("an id");
    drop(stream);
    fill(&client);
    let mut stream = EventStream::listen(&server.url);
    let seen = store_text(&client, "the last that the other listener saw");
    stream.next_of(&seen);
    let recent = stream.last_id.take().expect("an id");
    drop(stream);
    let missed = miss(&client, "the other listener");
    is_cut(&server.place);
    is_reset(&client, &server.url, &old, "the running node");

    let in_time = |url: &str| {
        let (mut stream, status) = EventStream::resume(url, "/api/events", Some(&recent));
        assert_eq!(status, "resumed");
        // Each once, in order, and nothing that was dropped.
        missed.iter().for_each(|hash| assert_eq!(&stream.next().hash(), hash));
    };
    in_time(&server.url);
    let place = server.place.clone();
    server.stop();
    let server = place.serve().ready();
    in_time(&server.url);
    is_reset(&server.client(), &server.url, &old, "the restarted node");
}

#[test]
fn another_node_knows_too_who_comes_too_late() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let stub = Stub::new();
    let cluster = Cluster::of(vec![nats], vec![stub.at(&Place::new()), place(&stub)]);
    let [one, other] = &cluster.nodes[..] else { panic!("two nodes") };
    let mut stream = EventStream::listen(one.url());
    let first = store_text(&one.client(), "the last that a listener of the first node saw");
    stream.next_of(&first);
    let old = stream.last_id.take().expect("an id");
    drop(stream);
    fill(&one.client());
    cluster.digests_equal(crate::common::DEADLINE);
    let mut stream = EventStream::listen(one.url());
    let seen = store_text(&one.client(), "the last that a later listener saw");
    stream.next_of(&seen);
    let recent = stream.last_id.take().expect("an id");
    drop(stream);
    let missed = miss(&one.client(), "the later listener");
    cluster.digests_equal(crate::common::DEADLINE);
    is_cut(&other.place);
    is_reset(&other.client(), other.url(), &old, "the other node");
    // The first node keeps more, and has all of it.
    let (_, status) = EventStream::resume(one.url(), "/api/events", Some(&old));
    assert_eq!(status, "resumed");

    let (mut stream, status) = EventStream::resume(other.url(), "/api/events", Some(&recent));
    assert_eq!(status, "resumed");
    let mut lacking: Vec<&String> = missed.iter().collect();
    while !lacking.is_empty() {
        let event = stream.next();
        lacking.retain(|hash| **hash != event.hash());
    }
}
