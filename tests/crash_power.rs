//! A power cut: whatever was acknowledged before it is there after it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::skip;
use crate::crash_trace::{CALLS, Disk, Event, read};

/// Clients that store at the same time, so that commits carry more than one write.
const CLIENT_COUNT: usize = 3;
/// Memories that each of them stores in each run of the server.
const STORE_COUNT: usize = 8;
/// Moments at which the power is cut.
const CUT_COUNT: usize = 60;

#[test]
fn everything_acknowledged_before_a_power_cut_is_there_after_it() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("strace is not there");
    }
    let logs = tempfile::tempdir().expect("a directory");
    let place = Place::new();
    let mut acknowledged = Vec::new();
    // The second run starts on a file that is there, and its first ended with a checkpoint.
    for run in 0..2 {
        let server = traced(&place, &logs.path().join(format!("run{run}"))).ready();
        acknowledged.extend(store(&server, run));
        if run == 0 {
            let (code, log) = server.stop();
            assert_eq!(code, Some(0), "{log}");
        } else {
            server.kill();
        }
    }
    let events = read(&logs.path().join("run"), place.path());
    assert!(events.len() > 100, "the trace holds only {} events", events.len());
    assert!(Disk::after(&events).knows(&place.database()), "no database in the trace");

    let seed: u64 = rand::random();
    println!("power cuts with seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut moments: Vec<usize> =
        (0..CUT_COUNT).map(|_| dice.random_range(0..=events.len())).collect();
    moments.sort_unstable();
    let mut disk = Disk::default();
    let mut applied = 0;
    for moment in moments {
        (applied..moment).for_each(|number| disk.apply(&events, number));
        applied = moment;
        let until = events.get(moment).map_or(f64::INFINITY, |event| event.at);
        let expected = acknowledged.iter().filter(|(at, _)| *at < until).map(|(_, hash)| hash);
        let copy = Place::new();
        disk.cut(&events, place.path(), copy.path(), &mut dice);
        let what = format!("seed {seed}, before event {moment} of {}", events.len());
        check(&copy, &expected.cloned().collect::<Vec<_>>(), &what);
    }
}

impl Disk {
    fn after(events: &[Event]) -> Disk {
        let mut disk = Disk::default();
        (0..events.len()).for_each(|number| disk.apply(events, number));
        disk
    }
}

/// A server whose file operations are written down.
fn traced(place: &Place, log: &Path) -> Server {
    let log = log.to_string_lossy();
    let strace =
        ["strace", "-D", "-ff", "-ttt", "-y", "-xx", "-s", "1048576", "-o", &log, "-e", CALLS];
    place.clone().under(&strace).serve()
}

/// Stores from several clients at once; gives the hashes and when each was acknowledged.
#[allow(clippy::disallowed_methods, reason = "the trace carries the time of day too")]
fn store(server: &Server, run: usize) -> Vec<(f64, String)> {
    let one = |client: Client, number: usize| -> Vec<(f64, String)> {
        let store = |turn: usize| {
            let content = format!("Run {run}, client {number}, memory {turn}: a cellar key");
            let body = json!({"content": content, "tags": ["power", format!("t{turn}")]});
            let answer = client.post("/api/memories", body).expect(200).value();
            let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            (at.as_secs_f64(), answer["content_hash"].as_str().expect("a hash").to_owned())
        };
        (0..STORE_COUNT).map(store).collect()
    };
    std::thread::scope(|scope| {
        let start = |number| {
            let client = server.client();
            scope.spawn(move || one(client, number))
        };
        let clients: Vec<_> = (0..CLIENT_COUNT).map(start).collect();
        clients.into_iter().flat_map(|client| client.join().expect("it stored")).collect()
    })
}

/// The file opens, holds all that was expected, and adds up.
fn check(copy: &Place, expected: &[String], what: &str) {
    let there = copy.database().exists();
    assert!(there || expected.is_empty(), "{what}: the file is gone");
    let exported = copy.run(&["export", "-"]);
    assert_eq!(exported.code, Some(0), "{what}: {exported:#?}");
    let found: BTreeMap<String, serde_json::Value> = exported
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .map(|memory: serde_json::Value| {
            (memory["content_hash"].as_str().expect("a hash").to_owned(), memory)
        })
        .collect();
    let missing: Vec<&String> = expected.iter().filter(|hash| !found.contains_key(*hash)).collect();
    assert!(missing.is_empty(), "{what}: {} of {} missing", missing.len(), expected.len());
    assert!(found.values().all(|memory| memory["tags"][0] == "power"), "{what}: {found:?}");
    let verified = copy.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{what}: {verified:#?}");
}
