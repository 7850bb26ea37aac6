//! Settings that are refused, by the name the user gave them; and who holds the file.

use std::fs;

use serde_json::Value;

use crate::common::node::Place;

/// Runs `memnode list` and expects exit code 64 and all the parts in the one sentence.
#[track_caller]
fn check(place: &Place, more: &[&str], parts: &[&str]) {
    let refused = place.run(&[&["list"], more].concat()).expect_code(64);
    for part in parts {
        assert!(refused.stderr.contains(part), "no {part:?}: {refused:#?}");
    }
    assert_eq!(refused.stdout, "", "{refused:#?}");
    assert!(!place.database().exists(), "a refusal made a file");
}

#[test]
fn wrong_settings_are_named_wherever_they_come_from() {
    let place = Place::new;
    check(&place(), &["--http-portt", "1"], &["--http-portt", "--http-port"]);
    check(&place(), &["--http-port", "70000"], &["http.port", "70000"]);
    check(&place(), &["--request-timeout", "soon"], &["http.request_timeout"]);
    check(&place(), &["--config", "/nonexistent/memnode.toml"], &["/nonexistent/memnode.toml"]);
    check(&place().with("MEMNODE_NAMESPCE", "x"), &[], &["MEMNODE_NAMESPCE", "MEMNODE_NAMESPACE"]);
    check(&place().with("MCP_HTTP_PORT", "x"), &[], &["MCP_HTTP_PORT"]);
    check(&place().with("MEMNODE_NAMESPACE", "Not One"), &[], &["MEMNODE_NAMESPACE"]);
    check(&place().with("MEMNODE_EMBEDDER", "magic"), &[], &["MEMNODE_EMBEDDER", "magic"]);
    check(&place().with("MEMNODE_EMBEDDER", "openai"), &[], &["embed.url"]);
    check(&place().with("MEMNODE_TIME_ZONE", "Moon/Crater"), &[], &["MEMNODE_TIME_ZONE"]);
}

#[test]
fn wrong_files_of_settings_are_named_with_their_keys() {
    for (text, parts) in [
        ("[http]\nprt = 1\n", &["http.prt", "http.port"][..]),
        ("[htp]\nport = 1\n", &["htp"]),
        ("port = 1\n", &["port"]),
        ("[http]\nport = \"many\"\n", &["http.port"]),
        ("[http\n", &["memnode.toml"]),
        ("[auth]\napi_key = [\"a\"]\n", &["auth.api_key"]),
    ] {
        let place = Place::new();
        let file = place.path().join("memnode.toml");
        fs::write(&file, text).expect("a file");
        check(&place, &["--config", &file.to_string_lossy()], parts);
        let by_name = place.clone().with("MEMNODE_CONFIG", file.to_string_lossy());
        check(&by_name, &[], parts);
    }
}

#[test]
fn doctor_tells_wrong_settings_as_a_finding() {
    let doctor = Place::new().with("MCP_HTTP_PORT", "x").run(&["doctor"]).expect_code(1);
    assert!(doctor.stdout.contains("MCP_HTTP_PORT"), "{doctor:#?}");
}

#[test]
fn secrets_are_hidden_and_their_sources_shown() {
    let place = Place::new()
        .with("MCP_API_KEY", "sesame-open")
        .with("MEMNODE_EMBEDDER_API_KEY", "sk-of-the-service");
    for arguments in [&["config", "show"][..], &["config", "show", "--json"]] {
        let shown = place.run(arguments).ok();
        for secret in ["sesame-open", "sk-of-the-service"] {
            assert!(!shown.stdout.contains(secret), "{shown:#?}");
        }
        assert!(shown.stdout.contains("MCP_API_KEY"), "{shown:#?}");
    }
    // Nor in what goes wrong.
    let refused = place.with("MEMNODE_LOG", "nonsense=loud").run(&["list"]);
    assert!(!refused.stderr.contains("sesame-open"), "{refused:#?}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_key_or_a_word() {
    let place = Place::new();
    let open = ["serve", "--http-host", "0.0.0.0", "--http-port", "0"];
    let refused = place.run(&open).expect_code(64);
    for part in ["0.0.0.0", "MCP_API_KEY", "MCP_ALLOW_ANONYMOUS_ACCESS"] {
        assert!(refused.stderr.contains(part), "{refused:#?}");
    }
    assert!(!place.database().exists());
    drop(place.serve_with(&["--http-host", "0.0.0.0", "--allow-anonymous"]));
    drop(place.with("MCP_API_KEY", "k").serve_with(&["--http-host", "0.0.0.0"]));
}

#[test]
fn a_namespace_on_the_command_line_is_where_everything_happens() {
    let place = Place::new().with("MEMNODE_NAMESPACE", "env");
    place.run(&["add", "By the environment"]).ok();
    place.run(&["add", "By the flag", "--namespace", "flag"]).ok();
    let contents = |arguments: &[&str]| -> Vec<Value> {
        let listed = place.run(&[arguments, &["--json"]].concat()).ok().json();
        let memories = listed["memories"].as_array().expect("a list").clone();
        memories.iter().map(|memory| memory["namespace"].clone()).collect()
    };
    assert_eq!(contents(&["list"]), ["env"]);
    assert_eq!(contents(&["list", "--namespace", "flag"]), ["flag"]);
    assert_eq!(contents(&["list", "-A"]), ["flag", "env"]);
    assert_eq!(contents(&["list", "--namespace", "default"]), [""; 0]);
}

#[test]
fn a_lock_whose_holder_does_not_answer_ends_with_75() {
    let place = Place::new();
    let lock = fs::File::create(place.path().join("memnode.db.lock")).expect("a file");
    lock.lock().expect("it is free");
    let refused = place.run(&["list"]).expect_code(75);
    assert!(refused.stderr.contains("owns the database"), "{refused:#?}");
    assert!(refused.stderr.contains("hint: wait"), "{refused:#?}");
    drop(lock);
    place.run(&["list"]).ok();
}

#[test]
fn what_a_dead_process_left_behind_is_no_obstacle() {
    let place = Place::new();
    let server = place.serve().ready();
    server.kill();
    // Its lock file still names it, and its socket still lies there.
    assert!(place.path().join("memnode.db.sock").exists());
    place.run(&["add", "After the crash"]).ok();
    place.serve().ready().stop();
}
