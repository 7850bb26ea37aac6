//! What the command line says and how it ends, refusals first.

use serde_json::{Value, json};

use crate::common::node::Place;

/// Runs a command that must end with a code and name the matter on standard error.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], code: i32, says: &str) {
    let finished = place.run(arguments).expect_code(code);
    assert!(finished.stderr.contains(says), "no `{says}` in {finished:#?}");
}

#[test]
fn wrong_usage_and_settings_end_with_64() {
    let place = Place::new();
    refused(&place, &["remember"], 64, "unrecognized subcommand");
    refused(&place, &["list", "--colour"], 64, "--colour");
    refused(&place, &["get", "xyz"], 64, "content hash");
    refused(&place, &["list", "--http-port", "seventy"], 64, "http.port");
    refused(&place, &["serve", "--http-host", "0.0.0.0"], 64, "MCP_API_KEY");
    refused(&place.clone().with("MEMNODE_COLOUR", "1"), &["list"], 64, "MEMNODE_COLOUR");
    let file = place.path().join("memnode.toml");
    std::fs::write(&file, "[http]\ncolour = 1\n").expect("a file");
    let file = file.display().to_string();
    refused(&place, &["list", "--config", &file], 64, "colour");
    assert!(!place.database().exists(), "a refusal made a file");
}

#[test]
fn help_and_version_end_with_0() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["-h"], &["--version"], &["import", "--help"]] {
        assert!(!place.run(arguments).ok().stdout.is_empty());
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell]).ok().stdout.contains("memnode"));
    }
}

#[test]
fn a_missing_model_ends_with_69_and_makes_nothing() {
    let place = Place::new();
    let nowhere = place.path().join("nowhere").display().to_string();
    let place = place.with("MEMNODE_MODEL_DIR", nowhere);
    for arguments in [&["serve", "--http-port", "0"][..], &["mcp"], &["add", "x"], &["search", "x"]]
    {
        refused(&place, arguments, 69, "memnode model fetch");
        let left: Vec<_> = std::fs::read_dir(place.path()).expect("a directory").collect();
        assert!(left.is_empty(), "{arguments:?} left {left:?}");
    }
    refused(&place, &["model", "verify"], 69, "memnode model fetch");
}

#[test]
fn a_node_that_is_not_ready_is_told_by_the_exit_code() {
    let place = Place::new();
    refused(&place, &["ready"], 69, "no node runs on");
    assert!(!place.database().exists(), "asking made a file");
    let server = place.serve().ready();
    assert_eq!(place.run(&["ready"]).ok().stdout, "ready\n");
    assert_eq!(place.run(&["ready", "--json"]).ok().json()["status"], "ready");
    server.signal("STOP");
    refused(&place, &["ready"], 69, &server.pid().to_string());
    server.kill();
    refused(&place, &["ready"], 75, "no node answers");
}

#[test]
fn a_taken_port_ends_with_73_and_a_taken_file_with_75() {
    let place = Place::new();
    let server = place.serve();
    let port = server.url.rsplit(':').next().expect("a port").to_owned();
    let other = Place::new();
    refused(&other, &["serve", "--http-port", &port], 73, &port);
    assert!(!other.database().exists(), "a taken port left a file");
    refused(&place, &["serve", "--http-port", "0"], 75, &server.url);
    refused(&place, &["serve", "--http-port", "0"], 75, &server.pid().to_string());
}

#[test]
fn files_that_are_not_ours_end_with_74_and_stay_as_they_are() {
    let place = Place::new();
    let text = b"Dear diary, this is no database.".repeat(100);
    std::fs::write(place.database(), &text).expect("a file");
    for arguments in [&["list"][..], &["add", "x"], &["serve", "--http-port", "0"]] {
        refused(&place, arguments, 74, "not a memnode database");
        assert_eq!(std::fs::read(place.database()).expect("still there"), text);
    }
}

#[test]
fn unknown_settings_of_the_peer_warn_once() {
    let place = Place::new().with("MCP_FANCY", "1").with("MCP_OAUTH", "1");
    let finished = place.run(&["list"]).ok();
    let warned = finished.stderr.lines().filter(|line| line.contains("MCP_FANCY")).count();
    assert_eq!(warned, 1, "{finished:#?}");
}

