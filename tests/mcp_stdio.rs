//! `memnode mcp` on standard input and output, with clients that behave badly.

use std::time::Instant;

use serde_json::{Value, json};

use crate::common::node::Place;
use crate::common::window::{initialize_params, stateless_meta, text};

/// More than the longest message that is carried.
const LONG_LINE_BYTES: usize = 5_000_000;

#[test]
fn a_client_that_hangs_up_gets_its_answers_first() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let ids: Vec<u64> = (0..20)
        .map(|number| window.begin_call("memory_store", &json!({"content": format!("n {number}")})))
        .collect();
    window.hang_up();
    for id in ids {
        let answer = window.answer(id);
        assert!(text(&answer["result"]).starts_with("Memory stored successfully"), "{answer}");
    }
    let ended = window.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_client_that_says_nothing_is_no_failure() {
    let place = Place::new();
    let ended = place.mcp().close();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_last_line_without_its_end_is_answered() {
    let place = Place::new();
    let mut window = place.mcp();
    let params = initialize_params("2025-11-25");
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    window.send_bytes(line.to_string().as_bytes()).expect("the process reads");
    window.hang_up();
    assert_eq!(window.answer(1)["result"]["serverInfo"]["name"], "memnode");
    assert_eq!(window.finish().code, Some(0));
}

#[test]
fn sigterm_ends_it_well_and_ctrl_c_is_an_interruption() {
    for (signal, code) in [("TERM", 0), ("INT", 130)] {
        let place = Place::new();
        let mut window = place.mcp_ready();
        window.store("before the signal");
        // The client's end stays open: reading it must not keep the process.
        let ended = window.end_by(signal);
        assert_eq!(ended.code, Some(code), "{signal}: {ended:?}");
        place.run(&["verify"]).ok();
    }
}

#[test]
fn garbage_is_refused_line_by_line_and_harms_nothing() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let lines: &[(&[u8], i64)] = &[
        (b"{", -32700),
        (b"\xff\xfe\x00", -32700),
        (b"hello", -32700),
        (b"[]", -32600),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600),
        (b"7", -32600),
        (b"{\"id\":1,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":5}", -32602),
    ];
    for (line, code) in lines {
        window.send_bytes(&[line, &b"\n"[..]].concat()).expect("the process reads");
        let shown = String::from_utf8_lossy(line);
        // Each refusal has the id that could be read, which most of these lines have none of.
        let id = if shown.contains("\"id\":1,") && !shown.starts_with('[') {
            json!(1)
        } else {
            Value::Null
        };
        let before = if id.is_null() { 0 } else { 1 };
        let refusal = crate::common::eventually(&shown, || {
            window
                .answers_to(&id)
                .into_iter()
                .skip(before)
                .find(|answer| answer["error"]["code"] == *code)
        });
        assert!(refusal["error"]["message"].is_string(), "{refusal}");
    }
    let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    window.send_bytes(deep.as_bytes()).expect("the process reads");
    window.send_bytes(b"\n\r\n   \n").expect("the process reads");
    // Notifications that mean nothing, and an answer to no question.
    window.send(&json!({"jsonrpc": "2.0", "method": "notifications/none"}));
    window.send(&json!({"jsonrpc": "2.0", "id": 999, "result": {}}));
    window.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {}}));
    window.store("still there");
    assert_eq!(window.garbage(), [""; 0]);
    assert_eq!(window.close().code, Some(0));
}

#[test]
fn a_line_that_is_too_long_is_refused_by_its_id() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let content = "x".repeat(LONG_LINE_BYTES);
    let id = window.begin_call("memory_store", &json!({"content": content}));
    let answer = window.answer(id);
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    assert!(answer["error"]["message"].as_str().expect("a text").contains("4 MiB"), "{answer}");
    window.store("the next one is fine");
}

#[test]
fn a_content_that_is_too_long_is_refused_by_name() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let result = window.call("memory_store", json!({"content": "y".repeat(2_000_000)}));
    assert_eq!(result["isError"], true);
    assert!(text(&result).starts_with("Error storing memory: "), "{}", text(&result));
}

