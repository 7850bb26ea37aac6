//! Moving a file to another model: searches go on, an interruption loses nothing.

use std::process::{Child, Stdio};

use serde_json::json;

use crate::common::embedder::{DIMENSION, Stub};
use crate::common::eventually;
use crate::common::node::Place;

/// Memories of a file that moves.
const COUNT: usize = 300;

/// A file of the built-in model.
fn filled() -> Place {
    let place = Place::new();
    let lines: String = (0..COUNT)
        .map(|number| format!("{}\n", json!({"content": format!("word{number} alpha beta")})))
        .collect();
    place.run_with_input(&["import", "-"], lines.as_bytes()).ok();
    place
}

fn start(place: &Place) -> Child {
    place.command(&["reembed"]).stdout(Stdio::null()).spawn().expect("the binary runs")
}

#[test]
fn a_file_moves_to_another_model_under_a_running_server() {
    let place = filled();
    let server = place.serve().ready();
    let client = server.client();
    let stub = Stub::until(100);
    let moved = stub.at(&place);
    let mut moving = start(&moved);
    eventually("some texts are moved", || (stub.answered() >= 100).then_some(()));

    // It stands still in the middle now: the server answers with the old model, and stores.
    let search = |query: &str| {
        let body = json!({"query": query, "n_results": 3});
        let found = client.post("/api/search", body).expect(200).value();
        assert_eq!(found["results"].as_array().map(Vec::len), Some(3), "{found}");
        found["results"][0]["memory"]["content"].clone()
    };
    assert_eq!(search("word7 alpha beta"), "word7 alpha beta");
    client.post("/api/memories", json!({"content": "gamma came in meanwhile"})).expect(200);
    let progress = client.get("/api/reembed").expect(200).value();
    assert_eq!(progress["reembed"]["state"], "running", "{progress}");
    let again = client.send("POST", "/api/reembed", &[], Vec::new());
    assert_eq!(again.status, 403, "only the local socket may change the model: {}", again.text());

    stub.gate.open(usize::MAX);
    assert!(moving.wait().expect("ours").success());
    assert_eq!(search("gamma came in meanwhile"), "gamma came in meanwhile");
    let health = client.get("/api/health/detailed").expect(200).value();
    assert_eq!(health["storage"]["embedding_model"], "stub", "{health}");
    assert_eq!(health["storage"]["embedding_dimension"], DIMENSION, "{health}");
    server.stop();

    assert!(moved.run(&["verify"]).ok().stdout.contains("sound"));
    let found = moved.run(&["search", "gamma came in meanwhile", "--json"]).ok().json();
    assert_eq!(found["results"][0]["memory"]["content"], "gamma came in meanwhile", "{found}");
    for arguments in [&["add", "more"][..], &["list"], &["serve", "--http-port", "0"]] {
        let refused = place.run(arguments).expect_code(74);
        assert!(refused.stderr.contains("memnode reembed"), "{refused:#?}");
    }
}

#[test]
fn searches_go_on_right_through_the_change_of_model() {
    let place = filled();
    let server = place.serve().ready();
    let client = server.client();
    client.post("/api/memories", json!({"content": "gamma came in last"})).expect(200);
    let stub = Stub::until(100);
    let moved = stub.at(&place);
    let mut moving = start(&moved);
    eventually("some texts are moved", || (stub.answered() >= 100).then_some(()));

    // Vectors of 384 numbers become vectors of 8: every answer comes from one kind, whole.
    let dimension = || {
        let health = client.get("/api/health/detailed").expect(200).value();
        health["storage"]["embedding_dimension"].as_u64()
    };
    assert_eq!(dimension(), Some(384));
    stub.gate.open(usize::MAX);
    let mut is_moved = false;
    while !is_moved {
        is_moved = dimension() == Some(DIMENSION as u64);
        for mode in ["semantic", "hybrid"] {
            for exact in [false, true] {
                let body = json!({"query": "gamma came in last", "mode": mode, "exact": exact});
                let found = client.post("/api/search", body).expect(200).value();
                assert_eq!(found["results"].as_array().map(Vec::len), Some(10), "{found}");
                let first = &found["results"][0]["memory"]["content"];
                assert_eq!(first, "gamma came in last", "{mode}, exact: {exact}");
            }
        }
    }
    assert!(moving.wait().expect("ours").success());
}

#[test]
fn a_move_that_is_killed_is_taken_up_where_it_was() {
    let place = filled();
    let stub = Stub::until(150);
    let mut moving = start(&stub.at(&place));
    eventually("some texts are moved", || (stub.answered() >= 150).then_some(()));
    // Other commands go through the process that moves the file, with the model it still has.
    let found = place.run(&["search", "word7 alpha beta", "--json"]).ok().json();
    assert_eq!(found["results"][0]["memory"]["content"], "word7 alpha beta", "{found}");
    moving.kill().expect("ours");
    moving.wait().expect("ours");

    // Nothing changed for who stays with the old model.
    place.run(&["search", "word7"]).ok();
    let second = Stub::new();
    let moved = second.at(&place);
    moved.run(&["reembed"]).ok();
    let rest = second.answered();
    assert!(rest < COUNT, "the second run began anew: {rest} texts");
    assert!(moved.run(&["verify"]).ok().stdout.contains("sound"));
    let stats = moved.run(&["stats"]).ok().stdout;
    assert!(stats.contains("stub, 8 dimensions"), "{stats}");
    let nothing = moved.run(&["reembed", "--json"]).ok().json();
    assert_eq!(nothing["state"], "done", "{nothing}");
}

#[test]
fn a_model_that_cannot_be_asked_changes_nothing() {
    let place = filled();
    let mut gone = Stub::new();
    gone.url = "http://127.0.0.1:1/v1/embeddings".to_owned();
    let failed = gone.at(&place).run(&["reembed"]);
    assert!(matches!(failed.code, Some(1 | 69)), "{failed:#?}");
    assert!(failed.stderr.contains("127.0.0.1:1") || failed.stderr.contains("stub"), "{failed:#?}");
    let found = place.run(&["search", "word7 alpha beta", "--json"]).ok().json();
    assert_eq!(found["results"][0]["memory"]["content"], "word7 alpha beta", "{found}");
}
