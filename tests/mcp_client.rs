//! A real MCP client, from PyPI: it lists and calls everything, in all three ways to connect, and
//! stores while the owner of the file is killed.

use std::io::{BufReader, Read};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::common::eventually;
use crate::common::node::Place;
use crate::common::python::python;

/// How a client may agree on a revision, and the one that comes of it.
const MODES: [(&str, &str); 3] =
    [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")];
const KEY: &str = "sesame";
/// Stores of each client.
const STORE_COUNT: usize = 200;
const KILL_COUNT: usize = 5;

/// What the tour has to read.
fn documents(place: &Place) -> String {
    let directory = place.path().join("documents");
    std::fs::create_dir(&directory).expect("a directory");
    let notes = "# Tides\n\nThe moon pulls the sea, and so the tides come twice a day.\n\n\
                 # Wind\n\nMost of it comes from the west.\n";
    std::fs::write(directory.join("notes.md"), notes).expect("a file");
    std::fs::write(directory.join("plain.txt"), "Plain words in a plain file").expect("a file");
    directory.display().to_string()
}

/// Runs a tour to its end; it says under which revision it went.
#[track_caller]
fn check_tour(mut command: Command, revision: &str) {
    let output = command.output().expect("Python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{revision}: {said}\n{log}");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(report["revision"], revision);
    assert_eq!(report["called"].as_array().map(Vec::len), Some(29), "{report}");
}

#[test]
fn it_calls_every_tool_over_stdio_in_every_revision() {
    let Some(python) = python() else { return };
    for (mode, revision) in MODES {
        let place = Place::new();
        let documents = documents(&place);
        let arguments = ["--mode", mode, "--documents", &documents];
        check_tour(place.script(python, "tour.py", &arguments, Some(&["mcp"])), revision);
    }
}

#[test]
fn it_calls_every_tool_over_http_with_a_key_and_is_refused_without() {
    let Some(python) = python() else { return };
    for (mode, revision) in MODES {
        let place = Place::new();
        let documents = documents(&place);
        let place = place.with("MCP_API_KEY", KEY).with("MEMNODE_INGEST_ROOTS", &documents);
        let server = place.serve();
        let url = format!("{}/mcp", server.url);
        let arguments = ["--mode", mode, "--documents", &documents, "--url", &url];
        for wrong in [&[][..], &["--key", "barley"]] {
            let arguments = [&arguments[..], wrong].concat();
            let refused = place.script(python, "tour.py", &arguments, None).output();
            let refused = refused.expect("Python runs");
            assert!(!refused.status.success(), "{arguments:?}");
        }
        let total = server.client().with("x-api-key", KEY).get("/api/memories").expect(200);
        assert_eq!(total.value()["total"], 0);
        let arguments = [&arguments[..], &["--key", KEY]].concat();
        check_tour(place.script(python, "tour.py", &arguments, None), revision);
    }
}

#[test]
fn it_calls_every_tool_through_a_bridge_to_a_server() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let documents = documents(&place);
    let server = place.serve();
    let arguments = ["--mode", "legacy", "--documents", &documents];
    check_tour(place.script(python, "tour.py", &arguments, Some(&["mcp"])), "2025-11-25");
    assert_ne!(server.client().get("/api/memories").expect(200).value()["total"], 0);
}

/// A script that runs, and how many of its calls are answered.
struct Storing {
    child: Child,
    reading: std::thread::JoinHandle<String>,
}

fn storing(
    place: &Place,
    python: &std::path::Path,
    name: &str,
    count: &Arc<AtomicUsize>,
) -> Storing {
    let arguments = [name, &STORE_COUNT.to_string()];
    let mut child = place
        .script(python, "stores.py", &arguments, Some(&["mcp", "--log", "error"]))
        .spawn()
        .expect("Python runs");
    let stderr = child.stderr.take().expect("a pipe");
    let count = Arc::clone(count);
    let reading = std::thread::spawn(move || {
        let mut said = Vec::new();
        for byte in BufReader::new(stderr).bytes().map_while(Result::ok) {
            count.fetch_add(usize::from(byte == b'.'), Ordering::SeqCst);
            said.push(byte);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    Storing { child, reading }
}

#[test]
fn three_of_them_lose_nothing_while_the_owner_is_killed() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let mut server = place.serve();
    let count = Arc::new(AtomicUsize::new(0));
    let clients = ["a", "b", "c"].map(|name| storing(&place, python, name, &count));
    for kill in 1..=KILL_COUNT {
        let until = kill * 3 * STORE_COUNT / (KILL_COUNT + 1);
        eventually("answers", || (count.load(Ordering::SeqCst) >= until).then_some(()));
        server.kill();
        server = place.serve();
    }
    let mut stored_count = 0;
    for Storing { child, reading } in clients {
        let output = child.wait_with_output().expect("Python ends");
        let said = reading.join().expect("reading does not panic");
        assert!(output.status.success(), "{said}");
        let answers: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let answers = answers.as_object().expect("an object");
        assert_eq!(answers.len(), STORE_COUNT);
        for (content, said) in answers {
            let said = said.as_str().expect("a text");
            assert!(said.starts_with("Memory stored successfully"), "{content}: {said}");
        }
        stored_count += answers.len();
    }
    assert_eq!(server.client().get("/api/memories").expect(200).value()["total"], stored_count);
    place.run(&["verify"]).ok();
}