#[test]
fn every_one_of_1500_requests_at_once_gets_one_answer() {
    let place = Place::new();
    let mut window = place.mcp_ready();
    let before = window.answered_count();
    let ids: Vec<u64> = (0..1500)
        .map(|number| match number % 3 {
            0 => window.begin_call("memory_store", &json!({"content": format!("item {number}")})),
            1 => window.begin_call("memory_list", &json!({"page_size": 1})),
            _ => window.begin("ping", &json!({})),
        })
        .collect();
    assert!(window.wait_answered(before + ids.len()), "the process ended");
    let mut stored = 0;
    let mut refused = 0;
    for id in &ids {
        let answers = window.answers_to(&json!(id));
        assert_eq!(answers.len(), 1, "{answers:?}");
        let answer = &answers[0];
        match answer.get("error") {
            // Refused in words, and only because of the bound.
            Some(error) => {
                assert_eq!(error["code"], -32000, "{answer}");
                refused += 1;
            }
            None => stored += usize::from(answer["result"]["structuredContent"]["success"] == true),
        }
    }
    println!("1500 requests at once: {refused} refused, {stored} stored");
    let total = window.call("memory_list", json!({}))["structuredContent"]["total"].clone();
    assert_eq!(total, stored);
    assert_eq!(window.close().code, Some(0));
}

#[test]
fn standard_output_carries_json_rpc_alone_however_much_is_logged() {
    let secret = "the heron nests behind the mill";
    for (name, value) in [("MEMNODE_LOG", "trace"), ("RUST_LOG", "trace"), ("MEMNODE_LOG", "info")]
    {
        let place = Place::new().with(name, value);
        let mut window = place.mcp_ready();
        let stored = window.store(secret);
        let hash = stored["structuredContent"]["content_hash"].as_str().expect("a hash").to_owned();
        window.call("memory_search", json!({"query": secret}));
        window.call("memory_search", json!({"query": secret, "mode": "keyword"}));
        window.call("memory_update", json!({"content_hash": hash, "updates": {"note": secret}}));
        window.call("memory_store", json!({"content": 7, "metadata": {"note": secret}}));
        window.request("resources/read", json!({"uri": "memory://recent/5"}));
        window.request("tools/call", json!({"name": secret}));
        assert_eq!(window.garbage(), [""; 0], "{name}={value}");
        let ended = window.close();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let leaked: Vec<&str> =
            ended.stderr.lines().filter(|line| line.contains("heron")).collect();
        assert!(leaked.is_empty(), "{name}={value} logs what is remembered: {leaked:#?}");
        if value == "info" {
            let noise = ended.stderr.lines().filter(|line| line.contains("initialized")).count();
            assert_eq!(noise, 0, "{}", ended.stderr);
        }
    }
}

#[test]
fn a_client_without_a_handshake_is_served_in_the_stateless_revision() {
    let place = Place::new();
    let mut window = place.mcp();
    let arguments = json!({"content": "no handshake"});
    let params = json!({"name": "memory_store", "arguments": arguments, "_meta": stateless_meta()});
    let answer = window.request("tools/call", params);
    assert!(text(&answer["result"]).starts_with("Memory stored successfully"), "{answer}");
    let discovered = window.request("server/discover", json!({"_meta": stateless_meta()}));
    let versions = &discovered["result"]["supportedVersions"];
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        assert!(
            versions.as_array().is_some_and(|all| all.contains(&json!(revision))),
            "{discovered}"
        );
    }
}

#[test]
fn a_client_that_skips_the_handshake_is_told_and_the_file_stays_owned() {
    let place = Place::new();
    let mut owner = place.mcp_ready();
    owner.store("the owner's own");
    let mut hasty = place.mcp();
    let started = Instant::now();
    let answer = hasty.request("tools/list", json!({}));
    println!("a request without handshake was answered after {:?}: {answer}", started.elapsed());
    assert!(answer["error"].is_object() || answer["result"].is_object(), "{answer}");
    owner.store("still the owner");
    // The same client may begin anew.
    hasty.initialize("2025-06-18");
    hasty.store("after all");
}