#[test]
fn settings_follow_their_order_and_secrets_stay_hidden() {
    let place = Place::new().with("MCP_API_KEY", "hush-hush").with("MCP_HTTP_PORT", "9001");
    let file = place.path().join("memnode.toml");
    std::fs::write(&file, "[http]\nport = 9000\nrequest_timeout = \"7s\"\n").expect("a file");
    let file = file.display().to_string();
    let shown = |more: &[&str]| {
        let arguments = [&["config", "show", "--json", "--config", &file], more].concat();
        let finished = place.run(&arguments).ok();
        assert!(!finished.stdout.contains("hush-hush"), "{finished:#?}");
        finished.stdout
    };
    assert!(shown(&[]).contains("9001"), "the environment goes before the file");
    assert!(shown(&["--http-port", "9002"]).contains("9002"), "a flag goes first");
    assert!(shown(&[]).contains("7s"), "the file goes before the default");
    assert!(!place.run(&["config", "show", "--config", &file]).ok().stdout.contains("hush-hush"));
}

#[test]
fn every_command_does_its_part_of_a_memory_s_life() {
    let place = Place::new();
    let added = place
        .run(&["add", "Tomatoes need sun", "--tag", "garden", "--type", "note", "--json"])
        .ok()
        .json();
    let hash = added["content_hash"].as_str().expect("a hash").to_owned();
    let got = place.run(&["get", &hash, "--json"]).ok().json();
    assert_eq!(got["tags"], json!(["garden"]));
    let first = |finished: crate::common::node::Finished| -> Value {
        let document = finished.ok().json();
        let list = ["results", "memories"].iter().find_map(|key| document[*key].as_array());
        let first = &list.expect("a list")[0];
        if first["memory"].is_object() { first["memory"].clone() } else { first.clone() }
    };
    let found = first(place.run(&["search", "what do vegetables want", "--json"]));
    assert_eq!(found["content_hash"], hash.as_str());
    assert_eq!(
        first(place.run(&["list", "--tag", "garden", "--json"]))["content_hash"],
        hash.as_str()
    );
    place.run(&["update", &hash, "--tag", "balcony"]).ok();
    assert!(place.run(&["tags"]).ok().stdout.contains("balcony"));
    assert!(place.run(&["history", &hash]).ok().stdout.contains("stored"));
    place.run(&["delete", &hash]).ok();
    refused(&place, &["get", &hash], 1, "not found");
    refused(&place, &["add", "Tomatoes need sun"], 1, "deleted before");
    place.run(&["restore", &hash]).ok();
    assert_eq!(place.run(&["get", &hash, "--json"]).ok().json()["tags"], json!(["balcony"]));
    assert!(place.run(&["stats"]).ok().stdout.contains("1 memory"));
    assert!(place.run(&["verify"]).ok().stdout.contains("sound"));
    place.run(&["doctor"]).ok();
}

#[test]
fn deleting_by_a_condition_wants_a_yes_where_nobody_can_be_asked() {
    let place = Place::new();
    place.run(&["add", "one", "--tag", "old"]).ok();
    place.run(&["add", "two", "--tag", "new"]).ok();
    let refused = place.run(&["delete", "--tag", "old"]);
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert!(refused.stderr.contains("--yes"), "{refused:#?}");
    place.run(&["delete", "--tag", "old", "--dry-run"]).ok();
    assert!(place.run(&["stats"]).ok().stdout.contains("2 memories"));
    place.run(&["delete", "--tag", "old", "--yes"]).ok();
    assert!(place.run(&["stats"]).ok().stdout.contains("1 memory"));
}

#[test]
fn commands_go_through_the_server_that_owns_the_file() {
    let place = Place::new();
    let server = place.serve().ready();
    place.run(&["add", "said at the command line"]).ok();
    let listed = server.client().get("/api/memories").expect(200).value();
    assert_eq!(listed["memories"][0]["content"], "said at the command line");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn standard_input_is_a_text_and_a_closed_output_is_no_failure() {
    let place = Place::new();
    place.run_with_input(&["add", "-"], b"from a pipe\n").ok();
    assert!(place.run(&["list"]).ok().stdout.contains("from a pipe"));
    let mut child = place.command(&["list"]).spawn().expect("the binary runs");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
}
