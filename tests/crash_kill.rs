//! kill -9 and Ctrl-C while much is being stored.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output};

use serde_json::json;

use crate::common::eventually;
use crate::common::node::{Place, signal};

/// Memories of one import.
const LINE_COUNT: usize = 600;
/// How often an import is killed.
const KILL_COUNT: usize = 3;
/// How many memories an import gets further each time.
const STEP: u64 = 100;

/// A file of different texts, a memory a line.
fn lines(place: &Place, count: usize) -> PathBuf {
    let path = place.path().join("lines.jsonl");
    let line = |n: usize| json!({"content": format!("Note {n} on shelf {}", n * 7 % 100)});
    let text: Vec<String> = (0..count).map(|n| line(n).to_string()).collect();
    fs::write(&path, text.join("\n") + "\n").expect("a file");
    path
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).spawn().expect("the binary runs")
}

/// How many memories there are, as the process that owns the file sees it.
fn total(place: &Place) -> u64 {
    let listed = place.run(&["list", "-n", "1", "--json"]).ok().json();
    listed["total"].as_u64().expect("a number")
}

/// Waits until the running command got further than this, or ended.
fn wait_for(place: &Place, child: &mut Child, more_than: u64) -> u64 {
    eventually("the import goes on", || {
        let found = total(place);
        let ended = child.try_wait().expect("it is ours").is_some();
        (found > more_than || ended).then_some(found)
    })
}

fn ended(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_import_that_is_killed_again_and_again_loses_nothing_and_is_completed() {
    let place = Place::new();
    let path = lines(&place, LINE_COUNT);
    let import = ["import", &*path.to_string_lossy(), "--json"];
    let mut least = 0;
    for _ in 0..KILL_COUNT {
        let mut child = start(&place, &import);
        let seen = wait_for(&place, &mut child, least + STEP);
        child.kill().expect("it is ours");
        assert_eq!(ended(child).0, None, "it was too fast to be killed");
        // What another process was shown is committed, so it outlives the one that wrote it.
        least = total(&place);
        assert!(least >= seen, "{least} of {seen}");
        place.run(&["verify"]).ok();
    }
    assert!(least < LINE_COUNT as u64, "there is nothing left to do");
    let last = place.run(&import).ok().json();
    assert_eq!(last["already_there"], least, "{last}");
    assert_eq!(last["stored"], LINE_COUNT as u64 - least, "{last}");
    assert_eq!(total(&place), LINE_COUNT as u64);
    place.run(&["verify"]).ok();
}

#[test]
fn an_interrupted_import_says_how_far_it_got() {
    let place = Place::new();
    let path = lines(&place, LINE_COUNT);
    let import = ["import", &*path.to_string_lossy(), "--json"];
    let mut child = start(&place, &import);
    wait_for(&place, &mut child, STEP);
    signal(child.id(), "INT");
    let (code, stdout, stderr) = ended(child);
    assert_eq!(code, Some(130), "{stdout}{stderr}");
    assert!(stderr.contains("run the same command again"), "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("one document");
    assert_eq!(summary["interrupted"], true, "{summary}");
    assert_eq!(summary["stored"], total(&place), "{summary}");

    let again = place.run(&import).ok().json();
    assert_eq!(again["already_there"], summary["stored"], "{again}");
    assert_eq!(total(&place), LINE_COUNT as u64);
}

#[test]
fn an_import_goes_on_when_the_server_it_goes_through_is_killed() {
    let place = Place::new();
    let path = lines(&place, LINE_COUNT);
    let server = place.serve().ready();
    let client = server.client();
    let mut import = start(&place, &["import", &path.to_string_lossy(), "--json"]);
    let mut acknowledged = Vec::new();
    while total(&place) < STEP {
        let content = format!("Stored beside the import, number {}", acknowledged.len());
        let answer = client.post("/api/memories", json!({"content": content})).expect(200).value();
        acknowledged.push(answer["content_hash"].as_str().expect("a hash").to_owned());
    }
    assert!(import.try_wait().expect("it is ours").is_none(), "it was too fast");
    server.kill();
    let (code, stdout, stderr) = ended(import);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("one document");
    let count = |key: &str| summary[key].as_u64().expect("a number");
    assert_eq!(count("stored") + count("already_there"), LINE_COUNT as u64, "{summary}");
    assert_eq!(total(&place), (LINE_COUNT + acknowledged.len()) as u64);
    for hash in acknowledged {
        place.run(&["get", &hash]).ok();
    }
    place.run(&["verify"]).ok();
}

#[test]
fn a_command_that_waits_for_a_silent_owner_can_be_interrupted() {
    let place = Place::new();
    let server = place.serve().ready();
    server.signal("STOP");
    let child = start(&place, &["list"]);
    eventually("the command listens to signals", || listens(child.id()).then_some(()));
    signal(child.id(), "INT");
    let (code, ..) = ended(child);
    server.signal("CONT");
    assert_eq!(code, Some(130));
}

/// Whether a process handles SIGINT, which is number 2 (proc(5), `SigCgt`).
fn listens(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|m| m & 2 != 0)
}
