//! Listeners that do not read, nodes that stop or are killed, and logs that are too short.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::embedder::Stub;
use crate::common::events::EventStream;
use crate::common::node::Place;
use crate::common::rest::{import, store_text};

/// Listeners that never read a byte.
const SLOW_COUNT: usize = 500;
/// What the ring and 9,000 memories may cost a node, and what each of the silent ones may: 64 KiB
/// of frames are gathered for a connection before it waits.
const BYTES_MAX: u64 = 200 * 1024 * 1024;
const SLOW_BYTES_MAX: u64 = 128 * 1024;

#[test]
fn streams_end_when_the_node_stops() {
    let server = Place::new().serve().ready();
    let mut streams: Vec<_> = (0..10).map(|_| EventStream::listen(&server.url)).collect();
    let started = Instant::now();
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(streams.iter_mut().all(|stream| stream.try_next().is_none()));
}

#[test]
fn who_never_reads_holds_nobody_up() {
    // Vectors cost nothing here: there are to be many changes soon.
    let server = Stub::new().at(&Place::new()).serve().ready();
    let client = server.client();
    let lines = |start: usize, end: usize| -> Vec<_> {
        let line = |n| json!({"content": format!("note {n}"), "memory_type": "x".repeat(100)});
        (start..end).map(line).collect()
    };
    // The model, the caches and the rest are there before it is measured.
    import(&client, &lines(0, 1_000));
    let before = resident_bytes(server.pid());
    // The test's own process has as many descriptors to give as the node.
    let descriptors = memnode::machine::descriptor_count_max().unwrap_or_default() as usize;
    let slow_count = SLOW_COUNT.min(descriptors.saturating_sub(300));
    let silent: Vec<_> =
        (0..slow_count).map(|_| EventStream::open(&server.url, "/events", &[])).collect();
    let mut reading = EventStream::listen(&server.url);
    // More than the node holds in memory for them.
    let lines = lines(1_000, 10_000);
    let told = lines.chunks(1_000).flat_map(|chunk| import(&client, chunk));
    let hashes: Vec<String> =
        told.map(|line| line["content_hash"].as_str().expect("a hash").to_owned()).collect();
    for hash in &hashes {
        assert_eq!(&reading.next_named("memory_stored").hash(), hash);
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    let allowed = BYTES_MAX + slow_count as u64 * SLOW_BYTES_MAX;
    assert!(grown < allowed, "{} MiB for {slow_count}", grown >> 20);
    // One that was slow and reads after all misses nothing.
    let mut slow = silent.into_iter().next().expect("one of them");
    for hash in &hashes {
        assert_eq!(&slow.next_named("memory_stored").hash(), hash);
    }
}

#[test]
fn a_listener_that_comes_back_after_a_kill_has_seen_every_acknowledged_write() {
    let place = Place::new();
    let mut server = place.serve().ready();
    let (mut acknowledged, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut last_id: Option<String> = None;
    for round in 0..3 {
        let (mut stream, status) =
            EventStream::resume(&server.url, "/api/events", last_id.as_deref());
        assert_eq!(status, if round == 0 { "fresh" } else { "resumed" });
        let enough = Arc::new(AtomicBool::new(false));
        let (writing, client) = (Arc::clone(&enough), server.client());
        let writer = std::thread::spawn(move || {
            let mut stored = Vec::new();
            for n in 0.. {
                let body = json!({"content": format!("write {n} of round {round}")}).to_string();
                let headers = [("content-type", "application/json")];
                let sent = client.try_send("POST", "/api/memories", &headers, body.into());
                let Ok(answer) = sent else { break };
                if answer.status != 200 {
                    break;
                }
                stored.push(answer.value()["content_hash"].as_str().expect("a hash").to_owned());
                if stored.len() == 30 {
                    writing.store(true, Ordering::Relaxed);
                }
            }
            stored
        });
        while !enough.load(Ordering::Relaxed) {
            seen.insert(stream.next().hash());
        }
        server.kill();
        while let Some(event) = stream.try_next() {
            seen.insert(event.hash());
        }
        last_id = stream.last_id;
        acknowledged.extend(writer.join().expect("writing does not panic"));
        server = place.serve().ready();
    }
    let (mut stream, status) = EventStream::resume(&server.url, "/api/events", last_id.as_deref());
    assert_eq!(status, "resumed");
    let end = store_text(&server.client(), "the end");
    while !seen.contains(&end) {
        seen.insert(stream.next().hash());
    }
    let lost: Vec<_> = acknowledged.difference(&seen).collect();
    assert!(lost.is_empty(), "{} of {} were not told", lost.len(), acknowledged.len());
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}
